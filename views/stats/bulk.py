"""Many rows at once, as fast as each database takes them, inside the transaction of whoever asks.

SQLite: one prepared statement run for every row in the driver. PostgreSQL: COPY for new rows, one statement over arrays
for sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, Table, func, select, text

from foundation.database import Transaction

Row = Sequence[Any]


async def reserve_ids(tx: Transaction, table: Table, count: int) -> range | list[int]:
    """``count`` values for the ``id`` of new rows, ascending."""
    if tx.dialect.name == "postgresql":
        taken = text("SELECT nextval(pg_get_serial_sequence(:name, 'id')) FROM generate_series(1, :count)")
        return sorted((await tx.execute(taken, {"name": table.name, "count": count})).scalars())
    # The only writer, in a transaction that holds the write lock.
    last = (await tx.execute(select(func.coalesce(func.max(table.c.id), 0)))).scalar_one()
    return range(last + 1, last + 1 + count)


async def insert_rows(tx: Transaction, columns: Sequence[Column[Any]], rows: Sequence[Row]) -> None:
    """New rows; a conflict is an error (IntegrityError, asyncpg's own on PostgreSQL) that ends the transaction."""
    if not rows:
        return
    table, names = columns[0].table, [column.name for column in columns]
    if tx.dialect.name == "postgresql":
        driver = await _driver(tx)
        await driver.copy_records_to_table(str(table), records=rows, columns=names)
        return
    marks = ", ".join("?" * len(names))
    # Names out of ``tables.py``, and marks.
    statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608
    await tx.exec_driver_sql(statement, [tuple(row) for row in rows])


async def add_sums(
    tx: Transaction,
    keys: Sequence[Column[Any]],
    sums: Sequence[Column[Any]],
    rows: Sequence[Row],
    unknown: Sequence[Column[Any]] = (),
) -> None:
    """Add to the row of each key, or make it; ``unknown`` columns become NULL. Keys are unique and sorted."""
    if not rows:
        return
    table, columns = keys[0].table, [*keys, *sums]
    names = [column.name for column in columns]
    changes = [f"{column.name} = {table}.{column.name} + excluded.{column.name}" for column in sums]
    changes += [f"{column.name} = NULL" for column in unknown]
    conflict = f"ON CONFLICT ({', '.join(key.name for key in keys)}) DO UPDATE SET {', '.join(changes)}"
    into = f"INSERT INTO {table} ({', '.join(names)})"
    if tx.dialect.name == "postgresql":
        driver = await _driver(tx)
        arrays = ", ".join(f"${at}::{column.type.compile(tx.dialect)}[]" for at, column in enumerate(columns, 1))
        statement = f"{into} SELECT * FROM unnest({arrays}) {conflict}"  # noqa: S608
        await driver.execute(statement, *map(list, zip(*rows, strict=True)))
        return
    marks = ", ".join("?" * len(names))
    await tx.exec_driver_sql(f"{into} VALUES ({marks}) {conflict}", [tuple(row) for row in rows])


async def _driver(tx: Transaction) -> Any:
    """asyncpg's connection, in the transaction: SQLAlchemy begins it with the first statement of its own."""
    await tx.execute(text("SELECT 1"))
    return (await tx.get_raw_connection()).driver_connection
