"""One writer that commits whatever gathered during its previous commit: no timer, no write waits longer than two."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from foundation.clock import Clock
from foundation.errors import OutcomeUnknown, StorageUnavailable
from foundation.metrics import Metrics
from foundation.surroundings import is_conflict, is_in_doubt, why_unavailable

I = TypeVar("I")  # noqa: E741 (an item)
T = TypeVar("T")

_log = logging.getLogger(__name__)

MAX_GROUP = 1_000
"""Writes of one commit at most: bounds how long a reader of the log, or a stop, has to wait."""

ATTEMPTS = 3
"""How often one write is tried against conflicts before its caller hears of them."""

BEGUN = 4
"""Whoever is impatient waits so many times as long once its statements run: until then nobody knows what becomes of
them, and SQLite alone may wait 5 s for a lock."""


class _Gone(Exception):
    """The database is not there: nothing of the group, nor of what waits behind it, can be done now."""


Work = Callable[[AsyncConnection, Sequence[Any]], Awaitable[Sequence[Any]]]
"""Does for every item what one write wants, in one go, and returns a result for each in their order."""


@dataclass(slots=True)
class _Waiting:
    work: Work
    item: Any
    done: asyncio.Future[Any]
    name: str = ""
    """Where it is shared: what is done, the same in every process."""
    attempts: int = 0
    begun: bool = False
    """Its statements run, or its commit."""

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
        self._committing = False
        self.gone = False
        """Nothing was committed since the database did not answer, or did not in time."""
        self._stalled = False
        self._hopeless_until_ms = 0
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

    async def submit(
        self,
        work: Callable[[AsyncConnection, Sequence[I]], Awaitable[Sequence[T]]],
        item: I,
        patience_ms: int | None = None,
        name: str = "",
    ) -> T:
        if self._stopping or self._task is None or self._task.done():
            raise StorageUnavailable("database: closed")
        if asyncio.current_task() is self._task:
            raise RuntimeError("a write inside a write would wait for itself")
        if len(self._waiting) >= self._max_waiting:
            self._refused_full.inc()
            raise StorageUnavailable("database: too many writes are waiting")
        if self._clock.monotonic_ms() < self._hopeless_until_ms:
            self._refused_gone.inc()
            raise StorageUnavailable("database: does not answer")
        if patience_ms is not None and self._stalled:
            raise StorageUnavailable("database: takes too long")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        waiting = _Waiting(work, item, done, name)
        self._waiting.append(waiting)
        self._wake.set()
        if patience_ms is None:
            return await done
        ends = [
            loop.call_later(patience_ms * times / 1000, self._lose_patience, waiting, times) for times in (1, BEGUN)
        ]
        try:
            return await done
        finally:
            for each in ends:
                each.cancel()

    def _lose_patience(self, waiting: _Waiting, times: int) -> None:
        if not waiting.begun:
            # Until the group under way has ended, others need not wait for the same.
            self._stalled = self.gone = True
            waiting.fail(StorageUnavailable("database: takes too long"))
        elif times == BEGUN:
            waiting.fail(OutcomeUnknown("database: takes too long"))

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
                    self._stalled = False
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
        self._committing = False
        try:
            results = await self._transact(await self._connected(), group)
        except BaseException as error:
            if not isinstance(error, Exception) and _ends_the_writer(error):
                raise
            return await self._failed(group, error)
        self._seconds.observe((self._clock.monotonic_ms() - started) / 1000)
        self._commits.inc()
        self.gone = False
        self._writes.inc(len(results))
        for waiting in group:
            if waiting.begun:
                waiting.resolve(results[id(waiting)])
        return True

    async def _transact(self, connection: AsyncConnection, group: list[_Waiting]) -> dict[int, object]:
        """Results by the identity of those who still wait."""
        results: dict[int, object] = {}
        async with connection.begin():
            shares: dict[Work, list[_Waiting]] = {}
            for waiting in group:
                # Somebody may have lost patience while we looked for the database, or waited for its lock.
                if not waiting.done.done():
                    waiting.begun = True
                    shares.setdefault(waiting.work, []).append(waiting)
            for sharing in _in_one_order(list(shares.values())):
                work = sharing[0].work
                made = await work(connection, [waiting.item for waiting in sharing])
                results.update(zip(map(id, sharing), made, strict=True))
            self._committing = True
        return results

    async def _failed(self, group: list[_Waiting], error: BaseException) -> bool:
        """Nothing of the group is known to be committed: find the culprit, unless that is the database itself."""
        for waiting in group:
            waiting.begun = False
        reason = str(error) if isinstance(error, _Gone) else why_unavailable(error)
        if self._committing and reason is not None and is_in_doubt(error):
            await self._disconnect(broken=True)
            self._unavailable(group, reason, error, OutcomeUnknown)
            return False
        conflict = is_conflict(error)
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

    def _unavailable(
        self,
        group: list[_Waiting],
        reason: str,
        cause: BaseException,
        kind: type[StorageUnavailable] = StorageUnavailable,
    ) -> None:
        self.gone = True
        for waiting in group:
            self._refused_gone.inc()
            failure = kind(f"database: {reason}")
            failure.__cause__ = cause
            waiting.fail(failure)

    async def _connected(self) -> AsyncConnection:
        if self._connection is not None and await self._was_hung_up(self._connection):
            await self._disconnect(broken=True)
        if self._connection is None:
            began_ms = self._clock.monotonic_ms()
            try:
                self._connection = await self._engine.connect()
            except Exception as error:
                # Where it takes long to learn that nobody is there, not everybody has to learn it.
                now_ms = self._clock.monotonic_ms()
                self._hopeless_until_ms = now_ms + now_ms - began_ms
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


def _in_one_order(shares: list[list[_Waiting]]) -> list[list[_Waiting]]:
    """Those that many share change places among themselves, so that the groups of several processes lock what they have
    in common in one order. Everything else stays where it was."""
    named = iter(sorted((share for share in shares if share[0].name), key=lambda share: share[0].name))
    return [next(named) if share[0].name else share for share in shares]


def _ends_the_writer(error: BaseException) -> bool:
    """Is the writer itself to end? A cancellation that leaks out of a work is that work's failure only."""
    task = asyncio.current_task()
    return not isinstance(error, asyncio.CancelledError) or (task is not None and task.cancelling() > 0)
