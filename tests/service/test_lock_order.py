"""Rows are locked in one order by every write that touches several: processes that write the same never deadlock.

A third connection holds the row that comes first. Two processes then write the same rows, given to them in opposite
orders, and both have to wait there with nothing else in their hands; when it is let go, both finish at the first try.
PostgreSQL would break off one of two that wait in a circle, and the writer would run it again.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from integration.house import wait_until
from sqlalchemy import Executable, insert, select, text, update

from federation.peers.store import PeerRow, save_peers
from federation.tables import peers
from foundation.clock import ManualClock
from foundation.database import Database, Transaction
from foundation.metrics import Metrics
from tests.views.catalogs import a_local, make_catalog
from views.model import Video, VideoDraft
from views.resume import Position, _put
from views.stats import rows
from views.stats.model import Stay, Traits
from views.stats.tables import retention_steps, stay_ids, stay_times, stay_traits
from views.tables import remote_views, resume_positions, video_views, videos
from views.tallies import CountedView, add_views, hour_of

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

NOW_MS = 1_780_000_000_000
Write = Callable[[Transaction, Sequence[Any]], Awaitable[object]]


@dataclass(frozen=True)
class Case:
    """``first`` locks the row that comes first; ``write`` is what processes do to ``items``."""

    first: Executable
    write: Write
    items: Sequence[Any]


@pytest.fixture
async def processes(database_url: str, database: Database, clock: ManualClock) -> AsyncIterator[list[Database]]:
    """Three that share the database; each has one connection that writes."""
    clock.set_wall(NOW_MS)
    opened = [await Database.open(database_url, clock=clock, metrics=Metrics()) for _ in range(3)]
    yield opened
    for each in opened:
        await each.close()


@pytest.fixture
async def three(database: Database, clock: ManualClock) -> list[Video]:
    catalog = make_catalog(database, clock)
    found = [await a_local(catalog)]
    for _ in range(2):
        made = await catalog.put_local(VideoDraft(str(uuid.uuid4()), "A video", 60))
        assert isinstance(made, tuple)
        found.append(made[0])
    return found


async def runs(processes: list[Database], case: Case) -> int:
    """How often the two writes ran until both were done."""
    holder, *writers = processes
    held, let_go, ran = asyncio.Event(), asyncio.Event(), 0

    async def hold(tx: Transaction) -> None:
        await tx.execute(case.first)
        held.set()
        await let_go.wait()

    def writing(items: Sequence[Any]) -> Callable[[Transaction], Awaitable[object]]:
        async def work(tx: Transaction) -> object:
            nonlocal ran
            ran += 1
            return await case.write(tx, items)

        return work

    async def waits(number: int) -> bool:
        asked = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        async with holder.read() as tx:
            return int((await tx.execute(asked)).scalar_one()) == number

    holding = asyncio.create_task(holder.write(hold))
    await held.wait()
    working = []
    try:
        # One after the other, so that the first to get the row is the first to want the next.
        for number, (db, items) in enumerate(zip(writers, (case.items, case.items[::-1]), strict=True), 1):
            working.append(asyncio.create_task(db.write(writing(items))))
            await wait_until(partial(waits, number), what="a writer does not wait for the row that comes first")
    finally:
        let_go.set()
        await holding
        done = await asyncio.gather(*working, return_exceptions=True)
    assert not [each for each in done if isinstance(each, BaseException)], done
    return ran


async def test_without_an_order_one_of_them_is_broken_off(processes: list[Database], three: list[Video]) -> None:
    """That this is noticed here."""

    async def unordered(tx: Transaction, numbers: Sequence[int]) -> None:
        for number in numbers:
            await tx.execute(update(videos).where(videos.c.number == number).values(views=videos.c.views + 1))

    numbers = [video.number for video in three]
    case = Case(select(videos.c.number).where(videos.c.number == numbers[0]).with_for_update(), unordered, numbers)
    assert await runs(processes, case) > 2


def counting(three: list[Video]) -> tuple[Write, list[CountedView]]:
    return add_views, [
        CountedView(video, NOW_MS + hours * 3_600_000, activity=bytes([at, hours]) * 16)
        for at, video in enumerate(three)
        for hours in (0, 1)
    ]


def saving(three: list[Video]) -> tuple[Write, list[Stay]]:
    async def save(tx: Transaction, stays: Sequence[Stay]) -> object:
        # Each process has its own stays, of the same videos, minutes, places and seconds.
        own = [rows_of(each, f"https://here.example/{uuid.uuid4()}") for each in stays]
        return await rows.insert(tx, own, [video.number for video in three])

    return save, stays_of(three)


def stays_of(three: list[Video]) -> list[Stay]:
    return [
        Stay(video.number, "", f"https://far.example/{video.number}/{name}", NOW_MS, NOW_MS, 1, ((0, 5),), Traits(name))
        for video in three
        for name in ("FR", "DE")
    ]


def rows_of(stay: Stay, url: str) -> Stay:
    return Stay(stay.video, "", url, stay.start_ms, stay.end_ms, 1, stay.sections, stay.traits)


async def test_totals_of_videos(processes: list[Database], three: list[Video]) -> None:
    write, items = counting(three)
    local = [CountedView(view.video, view.at_ms, view_id=str(uuid.uuid4())) for view in items]
    first = select(videos.c.number).order_by(videos.c.number).limit(1).with_for_update()
    assert await runs(processes, Case(first, write, local)) == 2


async def test_ids_of_remote_views(processes: list[Database], three: list[Video]) -> None:
    write, items = counting(three)
    smallest = min(view.activity or b"" for view in items)
    assert await runs(processes, Case(insert(remote_views).values(activity=smallest, at_ms=0), write, items)) == 2


async def test_hours(processes: list[Database], three: list[Video]) -> None:
    write, items = counting(three)
    local = [CountedView(view.video, view.at_ms, view_id=str(uuid.uuid4())) for view in items]
    await processes[0].write(lambda tx: add_views(tx, local))
    key = (video_views.c.video_number == three[0].number) & (video_views.c.hour_ms == hour_of(NOW_MS))
    assert await runs(processes, Case(select(video_views.c.views).where(key).with_for_update(), write, local)) == 2


async def test_ids_of_stays(processes: list[Database], three: list[Video]) -> None:
    stays = stays_of(three)
    first = insert(stay_ids).values(digest=min(rows.digest_of(each.url) for each in stays), end_ms=0)

    async def save(tx: Transaction, items: Sequence[Stay]) -> object:
        return await rows.insert(tx, items, [video.number for video in three])

    assert await runs(processes, Case(first, save, stays)) == 2


@pytest.mark.parametrize("table", [stay_times, stay_traits, retention_steps])
async def test_sums(processes: list[Database], three: list[Video], table: Any) -> None:
    write, stays = saving(three)
    await processes[0].write(lambda tx: write(tx, stays))
    keys = list(table.primary_key.columns)
    first = select(keys[0]).order_by(*(column.collate("C") if column.name == "name" else column for column in keys))
    assert await runs(processes, Case(first.limit(1).with_for_update(), write, stays)) == 2


async def test_resume_positions(processes: list[Database], three: list[Video]) -> None:
    async def put(tx: Transaction, items: Sequence[tuple[tuple[bytes, int], Position]]) -> None:
        await _put(tx, dict(items))

    items = [((bytes([user]) * 16, video.number), Position(1, NOW_MS)) for user in (1, 2) for video in three]
    await processes[0].write(lambda tx: put(tx, items))
    key = (resume_positions.c.user_hash == bytes([1]) * 16) & (resume_positions.c.video_number == three[0].number)
    first = select(resume_positions.c.position_s).where(key).with_for_update()
    assert await runs(processes, Case(first, put, items)) == 2


async def test_peers(processes: list[Database]) -> None:
    items = [PeerRow(f"{name}.example", last_seen_ms=NOW_MS) for name in "abc"]
    await processes[0].write(lambda tx: save_peers(tx, items))
    first = select(peers.c.host).where(peers.c.host == "a.example").with_for_update()
    assert await runs(processes, Case(first, save_peers, items)) == 2


async def test_what_many_share_runs_in_one_order_whoever_came_first(
    processes: list[Database], three: list[Video]
) -> None:
    """Two processes whose groups hold the same two shared writes, gathered in opposite orders."""
    holder, one, other = processes
    ran: list[str] = []

    async def add(tx: Transaction, video: Video) -> None:
        await tx.execute(update(videos).where(videos.c.number == video.number).values(views=videos.c.views + 1))

    async def first(tx: Transaction, items: Sequence[None]) -> Sequence[None]:
        ran.append("first")
        await add(tx, three[0])
        return items

    async def second(tx: Transaction, items: Sequence[None]) -> Sequence[None]:
        ran.append("second")
        await add(tx, three[1])
        return items

    let_go, held = asyncio.Event(), asyncio.Event()

    async def hold(tx: Transaction) -> None:
        for video in three[:2]:
            await add(tx, video)
        held.set()
        await let_go.wait()

    async def waits(number: int) -> bool:
        asked = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        async with holder.read() as tx:
            return int((await tx.execute(asked)).scalar_one()) == number

    holding = asyncio.create_task(holder.write(hold))
    await held.wait()
    writing = []
    for number, (db, works) in enumerate(((one, (first, second)), (other, (second, first))), 1):
        writing += [asyncio.create_task(db.write_together(work, None)) for work in works]
        await wait_until(partial(waits, number), what="a writer does not wait")
    let_go.set()
    await asyncio.gather(holding, *writing)
    assert ran == ["first", "first", "second", "second"]
