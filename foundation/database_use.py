"""Who uses a database. Whoever runs on one shares it with others who do; whoever changes it as a whole (its schema,
whose it is) does so while nobody runs on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import event, text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from foundation.file_locks import FileLock

SUFFIX = "-lock"
"""Behind the name of the file; SQLite's own are ``-wal`` and ``-shm``."""

_KEY = 0x0FED1_05E5
"""Of the advisory lock on PostgreSQL; any number that nothing else uses."""


class Use(Protocol):
    """Of one database, by one ``Database``."""

    def share(self) -> None:
        """From now on, or from the next connection on. Raises OSError."""

    async def is_free(self, tx: AsyncConnection) -> bool:
        """Whether nobody runs on it. Who begins to does not see it before ``tx`` has ended."""

    def end(self) -> None: ...


def use_of(url: URL, writer: AsyncEngine) -> Use:
    if url.get_backend_name() == "postgresql":
        return _ServerUse(writer)
    return _FileUse(Path(url.database or ""))


class _FileUse:
    def __init__(self, path: Path) -> None:
        self._lock = FileLock(path.with_name(path.name + SUFFIX))

    def share(self) -> None:
        # It never waits long: whoever looks whether it is free has the lock for a moment.
        self._lock.share()

    async def is_free(self, tx: AsyncConnection) -> bool:
        """``tx`` holds SQLite's lock of writing: who begins meanwhile still has to look into the database after it."""
        free = self._lock.take()
        self._lock.release()
        return free

    def end(self) -> None:
        self._lock.release()


class _ServerUse:
    """On the connection that writes, so that the lock comes back with it and goes with its process."""

    def __init__(self, writer: AsyncEngine) -> None:
        self._writer = writer

    def share(self) -> None:
        event.listen(self._writer.sync_engine, "connect", _share)

    async def is_free(self, tx: AsyncConnection) -> bool:
        return bool((await tx.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _KEY})).scalar_one())

    def end(self) -> None:
        """The connection is closed."""


def _share(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute(f"SELECT pg_advisory_lock_shared({_KEY})")
    cursor.close()
    connection.commit()
