"""Pages of two sites on a real database and a live store, with a clock that waits to be told."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from foundation.clock import ManualClock
from foundation.database import Database
from foundation.errors import Refused
from foundation.metrics import Metrics
from views.counters.base import CounterStore
from views.counters.progress import ProgressKeeper, ProgressStore
from views.pages.active import ActiveSessions
from views.pages.backfill import Backfill
from views.pages.catalog import PageCatalog
from views.pages.model import Outcome, Room, Rules, Site
from views.pages.paths import Path, normalised
from views.pages.places import Spot
from views.pages.queries import PageQueries
from views.pages.retention import PageRetention
from views.pages.service import Pages
from views.pages.sites import NamedSite, Sites
from views.pages.visits import PageVisits
from views.sessions import Identity

SECRET = bytes(range(32))
BLOG, SHOP = "blog.example", "shop.example"
DAY_MS = 86_400_000


def path(text: str) -> Path:
    found = normalised(text)
    assert found is not None
    return found


def session(name: str) -> bytes:
    return name.encode().ljust(16, b"\0")[:16]


def in_a_loop(course: Coroutine[Any, Any, None]) -> None:
    """Run it in a loop of its own, and leave the current one of pytest where it is."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(course)


@dataclass
class PageHouse:
    pages: Pages
    clock: ManualClock
    database: Database

    def site(self, host: str = BLOG) -> Site:
        found = self.pages.sites.find(host)
        assert not isinstance(found, Refused)
        return found

    async def view(self, who: str, where: str = "/", *, host: str = BLOG, **said: str | None) -> Outcome:
        return await self.pages.visits.view(self.site(host), path(where), session(who), None, **said)

    async def beat(self, who: str, where: str = "/", *, host: str = BLOG, spot: Spot | None = None) -> Outcome:
        return await self.pages.visits.heartbeat(self.site(host), path(where), session(who), None, spot)

    async def active(self, host: str = BLOG) -> tuple[int, dict[str, int]]:
        present = await self.pages.active.present(self.site(host).number)
        return present.visitors, dict(present.paths)


async def build(
    database: Database,
    clock: ManualClock,
    metrics: Metrics,
    counters: CounterStore,
    progress: ProgressStore | ProgressKeeper,
    *,
    rules: Rules | None = None,
    room: Room | None = None,
    batch: int = 7,
    max_age_ms: int | None = 400 * DAY_MS,
) -> PageHouse:
    rules, room = rules or Rules(), room or Room()
    active = ActiveSessions(counters, progress, clock, metrics, rules)
    pages = Pages(
        sites=Sites(database, [NamedSite(BLOG, ("https://blog.example",)), NamedSite(SHOP)]),
        active=active,
        visits=PageVisits(database, active, clock, metrics, room),
        queries=PageQueries(database),
        catalog=PageCatalog(database),
        backfill=Backfill(
            database,
            clock,
            Identity(SECRET, clock).visitor_then,
            rules=rules,
            room=room,
            batch=batch,
            max_age_ms=max_age_ms,
        ),
        retention=PageRetention(database, clock, max_age_ms),
    )
    await pages.sites.load()
    return PageHouse(pages, clock, database)
