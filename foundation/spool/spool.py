"""Takes what must not be lost while the database is gone, and replays it there when it is back."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from foundation.clock import Clock
from foundation.database import Database
from foundation.ending import end
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from foundation.spool import cursors
from foundation.spool.file import START, Entry, SpoolFile, framed, left_behind
from foundation.spool.replayer import BATCH, OpenFile, Replay, Replayer

T = TypeVar("T")

_log = logging.getLogger(__name__)

KEEP_CURSORS_MS = 365 * 86_400_000
"""How long it is remembered how far a file was replayed that was never seen to end."""

MIN_SEGMENT = 64_000


@dataclass(frozen=True, slots=True)
class SpoolSettings:
    """``max_bytes`` of all files of this process together. ``after_ms``: how long a write waits for the database
    before it is spooled. ``retry_ms``: how often the database is asked whether it is back."""

    max_bytes: int = 100_000_000
    after_ms: int = 2_500
    retry_ms: int = 1_000


@dataclass(slots=True)
class _Waiting:
    entries: bytes
    kind: str
    count: int
    done: asyncio.Future[None]


class Spool:
    """Kinds and their replays are told with ``replays`` before ``start``.

    Entries of one process are replayed in the order in which they were added, those of one kind never twice, whatever
    is killed when: how far a file was replayed is committed with what was replayed.
    """

    def __init__(
        self,
        directory: Path,
        database: Database,
        clock: Clock,
        metrics: Metrics,
        settings: SpoolSettings | None = None,
    ) -> None:
        self.settings = settings or SpoolSettings()
        self._directory = directory
        self._database = database
        self._clock = clock
        self._files: list[OpenFile] = []
        self._current: SpoolFile | None = None
        self._queue: list[_Waiting] = []
        self._queued_bytes = 0
        self._pending: Counter[str] = Counter()
        self._oldest_ms = 0
        self._writing: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._replayer = Replayer(database, clock, metrics, self._is_done)
        self._replaying = asyncio.Lock()
        self._wake = asyncio.Event()
        self._thread: ThreadPoolExecutor | None = None
        metrics.gauge_from("fediviews_spool_entries", "Entries that wait for the database.", self._entries)
        metrics.gauge_from("fediviews_spool_bytes", "Bytes of the spool's files.", lambda: self._held)
        metrics.gauge_from("fediviews_spool_oldest_seconds", "Age of the oldest entry that waits.", self._age_s)
        self._added = metrics.counter("fediviews_spool_added", "Entries written to the spool.", ["kind"])
        self._refused = metrics.counter("fediviews_spool_refused", "Entries that found no room, or no disk.")
        self._aside = metrics.counter("fediviews_spool_put_aside", "Files kept because not all of them was replayed.")

    def replays(self, kind: str, replay: Replay, *, together: int = BATCH) -> None:
        """Who replays entries of this kind, at most ``together`` in one transaction."""
        self._replayer.learn(kind, replay, together)
        self._added.labels(kind)

    # Life

    async def start(self) -> None:
        """Take over what processes that are no more left in the directory, then replay in the background.

        Raises StorageUnavailable when the directory cannot be used.
        """
        self._thread = ThreadPoolExecutor(1, "fediviews-spool")
        try:
            for path in await self._in_thread(partial(left_behind, self._directory)):
                await self._take_over(path)
        except OSError as problem:
            raise StorageUnavailable(f"spool {self._directory}: {problem.strerror}") from problem
        self._task = asyncio.create_task(self._run(), name="spool")
        self._wake.set()

    async def stop(self) -> None:
        """What waits is left to whoever starts next. Harmless when not started."""
        await end(self._task)
        self._task = None
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None
        for each in self._files:
            each.file.close()
        self._files, self._current = [], None

    async def _take_over(self, path: Path) -> None:
        file = await self._in_thread(partial(SpoolFile.take_over, path))
        if file is None:
            return
        kinds = await self._in_thread(file.scan)
        self._pending += kinds
        self._oldest_ms = self._oldest_ms or int(path.name.partition("-")[0])
        self._files.append(OpenFile(file, 0))
        _log.warning("spool: %d entries of an earlier process are replayed", kinds.total())

    # Taking

    def pending(self, kind: str) -> bool:
        """Whether entries of this kind wait: what has to come after them has to be added, too."""
        return self._pending[kind] > 0 or any(waiting.kind == kind for waiting in self._queue)

    async def add(self, kind: str, *payloads: bytes, share: float = 1.0) -> None:
        """Returns when these survive ``kill -9`` and a power cut. Raises StorageUnavailable: none was taken, for the
        spool is full (up to ``share`` of its bytes) or the disk does not do it."""
        now_ms = self._clock.now_ms()
        entries = b"".join(framed(Entry(kind, now_ms, payload)) for payload in payloads)
        room = self.settings.max_bytes * share - self._held - self._queued_bytes
        if self._thread is None or len(entries) > room:
            self._refused.inc(len(payloads))
            raise StorageUnavailable("spool: closed" if self._thread is None else "spool: full")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(entries, kind, len(payloads), done))
        self._queued_bytes += len(entries)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="spool writer")
        await done

    async def _write(self) -> None:
        """One write and one fsync for whatever gathered during those before."""
        try:
            while self._queue:
                batch, self._queue = self._queue, []
                try:
                    await self._append(b"".join(waiting.entries for waiting in batch))
                except OSError as problem:
                    self._settle(batch, StorageUnavailable(f"spool: {problem.strerror}"))
                else:
                    self._settle(batch, None)
        finally:
            self._writing = None

    async def _append(self, entries: bytes) -> None:
        now_ms = self._clock.now_ms()
        if self._current is None or self._current.size >= max(MIN_SEGMENT, self.settings.max_bytes // 16):
            self._current = None
            self._current = await self._in_thread(partial(SpoolFile.create, self._directory, now_ms))
            self._files.append(OpenFile(self._current, 0))
        try:
            await self._in_thread(partial(self._current.append, entries))
        except OSError:
            self._current = None
            raise

    def _settle(self, batch: Sequence[_Waiting], problem: StorageUnavailable | None) -> None:
        if problem is None and not self._pending.total():
            self._oldest_ms = self._clock.now_ms()
            _log.warning("the database does not answer: what must not be lost is spooled")
        for waiting in batch:
            self._queued_bytes -= len(waiting.entries)
            if problem is None:
                self._pending[waiting.kind] += waiting.count
                self._added.labels(waiting.kind).inc(waiting.count)
            else:
                self._refused.inc(waiting.count)
            if not waiting.done.done():
                waiting.done.set_result(None) if problem is None else waiting.done.set_exception(problem)
        self._wake.set()

    # Replaying

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._files:
                try:
                    replayed = await self.replay()
                    _log.info("spool: %d entries were replayed", replayed)
                except StorageUnavailable as problem:
                    _log.debug("the spool waits: %s", problem)
                except Exception:
                    _log.exception("the spool was not replayed")
                if self._files:
                    await self._clock.sleep_ms(self.settings.retry_ms)

    async def replay(self) -> int:
        """Replay what waits, the oldest first; how many entries. Raises StorageUnavailable: the rest waits."""
        replayed = 0
        async with self._replaying:
            while self._files:
                head = self._files[0]
                start = max(START, head.position)
                batch = await self._in_thread(partial(head.file.read, start, BATCH))
                if batch:
                    self._oldest_ms = batch[0].entry.at_ms
                    replayed += await self._replayer.replay(head, batch)
                elif head.file is self._current and self._writing is not None:
                    break
                elif head.file.suspect or start >= head.file.size:
                    await self._retire(head)
        return replayed

    async def _retire(self, head: OpenFile) -> None:
        if head.file is self._current:
            self._current = None
        await self._in_thread(head.file.remove)
        self._files.remove(head)
        if head.file.suspect:
            self._aside.inc()
            _log.error("spool: not all of %s was replayed; it is put aside", head.file.path.name)
        await self._database.write(lambda tx: cursors.forget(tx, head.file.id))

    async def purge(self) -> None:
        """Forget how far files were replayed whose end a crash kept from us. Raises StorageUnavailable."""
        before_ms = self._clock.now_ms() - KEEP_CURSORS_MS
        await self._database.write(lambda tx: cursors.purge(tx, before_ms))

    # Inside

    def _is_done(self, kind: str, count: int) -> None:
        self._pending[kind] -= count

    @property
    def _held(self) -> int:
        return sum(each.file.size for each in self._files)

    def _entries(self) -> int:
        return self._pending.total()

    def _age_s(self) -> float:
        return max(0, self._clock.now_ms() - self._oldest_ms) / 1000 if self._pending.total() > 0 else 0.0

    async def _in_thread(self, work: Callable[[], T]) -> T:
        assert self._thread is not None, "not started"
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
