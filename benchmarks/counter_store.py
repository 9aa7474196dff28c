"""The counter store in memory: bytes per viewer and operations per second, beside the simplest thing that could work.

"look ahead" is the sweep that looks through everybody (every quarter of a life), "idle sweep" any other with nobody
gone. The naive store is one dict of (video, viewer) to expiry, looked through from end to end by each sweep and read.
Compare ratios within one run; the numbers themselves belong to the machine.
"""

from __future__ import annotations

import asyncio
import gc
import random
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.load import Row
from foundation.clock import SystemClock
from views.counters.base import Told
from views.counters.journal import Journal, JournalSettings
from views.counters.memory import MemoryCounterStore
from views.counters.records import NullRecorder, Recorder
from views.counters.restoring import Restoring

LIFE_MS = 120_000
INTERVAL_MS = 5_000
VIEWERS, VIDEOS = 100_000, 1_000


class NaiveStore:
    def __init__(self) -> None:
        self.ends: dict[tuple[int, bytes], int] = {}

    async def touch(self, video: int, source: str, viewer: bytes, expires_ms: int, now_ms: int) -> bool:
        new = (video, viewer) not in self.ends
        self.ends[video, viewer] = expires_ms
        return new

    async def sweep(self, now_ms: int) -> None:
        for entry in [entry for entry, end in self.ends.items() if end <= now_ms]:
            del self.ends[entry]

    async def read(self, video: int, now_ms: int) -> int:
        return sum(1 for (of, _), end in self.ends.items() if of == video and end > now_ms)


@dataclass
class Load:
    """Viewers spread over videos at random; each is heard once per interval, 200 per millisecond at a million."""

    viewers: int
    videos: int
    keys: list[tuple[int, bytes]] = field(default_factory=list)

    def make(self) -> None:
        chance = random.Random(1)
        self.keys = [(chance.randrange(self.videos), chance.randbytes(16)) for _ in range(self.viewers)]

    async def round(self, store: MemoryCounterStore | NaiveStore, start_ms: int) -> None:
        per_ms = max(1, self.viewers // INTERVAL_MS)
        for number, (video, viewer) in enumerate(self.keys):
            now_ms = start_ms + number // per_ms
            # A fresh int each time, as a clock gives one.
            await store.touch(video, "", viewer, now_ms + LIFE_MS, now_ms)


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    gc.collect()
    gc.disable()
    started = time.perf_counter()
    await work()
    spent = time.perf_counter() - started
    gc.enable()
    return spent


async def bytes_per_viewer(load: Load, store: MemoryCounterStore | NaiveStore) -> tuple[float, float]:
    """What the store holds after one round, and after three (keys are its own, as they come from requests)."""
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    chance = random.Random(1)
    per_ms = max(1, load.viewers // INTERVAL_MS)
    for number in range(load.viewers):
        now_ms = number // per_ms
        await store.touch(chance.randrange(load.videos), "", chance.randbytes(16), now_ms + LIFE_MS, now_ms)
    once = tracemalloc.get_traced_memory()[0] - before
    for turn in (1, 2):
        chance = random.Random(1)
        for number in range(load.viewers):
            now_ms = turn * INTERVAL_MS + number // per_ms
            await store.touch(chance.randrange(load.videos), "", chance.randbytes(16), now_ms + LIFE_MS, now_ms)
    thrice = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return once / load.viewers, thrice / load.viewers


async def told_bytes(viewers: int) -> float:
    store = MemoryCounterStore()
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    chance = random.Random(2)
    for number in range(viewers):
        await store.mark_told(number % 100, Told(chance.randbytes(16), number, number + LIFE_MS, number + 50))
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return held / viewers


async def speeds(load: Load, make: Callable[[], MemoryCounterStore | NaiveStore]) -> dict[str, float]:
    """Million operations per second."""
    store = make()
    million = load.viewers / 1e6
    add = await timed(lambda: load.round(store, 0))
    refresh = await timed(lambda: load.round(store, INTERVAL_MS))
    reads = 5 if isinstance(store, NaiveStore) else 200_000

    async def read() -> None:
        for number in range(reads):
            await store.read(number % load.videos, INTERVAL_MS)

    reading = await timed(read)
    await load.round(store, LIFE_MS - INTERVAL_MS)
    look = await timed(lambda: store.sweep(LIFE_MS + 100))
    idle = await timed(lambda: store.sweep(LIFE_MS + 200))
    sweep = await timed(lambda: store.sweep(10 * LIFE_MS))
    return {
        "add": million / add,
        "refresh": million / refresh,
        "read": reads / 1e6 / reading,
        "expire": million / sweep,
        "look ahead ms": look * 1e3,
        "idle sweep ms": idle * 1e3,
    }


def size_of(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir())


async def journal_costs(load: Load) -> Row:
    """A second of touches: what recording adds on the loop, what writing takes in the thread, and the replay."""
    with TemporaryDirectory() as name:
        journal = Journal(JournalSettings(Path(name), interval_ms=10**9), SystemClock())
        await journal.start(NullRecorder())
        now_ms = SystemClock().now_ms()
        second = load.keys[: load.viewers // 5]

        async def touches(recorder: Recorder) -> None:
            store = MemoryCounterStore(recorder=recorder)
            for number, (video, viewer) in enumerate(second):
                await store.touch(video, "", viewer, now_ms + LIFE_MS + number // 200, now_ms)

        bare = await timed(lambda: touches(NullRecorder()))
        recorded = await timed(lambda: touches(journal))
        write = await timed(journal.flush)
        await journal.stop()
        size = size_of(Path(name))
        again = Journal(JournalSettings(Path(name), interval_ms=10**9), SystemClock())
        store = MemoryCounterStore()
        replay = await timed(lambda: again.start(Restoring(store, None, now_ms)))
        await again.stop()
    return Row(
        f"journal of {len(second)} touches",
        f"{(recorded - bare) * 1e3:.0f} ms of the loop, {write * 1e3:.0f} ms in its thread,"
        f" {size / len(second):.1f} B each, replay {len(store) / 1e6 / replay:.2f} M/s",
    )


async def measure(viewers: int, videos: int) -> list[Row]:
    load = Load(viewers, videos)
    kept = {
        name: await bytes_per_viewer(load, store)
        for name, store in (("ours", MemoryCounterStore(10**9)), ("naive", NaiveStore()))
    }
    told = await told_bytes(min(viewers, 50_000))
    load.make()
    ours = await speeds(load, lambda: MemoryCounterStore(10**9))
    naive = await speeds(load, NaiveStore)
    (once, thrice), (naive_once, _) = kept["ours"], kept["naive"]
    rows = [
        Row(
            f"{viewers} viewers in memory",
            f"{once:.0f} B each, {thrice:.0f} after refreshing twice",
            "130 B each",
            130 / thrice,
            1.0,
        ),
        Row("  told to origins, beside it", f"{told:.0f} B each"),
        Row("  naive dict", f"{naive_once:.0f} B each"),
    ]
    for what, value in ours.items():
        unit = "ms" if what.endswith(" ms") else "M/s"
        ratio = naive[what] / value if unit == "ms" else value / naive[what]
        rows.append(
            Row(what.removesuffix(" ms"), f"{value:.3f} {unit}", f"naive dict: {naive[what]:.3g} {unit}", ratio)
        )
    return [*rows, await journal_costs(load)]


def run(seconds: float, rounds: int) -> list[Row]:
    return asyncio.run(measure(VIEWERS, VIDEOS))
