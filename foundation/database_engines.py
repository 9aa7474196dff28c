"""Connections to SQLite and PostgreSQL, set up so that both keep the same promises."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, Connection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from foundation.errors import StorageUnavailable

BUSY_TIMEOUT_MS = 5_000
"""How long SQLite waits for another process that holds the write lock (a back-up, ``fediviews doctor``)."""

CONNECT_TIMEOUT_S = 10
GRACE_S = 5
"""What the client waits beyond the server's own time-out, for a server that says nothing at all."""

OLDEST_POSTGRESQL = 15


def check_version(engine: AsyncEngine) -> None:
    """Of PostgreSQL, known since the first connection. Raises StorageUnavailable when it is too old."""
    if engine.dialect.name == "postgresql":
        version = getattr(engine.dialect, "server_version_info", None)
        if version and version[0] < OLDEST_POSTGRESQL:
            raise StorageUnavailable(f"PostgreSQL {version[0]} is too old, it has to be {OLDEST_POSTGRESQL} or later")


def is_misconfigured(error: BaseException, url: URL) -> bool:
    """Did the driver refuse what it was told before it asked anybody? A file that is missing or may not be read is that
    of a certificate, unless a socket was looked for."""
    unread = isinstance(error, FileNotFoundError) or (isinstance(error, PermissionError) and error.filename is not None)
    return (unread and url.host is not None) or type(error).__name__ == "ClientConfigurationError"


def engines(url: URL, readers: int, statement_timeout_ms: int) -> tuple[AsyncEngine, AsyncEngine]:
    """One that reads, over ``readers`` connections, and one that writes, over a single one."""
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


def prepare_file(path: str) -> None:
    """The file holds what nobody else on the machine may read; SQLite gives its side files the same mode."""
    file = Path(path)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    file.chmod(0o600)
