"""SQL for everyone: one engine, reads from a pool, writes through one group-committing writer.

The code base is SQLAlchemy 2 Core on SQLite (embedded default) and PostgreSQL. ``upsert`` here is the one place that
knows their dialects; whatever else is written must run on both.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TypeVar

from sqlalchemy import MetaData, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from foundation.clock import Clock
from foundation.database_engines import check_version, engines, is_misconfigured, prepare_file
from foundation.database_urls import driver_url, place_of
from foundation.database_use import Use, use_of
from foundation.errors import ConfigError, StorageUnavailable
from foundation.group_commit import GroupWriter
from foundation.metrics import Metrics
from foundation.surroundings import why_unavailable

I = TypeVar("I")  # noqa: E741 (an item)
T = TypeVar("T")

Transaction = AsyncConnection
"""An open transaction; whoever holds one neither commits nor rolls back."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)
"""Every table of the product; the packages define theirs in ``tables.py``."""

READERS = 4
"""Connections that read at once, unless told otherwise."""

STATEMENT_TIMEOUT_MS = 60_000
"""How long a statement may take on PostgreSQL before it is broken off, unless told otherwise."""

ACQUIRE_WITHIN_S = 3.0
"""How long a read waits for a connection that answers; then it is told to come again."""


def upsert(tx: Transaction, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT of the dialect in use, to be completed with ``.values(...)`` and a rule for the row that is there.

    ``.on_conflict_do_update(index_elements=[...], set_={...})``, ``.on_conflict_do_nothing()`` and ``.returning(...)``
    mean the same on both dialects; ``statement.excluded`` names the row that met the conflict.
    """
    if tx.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


class Database:
    """Open with ``await Database.open(...)``; several may be open in one process (each wants its own ``Metrics``)."""

    def __init__(self, reader: AsyncEngine, writer: AsyncEngine, group: GroupWriter, use: Use, place: str = "") -> None:
        self._reader = reader
        self._writer = writer
        self._group = group
        self._use = use
        self.place = place
        """What and where it is, for people; without a password."""

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        clock: Clock,
        metrics: Metrics,
        readers: int = READERS,
        max_waiting: int = 10_000,
        statement_timeout_ms: int = STATEMENT_TIMEOUT_MS,
        in_use: bool = False,
    ) -> Database:
        """Connect and start the writer.

        ``url`` is ``sqlite:///path`` (four slashes for an absolute path) or ``postgresql://user@host/name``.
        ``readers`` bounds the concurrent read transactions, ``max_waiting`` the writes that wait for a commit,
        ``statement_timeout_ms`` any statement on PostgreSQL. While it is open ``in_use``, ``check_free`` of others says
        that somebody runs on it. Raises ConfigError for any other URL, StorageUnavailable, which names the place, when
        the database does not answer or is too old.
        """
        target = driver_url(url)
        reader, writer = engines(target, readers, statement_timeout_ms)
        group = GroupWriter(writer, clock=clock, metrics=metrics, max_waiting=max_waiting)
        use = use_of(target, writer)
        database = cls(reader, writer, group, use, place_of(target))
        try:
            if target.get_backend_name() == "sqlite":
                prepare_file(target.database or "")
            if in_use:
                use.share()
            await group.start()
            check_version(writer)
        except BaseException as error:
            await database.close()
            if isinstance(error, StorageUnavailable):
                raise StorageUnavailable(f"database {database.place}: {error}") from error
            if is_misconfigured(error, target):
                raise ConfigError("storage.database", f"{database.place} cannot be used: {error}") from error
            reason = why_unavailable(error)
            if reason is None:
                raise
            raise StorageUnavailable(f"database {database.place}: {reason}") from error
        return database

    async def check(self) -> None:
        """Raises StorageUnavailable, naming where and why, while the database does not answer."""
        try:
            async with self.read() as tx:
                await tx.exec_driver_sql("SELECT 1")
        except StorageUnavailable as problem:
            raise StorageUnavailable(f"{problem} ({self.place})") from problem

    async def check_free(self, tx: Transaction) -> None:
        """Within a write: nobody runs on it (``in_use``), and who begins to waits for the end of ``tx``. Raises
        StorageUnavailable where somebody does; a database must not call this when it was opened ``in_use`` itself."""
        if not await self._use.is_free(tx):
            raise StorageUnavailable(f"{self.place} is in use: stop every service and command that runs on it first")

    @property
    def fullness(self) -> float:
        """Share of the places for waiting writes that are taken; at 1.0 writes are refused."""
        return self._group.fullness

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self._writer.dialect.name

    @property
    def is_gone(self) -> bool:
        """Whether the last write found no database, or one that takes too long: reading may take long, too."""
        return self._group.gone

    def read(self) -> AbstractAsyncContextManager[Transaction]:
        """``async with db.read() as tx``: a read transaction from the pool, which sees one instant; writing
        through it is an error.

        Raises StorageUnavailable when the database does not answer or every reader stays busy.
        """
        return self._reading()

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Transaction]:
        try:
            async with AsyncExitStack() as stack:
                # A server that hangs is noticed here, by the question whether the connection is still good.
                async with asyncio.timeout(ACQUIRE_WITHIN_S):
                    connection = await stack.enter_async_context(self._reader.connect())
                    _ = await stack.enter_async_context(connection.begin())
                yield connection
        except Exception as error:
            reason = why_unavailable(error)
            if reason is None:
                raise
            raise StorageUnavailable(f"database: {reason}") from error

    async def write(self, work: Callable[[Transaction], Awaitable[T]], *, patience_ms: int | None = None) -> T:
        """Run ``work`` in a transaction and return its result once that is durable.

        Writes run one after another in the order of their calls; those that gather while a commit is under way share
        the next one. When a write of such a group raises, the group is rolled back and each of its writes is run
        *again*, alone: so ``work`` writes only through the transaction it is given (no in-memory change, no counter),
        lets database errors through, waits for nothing but its own statements, and never calls ``write`` itself.

        Raises what ``work`` raised, or StorageUnavailable: the queue is full, the database is locked, full or gone, or
        does not begin within ``patience_ms`` (None: whoever is before it decides). OutcomeUnknown, one of those: it was
        lost during the commit, or takes four times as long, and may be done all the same.
        A caller that is cancelled while it waits does not learn whether its work was committed.
        """

        async def alone(tx: Transaction, _: Sequence[None]) -> Sequence[T]:
            return [await work(tx)]

        return await self._group.submit(alone, None, patience_ms)

    async def write_together(
        self,
        work: Callable[[Transaction, Sequence[I]], Awaitable[Sequence[T]]],
        item: I,
        *,
        patience_ms: int | None = None,
    ) -> T:
        """As ``write``, for what many callers want at once: ``work`` is called once per transaction with the items of
        all who share it, and returns a result for each in their order, so that a hundred equal writes cost the
        statements of a few.

        Callers share when their ``work`` is equal (a function, or a method of the same object). It runs where the first
        of them stands in the queue, or another shared one does: those run in the order of their names, so that two
        processes do not wait for each other in a circle. After a failure it is called again with each item alone.
        """
        return await self._group.submit(work, item, patience_ms, _name_of(work))

    async def close(self) -> None:
        """Commit what waits, then disconnect. Later writes raise StorageUnavailable."""
        try:
            await self._group.stop()
        finally:
            await self._dispose()

    async def _dispose(self) -> None:
        await self._writer.dispose()
        await self._reader.dispose()
        self._use.end()


def _name_of(work: Callable[..., object]) -> str:
    return f"{work.__module__}.{getattr(work, '__qualname__', '')}"
