"""The journal of live state: what changed since the last second, appended by a thread, said again at start."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from foundation.clock import Clock
from foundation.ending import end
from foundation.errors import StorageUnavailable
from foundation.file_locks import FileLock
from foundation.framing import DamagedFrameError
from foundation.metrics import Metrics
from views.counters import codec
from views.counters.base import MarkedTotal, Told, Total
from views.counters.changes import Changes
from views.counters.codec import CorruptBatchError, Decoder, SourceTable
from views.counters.records import Recorder
from views.counters.segments import SegmentWriter, delete_replaced, read_segment, segment_paths
from views.counters.upkeep import Upkeep, UpkeepTerms

logger = logging.getLogger(__name__)

LIVE, CLAIMS, PROGRESS = "live", "claims", "progress"
"""The streams: viewers are many and live for minutes, claims and progress live for an hour."""


@dataclass(slots=True)
class JournalSettings:
    """``live_keep_ms`` must not be less than the longest life of a viewer, total (with grace) or told life,
    ``claims_keep_ms`` than ``view_expiration`` and the life of a total's mark, ``progress_keep_ms`` than the longest
    silence before progress is handed over, and the time until it is. What lives longer may be lost at a restart.
    """

    directory: Path
    interval_ms: int = 1000
    live_keep_ms: int = 15 * 60_000
    claims_keep_ms: int = 3_600_000
    progress_keep_ms: int = 2 * 3_600_000
    segment_ms: int = 30_000
    segment_bytes: int = 64 * 1024 * 1024
    fsync: bool = False
    merge_segments: int = 10
    """Of watch progress, so many closed segments become one, with the newest record of every viewer; at least 2."""
    merge_memory: int = 64 * 1024 * 1024
    max_bytes: int = 4_000_000_000
    """Of all segments. Beyond it the oldest go before their time: of progress, then of viewers, then of claims."""


class Journal:
    """A Recorder that keeps what it is told in files (mode 600), once per ``interval_ms``.

    Recording costs a dict write; encoding and writing happen in one thread of its own. ``kill -9`` loses what was told
    since the last write; ``fsync`` makes the same true of a power cut. There is no snapshot: whoever was not heard of
    within a lifetime is gone anyway. One process per directory.
    """

    def __init__(self, settings: JournalSettings, clock: Clock, metrics: Metrics | None = None) -> None:
        self._settings = settings
        self._clock = clock
        self._changes = Changes()
        self._sealed: list[Changes] = []
        self._task: asyncio.Task[None] | None = None
        self._next_write: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()
        self._thread: ThreadPoolExecutor | None = None
        self._merging: asyncio.Task[None] | None = None
        self._lock = FileLock(settings.directory / "lock")
        self._writers: dict[str, SegmentWriter] = {}
        self._sources = SourceTable()
        metrics = metrics or Metrics()
        terms = UpkeepTerms(
            settings.directory,
            merge_segments=settings.merge_segments,
            merge_memory=settings.merge_memory,
            merged_keep_ms=settings.progress_keep_ms,
            max_bytes=settings.max_bytes,
        )
        self._upkeep = Upkeep(terms, metrics)
        self._written = metrics.counter("fediviews_journal_bytes", "Bytes of live state written")
        self._errors = metrics.counter("fediviews_journal_errors", "Writes of live state that failed")
        self._damaged = metrics.counter("fediviews_journal_damaged_segments", "Segments read only up to a bad frame")
        self._replayed = metrics.counter("fediviews_journal_replayed_records", "Records of live state read at start")

    # Life

    def hold(self) -> None:
        """Take the directory until ``stop``, before ``start`` if that is late. Raises StorageUnavailable when it cannot
        be used or another process uses it."""
        if self._lock.is_held:
            return
        directory = self._settings.directory
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            taken = self._lock.take()
        except OSError as error:
            raise StorageUnavailable(f"live state cannot be kept in {directory}: {error}") from error
        if not taken:
            raise StorageUnavailable(f"another process already uses {directory}")

    async def start(self, restoring: Recorder) -> None:
        """Say to ``restoring`` what earlier runs wrote down, then write every ``interval_ms``.

        Raises StorageUnavailable as ``hold``, which it does where nobody has done it.
        """
        self.hold()
        try:
            self._open()
        except OSError as error:
            raise StorageUnavailable(f"live state cannot be kept in {self._settings.directory}: {error}") from error
        for stream, writer in self._writers.items():
            for path in segment_paths(self._settings.directory, stream):
                self._replay(path, writer, restoring)
        self._thread = ThreadPoolExecutor(1, "fediviews-journal")
        self._task = asyncio.create_task(self._run(), name="journal")

    async def stop(self) -> None:
        """Write what is left and close; harmless when not started."""
        if self._task is None or self._thread is None:
            self._lock.release()
            return
        await end(self._task)
        self._task = None
        if self._next_write is not None:
            await asyncio.gather(self._next_write, return_exceptions=True)
        await end(self._merging)
        self._merging = None
        await asyncio.get_running_loop().run_in_executor(self._thread, self._upkeep.abandon)
        await self.flush()
        self._thread.shutdown()
        self._thread = None
        for writer in self._writers.values():
            writer.close()
        self._lock.release()

    async def flush(self) -> None:
        """Write every change told so far; returns when it is in the file."""
        if self._thread is None:
            return
        sealed, self._sealed = [*self._sealed, self._changes], []
        self._changes = Changes()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._write, sealed, self._clock.now_ms())
        if self._upkeep.wanted and self._merging is None and self._task is not None:
            self._merging = asyncio.create_task(self._merge(), name="journal merging")

    async def written(self) -> None:
        """Returns when every change told so far is in the file; who asks while one write runs shares the next."""
        if self._thread is None:
            return
        if self._next_write is None:
            self._next_write = asyncio.create_task(self._write_next(), name="journal write")
        # Whoever asked may go away; the others still wait for the same write.
        await asyncio.shield(self._next_write)

    async def _write_next(self) -> None:
        async with self._writing:
            self._next_write = None
            await self.flush()

    async def _run(self) -> None:
        next_ms = self._clock.monotonic_ms()
        while True:
            next_ms = max(next_ms + self._settings.interval_ms, self._clock.monotonic_ms())
            await self._clock.sleep_ms(next_ms - self._clock.monotonic_ms())
            try:
                await self.flush()
            except Exception:
                self._errors.inc()
                logger.exception("live state of the last interval was not written")

    async def _merge(self) -> None:
        """In the writing thread, a step at a time: whatever is to be written goes between two of them."""
        clock, loop = self._clock, asyncio.get_running_loop()
        try:
            more = True
            while more:
                began_ms = clock.monotonic_ms()
                more = await loop.run_in_executor(self._thread, self._upkeep.step, clock.now_ms())
                # Half of the time at most, for a thread that computes takes its turns from the loop.
                await clock.sleep_ms(clock.monotonic_ms() - began_ms)
        except Exception:
            self._errors.inc()
            logger.exception("the journal was not merged")
            await loop.run_in_executor(self._thread, self._upkeep.abandon)
        finally:
            self._merging = None

    def _open(self) -> None:
        settings = self._settings
        keeps = {LIVE: settings.live_keep_ms, CLAIMS: settings.claims_keep_ms, PROGRESS: settings.progress_keep_ms}
        self._writers = {
            stream: SegmentWriter(
                settings.directory,
                stream,
                keep_ms=keep_ms,
                segment_ms=settings.segment_ms,
                segment_bytes=settings.segment_bytes,
                fsync=settings.fsync,
            )
            for stream, keep_ms in keeps.items()
        }
        for stream in keeps:
            delete_replaced(settings.directory, stream)
        self._upkeep.start(self._writers[PROGRESS], [self._writers[LIVE], self._writers[CLAIMS]])

    def _replay(self, path: Path, writer: SegmentWriter, restoring: Recorder) -> None:
        last_ms = 0
        decoder = Decoder(restoring)
        try:
            for payload in read_segment(path):
                decoder.batch(payload)
                last_ms = max(last_ms, codec.batch_base_ms(payload))
        except (DamagedFrameError, CorruptBatchError) as error:
            self._damaged.inc()
            logger.warning("live state: %s was read up to a bad frame (%s)", path.name, error)
        self._replayed.inc(decoder.records)
        writer.adopt(path, last_ms)

    # The writing thread

    def _write(self, sealed: Iterable[Changes], now_ms: int) -> None:
        try:
            for changes in sealed:
                if self._writers[LIVE].wants_segment(now_ms):
                    self._sources = SourceTable()
                self._append(LIVE, changes.live_batch(now_ms, self._sources), now_ms)
                self._append(CLAIMS, changes.claims_batch(now_ms), now_ms)
                for records in changes.progress_batches():
                    self._append(PROGRESS, records, now_ms)
            self._upkeep.keep_bound(now_ms)
        except OSError as error:
            self._errors.inc()
            # Whatever was numbered for the failed batch has not been written.
            self._writers[LIVE].close()
            logger.error("live state of the last interval was not written: %s", error.strerror)

    def _append(self, stream: str, records: bytes, now_ms: int) -> None:
        if not records:
            return
        writer = self._writers[stream]
        if writer.wants_segment(now_ms):
            writer.open_segment(now_ms)
            self._upkeep.wanted = True
        self._written.inc(writer.append(codec.batch_start(now_ms) + records, now_ms))

    # Recorder

    def viewer_touched(self, video: int, source: str, viewer: bytes, expires_ms: int) -> None:
        group = self._changes.touched.get((video, source))
        if group is None:
            group = self._changes.touched[video, source] = {}
        group[viewer] = expires_ms

    def viewer_left(self, video: int, source: str, viewer: bytes) -> None:
        self._changes.touched.setdefault((video, source), {})[viewer] = 0

    def total_put(self, video: int, total: Total) -> None:
        self._changes.totals[video] = total

    def total_marked(self, video: int, marked: MarkedTotal) -> None:
        self._changes.marks[video] = marked

    def viewer_told(self, video: int, told: Told) -> None:
        self._changes.told.append((video, told))

    def view_claimed(self, video: int, viewer: bytes, until_ms: int) -> None:
        self._changes.claims.setdefault(video, {})[viewer] = until_ms

    def view_released(self, video: int, viewer: bytes) -> None:
        self._changes.claims.setdefault(video, {})[viewer] = 0

    def progress_put(self, video: int, viewer: bytes, blob: bytes, expires_ms: int) -> None:
        self._changes.progress[video, viewer] = (blob, expires_ms)

    def source_forgotten(self, source: str) -> None:
        self._changes.forgotten_source = source
        self._seal()

    def video_forgotten(self, video: int) -> None:
        self._changes.forgotten_video = video
        self._seal()

    def claims_forgotten(self, video: int) -> None:
        self._changes.forgotten_claims = video
        self._seal()

    def progress_forgotten(self, video: int) -> None:
        self._changes.forgotten_progress = video
        self._seal()

    def _seal(self) -> None:
        self._sealed.append(self._changes)
        self._changes = Changes()
