"""Telemetry: what a report costs more with it, what an operation costs, and how a flush of 100 000 workers goes.

The queue's operations are put and run in turns, as in the service. Between two parts of a flush others have their turn:
the longest part is what they wait at most. Sums of playback are kept, and written to SQLite in the end.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from pathlib import Path

from benchmarks.load import Row
from foundation.clock import SystemClock
from foundation.database import Database
from foundation.metrics import Metrics
from service.storage import schema
from views.counters.memory import MemoryCounterStore
from views.counters.progress import ProgressStore
from views.model import Privacy, Video
from views.ports import NullAnnouncer, NullNotifier
from views.telemetry.feed import ViewerFeed
from views.telemetry.guard import ReferenceGuard
from views.telemetry.names import SessionNames
from views.telemetry.null import NullTelemetry
from views.telemetry.quality_book import QualityBook
from views.telemetry.queue import AT_ONCE, OpClass, OpsQueue
from views.telemetry.room_rows import RoomRows
from views.telemetry.rooms import Rooms
from views.telemetry.samples import Direction, Sample
from views.telemetry.subjects import Room
from views.telemetry.telemetry import Telemetry
from views.telling import Telling
from views.viewers import Viewers
from views.watching import Watching

WORKERS = 100_000
SAMPLES = 2
REPORTS = 100_000
OPERATIONS = 200_000
VIEWERS = 20_000

VIDEO = Video(
    number=1,
    uuid="9c9de5e8-0a1e-484a-b099-e80766180a6d",
    url="https://here.example/videos/watch/9c9de5e8-0a1e-484a-b099-e80766180a6d",
    origin="here.example",
    local=True,
    name="Benchmark",
    duration_s=0,
    is_live=True,
    channel="main",
    privacy=Privacy.PUBLIC,
    published_ms=0,
    updated_ms=0,
)


class NoViews:
    async def count_local(self, video: Video, viewer: bytes) -> bool:
        return False


class Shelf:
    def peek_number(self, number: int) -> Video | None:
        return VIDEO

    async def by_number(self, number: int) -> Video | None:
        return VIDEO


def _queue(metrics: Metrics) -> OpsQueue:
    return OpsQueue(SystemClock(), metrics, max_waiting=10 * WORKERS)


def operations() -> float:
    """Microseconds of one operation, put and run."""
    queue, done = _queue(Metrics()), 0

    def op() -> None:
        nonlocal done
        done += 1

    started = time.process_time()
    for _ in range(OPERATIONS // 100):
        for _ in range(100):
            queue.put(OpClass.SAMPLE, op)
        while queue.run(AT_ONCE):
            pass
    assert done == OPERATIONS
    return (time.process_time() - started) / OPERATIONS * 1e6


async def report_us(database: Database, *, followed: bool, rounds: int) -> float:
    """Microseconds of one report of a viewer who is here and plays, without HTTP; the best round."""
    clock, metrics = SystemClock(), Metrics()
    store, progress = MemoryCounterStore(keep_departed=followed), ProgressStore()
    telemetry = Telemetry(_queue(metrics), NullTelemetry(), NullNotifier(), clock, metrics, node="ND_1")
    rooms = Rooms(telemetry, lambda: viewers, Shelf(), RoomRows(database), clock, sole=True)
    names = SessionNames(b"benchmark")
    feed = ViewerFeed(telemetry, rooms, names, store, progress, Shelf(), clock, resume_after_ms=60_000)
    touched = rooms.touched if followed else None
    viewers = Viewers(
        store, NullAnnouncer(), Shelf(), Telling(b"benchmark"), clock, quota_of=lambda _: 1_000, touched=touched
    )
    watching = Watching(viewers, NoViews(), progress, clock, Metrics(), feed=feed if followed else None)
    keys = [number.to_bytes(16, "big") for number in range(VIEWERS)]
    for position_s in range(2):
        for key in keys:
            await watching.watched(VIDEO, key, None, position_s)
    best = float("inf")
    for _ in range(rounds):
        started = time.process_time()
        for number in range(REPORTS):
            await watching.watched(VIDEO, keys[number % VIEWERS], None, 2)
        best = min(best, (time.process_time() - started) / REPORTS * 1e6)
    return best


async def flush(database: Database) -> tuple[float, float, float, float, int]:
    """CPU seconds of flushing 100 000 workers and of the longest part, seconds of writing the sums; microseconds of
    one sample on its way into its worker; bytes of a worker."""
    clock, metrics = SystemClock(), Metrics()
    queue, book = _queue(metrics), QualityBook(database, clock, metrics)
    telemetry = Telemetry(queue, book, NullNotifier(), clock, metrics, node="ND_1", max_workers=WORKERS)
    room, names = Room(VIDEO), SessionNames(b"benchmark")
    before = _memory()
    now_ms = clock.now_ms()
    participants = [names.participant(1, number.to_bytes(16, "big"), now_ms) for number in range(WORKERS)]
    for participant in participants:
        telemetry.participant_joined(room, participant, guard=ReferenceGuard(), should_send_event=False)
    _run(queue)
    per_worker = (_memory() - before) // WORKERS
    started = time.process_time()
    for turn in range(SAMPLES):
        for participant in participants:
            sample = Sample("720p", Direction.DOWN, now_ms, now_ms + 10_000, bytes=turn, stalls=1, frames=300)
            telemetry.track_stats(room, participant, sample)
        _run(queue)
    sample_us = (time.process_time() - started) / (SAMPLES * WORKERS) * 1e6
    telemetry.flush_stats()
    whole_s, longest_s = _run(queue)
    started = time.monotonic()
    assert await book.write() == WORKERS
    return whole_s, longest_s, time.monotonic() - started, sample_us, per_worker


def _run(queue: OpsQueue) -> tuple[float, float]:
    """Everything that waits: CPU time of it, and the longest between two chances for others."""
    began, longest_s = time.process_time(), 0.0
    while True:
        started = time.process_time()
        if not queue.run(AT_ONCE):
            return time.process_time() - began, longest_s
        longest_s = max(longest_s, time.process_time() - started)


def _memory() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def _measure(rounds: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as directory:
        metrics = Metrics()
        url = f"sqlite:///{directory}/telemetry.sqlite"
        database = await Database.open(url, clock=SystemClock(), metrics=metrics)
        tables = schema.load()
        await database.write(lambda tx: tx.run_sync(tables.create_all))
        whole_s, longest_s, write_s, sample_us, per_worker = await flush(database)
        without = await report_us(database, followed=False, rounds=rounds)
        with_it = await report_us(database, followed=True, rounds=rounds)
        await database.close()
    return [
        Row("report, telemetry on", f"{with_it:.1f} µs CPU", f"off: {without:.1f} µs", with_it / without),
        Row("operation, put and run", f"{operations():.1f} µs CPU"),
        Row("sample, into its worker", f"{sample_us:.1f} µs CPU"),
        Row("flush of 100 000 workers", f"{whole_s:.2f} s CPU in parts of {longest_s * 1000:.0f} ms at most"),
        Row("their sums into SQLite", f"{write_s:.2f} s"),
        Row("memory of a worker", f"{per_worker} bytes, its viewer's names included"),
    ]


def run(seconds: float, rounds: int) -> list[Row]:
    return asyncio.run(_measure(rounds))
