"""More numbers than a statement can bind, on every database."""

from __future__ import annotations

import pytest
from sqlalchemy import BigInteger, Column, MetaData, Table, func, insert, select

from foundation.among import among
from foundation.database import Database

EVERY_DATABASE = True

TABLE = Table("among_numbers", MetaData(), Column("number", BigInteger, primary_key=True, autoincrement=False))


@pytest.mark.parametrize(
    ("asked", "found"),
    [((), 0), ((5,), 1), ((-1, 5, 5, 10**9), 1), (range(100_000), 200)],
    ids=["none", "one", "strangers", "more than can be bound"],
)
async def test_any_number_of_numbers(database: Database, asked: tuple[int, ...], found: int) -> None:
    async def work(tx) -> int:
        await tx.run_sync(TABLE.create)
        await tx.execute(insert(TABLE), [{"number": number} for number in range(200)])
        counted = await tx.scalar(select(func.count()).where(among(TABLE.c.number, asked)))
        await tx.run_sync(TABLE.drop)
        return int(counted)

    assert await database.write(work) == found
