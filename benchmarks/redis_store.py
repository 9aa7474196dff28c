"""The counter store in Redis beside the one in memory, on one machine and a Redis started for it.

    python benchmarks/redis_store.py [viewers]

Touches per second of one process: one by one, and with many callers at once, whose calls share exchanges; beside the
store in memory and beside plain ZADDs in pipelines of 200, which is as fast as this client goes. Redis runs on the same
cores, so ratios are a floor. Bytes are Redis' own ``used_memory``.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import uvloop
from redis.asyncio import Redis
from support.servers import RedisServer, redis_server

from foundation.clock import SystemClock
from foundation.metrics import Metrics
from foundation.redis.link import RedisLink
from views.counters.memory import MemoryCounterStore
from views.counters.redis.settings import RedisSettings
from views.counters.redis.store import RedisCounterStore

LIFE_MS = 120_000
SECONDS = 2.0
VIDEOS = 100
CLOCK = SystemClock()


def viewers(count: int) -> list[tuple[int, bytes]]:
    chance = random.Random(1)
    return [(chance.randrange(VIDEOS), chance.randbytes(16)) for _ in range(count)]


async def rate(callers: int, call: Callable[[int], Awaitable[object]]) -> float:
    """Calls per second, when each caller waits for its answer before it asks again."""
    done, until = 0, time.perf_counter() + SECONDS

    async def caller(number: int) -> None:
        nonlocal done
        while time.perf_counter() < until:
            await call(number)
            number += callers
            done += 1

    started = time.perf_counter()
    await asyncio.gather(*(caller(number) for number in range(callers)))
    return done / (time.perf_counter() - started)


def used_memory(server: RedisServer) -> int:
    return int(server.call("INFO", "memory").split(b"used_memory:")[1].split(b"\r\n")[0])


async def fill(store: RedisCounterStore, load: list[tuple[int, bytes]], life_ms: int) -> float:
    started = time.perf_counter()
    for at in range(0, len(load), 2000):
        now_ms = CLOCK.now_ms()
        part = load[at : at + 2000]
        await asyncio.gather(*(store.touch(video, "", viewer, now_ms + life_ms, now_ms) for video, viewer in part))
    return time.perf_counter() - started


def opened(server: RedisServer, metrics: Metrics | None = None, **settings: int) -> RedisCounterStore:
    metrics = metrics or Metrics()
    link = RedisLink(server.url, metrics=metrics)
    return RedisCounterStore(link, CLOCK, RedisSettings(max_viewers=10**9, **settings), metrics)


async def touches(server: RedisServer, known: list[tuple[int, bytes]]) -> None:
    memory = MemoryCounterStore(10**9)

    async def touch(store: MemoryCounterStore | RedisCounterStore, number: int) -> None:
        video, viewer = known[number % len(known)]
        now_ms = CLOCK.now_ms()
        await store.touch(video, "", viewer, now_ms + LIFE_MS, now_ms)

    in_memory = await rate(1, lambda number: touch(memory, number))
    print(f"{'memory':>26}: {in_memory:9.0f} touches/s")
    async with Redis.from_url(server.url) as redis:

        async def plain(number: int) -> None:
            pipeline = redis.pipeline(transaction=False)
            for _, viewer in known[number % 100 * 200 :][:200]:
                pipeline.execute_command("ZADD", "plain", 1, viewer)
            await pipeline.execute()

        ceiling = 200 * await rate(1, plain)
        print(f"{'ZADD, pipelines of 200':>26}: {ceiling:9.0f} /s")
    server.flush()
    alone = 0.0
    for callers in (1, 8, 32, 128, 512):
        metrics = Metrics()
        store = opened(server, metrics)
        await fill(store, known, LIFE_MS)
        calls, exchanges = counted(metrics)
        speed = await rate(callers, lambda number, store=store: touch(store, number))  # type: ignore[misc]
        more_calls, more_exchanges = counted(metrics)
        together = (more_calls - calls) / (more_exchanges - exchanges)
        alone = alone or speed
        print(
            f"{f'Redis, {callers} callers':>26}: {speed:9.0f} touches/s, {speed / alone:4.1f} of one by one,"
            f" {speed / in_memory:5.1%} of memory, {speed / ceiling:4.0%} of plain ZADDs, {together:5.1f} per exchange"
        )
        await store.close()


def counted(metrics: Metrics) -> tuple[float, float]:
    names = ("fediviews_live_store_calls_total", "fediviews_live_store_exchanges_total")
    calls, exchanges = (metrics.registry.get_sample_value(name) or 0.0 for name in names)
    return calls, exchanges


async def memory_and_sweep(server: RedisServer, count: int) -> None:
    for name, videos, split_at in (
        ("50 per video", count // 50, 0),
        ("1 000 per video", count // 1000, 0),
        ("one hot video", 1, 5000),
    ):
        server.flush()
        store = opened(server, split_at=split_at)
        await store.start()
        before = used_memory(server)
        chance = random.Random(2)
        load = [(number % videos, chance.randbytes(16)) for number in range(count)]
        spent = await fill(store, load, LIFE_MS)
        print(
            f"{name:>26}: {(used_memory(server) - before) / count:6.1f} B/viewer, {count / spent:.0f} new viewers/s,"
            f" read in {await timed(lambda store=store: store.read(0, CLOCK.now_ms())) * 1e3:.1f} ms"  # type: ignore[misc]
        )
        await store.close()
    server.flush()
    store = opened(server)
    load = [(number % VIDEOS, chance.randbytes(16)) for number in range(count)]
    await fill(store, load[: count * 9 // 10], 10 * LIFE_MS)
    await fill(store, load[count * 9 // 10 :], 3_000)
    await asyncio.sleep(3.5)
    spent = await timed(lambda: store.sweep(CLOCK.now_ms()))
    idle = await timed(lambda: store.sweep(CLOCK.now_ms()))
    print(f"sweep of {count // 10} ended among {count}: {spent * 1e3:.0f} ms; with nobody gone {idle * 1e3:.1f} ms")
    await store.close()


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await work()
    return time.perf_counter() - started


async def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    with redis_server() as server:
        await touches(server, viewers(20_000))
        await memory_and_sweep(server, count)


if __name__ == "__main__":
    uvloop.run(main())
