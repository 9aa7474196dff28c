from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select

from foundation.clock import ManualClock
from foundation.database import Database, Transaction
from foundation.metrics import Metrics
from service.storage import schema
from tests.views.stats import naive
from tests.views.stats.naive import utc
from tests.views.stats.stats_house import House, only, stay
from views.sections import Rules, begin, encode
from views.stats import rows
from views.stats.model import Metric, Scope, Share, Stay, Traits
from views.stats.peak import MAX_LOOKED_INTO
from views.stats.series import edges_of, interval_of
from views.stats.settling import settle
from views.stats.tables import retention_steps, stay_ids, stay_times, stay_traits, viewer_stays
from views.stats.traits import pack
from views.stats.units import FOREVER_MS, TIME_UNITS, TRAIT_UNITS, pieces
from views.tables import videos

EVERY_DATABASE = True

NOON = utc("2026-06-15T12:00")
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
NEAR = [0, 1, 999, MINUTE - 1, MINUTE, MINUTE + 1, HOUR - 1, HOUR, DAY - 1, DAY, DAY + 1, 33 * DAY]

instants = st.builds(
    lambda base, near, more: base + near + more,
    st.sampled_from([NOON, NOON - 12 * HOUR]),
    st.sampled_from(NEAR),
    st.sampled_from([0, 0, 1, 5_000, 59_999, 7 * MINUTE, 5 * HOUR]),
)
bounds = st.none() | instants
traits = st.builds(Traits, *(st.sampled_from([None, "A", "B", "C"]) for _ in range(5)))


@st.composite
def sections(draw: st.DrawFn) -> tuple[tuple[int, int], ...]:
    edges = sorted(draw(st.sets(st.integers(0, 110), min_size=2, max_size=8)))
    return tuple((edges[at], edges[at + 1]) for at in range(0, len(edges) - 1, 2))


@st.composite
def a_stay(draw: st.DrawFn) -> Stay:
    one, other = draw(instants), draw(instants)
    return stay(
        draw(st.integers(0, 1)),
        min(one, other),
        max(one, other),
        watch_time_s=draw(st.integers(1, 1_000)),
        sections=draw(sections()),
        traits=draw(traits),
    )


@pytest.fixture
async def house(database: Database, clock: ManualClock, metrics: Metrics) -> House:
    return House(database, clock, metrics)


def on(stays: Sequence[Stay], numbers: Sequence[int]) -> list[Stay]:
    """Stays at the videos 0 and 1 of a strategy, at the videos of these numbers instead."""
    return [
        stay(
            numbers[each.video],
            each.start_ms,
            each.end_ms,
            watch_time_s=each.watch_time_s,
            sections=each.sections,
            traits=each.traits,
        )
        for each in stays
    ]


async def hold_against(house: House, scope: Scope, stays: list[Stay], start: int | None, end: int | None) -> None:
    inside = naive.overlapping(stays, start, end)
    overall = await house.statistics.overall(scope, start, end)
    total = sum(each.watch_time_s for each in inside)
    assert overall.total_viewers == len(inside)
    assert overall.total_watch_time_s == total
    assert overall.average_watch_time_s == (int(total / len(inside) + 0.5) if inside else 0)
    assert (overall.viewers_peak, overall.viewers_peak_ms) == naive.peak(stays, start, end)
    assert overall.countries == naive.shares([each.traits.country for each in inside])
    assert overall.subdivisions == naive.shares([each.traits.subdivision for each in inside])
    agents = await house.statistics.user_agents(scope, start, end)
    assert agents.clients == naive.shares([each.traits.client for each in inside])
    assert agents.devices == naive.shares([each.traits.device for each in inside])
    assert agents.operating_systems == naive.shares([each.traits.operating_system for each in inside])
    if start is not None and end is not None:
        for metric in Metric:
            series = await house.statistics.timeseries(scope, metric, start, end)
            edges = edges_of(start, end, interval_of(start, end))
            expected = [(at, naive.bucket(stays, metric, at, to)) for at, to in itertools.pairwise(edges)]
            assert list(series.points) == expected


async def hold_retention_against(house: House, number: int, stays: list[Stay]) -> None:
    for duration in (5, 100):
        retention = await house.statistics.retention(number, duration)
        assert list(retention.points) == [(at, naive.retention(stays, at)) for at, _ in retention.points]


TABLES = (videos, viewer_stays, stay_ids, stay_times, stay_traits, retention_steps)


def test_every_answer_is_what_the_definitions_say(database_url: str) -> None:
    """Whatever is saved, still live, settled or deleted again."""
    clock, metrics = ManualClock(NOON + 40 * DAY), Metrics()

    async def opened() -> Database:
        database = await Database.open(database_url, clock=clock, metrics=metrics)
        await database.write(lambda tx: tx.run_sync(schema.load().create_all))
        return database

    async def emptied(tx: Transaction) -> None:
        for table in TABLES:
            await tx.execute(delete(table))

    with asyncio.Runner() as runner:
        database = runner.run(opened())

        @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(st.lists(a_stay(), max_size=25), bounds, bounds, st.booleans(), st.integers(0, 25), st.integers(0, 25))
        def holds(
            stays: list[Stay], start: int | None, end: int | None, settled: bool, live: int, deleted: int
        ) -> None:
            runner.run(database.write(emptied))
            house = House(database, clock, Metrics())
            runner.run(one_example(house, stays, start, end, settled, live, deleted))

        try:
            holds()
        finally:
            runner.run(database.close())


async def one_example(
    house: House,
    stays: list[Stay],
    start: int | None,
    end: int | None,
    settled: bool,
    live: int,
    deleted: int,
) -> None:
    numbers = [(await house.video(index)).number for index in range(2)]
    placed = on(stays, numbers)
    saved = placed[live:]
    for index, each in enumerate(placed[:live]):
        put_live(house, each, index)
    await house.recorder.save(saved)
    if settled:
        await house.cleaner.settle()
    gone = saved[:deleted]
    urls = [each.url for each in gone]

    async def forget(tx: Transaction) -> None:
        found = (await tx.execute(select(*rows.COLUMNS).where(viewer_stays.c.url.in_(urls)))).all()
        await rows.remove(tx, found, counted=True)

    await house.database.write(forget)
    kept = [each for each in placed if each not in gone]
    first = [each for each in kept if each.video == numbers[0]]
    await hold_against(house, Scope((numbers[0],)), first, start, end)
    await hold_against(house, Scope(None), kept, start, end)
    await hold_against(house, Scope(tuple(numbers)), kept, None, None)
    await hold_retention_against(house, numbers[0], first)


def put_live(house: House, each: Stay, index: int) -> None:
    """Into the live store, as if its viewer was still watching."""
    progress = begin(0, each.start_ms, Rules())
    progress.last_ms = each.end_ms
    *closed, (progress.start_s, progress.end_s) = each.sections
    progress.closed = closed
    progress.closed_watch_s = each.watch_time_s - (progress.end_s - progress.start_s)
    if progress.closed_watch_s < 0:
        progress.end_s = progress.start_s + each.watch_time_s
        progress.closed_watch_s = 0
        object.__setattr__(each, "sections", (*closed, (progress.start_s, progress.end_s)))
    progress.traits = pack(each.traits)
    house.progress.put(each.video, index.to_bytes(16, "big"), encode(progress), FOREVER_MS)


@given(bounds, bounds)
def test_pieces_cover_a_span_once(start: int | None, end: int | None) -> None:
    for units in (TIME_UNITS, TRAIT_UNITS):
        found = list(pieces(start, end, units))
        if start is not None and end is not None and start >= end:
            assert found == []
            continue
        assert found[0].from_ms == (-FOREVER_MS if start is None else start)
        assert found[-1].to_ms == (FOREVER_MS if end is None else end)
        assert all(one.to_ms == other.from_ms for one, other in itertools.pairwise(found))
        assert all(one.from_ms < one.to_ms for one in found)
        for piece in found:
            if piece.unit is not None:
                edges = {piece.from_ms, piece.to_ms} - {FOREVER_MS, -FOREVER_MS}
                assert all(edge % piece.unit.ms == 0 for edge in edges)
        assert len(found) <= 7


SPANS = [
    (3 * HOUR - 1, "1 minute"),
    (3 * HOUR, "10 minutes"),
    (15 * HOUR, "1 hour"),
    (4 * DAY - 1, "1 hour"),
    (4 * DAY, "6 hours"),
    (8 * DAY, "12 hours"),
    (15 * DAY, "1 day"),
    (62 * DAY, "2 days"),
    (186 * DAY, "7 days"),
    (730 * DAY, "1 month"),
    (2190 * DAY, "6 months"),
]


@pytest.mark.parametrize(("span_ms", "name"), SPANS)
def test_intervals_are_peertubes(span_ms: int, name: str) -> None:
    assert interval_of(NOON, NOON + span_ms).name == name


EDGES = [
    # (start, end, first bucket, second bucket, last bucket)
    ("2026-06-15T12:34:56", "2026-06-15T13:00", "2026-06-15T12:34", "2026-06-15T12:35", "2026-06-15T13:00"),
    ("2026-06-15T12:34", "2026-06-15T20:00", "2026-06-15T12:34", "2026-06-15T12:44", "2026-06-15T19:54"),
    # The nights on which Europe changes its clocks have 24 hours like any other.
    ("2026-03-28T12:34", "2026-03-29T12:00", "2026-03-28T12:00", "2026-03-28T13:00", "2026-03-29T12:00"),
    ("2026-10-20T23:59", "2026-11-08T00:00", "2026-10-20T00:00", "2026-10-21T00:00", "2026-11-08T00:00"),
    ("2023-12-31T23:59", "2026-02-28T00:00", "2023-12-01T00:00", "2024-01-01T00:00", "2026-02-01T00:00"),
    ("2018-08-31T00:00", "2026-02-28T00:00", "2018-08-01T00:00", "2019-02-01T00:00", "2026-02-01T00:00"),
]


@pytest.mark.parametrize(("start", "end", "first", "second", "last"), EDGES)
def test_buckets_begin_in_utc(start: str, end: str, first: str, second: str, last: str) -> None:
    edges = edges_of(utc(start), utc(end), interval_of(utc(start), utc(end)))
    assert (edges[0], edges[1], edges[-2]) == (utc(first), utc(second), utc(last))
    assert edges[-2] <= utc(end) < edges[-1]


def test_no_zone_of_the_machine_gets_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Apia")
    import time

    time.tzset()
    try:
        edges = edges_of(utc("2023-12-31T23:59"), utc("2026-02-28T00:00"), interval_of(0, 730 * DAY))
        assert edges[:2] == [utc("2023-12-01T00:00"), utc("2024-01-01T00:00")]
    finally:
        monkeypatch.undo()
        time.tzset()


async def test_a_span_the_wrong_way_round_has_no_buckets(house: House) -> None:
    video = await house.video()
    series = await house.statistics.timeseries(only(video), Metric.VIEWERS, NOON, NOON - DAY)
    assert series.points == ()


async def test_an_edge_belongs_to_one_bucket(house: House) -> None:
    video = await house.video()
    await house.recorder.save([stay(video.number, NOON, NOON), stay(video.number, NOON - 1, NOON - 1)])
    for metric, value in ((Metric.VIEWERS, 1), (Metric.AGGREGATE_WATCH_TIME, 5)):
        series = await house.statistics.timeseries(only(video), metric, NOON - HOUR, NOON + HOUR)
        assert [point for point in series.points if point[1]] == [(NOON - MINUTE, value), (NOON, value)]


async def test_the_peak_counts_this_videos_viewers_only(house: House) -> None:
    video, other = await house.video(0), await house.video(1)
    crowd = [stay(other.number, NOON - DAY, NOON + DAY) for _ in range(10)]
    await house.recorder.save([*crowd, stay(video.number, NOON - 5, NOON + 5)])
    overall = await house.statistics.overall(only(video), NOON - 1, NOON + 1)
    assert (overall.viewers_peak, overall.viewers_peak_ms) == (1, NOON - 1)


async def test_nobody_has_no_peak(house: House) -> None:
    video = await house.video()
    overall = await house.statistics.overall(only(video), None, None)
    assert (overall.total_viewers, overall.viewers_peak, overall.viewers_peak_ms) == (0, 0, None)
    assert overall.as_of_ms == house.clock.now_ms()
    assert (await house.statistics.retention(video.number, 5)).points == tuple((at, 0.0) for at in range(6))


async def test_viewers_still_watching_are_in_every_answer(house: House) -> None:
    video = await house.video()
    here = stay(video.number, NOON, NOON + 5_000, sections=((0, 5),), traits=Traits(country="FR", client="Firefox"))
    put_live(house, here, 1)
    overall = await house.statistics.overall(only(video), None, None)
    assert (overall.total_viewers, overall.countries) == (1, (Share("FR", 1),))
    assert (await house.statistics.user_agents(only(video), None, None)).clients == (Share("Firefox", 1),)
    assert (await house.statistics.retention(video.number, 5)).points[5] == (5, 100.0)
    series = await house.statistics.timeseries(only(video), Metric.VIEWERS, NOON, NOON + MINUTE)
    assert series.points[0] == (NOON, 1)


async def test_who_has_watched_nothing_yet_is_nobody_here_either(house: House) -> None:
    video = await house.video()
    house.progress.put(video.number, b"v" * 16, encode(begin(7, NOON, Rules())), FOREVER_MS)
    assert (await house.statistics.overall(only(video), None, None)).total_viewers == 0


async def test_a_viewer_moves_from_the_live_store_to_the_rows_in_one_step(house: House) -> None:
    video = await house.video()
    put_live(house, stay(video.number, NOON, NOON + 5_000), 1)
    assert (await house.statistics.overall(only(video), None, None)).total_viewers == 1
    house.recorder.close(video.number, (1).to_bytes(16, "big"))
    assert (await house.statistics.overall(only(video), None, None)).total_viewers == 1
    saving = asyncio.ensure_future(house.recorder.drain())
    seen = set()
    while not saving.done():
        seen.add((await house.statistics.overall(only(video), None, None)).total_viewers)
    assert await saving == 1
    seen.add((await house.statistics.overall(only(video), None, None)).total_viewers)
    assert seen == {1}


async def test_more_unsettled_minutes_than_can_be_looked_into_are_settled_first(house: House) -> None:
    video = await house.video()
    stays = []
    for index in range(MAX_LOOKED_INTO + 50):
        at = NOON + index * MINUTE
        # One leaves before the next two come: every minute promises three and holds two.
        stays += [stay(video.number, at + 1, at + 100), stay(video.number, at + 200, at + 300)]
        stays += [stay(video.number, at + 250, at + 260)]
    await house.recorder.save(stays)
    overall = await house.statistics.overall(only(video), None, None)
    assert (overall.viewers_peak, overall.viewers_peak_ms) == (2, NOON + 250)
    async with house.database.read() as tx:
        unsettled = select(func.count()).select_from(stay_times).where(stay_times.c.rise.is_(None))
        assert (await tx.execute(unsettled)).scalar_one() == 0


async def test_settling_again_does_nothing(house: House) -> None:
    video = await house.video()
    await house.recorder.save([stay(video.number, NOON, NOON + 3 * DAY)])
    assert await settle(house.database) == 6
    assert await settle(house.database) == 0


async def test_names_are_bounded_in_an_answer(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("views.stats.queries.MAX_SHARES", 2)
    video = await house.video()
    names = ["a", "b", "b", "c"]
    await house.recorder.save([stay(video.number, NOON, NOON, traits=Traits(client=name)) for name in names])
    agents = await house.statistics.user_agents(only(video), None, None)
    assert agents.clients == (Share("b", 2), Share("a", 1))


class TestCleaner:
    async def test_old_stays_go_and_the_answers_stay_consistent(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("views.stats.cleaner.BATCH", 2)
        house.clock.set_wall(NOON + 100 * DAY)
        video = await house.video()
        known = Traits("FR", "Paris", "Firefox", "mobile", "Linux")
        old = [stay(video.number, NOON + at, NOON + HOUR, traits=known, sections=((at, at + 3),)) for at in range(1, 6)]
        late = NOON + 90 * DAY
        new = [stay(video.number, late + at * HOUR, late + DAY, traits=known) for at in range(3)]
        await house.recorder.save([*old, *new])
        # Months go as a whole on PostgreSQL, days on SQLite: these are in another month in any case.
        assert await house.cleaner.purge(local_max_age_ms=60 * DAY, remote_max_age_ms=None) == 5
        await hold_against(house, only(video), new, NOON - DAY, late + DAY)
        await hold_against(house, only(video), new, None, None)
        await hold_retention_against(house, video.number, new)
        house.clock.set_wall(NOON + 140 * DAY)
        assert await house.cleaner.purge(local_max_age_ms=DAY, remote_max_age_ms=None) == 3
        await self.is_empty(house)

    async def test_never_is_never(self, house: House) -> None:
        video = await house.video()
        await house.recorder.save([stay(video.number, 0, 0)])
        house.clock.set_wall(NOON)
        assert await house.cleaner.purge(local_max_age_ms=None, remote_max_age_ms=0) == 0

    async def test_what_is_left_of_a_deleted_video_goes(self, house: House) -> None:
        video, other = await house.video(0), await house.video(1)
        await house.recorder.save([stay(video.number, NOON, NOON, traits=Traits(country="FR")) for _ in range(3)])
        await house.recorder.save([stay(other.number, NOON, NOON)])
        await house.catalog.delete(video)
        assert await house.cleaner.purge(local_max_age_ms=None, remote_max_age_ms=None) == 3
        assert (await house.statistics.overall(Scope(None), None, None)).total_viewers == 1
        await house.catalog.delete(other)
        assert await house.cleaner.purge(local_max_age_ms=None, remote_max_age_ms=None) == 1
        await self.is_empty(house)

    async def is_empty(self, house: House) -> None:
        async with house.database.read() as tx:
            for table in (viewer_stays, stay_ids, stay_times, stay_traits, retention_steps):
                assert (await tx.execute(select(func.count()).select_from(table))).scalar_one() == 0
