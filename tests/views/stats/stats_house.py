"""A catalog, a progress store, a recorder and statistics on a real database, for tests."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from foundation.clock import ManualClock
from foundation.database import Database, Transaction
from foundation.metrics import Metrics
from tests.views.catalogs import UUID, a_local, make_catalog
from views.catalog.catalog import Catalog
from views.counters.progress import ProgressStore
from views.counters.records import Recorder as Changes
from views.model import Video
from views.ports import NullAnnouncer
from views.stats.cleaner import Cleaner
from views.stats.model import Scope, Stay, Traits
from views.stats.presence import PresentViewers
from views.stats.queries import StayStatistics
from views.stats.recorder import Recorder

SECRET = b"a secret of the house"


class WatchAnnouncer(NullAnnouncer):
    """Remembers the stays it was told of, and can fail once."""

    def __init__(self) -> None:
        self.stays: list[Stay] = []
        self.commits = 0
        self.told = asyncio.Event()
        self.fails_on: str | None = None

    async def watched(self, tx: Transaction, video: Video, stay: Stay) -> None:
        if stay.traits.client == self.fails_on is not None:
            raise ValueError("an announcer that cannot")
        self.stays.append(stay)

    def committed(self) -> None:
        self.commits += 1
        self.told.set()


@dataclass
class House:
    database: Database
    clock: ManualClock
    metrics: Metrics
    changes: Changes | None = None
    announcer: WatchAnnouncer = field(default_factory=WatchAnnouncer)

    def __post_init__(self) -> None:
        self.catalog: Catalog = make_catalog(self.database, self.clock)
        self.progress = ProgressStore(10_000, recorder=self.changes)
        self.present = PresentViewers(self.progress, self.clock)
        self.recorder = Recorder(
            self.database,
            self.progress,
            self.present,
            self.announcer,
            self.clock,
            self.metrics,
            secret=SECRET,
            stay_url=lambda name: f"https://here.example/videos/local-viewer/{name}",
        )
        self.statistics = StayStatistics(self.database, self.recorder, self.present, self.catalog)
        self.cleaner = Cleaner(self.database, self.clock)

    async def video(self, index: int = 0, **said: Any) -> Video:
        return await a_local(self.catalog, **{"uuid": f"{UUID[:-2]}{index:02x}", "duration_s": 100, **said})


def stay(
    video: int,
    start_ms: int,
    end_ms: int,
    *,
    watch_time_s: int = 5,
    sections: Sequence[tuple[int, int]] = ((0, 5),),
    traits: Traits | None = None,
    **said: Any,
) -> Stay:
    name = said.pop("uuid", None) or str(uuid.uuid4())
    url = said.pop("url", None) or f"https://here.example/videos/local-viewer/{name}"
    return Stay(video, name, url, start_ms, end_ms, watch_time_s, tuple(sections), traits or Traits(), **said)


def only(video: Video) -> Scope:
    return Scope((video.number,))
