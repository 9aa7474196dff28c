"""Tables copied in batches, in the order in which they refer to each other, and held against the source afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from asyncpg import PostgresError
from sqlalchemy import Column, Select, Table, func, select, text, tuple_
from sqlalchemy.exc import DBAPIError

from foundation.database import Database, Transaction
from foundation.errors import FediviewsError, StorageUnavailable
from service.moving import ledger
from service.moving.ledger import Key, Progress
from service.storage import schema
from views.stats.bulk import insert_rows
from views.stats.tables import STAYS
from views.tables import HOURS

_MONTHLY = {kept.table.name: kept for kept in (STAYS, HOURS)}

Report = Callable[[int, str], None]
"""Told how many rows are done, and of what table."""


class NotTheSameError(FediviewsError):
    """What arrived is not what was sent."""


def tables() -> list[Table]:
    """Every table of the product; whatever refers to another comes after it."""
    return schema.load().sorted_tables


async def count(tx: Transaction) -> dict[str, int]:
    """Rows of every table."""
    found = {}
    for table in tables():
        found[table.name] = int((await tx.execute(select(func.count()).select_from(table))).scalar_one())
    return found


class Copy:
    """From one transaction, which sees one instant, into ``target``, going on where ``ledger`` says."""

    def __init__(self, source: Transaction, target: Database, report: Report, batch: int) -> None:
        self._source = source
        self._target = target
        self._report = report
        self._batch = batch
        self._done = 0

    async def run(self) -> dict[str, int]:
        """Copy, set the sequences, verify; rows by table. Raises NotTheSameError, StorageUnavailable."""
        known = await ledger.progress_of(self._target)
        for table in tables():
            await self._copy(table, known.get(table.name, Progress()))
        for table in tables():
            await self._set_sequence(table)
        known, expected = await ledger.progress_of(self._target), await count(self._source)
        self._done = 0
        for table in tables():
            await self._verify(table, known[table.name], expected[table.name])
        return expected

    async def _copy(self, table: Table, progress: Progress) -> None:
        self._done += progress.copied
        self._report(self._done, table.name)
        while not progress.done:
            found = (await self._source.execute(_page(table, progress.last, self._batch))).all()
            last = _key(table, found[-1]) if found else progress.last
            progress = progress.after(found, last or (), done=len(found) < self._batch)
            try:
                await self._target.write(partial(_take, table=table, rows=found, progress=progress))
            except StorageUnavailable:
                raise
            except (DBAPIError, PostgresError, OSError, ValueError, TypeError) as problem:
                why = getattr(problem, "orig", problem)
                raise NotTheSameError(f"{table.name}: a row cannot be taken over: {why}") from problem
            self._done += len(found)
            self._report(self._done, table.name)

    async def _verify(self, table: Table, progress: Progress, expected: int) -> None:
        """The rows that are in the target now, against what was read from the source."""
        arrived, digest, last = 0, 0, None
        async with self._target.read() as tx:
            while True:
                found = (await tx.execute(_page(table, last, self._batch))).all()
                arrived, digest = arrived + len(found), ledger.digest_of(found, digest)
                self._report(self._done + arrived, f"{table.name} (verifying)")
                if len(found) < self._batch:
                    break
                last = _key(table, found[-1])
        self._done += arrived
        if arrived != expected:
            raise NotTheSameError(f"{table.name}: {expected:,} rows in the source, {arrived:,} in the target")
        if digest != progress.digest:
            raise NotTheSameError(f"{table.name}: the rows that arrived differ from those that were sent")

    async def _set_sequence(self, table: Table) -> None:
        """Numbers once given are never given again, those of rows that are gone neither."""
        column = table.autoincrement_column
        if column is None:
            return
        last = max(await _last_given(self._source, table, column), await _greatest(self._source, column))
        if last:
            await self._target.write(partial(_go_on_after, table=table, column=column, last=last))


async def _take(tx: Transaction, *, table: Table, rows: Sequence[Sequence[Any]], progress: Progress) -> None:
    monthly = _MONTHLY.get(table.name)
    if monthly is not None and rows:
        names = [column.name for column in table.c]
        kind, at = names.index(monthly.kind), names.index(monthly.at)
        await monthly.ready(tx, ((row[kind], row[at]) for row in rows))
    await insert_rows(tx, list(table.c), [tuple(row) for row in rows])
    await ledger.note(tx, table.name, progress)


def _page(table: Table, last: Key | None, limit: int) -> Select[Any]:
    keys = _keys(table)
    page = select(*table.c).order_by(*keys).limit(limit)
    if not last:
        return page
    return page.where(keys[0] > last[0] if len(keys) == 1 else tuple_(*keys) > tuple_(*last, types=_types(keys)))


def _keys(table: Table) -> list[Column[Any]]:
    return list(table.primary_key.columns)


def _types(keys: Sequence[Column[Any]]) -> list[Any]:
    return [key.type for key in keys]


def _key(table: Table, row: Any) -> Key:
    return tuple(_named(row, _keys(table)))


def _named(row: Any, keys: Sequence[Column[Any]]) -> Iterator[Any]:
    for key in keys:
        yield row._mapping[key]  # SQLAlchemy's public name for it


async def _greatest(tx: Transaction, column: Column[int]) -> int:
    return int((await tx.execute(select(func.coalesce(func.max(column), 0)))).scalar_one())


async def _last_given(tx: Transaction, table: Table, column: Column[int]) -> int:
    if tx.dialect.name == "postgresql":
        asked = text("SELECT pg_sequence_last_value(CAST(pg_get_serial_sequence(:name, :column) AS regclass))")
        return int((await tx.execute(asked, {"name": table.name, "column": column.name})).scalar_one() or 0)
    asked = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
    return int((await tx.execute(asked, {"name": table.name})).scalar_one_or_none() or 0)


async def _go_on_after(tx: Transaction, *, table: Table, column: Column[int], last: int) -> None:
    if tx.dialect.name == "postgresql":
        setting = text("SELECT setval(pg_get_serial_sequence(:name, :column), :last)")
        await tx.execute(setting, {"name": table.name, "column": column.name, "last": last})
        return
    await tx.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
    adding = text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)")
    await tx.execute(adding, {"name": table.name, "last": last})
