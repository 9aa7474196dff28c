"""Forgets page visits that are old, in batches, with what was summed over them; totals of a site stay."""

from __future__ import annotations

from functools import partial

from sqlalchemy import ColumnElement, CursorResult, Table, bindparam, delete, select, tuple_, update

from foundation.clock import Clock
from foundation.database import Database, Transaction
from views.pages.buckets import LEVELS, MINUTE_MS, RADIX
from views.pages.paths import OTHER
from views.pages.series import Kind
from views.pages.tables import page_counts, page_series, page_sites, page_visitors, page_visits

BATCH = 1_000
"""Rows that one transaction takes away, so that counting never waits long behind it."""


class PageRetention:
    """Safe to run at any time, also in two processes at once."""

    def __init__(self, db: Database, clock: Clock, max_age_ms: int | None) -> None:
        self._db = db
        self._clock = clock
        self._max_age_ms = max_age_ms

    async def purge(self) -> int:
        """How many rows were forgotten: visits, visitors, and pages and hosts that had no view since. Raises
        StorageUnavailable: the rest goes the next time."""
        if self._max_age_ms is None:
            return 0
        before_ms = self._clock.now_ms() - self._max_age_ms
        forgotten = await self._all_of(page_visits, page_visits.c.at_ms < before_ms)
        forgotten += await self._all_of(page_visitors, page_visitors.c.last_ms < before_ms)
        length_ms = MINUTE_MS
        for level in range(LEVELS):
            # A bucket goes when all of it is too old.
            old = (page_counts.c.level == level) & (page_counts.c.bucket < before_ms // length_ms)
            forgotten += await self._all_of(page_counts, old)
            length_ms *= RADIX
        while batch := await self._db.write(partial(_forget_series, before_ms=before_ms)):
            forgotten += batch
        return forgotten

    async def _all_of(self, table: Table, old: ColumnElement[bool]) -> int:
        forgotten = 0
        while True:
            batch = await self._db.write(partial(_forget, table=table, old=old))
            forgotten += batch
            if batch < BATCH:
                return forgotten


async def _forget(tx: Transaction, *, table: Table, old: ColumnElement[bool]) -> int:
    await _lock_all(tx)
    keys = list(table.primary_key.columns)
    some = select(*keys).where(old).limit(BATCH)
    result = await tx.execute(delete(table).where(tuple_(*keys).in_(some)))
    assert isinstance(result, CursorResult)
    return result.rowcount


async def _forget_series(tx: Transaction, *, before_ms: int) -> int:
    """Paths and hosts without a view since; they give their room back."""
    of = page_series.c
    forgotten = 0
    for site in await _lock_all(tx):
        for kind, column in ((Kind.PATH, page_sites.c.paths), (Kind.REFERRER, page_sites.c.referrers)):
            old = select(of.number).where(of.site == site, of.kind == kind, of.last_ms < before_ms, of.name != OTHER)
            numbers = list((await tx.execute(old.limit(BATCH))).scalars())
            if not numbers:
                continue
            await tx.execute(delete(page_counts).where(page_counts.c.series.in_(numbers)))
            await tx.execute(delete(page_series).where(of.number.in_(numbers)))
            fewer = update(page_sites).where(page_sites.c.number == site)
            await tx.execute(fewer.values({column: column - bindparam("gone")}), {"gone": len(numbers)})
            forgotten += len(numbers)
    return forgotten


async def _lock_all(tx: Transaction) -> list[int]:
    """Every site: who is counting meanwhile would hold what we delete for known."""
    numbers = select(page_sites.c.number).order_by(page_sites.c.number).with_for_update()
    return list((await tx.execute(numbers)).scalars())
