"""How well a video plays for its viewers: one score each, what they come to together, and a sentence about it. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

BEST = 5.0
WORST = 1.0

UNKNOWN_STALL_MS = 2_000
"""How long a stall counts for that came without its length (PeerTube's players send none)."""

_TROUBLE_SHARE = 0.005
"""Fewer viewers than this share of them are no matter for a sentence."""


@dataclass(frozen=True, slots=True)
class Penalty:
    """``points`` are lost at ``worst`` or beyond, in proportion from ``free`` on."""

    points: float
    free: float
    worst: float

    def of(self, value: float) -> float:
        return self.points * min(1.0, max(0.0, value - self.free) / (self.worst - self.free))


STALLED = Penalty(2.5, 0.0, 0.10)
"""By the share of the time that playing stood still."""
STALLS = Penalty(1.0, 0.0, 2.0)
"""By stalls per minute: many short ones annoy as well."""
STARTUP = Penalty(1.0, 2_000, 10_000)
"""By milliseconds until the first picture."""
SWITCHES = Penalty(0.5, 1.0, 6.0)
"""By changes of the rendition per minute."""
DROPPED = Penalty(1.0, 0.01, 0.20)
"""By the share of frames that were not shown."""
ERRORS = Penalty(2.0, 0.0, 1.0)
"""By errors and failed segments per minute."""


@dataclass(frozen=True, slots=True)
class Played:
    """What one viewer said of playing, summed; ``latency_ms`` and ``startup_ms`` are sums over as many samples as
    ``latencies`` and ``startups`` say. ``stall_ms`` contains ``UNKNOWN_STALL_MS`` for stalls of unknown length."""

    span_ms: int = 0
    stalls: int = 0
    stall_ms: int = 0
    switches: int = 0
    errors: int = 0
    frames: int = 0
    dropped_frames: int = 0
    latency_ms: int = 0
    latencies: int = 0
    startup_ms: int = 0
    startups: int = 0
    bytes: int = 0

    def __add__(self, other: Played) -> Played:
        return Played(*(getattr(self, name) + getattr(other, name) for name in FIELDS))

    def sums(self) -> tuple[int, ...]:
        """In the order of ``FIELDS``."""
        return tuple(getattr(self, name) for name in FIELDS)

    @property
    def stalled_share(self) -> float:
        return min(1.0, self.stall_ms / self.span_ms) if self.span_ms else 0.0

    @property
    def dropped_share(self) -> float:
        return min(1.0, self.dropped_frames / self.frames) if self.frames else 0.0


FIELDS = tuple(Played.__dataclass_fields__)


def score(played: Played) -> float:
    """1 (unbearable) to 5 (nothing to complain of)."""
    minutes = max(played.span_ms, 1_000) / 60_000
    startup_ms = played.startup_ms / played.startups if played.startups else 0.0
    lost = (
        STALLED.of(played.stalled_share)
        + STALLS.of(played.stalls / minutes)
        + STARTUP.of(startup_ms)
        + SWITCHES.of(played.switches / minutes)
        + DROPPED.of(played.dropped_share)
        + ERRORS.of(played.errors / minutes)
    )
    return max(WORST, BEST - lost)


@dataclass(frozen=True, slots=True)
class Spread:
    """Over viewers, each counted once."""

    minimum: float
    median: float
    maximum: float
    average: float


@dataclass(frozen=True, slots=True)
class AtHeight:
    """``height`` 0 is sound alone."""

    height: int
    viewers: int
    stalled: int


@dataclass(frozen=True, slots=True)
class Quality:
    """None: nobody said anything of it. ``stalled``, ``failed``, ``dropping`` and ``slow`` are how many viewers had
    stalls, errors, dropped frames beyond 5 %, a start of more than five seconds."""

    viewers: int
    score: Spread | None
    stalled_share: Spread | None
    dropped_share: Spread | None
    latency_ms: Spread | None
    startup_ms: Spread | None
    stalled: int
    failed: int
    dropping: int
    slow: int
    heights: tuple[AtHeight, ...]
    health: str


DROPPING = 0.05
SLOW_MS = 5_000


def judge(viewers: Mapping[str, Mapping[int, Played]]) -> Quality:
    """``viewers``: of each, what it played by height."""
    whole = [_sum(list(heights.values())) for heights in viewers.values()]
    counts = {
        "stalled": sum(1 for played in whole if played.stalls),
        "failed": sum(1 for played in whole if played.errors),
        "dropping": sum(1 for played in whole if played.dropped_share > DROPPING),
        "slow": sum(1 for played in whole if played.startups and played.startup_ms / played.startups > SLOW_MS),
    }
    heights = _heights(viewers.values())
    return Quality(
        len(whole),
        _spread(whole, score),
        _spread(whole, lambda played: played.stalled_share),
        _spread([played for played in whole if played.frames], lambda played: played.dropped_share),
        _spread([played for played in whole if played.latencies], lambda one: one.latency_ms / one.latencies),
        _spread([played for played in whole if played.startups], lambda one: one.startup_ms / one.startups),
        **counts,
        heights=heights,
        health=sentence(len(whole), counts, _worst_height(viewers.values())),
    )


def sentence(viewers: int, counts: Mapping[str, int], height: int | None) -> str:
    """What a streamer should know first. ``height`` is where most stalls are, None when there is no such place."""
    if not viewers:
        return "No player has said yet how well it plays."
    words = {"failed": "have errors", "stalled": "stall", "slow": "wait long for the start", "dropping": "drop frames"}
    worst = max(words, key=lambda word: counts[word])
    if counts[worst] < max(1, viewers * _TROUBLE_SHARE):
        return "It plays well for everybody who says how it plays."
    said = f"{_percent(counts[worst], viewers)} % of viewers {words[worst]}"
    if worst == "stalled" and height is not None:
        said += f", mostly at {height}p" if height else ", mostly with sound alone"
    return said + "."


def _percent(part: int, whole: int) -> str:
    percent = 100 * part / whole
    return "less than 1" if percent < 1 else str(round(percent))


def _sum(parts: Sequence[Played]) -> Played:
    whole = Played()
    for part in parts:
        whole += part
    return whole


def _spread(of: Sequence[Played], value: Callable[[Played], float]) -> Spread | None:
    values = [value(played) for played in of]
    if not values:
        return None
    return Spread(min(values), median(values), max(values), sum(values) / len(values))


def _heights(viewers: Iterable[Mapping[int, Played]]) -> tuple[AtHeight, ...]:
    here: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for heights in viewers:
        for height, played in heights.items():
            here[height][0] += 1
            here[height][1] += bool(played.stalls)
    return tuple(AtHeight(height, *here[height]) for height in sorted(here))


def _worst_height(viewers: Iterable[Mapping[int, Played]]) -> int | None:
    """Where more than half of the standstill was, among several heights."""
    stalled: dict[int, int] = defaultdict(int)
    for heights in viewers:
        for height, played in heights.items():
            stalled[height] += played.stall_ms
    whole = sum(stalled.values())
    if len(stalled) < 2 or not whole:
        return None
    height = max(stalled, key=lambda each: stalled[each])
    return height if 2 * stalled[height] > whole else None
