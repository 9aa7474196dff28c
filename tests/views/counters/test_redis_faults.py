"""Redis goes away, comes back empty, hangs, is full: what callers see, and that nobody has to restart anything."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator

import pytest
from support.servers import RedisServer, redis_sentinel, redis_server

from foundation.clock import ManualClock, SystemClock
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from foundation.redis.link import LinkSettings, RedisLink
from views.counters.base import CounterStore
from views.counters.redis.settings import RedisSettings
from views.counters.redis.store import RedisCounterStore
from views.model import LOCAL

NOW = 1_800_000_000_000
LINK = LinkSettings(timeout_ms=400, max_waiting=50)


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """One of its own: these tests kill it."""
    with redis_server() as server:
        yield server


@pytest.fixture
async def store(server: RedisServer) -> AsyncIterator[RedisCounterStore]:
    settings = RedisSettings(shards=2, server_time=False)
    store = RedisCounterStore(RedisLink(server.url, LINK), ManualClock(NOW), settings)
    await store.start()
    yield store
    await store.close()


async def answers(store: CounterStore) -> bool:
    try:
        await store.read(1, NOW)
    except StorageUnavailable:
        return False
    return True


async def test_killed_and_started_again_it_is_served_again(store: RedisCounterStore, server: RedisServer) -> None:
    assert await store.touch(1, LOCAL, key(1), NOW + 1000, NOW)
    server.kill()
    for _ in range(3):
        with pytest.raises(StorageUnavailable, match=r"live store unix:///.* does not answer"):
            await store.touch(1, LOCAL, key(1), NOW + 1000, NOW)
        with pytest.raises(StorageUnavailable):
            await store.read(1, NOW)
        with pytest.raises(StorageUnavailable):
            await store.sweep(NOW)
        with pytest.raises(StorageUnavailable):
            await store.ping()
    server.start()
    assert await answers(store)
    assert (await store.read(1, NOW)).local == 0, "it came back empty"
    assert await store.touch(1, LOCAL, key(1), NOW + 1000, NOW), "signs of life fill it again"
    assert (await store.read(1, NOW)).local == 1


async def test_calls_under_way_when_it_is_killed_end(store: RedisCounterStore, server: RedisServer) -> None:
    server.signal(signal.SIGSTOP)
    under_way = [asyncio.ensure_future(store.touch(1, LOCAL, key(n), NOW + 1000, NOW)) for n in range(20)]
    await asyncio.sleep(0)
    server.kill()
    ended = await asyncio.gather(*under_way, return_exceptions=True)
    assert all(isinstance(each, StorageUnavailable) for each in ended)


async def test_silence_ends_within_the_time_limit_and_does_not_pile_up(
    store: RedisCounterStore, server: RedisServer
) -> None:
    server.signal(signal.SIGSTOP)
    clock = SystemClock()
    began_ms = clock.monotonic_ms()
    calls = [asyncio.ensure_future(store.touch(1, LOCAL, key(n), NOW + 1000, NOW)) for n in range(500)]
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(each, StorageUnavailable) for each in ended)
    crowded = [each for each in ended if "too many" in str(each)]
    assert len(crowded) == 450, "whoever finds the way crowded is told at once"
    assert clock.monotonic_ms() - began_ms < 10 * LINK.timeout_ms
    server.signal(signal.SIGCONT)
    assert await answers(store)
    assert await store.touch(1, LOCAL, key(900), NOW + 1000, NOW)


async def test_flushed_it_fills_again_from_signs_of_life(store: RedisCounterStore, server: RedisServer) -> None:
    for number in range(10):
        await store.touch(1, LOCAL, key(number), NOW + 1000, NOW)
    server.flush()
    assert (await store.read(1, NOW)).local == 0
    for number in range(10):
        assert await store.touch(1, LOCAL, key(number), NOW + 1500, NOW + 500)
    assert (await store.read(1, NOW + 500)).local == 10
    assert await store.sweep(NOW + 1500) == [1]


async def test_scripts_that_it_has_forgotten_are_brought_again(store: RedisCounterStore, server: RedisServer) -> None:
    await store.touch(1, LOCAL, key(1), NOW + 1000, NOW)
    assert server.call("SCRIPT", "FLUSH") == b"+OK\r\n"
    new = await asyncio.gather(*(store.touch(1, LOCAL, key(n), NOW + 1000, NOW) for n in range(50)))
    assert sum(new) == 49
    assert (await store.read(1, NOW)).local == 50


async def test_a_sentinel_leads_to_the_primary() -> None:
    with redis_sentinel() as (primary, url):
        store = RedisCounterStore(RedisLink(url, LINK), ManualClock(NOW), RedisSettings(server_time=False))
        await store.start()
        assert await store.touch(1, LOCAL, key(1), NOW + 1000, NOW)
        assert await answers(store)
        primary.kill()
        assert not await answers(store)
        primary.start()
        assert await store.touch(1, LOCAL, key(1), NOW + 1000, NOW)
        await store.close()


async def test_a_full_redis_says_so(server: RedisServer) -> None:
    link = RedisLink(server.url, LINK, Metrics())
    store = RedisCounterStore(link, ManualClock(NOW), RedisSettings(shards=1, server_time=False))
    await store.touch(1, LOCAL, key(1), NOW + 1000, NOW)
    server.call("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(StorageUnavailable, match="is full"):
        await store.touch(1, LOCAL, key(2), NOW + 1000, NOW)
    server.call("CONFIG", "SET", "maxmemory", "0")
    assert await store.touch(1, LOCAL, key(2), NOW + 1000, NOW)
    await store.close()


async def test_a_caller_that_goes_away_harms_nobody(store: RedisCounterStore) -> None:
    gone = asyncio.ensure_future(store.touch(1, LOCAL, key(1), NOW + 1000, NOW))
    stays = asyncio.ensure_future(store.touch(1, LOCAL, key(2), NOW + 1000, NOW))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays
    assert await answers(store)
