from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from foundation.clock import ManualClock
from foundation.database import Database
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from tests.views.catalogs import a_remote
from tests.views.stats.stats_house import House, only, stay
from views.counters.journal import Journal, JournalSettings
from views.counters.memory import MemoryCounterStore
from views.counters.restoring import Restoring
from views.model import Video
from views.sections import Rules, begin, encode, report
from views.stats.model import Traits
from views.stats.recorder import Recorder
from views.stats.tables import stay_ids, stay_times, viewer_stays
from views.stats.traits import pack

EVERY_DATABASE = True

LIFETIME_MS = 3_600_000
TRAITS = Traits("FR", "Paris", "Firefox", "mobile", "Linux")


@pytest.fixture
async def house(database: Database, clock: ManualClock, metrics: Metrics) -> House:
    return House(database, clock, metrics)


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


def watch(house: House, video: Video, viewer: int, *positions: int, traits: Traits = TRAITS) -> None:
    """A viewer reports these positions, as fast as they are played, and falls silent."""
    now_ms = house.clock.now_ms()
    progress = begin(positions[0], now_ms, Rules())
    progress.traits = pack(traits)
    for one, other in pairwise(positions):
        now_ms += (other - one) * 1_000
        report(progress, other, False, now_ms, Rules())
    house.progress.put(video.number, key(viewer), encode(progress), now_ms + LIFETIME_MS)


async def saved(house: House) -> int:
    async with house.database.read() as tx:
        return int((await tx.execute(select(func.count()).select_from(viewer_stays))).scalar_one())


class Flaky:
    """A database that is gone when told so, or commits without anybody hearing of it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.gone = False
        self.unheard = False
        self.asked = asyncio.Event()

    async def write(self, work: Callable[[Any], Awaitable[Any]], *, patience_ms: int | None = None) -> Any:
        self.asked.set()
        if self.gone:
            raise StorageUnavailable("gone")
        result = await self._database.write(work)
        if self.unheard:
            raise StorageUnavailable("the connection broke")
        return result


@pytest.fixture
def flaky(house: House) -> Flaky:
    flaky = Flaky(house.database)
    house.recorder._db = flaky  # type: ignore[assignment]
    return flaky


async def test_a_silent_viewer_becomes_one_row_with_its_sections(house: House) -> None:
    video = await house.video()
    began = house.clock.now_ms()
    watch(house, video, 1, 0, 5, 10)
    house.clock.advance(10_000 + LIFETIME_MS - 1)
    assert await house.recorder.sweep() == 0
    house.clock.advance(1)
    assert await house.recorder.sweep() == 1
    assert len(house.progress) == 0
    async with house.database.read() as tx:
        url = (await tx.execute(select(viewer_stays.c.url))).scalar_one()
    kept = await house.recorder.find(url)
    assert kept is not None
    assert (kept.video, kept.start_ms, kept.end_ms, kept.watch_time_s) == (video.number, began, began + 10_000, 10)
    assert (kept.sections, kept.traits, kept.source, kept.flagged) == (((0, 10),), TRAITS, "", False)
    assert kept.url == f"https://here.example/videos/local-viewer/{kept.uuid}"
    assert await house.recorder.find("https://here.example/other") is None


async def test_who_watched_nothing_leaves_no_row(house: House) -> None:
    video = await house.video()
    watch(house, video, 1, 7)
    house.progress.put(video.number, key(2), b"unreadable", 0)
    house.clock.advance(LIFETIME_MS)
    assert await house.recorder.sweep() == 0
    assert await house.recorder.save([stay(video.number, 0, 0, watch_time_s=0)]) == 0
    assert (len(house.progress), await saved(house)) == (0, 0)


async def test_leaving_saves_at_once(house: House) -> None:
    video = await house.video()
    await house.recorder.start()
    try:
        watch(house, video, 1, 0, 5)
        house.recorder.close(video.number, key(1))
        async with asyncio.timeout(10):
            await house.announcer.told.wait()
    finally:
        await house.recorder.stop()
    assert (await saved(house), len(house.progress)) == (1, 0)


async def test_coming_back_is_another_stay(house: House) -> None:
    video = await house.video()
    for _ in range(2):
        watch(house, video, 1, 0, 5)
        house.recorder.close(video.number, key(1))
        house.clock.advance(5_000)
    assert await house.recorder.drain() == 2
    async with house.database.read() as tx:
        assert (await tx.execute(select(func.count(viewer_stays.c.uuid.distinct())))).scalar_one() == 2


async def test_a_database_that_is_gone_for_a_minute_loses_nothing(house: House, flaky: Flaky) -> None:
    video = await house.video()
    flaky.gone = True
    for viewer in range(20):
        watch(house, video, viewer, 0, 5)
        house.recorder.close(video.number, key(viewer))
        with pytest.raises(StorageUnavailable):
            await house.recorder.sweep()
        house.clock.advance(3_000)
    assert (await house.statistics.overall(only(video), None, None)).total_viewers == 20
    flaky.gone = False
    assert await house.recorder.sweep() == 20
    assert (await saved(house), len(house.progress)) == (20, 0)
    assert (await house.statistics.overall(only(video), None, None)).total_viewers == 20


async def test_a_commit_that_nobody_heard_of_counts_once(house: House, flaky: Flaky) -> None:
    video = await house.video()
    watch(house, video, 1, 0, 5)
    house.recorder.close(video.number, key(1))
    flaky.unheard = True
    with pytest.raises(StorageUnavailable):
        await house.recorder.drain()
    flaky.unheard = False
    assert await house.recorder.drain() == 0
    assert (await saved(house), len(house.progress)) == (1, 0)
    assert (await house.statistics.overall(only(video), None, None)).total_viewers == 1


async def test_a_failing_save_at_once_waits_for_the_next_sweep(house: House, flaky: Flaky) -> None:
    video = await house.video()
    flaky.gone = True
    await house.recorder.start()
    try:
        watch(house, video, 1, 0, 5)
        house.recorder.close(video.number, key(1))
        async with asyncio.timeout(10):
            await flaky.asked.wait()
    finally:
        await house.recorder.stop()
    flaky.gone = False
    assert await house.recorder.sweep() == 1


async def test_what_one_stay_breaks_keeps_no_other_waiting(house: House) -> None:
    video = await a_remote(house.catalog)
    for viewer in range(3):
        watch(house, video, viewer, 0, 5, traits=Traits(client=f"client {viewer}"))
        house.recorder.close(video.number, key(viewer))
    house.announcer.fails_on = "client 1"
    assert await house.recorder.drain() == 2
    assert (await saved(house), len(house.progress)) == (2, 0)


async def test_the_origin_of_a_remote_video_is_told(house: House) -> None:
    video, ours = await a_remote(house.catalog), await house.video()
    for viewer, at in ((1, video), (2, ours)):
        watch(house, at, viewer, 0, 5)
        house.recorder.close(at.number, key(viewer))
    assert await house.recorder.drain() == 2
    (told,) = house.announcer.stays
    assert told == await house.recorder.find(told.url)
    assert house.announcer.commits == 1
    async with house.database.read() as tx:
        summed = await tx.execute(select(stay_times.c.video_number).distinct())
        assert summed.scalars().all() == [ours.number]


async def test_a_stay_at_a_deleted_video_is_dropped(house: House) -> None:
    video = await house.video()
    watch(house, video, 1, 0, 5)
    house.recorder.close(video.number, key(1))
    await house.catalog.delete(video)
    assert await house.recorder.drain() == 0
    assert (await saved(house), len(house.progress)) == (0, 0)


async def test_a_restart_between_heartbeat_and_save(
    tmp_path: Path, database: Database, clock: ManualClock, metrics: Metrics
) -> None:
    """The journal brings back open and closed stays; what was committed already is not counted again."""

    async def run(work: Callable[[House], Awaitable[None]]) -> None:
        journal = Journal(JournalSettings(tmp_path / "live"), clock)
        house = House(database, clock, Metrics(), changes=journal)
        await journal.start(Restoring(MemoryCounterStore(), house.progress, clock.now_ms()))
        try:
            await work(house)
        finally:
            await journal.stop()

    numbers: list[Video] = []

    async def first(house: House) -> None:
        numbers.append(await house.video())
        for viewer in range(3):
            watch(house, numbers[0], viewer, 0, 5)
        house.recorder.close(numbers[0].number, key(1))
        house.recorder.close(numbers[0].number, key(2))
        # Killed after the commit of one of them, before the store forgets it.
        one = house.progress.due(1)
        await house.recorder.save([made for kept in one if (made := house.recorder._stay(kept)) is not None])

    async def second(house: House) -> None:
        assert len(house.progress) == 3
        watch(house, numbers[0], 1, 50, 55)
        assert await house.recorder.sweep() == 1
        assert await saved(house) == 2

    async def third(house: House) -> None:
        assert len(house.progress) == 2
        clock.advance(2 * LIFETIME_MS - 60_000)
        assert await house.recorder.sweep() == 2
        assert await saved(house) == 4

    for work in (first, second, third):
        clock.advance(2_000)
        await run(work)


async def test_a_stay_from_elsewhere_is_taken_once_and_not_replaced(house: House) -> None:
    video = await house.video()
    url = "https://far.example/videos/local-viewer/1"
    one = stay(video.number, 5, 10, url=url, source="far.example", flagged=True, sections=((0, 2), (4, 9)))
    assert await asyncio.gather(*(house.recorder.save_remote(one) for _ in range(3))) == [True, False, False]
    assert not await house.recorder.save_remote(replace(one, watch_time_s=99, source="evil.example"))
    assert await house.recorder.find(url) == one
    assert house.announcer.stays == []
    async with house.database.read() as tx:
        assert (await tx.execute(select(func.count()).select_from(stay_ids))).scalar_one() == 1


async def test_many_are_saved_in_several_transactions(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("views.stats.recorder.BATCH", 7)
    video = await house.video()
    stays = [stay(video.number, at, at + 5) for at in range(20)]
    assert await house.recorder.save(stays) == 20
    assert await house.recorder.save(stays) == 0
    for viewer in range(20):
        watch(house, video, viewer, 0, 5)
        house.recorder.close(video.number, key(viewer))
    assert await house.recorder.drain() == 20
    assert await saved(house) == 40


async def test_the_name_of_a_stay_does_not_tell_of_its_viewer(house: House) -> None:
    video = await house.video()
    watch(house, video, 1, 0, 5)
    house.recorder.close(video.number, key(1))
    (kept,) = house.progress.due(1)
    other = Recorder(
        house.database,
        house.progress,
        house.present,
        house.announcer,
        house.clock,
        Metrics(),
        secret=b"another",
        stay_url=str,
    )
    assert kept.viewer != key(1)
    assert other._name(video.number, key(1), kept.blob) != kept.viewer
