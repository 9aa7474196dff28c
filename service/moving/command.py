"""``fediviews migrate``: checks both ends, copies, and says what came of it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from typing import TextIO

from alembic.runtime.migration import MigrationContext
from sqlalchemy import delete, inspect, select, text

from federation.tables import instance
from foundation.clock import SystemClock
from foundation.database import Database
from foundation.database_urls import driver_url
from foundation.errors import ConfigError
from foundation.metrics import Metrics
from outbox.log import ActivityLog
from service.commands.bars import Bar
from service.moving import ledger
from service.moving.copying import Copy, count, tables
from service.moving.unused import NotReadyError, alone, check_unused, left_as_found
from service.storage.migrate import heads, migrate
from service.storage.stores import MIGRATION_TIMEOUT_MS
from views.stats.cleaner import Cleaner

BATCH = 5_000
"""Rows of one transaction; what a kill costs."""


async def move(source: str, target: str, out: TextIO, *, batch: int = BATCH) -> int:
    """Copy everything; 0 when it arrived and was verified. Raises ConfigError, StorageUnavailable, FediviewsError."""
    began = time.monotonic()
    if driver_url(source) == driver_url(target):
        raise ConfigError("--to", "is the same database")
    with ExitStack() as stack:
        keep = stack.enter_context(left_as_found(target))
        for url in (source, target):
            stack.enter_context(alone(url, needed=url == source))
        async with _opened(source) as left, _opened(target) as right:
            await check_unused(left)
            await check_unused(right)
            await _check_source(left)
            await _finish(left)
            await _prepare(left, right)
            keep()
            async with left.read() as tx:
                total = sum((await count(tx)).values())
                with Bar(out, total) as bar:
                    copied = await Copy(tx, right, bar.at, batch).run()
            await right.write(ledger.end)
            if right.dialect == "postgresql":
                await right.write(lambda tx: tx.execute(text("ANALYZE")))
    rows, filled = sum(copied.values()), sum(1 for number in copied.values() if number)
    print(
        f"{rows:,} rows of {filled} tables are in {right.place}, counted and compared,"
        f" in {time.monotonic() - began:.0f} s.\n"
        "Next: name it as storage.database and start the service; the old one can go when all is well.",
        file=out,
    )
    return 0


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Database]:
    clock = SystemClock()
    database = await Database.open(url, clock=clock, metrics=Metrics(), statement_timeout_ms=MIGRATION_TIMEOUT_MS)
    try:
        yield database
    finally:
        await database.close()


async def _check_source(db: Database) -> None:
    async with db.read() as tx:
        found = await tx.run_sync(lambda connection: MigrationContext.configure(connection).get_current_heads())
    if set(found) != heads():
        there = ", ".join(found) or "none"
        raise NotReadyError(
            f"{db.place}: its schema ({there}) is not of this release ({', '.join(heads())});"
            " start this release's service on it once, and stop it"
        )
    if await ledger.is_begun(db):
        raise NotReadyError(f"{db.place}: a copy into it was not finished; finish that first")


async def _finish(db: Database) -> None:
    """What PostgreSQL has that SQLite has not: activities without a number, months that are half forgotten."""
    if db.dialect == "postgresql":
        await ActivityLog(db).number()
        await Cleaner(db, SystemClock()).purge(local_max_age_ms=None, remote_max_age_ms=None)


async def _prepare(source: Database, target: Database) -> None:
    """An empty target of this release, or one that a copy of this source has begun."""
    if await ledger.is_begun(target):
        begun = await ledger.source_of(target)
        if begun != source.place:
            raise NotReadyError(f"{target.place}: a copy of {begun} was not finished; finish it, or take an empty one")
        return
    async with target.read() as tx:
        there = set(await tx.run_sync(lambda connection: inspect(connection).get_table_names()))
        for table in tables():
            if table is instance:
                # A start alone leaves its name there.
                continue
            if table.name in there and (await tx.execute(select(1).select_from(table).limit(1))).first() is not None:
                raise NotReadyError(f"{target.place}: it is not empty: there are rows in {table.name}")
    await migrate(target)
    await target.write(lambda tx: tx.execute(delete(instance)))
    await target.write(partial(ledger.begin, source=source.place))
