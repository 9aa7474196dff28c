"""Rows in bulk belong to the transaction they are asked for in, on PostgreSQL's COPY as well."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from foundation.database import Database, Transaction
from views.stats.bulk import add_sums, insert_rows, reserve_ids
from views.stats.tables import retention_steps, viewer_sections, viewer_stays

EVERY_DATABASE = True

SECTIONS = (viewer_sections.c.stay_id, viewer_sections.c.start_s, viewer_sections.c.end_s)
STEPS = (retention_steps.c.video_number, retention_steps.c.second)


class Abandoned(Exception):
    pass


async def counted(db: Database) -> int:
    async with db.read() as tx:
        return int((await tx.execute(select(func.count()).select_from(viewer_sections))).scalar_one())


async def sums(db: Database) -> list[tuple[int, ...]]:
    async with db.read() as tx:
        return [tuple(row) for row in await tx.execute(select(retention_steps).order_by(*STEPS))]


@pytest.mark.parametrize("statement_first", [False, True])
async def test_a_rollback_takes_the_rows_back(database: Database, statement_first: bool) -> None:
    async def work(tx: Transaction) -> None:
        if statement_first:
            await tx.execute(insert(viewer_sections).values(stay_id=9, start_s=0, end_s=1))
        await insert_rows(tx, SECTIONS, [(1, second, second) for second in range(1_000)])
        await add_sums(tx, STEPS, [retention_steps.c.delta], [(1, second, 1) for second in range(100)])
        seen = await tx.execute(select(func.count()).select_from(viewer_sections))
        assert seen.scalar_one() == 1_000 + statement_first, "the transaction sees its own rows"
        raise Abandoned

    with pytest.raises(Abandoned):
        await database.write(work)
    assert await counted(database) == 0
    assert await sums(database) == []


async def test_nobody_sees_the_rows_before_the_commit(database: Database) -> None:
    copied, committing = asyncio.Event(), asyncio.Event()

    async def work(tx: Transaction) -> None:
        await insert_rows(tx, SECTIONS, [(1, 0, 1), (1, 2, 3)])
        copied.set()
        await committing.wait()

    writing = asyncio.ensure_future(database.write(work))
    await copied.wait()
    assert await counted(database) == 0
    committing.set()
    await writing
    assert await counted(database) == 2


async def test_a_write_of_the_same_group_that_fails_takes_nothing_along(database: Database) -> None:
    """The group is rolled back, and each runs again alone: the rows are there once."""

    async def copies(tx: Transaction) -> None:
        await insert_rows(tx, SECTIONS, [(1, 0, 1), (1, 2, 3)])

    async def fails(_: Transaction) -> None:
        raise Abandoned

    results = await asyncio.gather(database.write(copies), database.write(fails), return_exceptions=True)
    assert results[0] is None
    assert isinstance(results[1], Abandoned)
    assert await counted(database) == 2


async def test_a_conflict_ends_the_transaction_and_not_the_writer(database: Database) -> None:
    async def twice(tx: Transaction) -> None:
        await insert_rows(tx, SECTIONS, [(1, 0, 1), (1, 0, 1)])

    with pytest.raises(Exception, match=r"(?i)unique") as failure:
        await database.write(twice)
    assert isinstance(failure.value, IntegrityError) or database.dialect == "postgresql"
    assert await counted(database) == 0
    await database.write(lambda tx: insert_rows(tx, SECTIONS, [(1, 0, 1)]))
    assert await counted(database) == 1


async def test_sums_are_added(database: Database) -> None:
    for _ in range(2):
        await database.write(lambda tx: add_sums(tx, STEPS, [retention_steps.c.delta], [(1, 0, 2), (1, 5, -1)]))
    assert await sums(database) == [(1, 0, 4), (1, 5, -2)]


async def test_ids_are_given_once_also_after_a_rollback(database: Database) -> None:
    given: list[list[int]] = []

    async def work(tx: Transaction) -> None:
        ids = list(await reserve_ids(tx, viewer_stays, 50))
        columns = [
            viewer_stays.c[name] for name in ("id", "video_number", "uuid", "url", "source", "start_ms", "end_ms")
        ]
        columns.append(viewer_stays.c.watch_time_s)
        await insert_rows(tx, columns, [(each, 1, str(each), str(each), "", 0, 0, 0) for each in ids])
        given.append(ids)

    for _ in range(3):
        await database.write(work)
    assert given[0] == sorted(given[0])
    assert len({each for ids in given for each in ids}) == 150
