"""One writer that commits whatever gathered during its previous commit: no timer, no write waits longer than two."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from foundation.clock import Clock
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics

I = TypeVar("I")  # noqa: E741 (an item)
T = TypeVar("T")

_log = logging.getLogger(__name__)

MAX_GROUP = 1_000
"""Writes of one commit at most: bounds how long a reader of the log, or a stop, has to wait."""

_SQLITE_SURROUNDINGS = {
    sqlite3.SQLITE_BUSY: "locked by another process",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_NOMEM: "out of memory",
    sqlite3.SQLITE_READONLY: "read only",
    sqlite3.SQLITE_IOERR: "input or output failed",
    sqlite3.SQLITE_CORRUPT: "the file is damaged",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened",
    sqlite3.SQLITE_PROTOCOL: "locked",
    sqlite3.SQLITE_NOTADB: "the file is not a database",
}

_CONFLICTS = frozenset({"40001", "40P01"})
"""SQLSTATE of a transaction that PostgreSQL rolled back for another's sake: serialization failure, deadlock."""

ATTEMPTS = 3
"""How often one write is tried against conflicts before its caller hears of them."""

_POSTGRES_SURROUNDINGS = {
    "08": "connection lost",
    "25006": "read only",
    "28": "not let in",
    "3D": "no such database",
    "40": "conflict with another transaction",
    "53": "out of resources",
    "55": "locked",
    "57": "the server is stopping or starting",
    "57014": "a statement took too long",
    "58": "input or output failed",
}
"""By SQLSTATE or its class, the first two characters (PostgreSQL, appendix A)."""


def why_unavailable(error: BaseException) -> str | None:
    """What is wrong with the surroundings (lock, disk, network), or None when the error is a statement's own."""
    if isinstance(error, PoolTimeout):
        return "every connection is busy"
    if isinstance(error, OSError):
        return "does not answer"
    origin = getattr(error, "orig", None) if isinstance(error, DBAPIError) else error
    if isinstance(origin, sqlite3.Error):
        code = getattr(origin, "sqlite_errorcode", None)
        return None if code is None else _SQLITE_SURROUNDINGS.get(code & 0xFF)
    state = _sqlstate(error) or ""
    for known in (state, state[:2]):
        if known in _POSTGRES_SURROUNDINGS:
            return _POSTGRES_SURROUNDINGS[known]
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return "connection lost"
    return None


class _Gone(Exception):
    """The database is not there: nothing of the group, nor of what waits behind it, can be done now."""


Work = Callable[[AsyncConnection, Sequence[Any]], Awaitable[Sequence[Any]]]
"""Does for every item what one write wants, in one go, and returns a result for each in their order."""


@dataclass(slots=True)
class _Waiting:
    work: Work
    item: Any
    done: asyncio.Future[Any]
    attempts: int = 0

    def resolve(self, result: object) -> None:
        if not self.done.done():
            self.done.set_result(result)

    def fail(self, error: BaseException) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class GroupWriter:
    """The only connection that writes. ``foundation.database.Database.write`` says what callers promise."""

    def __init__(self, engine: AsyncEngine, *, clock: Clock, metrics: Metrics, max_waiting: int) -> None:
        self._engine = engine
        self._clock = clock
        self._max_waiting = max_waiting
        self._waiting: deque[_Waiting] = deque()
        self._group: list[_Waiting] = []
        self._wake = asyncio.Event()
        self._connection: AsyncConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        metrics.gauge_from(
            "fediviews_database_waiting_writes", "Writes waiting for a commit.", lambda: float(len(self._waiting))
        )
        self._writes = metrics.counter("fediviews_database_writes_total", "Writes committed.")
        self._commits = metrics.counter("fediviews_database_commits_total", "Transactions committed by the writer.")
        self._splits = metrics.counter("fediviews_database_group_splits_total", "Groups split because a write failed.")
        failures = metrics.counter(
            "fediviews_database_failures_total", "Writes not done because of the surroundings.", ["reason"]
        )
        self._refused_full = failures.labels("queue_full")
        self._refused_gone = failures.labels("unavailable")
        self._seconds = metrics.histogram(
            "fediviews_database_commit_seconds",
            "Time from a group's begin to its commit.",
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5),
        )

    @property
    def fullness(self) -> float:
        """Share of the places for waiting writes that are taken."""
        return len(self._waiting) / self._max_waiting

    async def start(self) -> None:
        """Connect, so that a database that is not there is noticed now, and begin to take writes."""
        self._connection = await self._engine.connect()
        self._task = asyncio.create_task(self._run(), name="database-writer")

    async def submit(self, work: Callable[[AsyncConnection, Sequence[I]], Awaitable[Sequence[T]]], item: I) -> T:
        if self._stopping or self._task is None or self._task.done():
            raise StorageUnavailable("database: closed")
        if asyncio.current_task() is self._task:
            raise RuntimeError("a write inside a write would wait for itself")
        if len(self._waiting) >= self._max_waiting:
            self._refused_full.inc()
            raise StorageUnavailable("database: too many writes are waiting")
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(work, item, done))
        self._wake.set()
        return await done

    async def stop(self) -> None:
        """Commit what waits and end; writes submitted from now on are refused."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            try:
                await asyncio.wait([self._task])
            finally:
                self._task.cancel()
        await self._disconnect()

    async def _run(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    self._group = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_GROUP))]
                    await self._commit(self._group)
                if self._stopping:
                    return
        finally:
            for waiting in (*self._group, *self._waiting):
                waiting.fail(StorageUnavailable("database: closed"))
            self._waiting.clear()

    async def _commit(self, group: list[_Waiting]) -> bool:
        """Settle every write of the group; False when the database was not there."""
        group = [waiting for waiting in group if not waiting.done.done()]
        if not group:
            return True
        started = self._clock.monotonic_ms()
        try:
            results = await self._transact(group)
        except BaseException as error:
            if not isinstance(error, Exception) and _ends_the_writer(error):
                raise
            return await self._failed(group, error)
        self._seconds.observe((self._clock.monotonic_ms() - started) / 1000)
        self._commits.inc()
        self._writes.inc(len(group))
        for waiting, result in zip(group, results, strict=True):
            waiting.resolve(result)
        return True

    async def _transact(self, group: list[_Waiting]) -> list[object]:
        connection = await self._connected()
        shares: dict[Work, list[_Waiting]] = {}
        for waiting in group:
            shares.setdefault(waiting.work, []).append(waiting)
        results: dict[int, object] = {}
        async with connection.begin():
            for work, sharing in shares.items():
                made = await work(connection, [waiting.item for waiting in sharing])
                results.update(zip(map(id, sharing), made, strict=True))
        return [results[id(waiting)] for waiting in group]

    async def _failed(self, group: list[_Waiting], error: BaseException) -> bool:
        """Nothing of the group is known to be committed: find the culprit, unless that is the database itself."""
        reason = str(error) if isinstance(error, _Gone) else why_unavailable(error)
        conflict = _sqlstate(error) in _CONFLICTS
        if conflict and len(group) == 1 and group[0].attempts < ATTEMPTS:
            group[0].attempts += 1
            return await self._commit(group)
        if conflict and len(group) > 1:
            reason = None
        if reason is not None:
            await self._disconnect(broken=True)
        # Where the database failed nothing is run again: a commit under way may have arrived after all.
        if reason is not None and (len(group) == 1 or isinstance(error, _Gone | DBAPIError)):
            self._unavailable(group, reason, error)
            return False
        if len(group) == 1:
            group[0].fail(error)
            return True
        self._splits.inc()
        there = True
        for position, waiting in enumerate(group):
            if not there and not await self._reachable():
                self._unavailable(group[position:], "does not answer", error)
                return False
            there = await self._commit([waiting])
        return there

    async def _reachable(self) -> bool:
        try:
            return not (await self._connected()).closed
        except _Gone:
            return False

    def _unavailable(self, group: list[_Waiting], reason: str, cause: BaseException) -> None:
        for waiting in group:
            self._refused_gone.inc()
            failure = StorageUnavailable(f"database: {reason}")
            failure.__cause__ = cause
            waiting.fail(failure)

    async def _connected(self) -> AsyncConnection:
        if self._connection is not None and await self._was_hung_up(self._connection):
            await self._disconnect(broken=True)
        if self._connection is None:
            try:
                self._connection = await self._engine.connect()
            except Exception as error:
                raise _Gone(why_unavailable(error) or "does not answer") from error
        return self._connection

    async def _was_hung_up(self, connection: AsyncConnection) -> bool:
        """Did the server go away while nobody wrote? Known without asking, so that its restart costs no write."""
        if connection.dialect.name != "postgresql":
            return False
        if connection.closed or connection.invalidated:
            return True
        driver = (await connection.get_raw_connection()).driver_connection
        return driver is None or bool(driver.is_closed())

    async def _disconnect(self, *, broken: bool = False) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            if broken:
                await connection.invalidate()
            await connection.close()
        except Exception:
            # It is thrown away because it misbehaved; that it does so once more changes nothing.
            _log.warning("closing the writing connection failed", exc_info=True)


def _sqlstate(error: BaseException) -> str | None:
    """PostgreSQL's code of what went wrong, of SQLAlchemy's wrapper or of the driver's own exception."""
    state = getattr(getattr(error, "orig", error), "sqlstate", None)
    return state if isinstance(state, str) else None


def _ends_the_writer(error: BaseException) -> bool:
    """Is the writer itself to end? A cancellation that leaks out of a work is that work's failure only."""
    task = asyncio.current_task()
    return not isinstance(error, asyncio.CancelledError) or (task is not None and task.cancelling() > 0)
