"""SQL for everyone: one engine, reads from a pool, writes through one group-committing writer.

The code base is SQLAlchemy 2 Core on SQLite (embedded default) and PostgreSQL. ``upsert`` here is the one place that
knows their dialects; whatever else is written must run on both.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import MetaData, Table, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from foundation.clock import Clock
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

BUSY_TIMEOUT_MS = 5_000
"""How long SQLite waits for another process that holds the write lock (a back-up, ``fediviews doctor``)."""

READERS = 4
"""Connections that read at once, unless told otherwise."""

STATEMENT_TIMEOUT_MS = 60_000
"""How long a statement may take on PostgreSQL before it is broken off, unless told otherwise."""

CONNECT_TIMEOUT_S = 10
ACQUIRE_WITHIN_S = 3.0
"""How long a read waits for a connection that answers; then it is told to come again."""
GRACE_S = 5
"""What the client waits beyond the server's own time-out, for a server that says nothing at all."""

OLDEST_POSTGRESQL = 15
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


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

    def __init__(self, reader: AsyncEngine, writer: AsyncEngine, group: GroupWriter, place: str = "") -> None:
        self._reader = reader
        self._writer = writer
        self._group = group
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
    ) -> Database:
        """Connect and start the writer.

        ``url`` is ``sqlite:///path`` (four slashes for an absolute path) or ``postgresql://user@host/name``.
        ``readers`` bounds the concurrent read transactions, ``max_waiting`` the writes that wait for a commit,
        ``statement_timeout_ms`` any statement on PostgreSQL. Raises ConfigError for any other URL, StorageUnavailable,
        which names the place, when the database does not answer or is too old.
        """
        target = driver_url(url)
        reader, writer = _engines(target, readers, statement_timeout_ms)
        group = GroupWriter(writer, clock=clock, metrics=metrics, max_waiting=max_waiting)
        database = cls(reader, writer, group, place_of(target))
        try:
            if target.get_backend_name() == "sqlite":
                _prepare_file(target.database or "")
            await group.start()
            _check_version(writer)
        except BaseException as error:
            await database.close()
            if isinstance(error, StorageUnavailable):
                raise StorageUnavailable(f"database {database.place}: {error}") from error
            if _is_misconfigured(error, target):
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
        of them stands in the queue. After a failure it is called again with each item alone.
        """
        return await self._group.submit(work, item, patience_ms)

    async def close(self) -> None:
        """Commit what waits, then disconnect. Later writes raise StorageUnavailable."""
        try:
            await self._group.stop()
        finally:
            await self._dispose()

    async def _dispose(self) -> None:
        await self._writer.dispose()
        await self._reader.dispose()


def driver_url(url: str) -> URL:
    """``url`` with the asynchronous driver named. Raises ConfigError for a database that is not supported."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigError("storage.database", "not a database URL") from error
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return _postgresql(parsed)
    if backend != "sqlite":
        raise ConfigError("storage.database", f"{backend} is not supported: use sqlite or postgresql")
    if not parsed.database or parsed.database == ":memory:":
        raise ConfigError("storage.database", "SQLite needs a file: sqlite:///path")
    return parsed.set(drivername="sqlite+aiosqlite")


def place_of(url: URL) -> str:
    """What and where, for messages: a path, or an address without its password."""
    if url.get_backend_name() == "sqlite":
        return url.database or ""
    return url.set(drivername="postgresql").render_as_string(hide_password=True).replace("%2F", "/")


def _postgresql(url: URL) -> URL:
    """What libpq calls ``sslmode`` is ``ssl`` for the driver; it would stumble over names it does not know."""
    query: dict[str, str] = {}
    for name, value in url.query.items():
        if not isinstance(value, str) or name not in ("host", "port", "ssl", "sslmode"):
            raise ConfigError("storage.database", f"{name} is not understood: a URL takes host, port and sslmode once")
        query["ssl" if name == "sslmode" else name] = value
    if query.get("ssl", "prefer") not in SSL_MODES:
        raise ConfigError("storage.database", f"sslmode is none of {', '.join(SSL_MODES)}")
    if not query.get("port", "1").isdecimal():
        raise ConfigError("storage.database", "port is not a number")
    return url.set(drivername="postgresql+asyncpg", query=query)


def _check_version(engine: AsyncEngine) -> None:
    """Of PostgreSQL, known since the first connection."""
    if engine.dialect.name == "postgresql":
        version = getattr(engine.dialect, "server_version_info", None)
        if version and version[0] < OLDEST_POSTGRESQL:
            raise StorageUnavailable(f"PostgreSQL {version[0]} is too old, it has to be {OLDEST_POSTGRESQL} or later")


def _is_misconfigured(error: BaseException, url: URL) -> bool:
    """Did the driver refuse what it was told before it asked anybody? A file that is missing is that of a certificate,
    unless a socket was looked for."""
    unread = isinstance(error, FileNotFoundError) and url.host is not None
    return unread or type(error).__name__ == "ClientConfigurationError"


def _engines(url: URL, readers: int, statement_timeout_ms: int) -> tuple[AsyncEngine, AsyncEngine]:
    pool: dict[str, Any] = {"max_overflow": 0, "pool_timeout": 10}
    if url.get_backend_name() == "postgresql":
        settings = {"application_name": "fediviews", "statement_timeout": str(statement_timeout_ms)}
        # As SQLite does: a reader sees one instant and cannot write.
        reading = {"default_transaction_read_only": "on", "default_transaction_isolation": "repeatable read"}
        client = {"timeout": CONNECT_TIMEOUT_S, "command_timeout": statement_timeout_ms / 1000 + GRACE_S}
        only_read = {**client, "server_settings": {**settings, **reading}}
        return (
            create_async_engine(url, pool_size=readers, pool_pre_ping=True, connect_args=only_read, **pool),
            create_async_engine(url, pool_size=1, connect_args={**client, "server_settings": settings}, **pool),
        )
    reader = create_async_engine(url, pool_size=readers, **pool)
    writer = create_async_engine(url, pool_size=1, **pool)
    _tune_sqlite(reader, "BEGIN", writes=False)
    _tune_sqlite(writer, "BEGIN IMMEDIATE", writes=True)
    return reader, writer


def _tune_sqlite(engine: AsyncEngine, begin: str, *, writes: bool) -> None:
    """Take transactions away from the driver, which would begin them too late, and make commits survive a power cut."""
    pragmas = ["journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_TIMEOUT_MS}"]
    if not writes:
        pragmas.append("query_only=ON")

    def connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def began(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine.sync_engine, "connect", connected)
    event.listen(engine.sync_engine, "begin", began)


def _prepare_file(path: str) -> None:
    """The file holds what nobody else on the machine may read; SQLite gives its side files the same mode."""
    file = Path(path)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    file.chmod(0o600)
