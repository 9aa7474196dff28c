"""That nobody uses a database which is about to be changed as a whole."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

from sqlalchemy import text

from foundation.database import Database, Transaction
from foundation.database_urls import driver_url
from foundation.database_use import SUFFIX
from foundation.errors import FediviewsError
from service.storage.stores import JOURNAL_DIRECTORY


class NotReadyError(FediviewsError):
    """A database is not as it has to be."""


@contextmanager
def alone(url: str, *, needed: bool) -> Iterator[None]:
    """For a file: nobody has it open now, and no service beside its journal starts before we are done."""
    parsed = driver_url(url)
    if parsed.get_backend_name() != "sqlite":
        yield
        return
    path = Path(parsed.database or "")
    if not path.exists():
        if needed:
            raise NotReadyError(f"{path}: there is no such file")
        yield
        return
    with ExitStack() as stack:
        lock = path.parent / JOURNAL_DIRECTORY / "lock"
        if lock.exists():
            held = os.open(lock, os.O_WRONLY)
            stack.callback(os.close, held)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise NotReadyError(f"{path}: a service is running on it; stop that first") from None
        try:
            with closing(sqlite3.connect(path, timeout=0.5, isolation_level=None)) as connection:
                # In WAL mode nobody gets this while another process has the file open.
                connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                connection.execute("BEGIN EXCLUSIVE")
                connection.execute("COMMIT")
        except sqlite3.DatabaseError as problem:
            raise NotReadyError(f"{path}: in use or not a database ({problem}); stop the service first") from None
        yield


async def check_unused(db: Database) -> None:
    """On PostgreSQL by who is connected: a service of the same user shows its name."""
    if db.dialect != "postgresql":
        return
    asked = text(
        "SELECT count(DISTINCT pid) FROM pg_stat_activity WHERE application_name = 'fediviews'"
        " AND datname = current_database() AND pid NOT IN (SELECT unnest(CAST(:own AS int[])))"
    )
    own = await db.write(_pid)
    async with db.read() as tx:
        others = (await tx.execute(asked, {"own": [own, await _pid(tx)]})).scalar_one()
    if others:
        raise NotReadyError(f"{db.place}: a service is connected to it ({others} connections); stop that first")


async def _pid(tx: Transaction) -> int:
    return int((await tx.execute(text("SELECT pg_backend_pid()"))).scalar_one())


@contextmanager
def left_as_found(url: str) -> Iterator[Callable[[], None]]:
    """A file that is not there yet is not there afterwards either, nor its directories, unless the function given was
    called: from then on there is something in it worth keeping."""
    parsed = driver_url(url)
    path = Path(parsed.database or "")
    if parsed.get_backend_name() != "sqlite" or path.exists():
        yield lambda: None
        return
    made = [each for each in path.parents if not each.exists()]
    kept = False

    def keep() -> None:
        nonlocal kept
        kept = True

    try:
        yield keep
    finally:
        if not kept:
            for suffix in ("", "-wal", "-shm", SUFFIX):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            for directory in made:
                with suppress(OSError):
                    directory.rmdir()
