"""Sums equal what a recount of all visits gives, on both databases."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path as File

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundation.clock import ManualClock
from foundation.database import Database
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from tests.views.pages.naive import recounted, sums_of, visits_of
from tests.views.pages.page_house import BLOG, SHOP, PageHouse, build, in_a_loop
from views.counters.memory import MemoryCounterStore
from views.counters.progress import ProgressStore
from views.pages.model import Outcome, Room
from views.pages.paths import OTHER
from views.pages.queries import PageViews, Point, Share
from views.pages.series import Kind

EVERY_DATABASE = True
HOUR_MS, DAY_MS = 3_600_000, 86_400_000


async def test_totals_tops_and_spans(house: PageHouse) -> None:
    site, queries = house.site(), house.pages.queries
    began = house.clock.now_ms()
    for who in ("a", "b", "c"):
        await house.view(who, "/old", referrer="search.example", country="FR")
    house.clock.advance(3 * DAY_MS)
    for who in ("a", "d"):
        await house.view(who, "/new", title="The new one", page_type="blog")
    await house.view("d", "/old", country="DE")
    await house.view("x", "/old", host=SHOP)

    totals = await queries.totals(site, None)
    assert (totals.views, totals.visitors, totals.paths, totals.since_ms) == (6, 4, 2, began)
    day = house.clock.now_ms() - DAY_MS
    today = await queries.totals(site, day)
    assert (today.views, today.visitors, today.paths) == (3, 2, 2)
    week = await queries.totals(site, house.clock.now_ms() - 7 * DAY_MS)
    assert (week.views, week.visitors, week.paths) == (6, 4, 2)

    assert await queries.top_pages(site, None, 10) == [
        PageViews("/old", None, None, 4),
        PageViews("/new", "The new one", "blog", 2),
    ]
    assert [page.path for page in await queries.top_pages(site, day, 10)] == ["/new", "/old"]
    assert await queries.top_pages(site, day, 1) == [PageViews("/new", "The new one", "blog", 2)]
    assert await queries.top(site, Kind.REFERRER, None, 10) == [Share("search.example", 3)]
    assert await queries.top(site, Kind.REFERRER, day, 10) == []
    assert await queries.top(site, Kind.COUNTRY, None, 10) == [Share("FR", 3), Share("DE", 1)]

    assert await queries.count(site, "/old", None, None) == 4
    assert await queries.count(site, "/old", began, began + HOUR_MS) == 3
    assert await queries.count(site, None, began + HOUR_MS, None) == 3
    assert await queries.count(site, "/never", None, None) == 0
    starts = [began - began % DAY_MS + day * DAY_MS for day in range(5)]
    assert await queries.timeseries(site, None, starts) == [
        Point(starts[0], 3, 3),
        Point(starts[1], 0, 0),
        Point(starts[2], 0, 0),
        Point(starts[3], 3, 1),
    ]


async def test_many_at_once_lose_nothing(house: PageHouse) -> None:
    await asyncio.gather(*(house.view(f"s{n % 50}", f"/{n % 30}", referrer=f"r{n % 3}.example") for n in range(300)))
    visits = await visits_of(house.database)
    assert len(visits) == 150
    assert await sums_of(house.database) == recounted(visits)


async def test_two_processes_at_once_lose_nothing(
    house: PageHouse, database_url: str, clock: ManualClock, metrics: Metrics
) -> None:
    other = await Database.open(database_url, clock=clock, metrics=Metrics())
    second = await build(other, clock, Metrics(), MemoryCounterStore(1_000), ProgressStore())
    # Each has a store of its own here: what one claims the other does not know of.
    await asyncio.gather(
        *(one.view(f"s{n % 20}", f"/{n % 9}", referrer="r.example") for n in range(200) for one in (house, second))
    )
    visits = await visits_of(house.database)
    assert len(visits) == 2 * 180
    assert await sums_of(house.database) == recounted(visits)
    await other.close()


async def test_a_view_that_was_not_written_may_be_counted_later(
    house: PageHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object) -> None:
        raise StorageUnavailable("database: gone")

    with monkeypatch.context() as broken:
        broken.setattr(house.database, "write_together", gone)
        with pytest.raises(StorageUnavailable):
            await house.view("a", "/x")
    assert await house.view("a", "/x") is Outcome.COUNTED


async def test_what_finds_no_room_is_counted_together(database: Database, clock: ManualClock, metrics: Metrics) -> None:
    house = await build(
        database, clock, metrics, MemoryCounterStore(1_000), ProgressStore(), room=Room(paths=3, referrers=1)
    )
    for n in range(9):
        await house.view("a", f"/{n}", referrer=f"r{n}.example", title=f"Title {n}")
    totals = await house.pages.queries.totals(house.site(), None)
    assert (totals.views, totals.paths) == (9, 3)
    pages = await house.pages.queries.top_pages(house.site(), None, 10)
    assert [(page.path, page.views, page.title) for page in pages] == [
        (OTHER, 6, None),
        ("/0", 1, "Title 0"),
        ("/1", 1, "Title 1"),
        ("/2", 1, "Title 2"),
    ]
    assert await house.pages.queries.top(house.site(), Kind.REFERRER, None, 5) == [
        Share(OTHER, 8),
        Share("r0.example", 1),
    ]
    assert await sums_of(database) == recounted(await visits_of(database))


async def test_what_is_old_goes_and_totals_stay(database: Database, clock: ManualClock, metrics: Metrics) -> None:
    house = await build(
        database, clock, metrics, MemoryCounterStore(9_000), ProgressStore(), max_age_ms=10 * DAY_MS, room=Room(paths=2)
    )
    for n in range(1_200):
        await house.view(f"s{n}", "/old", referrer="r.example")
    house.clock.advance(9 * DAY_MS)
    await house.view("new", "/new")
    assert await house.pages.retention.purge() == 0
    house.clock.advance(2 * DAY_MS)
    assert await house.pages.retention.purge() > 2_400
    assert await house.pages.retention.purge() == 0
    totals = await house.pages.queries.totals(house.site(), None)
    assert (totals.views, totals.visitors, totals.paths) == (1_201, 1_201, 1)
    assert [page.path for page in await house.pages.queries.top_pages(house.site(), None, 9)] == ["/new"]
    assert [seen.path for seen in await visits_of(database)] == ["/new"]
    week = await house.pages.queries.totals(house.site(), house.clock.now_ms() - 7 * DAY_MS)
    assert (week.views, week.visitors, week.paths) == (1, 1, 1)
    # Its room is free again.
    await house.view("new", "/third")
    assert (await house.pages.queries.totals(house.site(), None)).paths == 2


ACTS = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.sampled_from(["/", "/a", "/b"]),
        st.sampled_from([BLOG, SHOP]),
        st.sampled_from([None, "r.example", "q.example"]),
        st.integers(0, 40 * 60_000),
    ),
    max_size=25,
)


@given(acts=ACTS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_course_of_visits_sums_up(acts: list[tuple[int, str, str, str | None, int]]) -> None:
    async def run(directory: File) -> None:
        clock = ManualClock()
        database = await _empty(directory, clock)
        try:
            house = await build(database, clock, Metrics(), MemoryCounterStore(1_000), ProgressStore())
            for who, where, host, referrer, later_ms in acts:
                clock.advance(later_ms)
                await house.view(f"s{who}", where, host=host, referrer=referrer)
            visits = await visits_of(database)
            assert await sums_of(database) == recounted(visits)
            for begin in (0, 61 * 60_000, 5 * HOUR_MS):
                start = clock.now_ms() - begin
                minute = start - start % 60_000
                mine = [seen for seen in visits if seen.site == house.site().number and seen.at_ms >= minute]
                totals = await house.pages.queries.totals(house.site(), start)
                assert (totals.views, totals.visitors, totals.paths) == (
                    len(mine),
                    len({seen.session for seen in mine}),
                    len({seen.path for seen in mine}),
                )
        finally:
            await database.close()

    directory = File(tempfile.mkdtemp())
    try:
        in_a_loop(run(directory))
    finally:
        shutil.rmtree(directory)


async def _empty(directory: File, clock: ManualClock) -> Database:
    from service.storage import schema

    database = await Database.open(f"sqlite:///{directory}/pages.sqlite", clock=clock, metrics=Metrics())
    await database.write(lambda tx: tx.run_sync(schema.load().create_all))
    return database
