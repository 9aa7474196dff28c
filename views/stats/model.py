"""The nouns of viewer statistics. Instants are Unix milliseconds; watch time and positions are seconds."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Traits:
    """What is kept of a viewer besides what it watched; all of it may be unknown. No address, no id."""

    country: str | None = None
    subdivision: str | None = None
    client: str | None = None
    device: str | None = None
    operating_system: str | None = None


@dataclass(frozen=True, slots=True)
class Stay:
    """One viewer's finished stay at one video: what becomes a row, and for a remote video a WatchAction.

    ``sections`` are sorted, disjoint and never empty (``(start_s, end_s)``, both included). ``source`` is
    ``model.LOCAL`` or the host that told of it; ``url`` is the global id, unique. ``flagged``: kept, but not believed
    in full (its watch time was above its wall time).
    """

    video: int
    uuid: str
    url: str
    start_ms: int
    end_ms: int
    watch_time_s: int
    sections: tuple[tuple[int, int], ...]
    traits: Traits
    source: str = ""
    flagged: bool = False


class Metric(enum.Enum):
    """Of a timeseries (PeerTube's names)."""

    VIEWERS = "viewers"
    AGGREGATE_WATCH_TIME = "aggregateWatchTime"


@dataclass(frozen=True, slots=True)
class Share:
    """A country, subdivision, client, device or system, and how many viewers it had."""

    name: str
    viewers: int


@dataclass(frozen=True, slots=True)
class Overall:
    """PeerTube's overall statistics, all from one row set; ``as_of_ms`` is when they were true."""

    average_watch_time_s: int
    total_watch_time_s: int
    total_viewers: int
    viewers_peak: int
    viewers_peak_ms: int | None
    countries: tuple[Share, ...]
    subdivisions: tuple[Share, ...]
    as_of_ms: int


@dataclass(frozen=True, slots=True)
class Retention:
    """Per second asked about, the percentage of viewers that saw it."""

    points: tuple[tuple[int, float], ...]
    as_of_ms: int


@dataclass(frozen=True, slots=True)
class Timeseries:
    """``group_interval`` as PeerTube spells it (``1 day``); buckets are half-open and begin at the instants given."""

    group_interval: str
    points: tuple[tuple[int, int], ...]
    as_of_ms: int


@dataclass(frozen=True, slots=True)
class UserAgents:
    clients: tuple[Share, ...]
    devices: tuple[Share, ...]
    operating_systems: tuple[Share, ...]
    as_of_ms: int


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose statistics: these videos of ours, by number; None means every local video."""

    videos: tuple[int, ...] | None


class Statistics(Protocol):
    """Answers over saved stays and the viewers still watching. Bounds are None where not given."""

    async def overall(self, scope: Scope, start_ms: int | None, end_ms: int | None) -> Overall: ...

    async def retention(self, video: int, duration_s: int) -> Retention: ...

    async def timeseries(self, scope: Scope, metric: Metric, start_ms: int, end_ms: int) -> Timeseries: ...

    async def first_ms(self, video: int) -> int | None:
        """When the first saved stay at this video began; it may be before the video was published, as a replay's is."""

    async def user_agents(self, scope: Scope, start_ms: int | None, end_ms: int | None) -> UserAgents: ...
