from __future__ import annotations

import asyncio
import hashlib

import pytest
from catalogs import REMOTE_UUID, UUID, RecordingAnnouncer, a_local, a_remote, draft, make_catalog
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from foundation.clock import ManualClock
from foundation.database import Database, Transaction
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from views.catalog.catalog import Catalog
from views.counting import CountingRules, ViewCounter, enough_watch_time
from views.model import Privacy, Video
from views.tables import remote_views, video_views
from views.tallies import HOUR_MS

EVERY_DATABASE = True

HOST = "there.example"
ACTOR = "https://there.example/accounts/peertube"
VIEWER = bytes(16)


@pytest.mark.parametrize(
    ("watched", "duration", "live", "after", "enough"),
    [
        (9.9, 600, False, 10, False),
        (10, 600, False, 10, True),
        (9, 10, False, 10, False),
        (10, 10, False, 10, True),
        (2, 5, False, 10, False),
        (2.5, 5, False, 10, False),
        (3, 5, False, 10, True),
        (0, 5, False, 10, False),
        (0, 0, False, 10, False),
        (1, 0, False, 10, True),
        (5, 9, False, 10, True),
        (4, 9, False, 10, False),
        (9, 0, True, 10, False),
        (10, 0, True, 10, True),
        (3, 5, True, 10, False),
        (0, 600, False, 0, True),
    ],
)
def test_enough_watch_time(watched: float, duration: float, live: bool, after: float, enough: bool) -> None:
    assert enough_watch_time(watched, duration, live, after) is enough


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e4), st.booleans(), st.floats(0, 100))
def test_watching_longer_never_takes_a_view_away(
    watched: float, more: float, duration: float, live: bool, after: float
) -> None:
    if enough_watch_time(watched, duration, live, after):
        assert enough_watch_time(watched + more, duration, live, after)


class Claims:
    """The part of a counter store that counting needs."""

    def __init__(self) -> None:
        self.until: dict[tuple[int, bytes], int] = {}

    async def claim_view(self, video: int, viewer: bytes, until_ms: int, now_ms: int) -> bool:
        await asyncio.sleep(0)
        if self.until.get((video, viewer), 0) > now_ms:
            return False
        self.until[video, viewer] = until_ms
        return True

    async def release_view(self, video: int, viewer: bytes) -> None:
        self.until.pop((video, viewer), None)


@pytest.fixture
def announcer() -> RecordingAnnouncer:
    return RecordingAnnouncer()


@pytest.fixture
def catalog(database: Database, clock: ManualClock, announcer: RecordingAnnouncer) -> Catalog:
    return make_catalog(database, clock, announcer)


@pytest.fixture
def claims() -> Claims:
    return Claims()


@pytest.fixture
def counter(
    database: Database,
    catalog: Catalog,
    claims: Claims,
    announcer: RecordingAnnouncer,
    clock: ManualClock,
    metrics: Metrics,
) -> ViewCounter:
    return ViewCounter(database, catalog, claims, announcer, clock, metrics)  # type: ignore[arg-type]


async def hours(database: Database, video: Video) -> dict[int, int]:
    async with database.read() as tx:
        statement = select(video_views.c.hour_ms, video_views.c.views).where(video_views.c.video_number == video.number)
        return {row.hour_ms: row.views for row in await tx.execute(statement)}


def seen(catalog: Catalog, video: Video) -> int:
    found = catalog.peek_number(video.number)
    assert found is not None
    return found.views


async def test_parallel_reports_of_one_viewer_are_one_view(
    counter: ViewCounter, catalog: Catalog, database: Database, clock: ManualClock, announcer: RecordingAnnouncer
) -> None:
    video = await a_local(catalog)
    announcer.take()
    counted = await asyncio.gather(*(counter.count_local(video, VIEWER) for _ in range(20)))
    assert sum(counted) == 1
    assert seen(catalog, video) == 1
    assert await hours(database, video) == {clock.now_ms() // HOUR_MS * HOUR_MS: 1}
    assert announcer.take() == ["counted"]


async def test_many_viewers_at_once_are_all_counted(
    counter: ViewCounter, catalog: Catalog, database: Database, announcer: RecordingAnnouncer
) -> None:
    video, theirs = await a_local(catalog), await a_remote(catalog)
    viewers = [number.to_bytes(16) for number in range(150)]
    await asyncio.gather(*(counter.count_local(which, viewer) for viewer in viewers for which in (video, theirs)))
    assert seen(catalog, video) == 150
    assert seen(catalog, theirs) == 12, "the origin says the total of its videos"
    assert list((await hours(database, video)).values()) == [150]
    assert list((await hours(database, theirs)).values()) == [150]
    assert len(set(announcer.view_ids)) == 300
    assert await counter.total_local_views() == 150


async def test_the_same_viewer_is_a_new_view_after_the_expiration(
    counter: ViewCounter, catalog: Catalog, database: Database, clock: ManualClock
) -> None:
    video = await a_local(catalog)
    start = clock.now_ms() // HOUR_MS * HOUR_MS
    assert await counter.count_local(video, VIEWER)
    clock.advance(HOUR_MS - 1)
    assert not await counter.count_local(video, VIEWER)
    clock.advance(1)
    assert await counter.count_local(video, VIEWER)
    assert await hours(database, video) == {start: 1, start + HOUR_MS: 1}


async def test_a_failure_gives_the_claim_back(
    counter: ViewCounter, catalog: Catalog, database: Database, announcer: RecordingAnnouncer
) -> None:
    video = await a_local(catalog)

    async def broken(tx: Transaction, video: Video, view_id: str, at_ms: int) -> None:
        raise RuntimeError("the log is broken")

    works, announcer.view_counted = announcer.view_counted, broken  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="log is broken"):
        await counter.count_local(video, VIEWER)
    assert await hours(database, video) == {}
    announcer.view_counted = works  # type: ignore[method-assign]
    assert await counter.count_local(video, VIEWER)
    assert seen(catalog, video) == 1


async def test_no_view_for_a_video_that_is_gone(
    counter: ViewCounter, catalog: Catalog, claims: Claims, database: Database
) -> None:
    video, theirs = await a_local(catalog), await a_remote(catalog)
    await catalog.delete(video)
    await catalog.delete(theirs)
    assert not await counter.count_local(video, VIEWER)
    assert not await counter.count_local(theirs, VIEWER)
    assert not await counter.count_remote(video, "https://there.example/v/1", ACTOR, HOST)
    assert claims.until == {}
    assert await counter.total_local_views() == 0


async def test_a_private_video_counts_in_silence(
    counter: ViewCounter, catalog: Catalog, announcer: RecordingAnnouncer, clock: ManualClock
) -> None:
    video = await a_local(catalog, privacy=Privacy.PRIVATE)
    assert await counter.count_local(video, VIEWER)
    assert not await counter.count_remote(video, "https://there.example/v/1", ACTOR, HOST)
    assert await counter.flush_moved(clock.now_ms(), force=True) == 0
    assert announcer.events == []
    assert seen(catalog, video) == 1


async def test_concurrent_duplicates_of_a_remote_view_count_once(
    counter: ViewCounter, catalog: Catalog, database: Database
) -> None:
    video, theirs = await a_local(catalog), await a_remote(catalog)
    for which in (video, theirs):
        activity = f"https://there.example/views/{which.uuid}"
        counted = await asyncio.gather(*(counter.count_remote(which, activity, ACTOR, HOST) for _ in range(20)))
        assert sum(counted) == 1
        assert not await counter.count_remote(which, activity, ACTOR, HOST)
        assert list((await hours(database, which)).values()) == [1]
    assert seen(catalog, video) == 1
    assert seen(catalog, theirs) == 12


async def test_views_of_many_videos_that_are_committed_together(
    counter: ViewCounter, catalog: Catalog, database: Database
) -> None:
    videos = [await a_local(catalog, uuid=f"00000000-0000-4000-8000-00000000000{digit}") for digit in range(4)]
    videos += [await a_remote(catalog)]
    gone = videos.pop(0)
    await catalog.delete(gone)
    reports = [(video, number % 3) for number in range(12) for video in (*videos, gone)]
    counted = await asyncio.gather(
        *(counter.count_remote(video, f"https://there.example/{video.uuid}/{n}", ACTOR, HOST) for video, n in reports)
    )
    assert sum(counted) == 3 * len(videos)
    assert not any(told for (video, _), told in zip(reports, counted, strict=True) if video is gone)
    assert [seen(catalog, video) for video in videos] == [3, 3, 3, 12]
    for video in videos:
        assert list((await hours(database, video)).values()) == [3]


async def test_an_activity_id_is_its_actors_own(counter: ViewCounter, catalog: Catalog) -> None:
    video = await a_local(catalog)
    assert await counter.count_remote(video, "https://there.example/v/1", ACTOR, HOST)
    assert await counter.count_remote(video, "https://there.example/v/1", ACTOR + "2", HOST)
    assert await counter.count_remote(video, "1https://there.example/v/1", ACTOR, HOST)
    assert await counter.count_remote(video, "x" * 100_000 + "\ud800", ACTOR, HOST)


async def test_a_restart_keeps_totals_and_remembers_remote_views(
    database_url: str, database: Database, counter: ViewCounter, catalog: Catalog, clock: ManualClock
) -> None:
    video = await a_local(catalog)
    await counter.count_local(video, VIEWER)
    await counter.count_remote(video, "https://there.example/v/1", ACTOR, HOST)
    again = await Database.open(database_url, clock=clock, metrics=Metrics())
    try:
        announcer = RecordingAnnouncer()
        reopened = make_catalog(again, clock, announcer)
        found = await reopened.find(UUID)
        assert found is not None
        assert found.views == 2
        second = ViewCounter(again, reopened, Claims(), announcer, clock, Metrics())  # type: ignore[arg-type]
        assert not await second.count_remote(found, "https://there.example/v/1", ACTOR, HOST)
        assert await second.flush_moved(clock.now_ms()) == 1
        assert announcer.take() == ["moved"]
    finally:
        await again.close()


async def test_moved_totals_are_told_at_most_once_per_period(
    counter: ViewCounter, catalog: Catalog, clock: ManualClock, announcer: RecordingAnnouncer
) -> None:
    period = CountingRules().announce_views_within_ms
    video = await a_local(catalog)
    await a_remote(catalog)
    assert await counter.flush_moved(clock.now_ms()) == 0

    async def views(count: int) -> None:
        for _ in range(count):
            clock.advance(1)
            viewer = hashlib.sha256(str(clock.now_ms()).encode()).digest()[:16]
            assert await counter.count_local(video, viewer)

    await views(3)
    assert await counter.flush_moved(clock.now_ms()) == 1
    await views(2)
    assert await counter.flush_moved(clock.now_ms()) == 0
    clock.advance(period)
    assert await counter.flush_moved(clock.now_ms()) == 1
    assert await counter.flush_moved(clock.now_ms()) == 0
    await views(1)
    assert await counter.flush_moved(clock.now_ms(), force=True) == 1
    assert [told.views for told in announcer.moved] == [3, 5, 6]
    dates = [told.updated_ms for told in announcer.moved]
    assert video.updated_ms < dates[0] < dates[1] < dates[2]
    assert catalog.peek_number(video.number) == announcer.moved[-1]


async def test_a_changed_video_tells_its_total_with_the_change(
    counter: ViewCounter, catalog: Catalog, clock: ManualClock
) -> None:
    video = await a_local(catalog)
    await counter.count_local(video, VIEWER)
    await catalog.put_local(draft(name="Renamed"))
    assert seen(catalog, video) == 1
    assert await counter.flush_moved(clock.now_ms(), force=True) == 0


async def test_many_moved_totals_are_told_in_batches(
    counter: ViewCounter, catalog: Catalog, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("views.counting._BATCH", 2)
    made = [await a_local(catalog, uuid=f"00000000-0000-4000-8000-00000000000{digit}") for digit in range(5)]
    for video in made:
        await counter.count_local(video, VIEWER)
    assert await counter.flush_moved(clock.now_ms()) == 5


async def test_old_rows_are_purged_and_totals_stay(
    counter: ViewCounter, catalog: Catalog, database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("views.tallies.BATCH", 2)
    video, theirs = await a_local(catalog), await a_remote(catalog)
    for hour in range(5):
        for which in (video, theirs):
            await counter.count_remote(which, f"https://there.example/{which.uuid}/{hour}", ACTOR, HOST)
        clock.advance(HOUR_MS)
    now_ms = clock.now_ms()
    assert await counter.purge_remote_views(now_ms - 2 * HOUR_MS) == 6
    # Of hours on SQLite, of whole months on PostgreSQL.
    now_ms += 40 * 24 * HOUR_MS
    assert await counter.purge_hourly(now_ms, local_max_age_ms=None, remote_max_age_ms=2 * HOUR_MS) >= 1
    assert len(await hours(database, video)) == 5
    assert await hours(database, theirs) == {}
    assert await counter.purge_hourly(now_ms, local_max_age_ms=HOUR_MS, remote_max_age_ms=HOUR_MS) >= 1
    assert await hours(database, video) == await hours(database, theirs) == {}
    assert seen(catalog, video) == 5
    async with database.read() as tx:
        assert (await tx.execute(select(func.count()).select_from(remote_views))).scalar_one() == 4


async def test_a_closed_database_counts_nothing(
    counter: ViewCounter, catalog: Catalog, claims: Claims, database: Database
) -> None:
    video = await a_local(catalog)
    await database.close()
    with pytest.raises(StorageUnavailable):
        await counter.count_local(video, VIEWER)
    with pytest.raises(StorageUnavailable):
        await counter.count_remote(video, f"https://there.example/{REMOTE_UUID}", ACTOR, HOST)
    assert claims.until == {}
