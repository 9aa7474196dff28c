"""What every store of watch progress promises, on every implementation."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from support.servers.existing import LiveServer

from foundation.clock import ManualClock
from foundation.errors import StorageUnavailable
from foundation.redis.link import RedisLink
from views.counters.progress import Progress, ProgressKeeper, ProgressStore, awaited
from views.counters.redis.progress import LEASE_MS, RedisProgressStore
from views.counters.redis.settings import RedisSettings

NOW = 1_800_000_000_000
A, B = b"a:\r\n\0" + b"a" * 11, b"b" * 16
ALL = ["memory", "redis", "redis, spread", "redis, cluster"]


def name(video: int, viewer: bytes, blob: bytes) -> bytes:
    """Of a closed stay; always the same for the same stay."""
    return (viewer[:8] + blob + viewer)[:16]


def named(*closed: tuple[int, bytes, bytes]) -> list[Progress]:
    return [Progress(video, name(video, viewer, blob), blob) for video, viewer, blob in closed]


@contextlib.asynccontextmanager
async def opened(kind: str, room: int, request: pytest.FixtureRequest) -> AsyncIterator[ProgressKeeper]:
    """With room for so many: the Redis ones keep six times as many as viewers."""
    if kind == "memory":
        yield awaited(ProgressStore(room))
        return
    shards = {"redis": 1, "redis, spread": 4, "redis, cluster": 16}[kind]
    settings = RedisSettings(shards=shards, max_viewers=room // 6 or 1, server_time=False)
    server = request.getfixturevalue("any_cluster" if "cluster" in kind else "any_redis")
    link = RedisLink(server.url)
    yield RedisProgressStore(link, ManualClock(NOW), settings)
    await link.close()


@pytest.fixture(params=ALL)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[ProgressKeeper]:
    async with opened(request.param, 6_000, request) as store:
        yield store


@pytest.fixture(params=ALL[:2])
async def small_store(request: pytest.FixtureRequest) -> AsyncIterator[ProgressKeeper]:
    async with opened(request.param, 6, request) as store:
        yield store


async def test_the_newest_blob_is_kept_and_handed_over_in_the_end(store: ProgressKeeper) -> None:
    await store.put(1, A, b"one", NOW + 100)
    await store.put(1, A, b"two", NOW + 200)
    await store.put(1, A, b"two", NOW + 50)
    await store.put(2, B, b"three", NOW + 150)
    assert await store.get(1, A) == b"two"
    assert await store.get(1, B) is None
    assert await store.hand_over(NOW + 149, name) == 0
    assert await store.hand_over(NOW + 150, name) == 1
    assert await store.get(2, B) is None
    assert await store.hand_over(NOW + 199, name) == 0
    assert await store.hand_over(NOW + 500, name) == 1
    assert sorted(await store.videos()) == [1, 2]
    closed = await store.due(10)
    assert sorted(closed) == sorted(named((1, A, b"two"), (2, B, b"three")))
    await store.saved(closed)
    await store.saved(closed)
    assert list(await store.due(10)) == []
    assert list(await store.videos()) == []


async def test_after_its_stay_is_closed_a_viewer_begins_anew(store: ProgressKeeper) -> None:
    assert not await store.close(1, A, name)
    await store.put(1, A, b"one", NOW + 100)
    assert await store.close(1, A, name)
    assert await store.get(1, A) is None
    await store.put(1, A, b"two", NOW + 200)
    assert sorted(each.blob for each in await store.all_of(1)) == [b"one", b"two"]
    first = await store.due(1)
    assert list(first) == named((1, A, b"one"))
    await store.close(1, A, name)
    await store.saved(first)
    assert list(await store.all_of(1)) == named((1, A, b"two"))


async def test_what_is_worth_nothing_is_not_kept(store: ProgressKeeper) -> None:
    await store.put(1, A, b"one", NOW + 100)
    await store.put(1, B, b"two", NOW + 100)
    assert await store.hand_over(NOW + 100, lambda *_: None) == 2
    assert list(await store.due(10)) == []
    assert list(await store.videos()) == []


async def test_pop_and_forget(store: ProgressKeeper) -> None:
    await store.put(1, A, b"one", NOW + 100)
    await store.put(1, B, b"two", NOW + 100)
    assert await store.pop(1, A) == b"one"
    assert await store.pop(1, A) is None
    assert list(await store.all_of(1)) == [Progress(1, B, b"two")]
    await store.put(1, A, b"one", NOW + 100)
    await store.close(1, A, name)
    await store.forget_video(1)
    assert list(await store.all_of(1)) == []
    assert await store.hand_over(NOW + 1_000, name) == 0
    assert list(await store.due(10)) == []
    assert list(await store.videos()) == []


async def test_it_is_bounded_closed_stays_included(small_store: ProgressKeeper) -> None:
    for number in range(6):
        await small_store.put(1, bytes([number]) * 16, b"one", NOW + 100)
    with pytest.raises(StorageUnavailable):
        await small_store.put(1, A, b"two", NOW + 100)
    await small_store.put(1, bytes(16), b"three", NOW + 200)
    assert await small_store.get(1, bytes(16)) == b"three"
    await small_store.close(1, bytes(16), name)
    with pytest.raises(StorageUnavailable):
        await small_store.put(1, A, b"two", NOW + 100)
    await small_store.saved(await small_store.due(10))
    await small_store.put(1, A, b"two", NOW + 100)


async def test_processes_close_and_save_each_stay_once(any_redis: LiveServer) -> None:
    """And what one of them took and was killed with comes to another."""
    clock = ManualClock(NOW)
    link = RedisLink(any_redis.url)
    stores = [RedisProgressStore(link, clock, RedisSettings(shards=4, server_time=False)) for _ in range(3)]
    for number in range(200):
        await stores[0].put(number % 3, bytes([number]) * 16, b"%d" % number, NOW + 100)
    clock.advance(100)
    closed = await asyncio.gather(*(store.hand_over(clock.now_ms(), name) for store in stores))
    assert sum(closed) == 200
    lent = await asyncio.gather(*(store.due(1_000) for store in stores))
    assert len({each for some in lent for each in some}) == sum(map(len, lent)) == 200
    for store, some in zip(stores[1:], lent[1:], strict=True):
        await store.saved(some)
    assert sum([len(await store.due(1_000)) for store in stores]) == 0
    clock.advance(LEASE_MS)
    again = await stores[1].due(1_000)
    assert sorted(again) == sorted(lent[0])
    await stores[2].saved(again)
    assert await stores[2].videos() == []
    await link.close()
