"""Many rows at once, as fast as each database takes them, inside the transaction of whoever asks.

SQLite: one prepared statement run for every row in the driver. PostgreSQL: COPY for new rows, one statement over arrays
for sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, text

from foundation.database import Transaction

Row = Sequence[Any]

_BOUND_AT_ONCE = 500


async def insert_missing(
    tx: Transaction, columns: Sequence[Column[Any]], rows: Sequence[Row], returning: Sequence[Column[Any]]
) -> list[Row]:
    """New rows, but for those that meet a unique one; ``returning`` of each that was new. Keys are unique and sorted,
    so that processes that insert the same never wait for each other in a circle."""
    if not rows:
        return []
    table, names = columns[0].table, [column.name for column in columns]
    into = f"INSERT INTO {table} ({', '.join(names)})"
    rest = f"ON CONFLICT DO NOTHING RETURNING {', '.join(column.name for column in returning)}"
    if tx.dialect.name == "postgresql":
        driver = await _driver(tx)
        statement = f"{into} SELECT * FROM unnest({_arrays(tx, columns)}) {rest}"  # noqa: S608
        return list(await driver.fetch(statement, *map(list, zip(*rows, strict=True))))
    found: list[Row] = []
    for at in range(0, len(rows), _BOUND_AT_ONCE):
        some = rows[at : at + _BOUND_AT_ONCE]
        marks = ", ".join([f"({', '.join('?' * len(names))})"] * len(some))
        values = tuple(value for row in some for value in row)
        found += await tx.exec_driver_sql(f"{into} VALUES {marks} {rest}", values)
    return found


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
        statement = f"{into} SELECT * FROM unnest({_arrays(tx, columns)}) {conflict}"  # noqa: S608
        await driver.execute(statement, *map(list, zip(*rows, strict=True)))
        return
    marks = ", ".join("?" * len(names))
    await tx.exec_driver_sql(f"{into} VALUES ({marks}) {conflict}", [tuple(row) for row in rows])


async def forget_empty(
    tx: Transaction, keys: Sequence[Column[Any]], sums: Sequence[Column[Any]], rows: Sequence[Row]
) -> None:
    """Delete the rows of these keys (the first values of each of ``rows``) whose sums are all 0."""
    if not rows:
        return
    table, names = keys[0].table, [key.name for key in keys]
    rows = [row[: len(keys)] for row in rows]
    empty = " AND ".join(f"{table}.{column.name} = 0" for column in sums)
    if tx.dialect.name == "postgresql":
        driver = await _driver(tx)
        same = " AND ".join(f"{table}.{name} = known.{name}" for name in names)
        known = f"unnest({_arrays(tx, keys)}) AS known({', '.join(names)})"
        statement = f"DELETE FROM {table} USING {known} WHERE {same} AND {empty}"  # noqa: S608
        await driver.execute(statement, *map(list, zip(*rows, strict=True)))
        return
    same = " AND ".join(f"{name} = ?" for name in names)
    await tx.exec_driver_sql(f"DELETE FROM {table} WHERE {same} AND {empty}", [tuple(row) for row in rows])  # noqa: S608


def _arrays(tx: Transaction, columns: Sequence[Column[Any]]) -> str:
    return ", ".join(f"${at}::{column.type.compile(tx.dialect)}[]" for at, column in enumerate(columns, 1))


async def _driver(tx: Transaction) -> Any:
    """asyncpg's connection, in the transaction: SQLAlchemy begins it with the first statement of its own."""
    await tx.execute(text("SELECT 1"))
    return (await tx.get_raw_connection()).driver_connection
