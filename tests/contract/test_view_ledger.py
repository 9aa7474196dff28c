"""What counting views promises, on every pair of stores that an instance may have: each view once, none forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select
from support.servers.existing import LiveServer

from foundation.clock import ManualClock
from foundation.database import Database
from foundation.errors import OutcomeUnknown, Refused, StorageUnavailable
from foundation.metrics import Metrics
from foundation.redis.link import RedisLink
from foundation.spool import Spool, SpoolSettings
from tests.views.catalogs import REMOTE_UUID, UUID, RecordingAnnouncer, a_local, a_remote, draft, make_catalog
from views.catalog.catalog import Catalog
from views.counters.base import CounterStore
from views.counters.memory import MemoryCounterStore
from views.counters.redis.settings import RedisSettings
from views.counters.redis.store import RedisCounterStore
from views.counting import ViewCounter
from views.model import Privacy, Video
from views.tables import video_views
from views.tallies import HOUR_MS

STORES = [("sqlite", "memory"), ("postgresql", "redis"), ("postgresql", "redis cluster")]
ACTOR = "https://there.example/accounts/peertube"
HOST = "there.example"


def viewer(number: int) -> bytes:
    return number.to_bytes(16, "big")


class Flaky:
    """A database that can be told to fail its writes, before they are done or after."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.failure: StorageUnavailable | None = None
        self.heard = True
        self.replaying = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._database, name)

    async def write(self, work: object) -> object:
        """What replays; it finds the database only when told to: else it would as soon as it is back."""
        if not self.replaying:
            raise StorageUnavailable("gone")
        return await self._database.write(work)  # type: ignore[arg-type]

    async def write_together(self, work: object, item: object, *, patience_ms: int | None = None) -> object:
        if self.failure is not None and self.heard:
            raise self.failure
        result = await self._database.write_together(work, item, patience_ms=patience_ms)  # type: ignore[arg-type]
        if self.failure is not None:
            raise self.failure
        return result


@dataclass
class Process:
    """What one process of the instance counts with."""

    catalog: Catalog
    database: Flaky
    counter: ViewCounter
    spool: Spool
    announcer: RecordingAnnouncer

    async def replay(self) -> None:
        self.database.replaying = True
        await self.spool.replay()
        assert not self.spool.pending("view")


@dataclass
class Ledger:
    """Two processes on the same stores. Memory is not shared: there both are one."""

    one: Process
    two: Process
    clock: ManualClock

    async def hours(self, video: Video) -> dict[int, int]:
        async with self.one.database._database.read() as tx:
            asked = select(video_views.c.hour_ms, video_views.c.views).where(video_views.c.video_number == video.number)
            return {row.hour_ms: row.views for row in await tx.execute(asked)}

    async def views(self, video: Video) -> int:
        """The counted total, which is what the hours say together."""
        async with self.one.database._database.read() as tx:
            asked = select(func.coalesce(func.sum(video_views.c.views), 0))
            by_hour = await tx.scalar(asked.where(video_views.c.video_number == video.number))
        for process in (self.one, self.two):
            process.catalog.forget(video)
            found = await process.catalog.by_number(video.number)
            assert found is not None
            assert found.views == by_hour or not video.local
        return int(by_hour or 0)


@pytest.fixture(params=STORES, ids=", ".join)
def pair(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The kinds of the database and of the live store."""
    kinds: tuple[str, str] = request.param
    return kinds


@pytest.fixture
async def ledger(
    pair: tuple[str, str], request: pytest.FixtureRequest, database: Database, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[Ledger]:
    async with AsyncExitStack() as stack:
        stores = [await live(pair[1], request, clock, stack) for _ in range(2)]
        if isinstance(stores[0], MemoryCounterStore):
            stores[1] = stores[0]
        made = []
        for name, store in zip("ab", stores, strict=True):
            announcer, metrics = RecordingAnnouncer(), Metrics()
            catalog, flaky = make_catalog(database, clock, announcer), Flaky(database)
            spool = Spool(tmp_path / name, flaky, clock, metrics, SpoolSettings(retry_ms=86_400_000))  # type: ignore[arg-type]
            counter = ViewCounter(flaky, catalog, store, announcer, clock, metrics, spool=spool)  # type: ignore[arg-type]
            stack.push_async_callback(spool.stop)
            await spool.start()
            made.append(Process(catalog, flaky, counter, spool, announcer))
        yield Ledger(made[0], made[1], clock)


@pytest.fixture
def database_url(pair: tuple[str, str], request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if pair[0] == "sqlite":
        return f"sqlite:///{tmp_path}/fediviews.sqlite"
    server = request.getfixturevalue("_any_postgresql")
    server.empty()
    return str(server.url("postgres"))


async def live(kind: str, request: pytest.FixtureRequest, clock: ManualClock, stack: AsyncExitStack) -> CounterStore:
    if kind == "memory":
        return MemoryCounterStore(1_000)
    server: LiveServer = request.getfixturevalue("any_cluster" if "cluster" in kind else "any_redis")
    store = RedisCounterStore(RedisLink(server.url), clock, RedisSettings(shards=4, server_time=False))
    stack.push_async_callback(store.close)
    await store.start()
    return store


async def test_a_viewer_counts_once_whichever_process_hears_it(ledger: Ledger) -> None:
    video = await a_local(ledger.one.catalog)
    asked = [process.counter.count_view(video, viewer(1)) for process in (ledger.one, ledger.two) for _ in range(20)]
    counted = [view for view in await asyncio.gather(*asked) if view is not None]
    assert len(counted) == len(set(counted)) == 1
    assert ledger.one.announcer.view_ids + ledger.two.announcer.view_ids == counted
    assert await ledger.views(video) == 1
    ledger.clock.advance(HOUR_MS)
    assert await ledger.two.counter.count_local(video, viewer(1))
    assert await ledger.views(video) == 2
    assert len(await ledger.hours(video)) == 2


async def test_an_activity_counts_once_whichever_process_hears_it(ledger: Ledger) -> None:
    video = await a_local(ledger.one.catalog)
    asked = [
        process.counter.count_remote(video, "https://there.example/views/1", ACTOR, HOST)
        for process in (ledger.one, ledger.two)
        for _ in range(20)
    ]
    assert sum(await asyncio.gather(*asked)) == 1
    assert await ledger.two.counter.count_remote(video, "https://there.example/views/1", ACTOR + "/other", HOST)
    assert await ledger.views(video) == 2


async def test_of_a_remote_video_hours_are_kept_and_the_total_is_its_origins(ledger: Ledger) -> None:
    video = await a_remote(ledger.one.catalog, uuid=REMOTE_UUID)
    assert await ledger.one.counter.count_local(video, viewer(1))
    assert await ledger.two.counter.count_remote(video, "https://there.example/views/1", ACTOR, HOST)
    assert sum((await ledger.hours(video)).values()) == 2
    found = await ledger.two.catalog.by_number(video.number)
    assert found is not None
    assert found.views == video.views


async def test_nothing_is_counted_of_a_video_that_is_gone_nor_told_of_a_private_one(ledger: Ledger) -> None:
    private = await ledger.one.catalog.put_local(draft(uuid=UUID, privacy=Privacy.PRIVATE))
    assert not isinstance(private, Refused)
    assert not await ledger.one.counter.count_remote(private[0], "https://there.example/views/1", ACTOR, HOST)
    assert await ledger.one.counter.count_local(private[0], viewer(1))
    assert ledger.one.announcer.view_ids == []
    assert await ledger.views(private[0]) == 1
    await ledger.one.catalog.delete(private[0])
    assert await ledger.two.counter.count_view(private[0], viewer(2)) is None


@pytest.mark.parametrize("unknown", [False, True])
async def test_while_the_database_is_gone_views_are_taken_and_counted_later_in_their_hour(
    ledger: Ledger, unknown: bool
) -> None:
    """With an unknown outcome, a peer's view may be committed already; one of our own viewer is not acknowledged."""
    video = await a_local(ledger.one.catalog)
    one = ledger.one
    taken_ms = ledger.clock.now_ms()
    one.database.failure = OutcomeUnknown("lost") if unknown else StorageUnavailable("gone")
    one.database.heard = not unknown
    for number in range(5):
        assert await one.counter.count_remote(video, f"https://there.example/views/{number}", ACTOR, HOST)
        if unknown:
            with pytest.raises(OutcomeUnknown):
                await one.counter.count_view(video, viewer(number))
        else:
            assert await one.counter.count_view(video, viewer(number))
            assert await one.counter.count_view(video, viewer(number)) is None
    assert await one.counter.count_remote(video, "https://there.example/views/0", ACTOR, HOST), "not known to be old"
    one.database.failure = None
    ledger.clock.advance(3 * HOUR_MS)
    await one.replay()
    assert await ledger.views(video) == 10
    assert await ledger.hours(video) == {taken_ms - taken_ms % HOUR_MS: 10}
    assert len(set(one.announcer.view_ids)) == 5
    assert not await ledger.two.counter.count_remote(video, "https://there.example/views/3", ACTOR, HOST)


async def test_what_finds_no_room_in_the_spool_may_come_again(ledger: Ledger) -> None:
    video = await a_local(ledger.one.catalog)
    one = ledger.one
    one.spool.settings = SpoolSettings(max_bytes=10)
    one.database.failure = StorageUnavailable("gone")
    with pytest.raises(StorageUnavailable):
        await one.counter.count_view(video, viewer(1))
    with pytest.raises(StorageUnavailable):
        await one.counter.count_remote(video, "https://there.example/views/1", ACTOR, HOST)
    one.database.failure = None
    assert await one.counter.count_view(video, viewer(1))
    assert await one.counter.count_remote(video, "https://there.example/views/1", ACTOR, HOST)
    assert await ledger.views(video) == 2


async def test_a_spooled_view_of_a_video_that_is_gone_or_private_by_then_is_dropped(ledger: Ledger) -> None:
    kept, gone = await a_local(ledger.one.catalog), await a_local(ledger.one.catalog, uuid=REMOTE_UUID)
    one = ledger.one
    one.database.failure = StorageUnavailable("gone")
    for video in (kept, gone):
        assert await one.counter.count_view(video, viewer(1))
        assert await one.counter.count_remote(video, f"https://there.example/views/{video.number}", ACTOR, HOST)
    one.database.failure = None
    await one.catalog.delete(gone)
    await one.catalog.put_local(draft(uuid=UUID, privacy=Privacy.PRIVATE))
    one.announcer.take()
    await one.replay()
    assert await ledger.views(kept) == 1
    assert one.announcer.take() == []
