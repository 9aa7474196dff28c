"""Tables that PostgreSQL keeps in one partition per month: what is old goes as a whole and leaves no dead rows.

SQLite keeps each of them as one plain table; everything here does nothing there. Partitions are made ahead by a
periodic task, and by whoever writes a row of a month that has none. An old one is first detached, which hides it from
every query, then read through by whoever has to take its rows out of sums, then dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Table, text
from sqlalchemy.exc import DBAPIError

from foundation.database import Database, Transaction

_log = logging.getLogger(__name__)

MONTHS_AHEAD = 2
"""Months after the present one that have partitions before anybody writes to them."""

LOCK_TIMEOUT_MS = 3_000
"""How long detaching may wait for readers and writers, who wait behind it meanwhile; it is tried again later."""

_GONE = "_gone"
_LOCK_NOT_AVAILABLE = "55P03"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_YEAR = 9999


class Month(NamedTuple):
    """A month of UTC."""

    year: int
    month: int

    @classmethod
    def of(cls, at_ms: int) -> Month:
        """Of an instant (Unix milliseconds); what no calendar names is put at its ends."""
        seconds = min(max(at_ms // 1000, -62_135_596_800), 253_370_764_800 + 364 * 86_400)
        day = datetime.fromtimestamp(seconds, UTC)
        return cls(day.year, day.month)

    @property
    def next(self) -> Month:
        return Month(self.year + self.month // 12, self.month % 12 + 1)

    @property
    def begins_ms(self) -> int:
        if self.year > _LAST_YEAR:
            return 2**62
        return int((datetime(self.year, self.month, 1, tzinfo=UTC) - _EPOCH).total_seconds()) * 1000


@dataclass(frozen=True, slots=True)
class Monthly:
    """How ``table`` is kept: by a Boolean column, whose two kinds of rows may be kept for different times, and by the
    month of ``at`` (Unix milliseconds). The table itself says ``postgresql_partition_by=by(kind, at)``.

    ``names`` are of the kinds false and true. Identifiers come out of ``tables.py``, never from outside.
    """

    table: Table
    kind: str
    names: tuple[str, str]
    at: str

    def name_of(self, kind: bool, month: Month) -> str:
        return f"{self.table.name}_{self.names[kind]}_{month.year:04}_{month.month:02}"

    async def ready(self, tx: Transaction, rows: Iterable[tuple[bool, int]]) -> None:
        """Let there be partitions for rows of these kinds and instants, until the transaction ends at least."""
        if tx.dialect.name != "postgresql":
            return
        wanted = {self.name_of(kind, month): (kind, month) for kind, month in {(k, Month.of(at)) for k, at in rows}}
        # Held against whoever would take a partition away between this look and the rows.
        await tx.execute(text(f"LOCK TABLE ONLY {self.table.name} IN ROW EXCLUSIVE MODE"))
        if not wanted.keys() - await self._attached(tx):
            return
        await tx.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"months of {self.table}"})
        for name in sorted(wanted.keys() - await self._attached(tx)):
            await self._make(tx, name, *wanted[name])

    async def ahead(self, db: Database, now_ms: int) -> None:
        """Partitions for the present month and those that come. Safe in several processes at once."""
        months = [Month.of(now_ms)]
        for _ in range(MONTHS_AHEAD):
            months.append(months[-1].next)
        wanted = [(kind, month.begins_ms) for kind in (False, True) for month in months]
        if db.dialect == "postgresql":
            await db.write(lambda tx: self.ready(tx, wanted))

    async def detach_old(self, tx: Transaction, kind: bool, before_ms: int) -> list[str]:
        """Hide the partitions all of whose rows are older; the names they have from now on. None of them while somebody
        reads or writes the table for longer than one wants others to wait: to be tried again later."""
        prefix, hidden = f"{self.table.name}_{self.names[kind]}_", []
        old = [name for name in await self._attached(tx) if _is_old(name, prefix, before_ms)]
        if not old:
            return []
        if not await self._locked(tx):
            _log.info("%s is in use: what is too old in it goes the next time", self.table.name)
            return []
        taken = await self.detached(tx, kind)
        for name in sorted(set(old) & await self._attached(tx)):
            if name + _GONE not in taken:
                await tx.execute(text(f"ALTER TABLE {self.table.name} DETACH PARTITION {name}"))
                await tx.execute(text(f"ALTER TABLE {name} RENAME TO {name}{_GONE}"))
                hidden.append(name + _GONE)
        return hidden

    async def _locked(self, tx: Transaction) -> bool:
        """Whether the lock on the parent came in time. Other writes of the transaction are not to notice."""
        try:
            async with tx.begin_nested():
                await tx.execute(text(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}"))
                await tx.execute(text(f"LOCK TABLE ONLY {self.table.name} IN ACCESS EXCLUSIVE MODE"))
        except DBAPIError as problem:
            if getattr(problem.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
            return False
        await tx.execute(text("SET LOCAL lock_timeout = DEFAULT"))
        return True

    async def detached(self, tx: Transaction, kind: bool) -> list[str]:
        """Names of hidden partitions that are still there."""
        if tx.dialect.name != "postgresql":
            return []
        asked = text(
            "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"
            " AND NOT relispartition AND starts_with(relname, :prefix) AND right(relname, 5) = :gone"
        )
        prefix = f"{self.table.name}_{self.names[kind]}_"
        return sorted((await tx.execute(asked, {"prefix": prefix, "gone": _GONE})).scalars())

    async def _attached(self, tx: Transaction) -> set[str]:
        asked = text(
            "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid"
            " WHERE inhparent = CAST(CAST(:parent AS text) AS regclass)"
        )
        return set((await tx.execute(asked, {"parent": self.table.name})).scalars())

    async def _make(self, tx: Transaction, name: str, kind: bool, month: Month) -> None:
        """Made apart and attached, which nobody who reads or writes has to wait for."""
        parent, flag = self.table.name, str(kind).lower()
        await tx.execute(text(f"CREATE TABLE {name} (LIKE {parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"))
        bounds = f"FROM ({flag}, {month.begins_ms}) TO ({flag}, {month.next.begins_ms})"
        await tx.execute(text(f"ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES {bounds}"))


def by(kind: str, at: str) -> str:
    """For ``postgresql_partition_by`` of a table."""
    return f"RANGE ({kind}, {at})"


def _is_old(name: str, prefix: str, before_ms: int) -> bool:
    if not name.startswith(prefix):
        return False
    year, month = name.removeprefix(prefix).split("_")
    return Month(int(year), int(month)).next.begins_ms <= before_ms


async def noted(tx: Transaction, name: str) -> str | None:
    """How far a detached partition was read, as ``note`` wrote it; locks the partition until the transaction ends, so
    that two processes go on one after the other. None: it is gone."""
    there = text("SELECT CAST(:name AS text) IN (SELECT relname FROM pg_class)")
    await tx.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": name})
    if not (await tx.execute(there, {"name": name})).scalar_one():
        return None
    said = text("SELECT obj_description(CAST(CAST(:name AS text) AS regclass))")
    return (await tx.execute(said, {"name": name})).scalar_one() or ""


async def note(tx: Transaction, name: str, upto: str) -> None:
    """Write on a detached partition how far it was read (digits and spaces): kept with it, gone with it, rolled back
    with the rest."""
    await tx.execute(text(f"COMMENT ON TABLE {name} IS '{upto}'"))


async def drop(tx: Transaction, names: Sequence[str]) -> None:
    for name in names:
        await tx.execute(text(f"DROP TABLE IF EXISTS {name}"))
