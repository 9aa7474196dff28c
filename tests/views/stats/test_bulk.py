"""Rows in bulk belong to the transaction they are asked for in, on PostgreSQL's COPY as well."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from foundation.database import Database, Transaction
from views.stats.bulk import add_sums, insert_missing, insert_rows
from views.stats.tables import retention_steps, stay_ids, stay_traits

EVERY_DATABASE = True

TRAITS = tuple(stay_traits.c)
STEPS = (retention_steps.c.video_number, retention_steps.c.second)


def row(video: int, at_ms: int) -> tuple[int | str, ...]:
    return video, 1, 600, at_ms, "FR", 1, 1


class Abandoned(Exception):
    pass


async def counted(db: Database) -> int:
    async with db.read() as tx:
        return int((await tx.execute(select(func.count()).select_from(stay_traits))).scalar_one())


async def sums(db: Database) -> list[tuple[int, ...]]:
    async with db.read() as tx:
        return [tuple(row) for row in await tx.execute(select(retention_steps).order_by(*STEPS))]


@pytest.mark.parametrize("statement_first", [False, True])
async def test_a_rollback_takes_the_rows_back(database: Database, statement_first: bool) -> None:
    async def work(tx: Transaction) -> None:
        if statement_first:
            await tx.execute(insert(stay_traits).values(row(9, 9)))
        await insert_rows(tx, TRAITS, [row(1, second) for second in range(1_000)])
        await add_sums(tx, STEPS, [retention_steps.c.delta], [(1, second, 1) for second in range(100)])
        seen = await tx.execute(select(func.count()).select_from(stay_traits))
        assert seen.scalar_one() == 1_000 + statement_first, "the transaction sees its own rows"
        raise Abandoned

    with pytest.raises(Abandoned):
        await database.write(work)
    assert await counted(database) == 0
    assert await sums(database) == []


async def test_nobody_sees_the_rows_before_the_commit(database: Database) -> None:
    copied, committing = asyncio.Event(), asyncio.Event()

    async def work(tx: Transaction) -> None:
        await insert_rows(tx, TRAITS, [row(1, 0), row(1, 2)])
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
        await insert_rows(tx, TRAITS, [row(1, 0), row(1, 2)])

    async def fails(_: Transaction) -> None:
        raise Abandoned

    results = await asyncio.gather(database.write(copies), database.write(fails), return_exceptions=True)
    assert results[0] is None
    assert isinstance(results[1], Abandoned)
    assert await counted(database) == 2


async def test_a_conflict_ends_the_transaction_and_not_the_writer(database: Database) -> None:
    async def twice(tx: Transaction) -> None:
        await insert_rows(tx, TRAITS, [row(1, 0), row(1, 0)])

    with pytest.raises(Exception, match=r"(?i)unique") as failure:
        await database.write(twice)
    assert isinstance(failure.value, IntegrityError) or database.dialect == "postgresql"
    assert await counted(database) == 0
    await database.write(lambda tx: insert_rows(tx, TRAITS, [row(1, 0)]))
    assert await counted(database) == 1


async def test_sums_are_added(database: Database) -> None:
    for _ in range(2):
        await database.write(lambda tx: add_sums(tx, STEPS, [retention_steps.c.delta], [(1, 0, 2), (1, 5, -1)]))
    assert await sums(database) == [(1, 0, 4), (1, 5, -2)]


async def test_what_is_there_already_is_passed_over_and_numbers_are_given_once(database: Database) -> None:
    columns, said = (stay_ids.c.digest, stay_ids.c.end_ms), (stay_ids.c.id, stay_ids.c.digest)
    rows = [(each.to_bytes(32, "big"), each) for each in range(1_200)]

    async def work(tx: Transaction, upto: int) -> list[tuple[int, bytes]]:
        return [tuple(each) for each in await insert_missing(tx, columns, rows[:upto], said)]  # type: ignore[misc]

    first = await database.write(lambda tx: work(tx, 700))
    assert sorted(digest for _, digest in first) == [digest for digest, _ in rows[:700]]
    rest = await database.write(lambda tx: work(tx, 1_200))
    assert sorted(digest for _, digest in rest) == [digest for digest, _ in rows[700:]]
    assert len({number for number, _ in first + rest}) == 1_200
    assert await database.write(lambda tx: work(tx, 0)) == []
