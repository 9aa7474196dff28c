"""What the Redis store promises beyond the common suite: several processes and clocks, shards, nothing for ever."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from redis.asyncio import Redis
from support.servers import RedisServer

from foundation.clock import Clock, ManualClock, SystemClock
from foundation.errors import ConfigError, StorageUnavailable
from foundation.metrics import Metrics
from foundation.redis.connecting import place_of
from foundation.redis.link import LinkSettings, RedisLink
from views.counters.base import CounterStore, Reading, Told, Total
from views.counters.memory import MemoryCounterStore
from views.counters.redis.keys import Keys
from views.counters.redis.settings import RedisSettings
from views.counters.redis.store import RedisCounterStore
from views.model import LOCAL

NOW = 1_800_000_000_000
HOUR_MS = 3_600_000
BY_HAND = RedisSettings(shards=4, split_at=3, server_time=False)

Opened = Callable[..., RedisCounterStore]


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


@pytest.fixture
async def opened(live_redis: RedisServer) -> AsyncIterator[Opened]:
    """Opens stores, as many processes would."""
    async with AsyncExitStack() as stack:

        def open_one(
            settings: RedisSettings = BY_HAND, clock: Clock | None = None, link: LinkSettings | None = None
        ) -> RedisCounterStore:
            store = RedisCounterStore(RedisLink(live_redis.url, link), clock or ManualClock(NOW), settings)
            stack.push_async_callback(store.close)
            return store

        yield open_one


class SkewedClock(SystemClock):
    def __init__(self, skew_ms: int) -> None:
        self._skew_ms = skew_ms

    def now_ms(self) -> int:
        return super().now_ms() + self._skew_ms


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(2000):
        if await holds():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came to hold")


def any_step(rng: random.Random, now: int) -> Callable[[CounterStore], Awaitable[object]]:
    """Something that may happen to a store: small worlds, so that things meet."""
    what, video, viewer = rng.random(), rng.randrange(4), key(rng.randrange(25))
    source, life = rng.choice([LOCAL, "a.example", "b.example:8443"]), rng.randrange(1, 600)
    total = Total(life, now + life, now - life % 50, life % 9, life)
    told = Told(viewer, now // 1000, now + life, now % 2 and now)
    steps: list[tuple[float, Callable[[CounterStore], Awaitable[object]]]] = [
        (0.60, lambda store: store.touch(video, source, viewer, now + life, now)),
        (0.70, lambda store: store.leave(video, source, viewer, now)),
        (0.75, lambda store: store.put_total(video, total, now)),
        (0.80, lambda store: store.claim_view(video, viewer, now + life, now)),
        (0.82, lambda store: store.forget_source("a.example")),
        (0.83, lambda store: store.forget_video(video)),
        (0.88, lambda store: store.mark_told(video, told)),
        (0.90, lambda store: store.release_view(video, viewer)),
        (0.94, lambda store: store.has(video, source, viewer, now)),
        (1.00, lambda store: store.read_many(range(4), now)),
    ]
    return next(step for share, step in steps if what < share)


async def test_a_hot_video_is_spread_over_shards_and_counted_once(opened: Opened, live_redis: RedisServer) -> None:
    one, other = opened(), opened()
    for number in range(200):
        store = (one, other)[number % 2]
        assert await store.touch(5, LOCAL, key(number), NOW + 1000, NOW)
    for number in range(200):
        assert not await other.touch(5, LOCAL, key(number), NOW + 2000, NOW + 500)
        assert await one.has(5, LOCAL, key(number), NOW + 1999)
    assert (await one.read(5, NOW + 1999)).local == 200
    assert await one.watched(NOW) == [5]
    kept = [live_redis.call("ZCARD", f"fediviews:{{{shard}}}:v:5:") for shard in range(4)]
    assert all(answer.startswith(b":") and int(answer[1:]) > 20 for answer in kept), kept
    assert await opened().leave(5, LOCAL, key(150), NOW)
    assert not await one.leave(5, LOCAL, key(150), NOW)
    assert (await one.read(5, NOW)).local == 199
    assert await one.sweep(NOW + 2000) == [5]
    assert (await one.read(5, NOW)).local == 0


async def test_who_came_before_the_video_was_hot_stays_one_viewer(opened: Opened) -> None:
    early, late = opened(), opened()
    keys = Keys("x", 4)
    guests = [key(number) for number in range(500) if keys.spread(5, key(number)) != keys.home(5)]
    for viewer in guests[:3]:
        assert await early.touch(5, LOCAL, viewer, NOW + 1000, NOW)
    for viewer in guests[3:]:
        assert await late.touch(5, LOCAL, viewer, NOW + 1000, NOW)
    for viewer in guests:
        assert not await early.touch(5, LOCAL, viewer, NOW + 3000, NOW)
        assert not await late.touch(5, LOCAL, viewer, NOW + 2000, NOW)
    assert (await late.read(5, NOW + 2999)).local == len(guests)
    assert await early.sweep(NOW + 3000) == [5]
    newcomer = opened()
    assert await newcomer.touch(5, LOCAL, guests[0], NOW + 9000, NOW + 3000)
    assert not await late.touch(5, LOCAL, guests[0], NOW + 9500, NOW + 3000)
    assert (await late.read(5, NOW + 9499)).local == 1


async def test_a_total_drops_viewers_sent_one_by_one_on_every_shard(opened: Opened) -> None:
    store = opened()
    for number in range(40):
        await store.touch(5, "origin.example", key(number), NOW + 9000, NOW)
    assert await store.put_total(5, Total(70, NOW + 1000, NOW, 0), NOW)
    assert await store.read(5, NOW + 1000) == Reading(0, {}, None)


async def test_it_says_what_the_store_in_memory_says(opened: Opened) -> None:
    """The same random life in both; every answer is compared."""
    rng = random.Random(7)
    redis, memory = opened(), MemoryCounterStore(1_000_000)
    now = NOW
    for _ in range(1500):
        now += rng.randrange(30)
        step = any_step(rng, now)
        assert await step(redis) == await step(memory)
        assert sorted(await redis.watched(now)) == sorted(await memory.watched(now))
        for video in range(4):
            assert sorted(map(str, await redis.told(video, now))) == sorted(map(str, await memory.told(video, now)))
    await memory.sweep(now + HOUR_MS)
    await redis.sweep(now + HOUR_MS)
    assert await redis.watched(now) == []


async def test_clocks_of_processes_may_be_hours_apart(opened: Opened) -> None:
    settings = dataclasses.replace(BY_HAND, server_time=True)
    clocks = [SkewedClock(skew_ms) for skew_ms in (0, 5 * HOUR_MS, -3 * HOUR_MS)]
    stores = [opened(settings, clock) for clock in clocks]

    def now(number: int) -> int:
        return clocks[number].now_ms()

    assert await stores[0].touch(1, LOCAL, key(1), now(0) + 60_000, now(0))
    assert not await stores[1].touch(1, LOCAL, key(1), now(1) + 1, now(1))
    assert not await stores[2].touch(1, LOCAL, key(1), now(2) + 1, now(2))
    assert await stores[2].touch(1, LOCAL, key(2), now(2) + 60_000, now(2))
    for number, store in enumerate(stores):
        assert (await store.read(1, now(number))).local == 2
        assert list(await store.sweep(now(number))) == []
    assert await stores[1].claim_view(1, key(1), now(1) + 60_000, now(1))
    assert not await stores[2].claim_view(1, key(1), now(2) + 60_000, now(2))
    assert await stores[1].put_total(9, Total(5, now(1) + 60_000, 1, 0, 60_000), now(1))
    total = (await stores[2].read(9, now(2))).total
    assert total is not None
    assert abs(total.expires_ms - now(2) - 60_000) < 5_000
    since = now(0)
    await stores[0].mark_told(9, Told(key(1), since, now(0) + 60_000, now(0) - 5_000))
    [told] = await stores[1].told(9, now(1))
    assert told.since_ms == since
    assert abs(told.told_expires_ms - now(1) - 60_000) < 5_000
    assert abs(now(1) - told.acked_ms - 5_000) < 5_000


async def test_lives_end_by_the_servers_clock(opened: Opened) -> None:
    clock = SystemClock()
    store = opened(dataclasses.replace(BY_HAND, server_time=True), clock)
    assert await store.touch(1, LOCAL, key(1), clock.now_ms() + 50, clock.now_ms())
    await store.put_total(2, Total(5, clock.now_ms() + 50, 1, 0), clock.now_ms())

    async def ended() -> bool:
        return not await store.watched(clock.now_ms())

    await until(ended)
    assert sorted(await store.sweep(clock.now_ms())) == [1, 2]


async def test_each_change_is_swept_by_one_process(opened: Opened) -> None:
    stores = [opened() for _ in range(3)]
    for video in range(60):
        await stores[0].touch(video, LOCAL, key(video), NOW + 1000, NOW)
    found = await asyncio.gather(*(store.sweep(NOW + 1000) for store in stores))
    assert sorted(video for videos in found for video in videos) == list(range(60))


async def test_every_process_hears_what_moved_from_its_own_cursor(opened: Opened, live_redis: RedisServer) -> None:
    one, other = opened(), opened()
    await one.touch(1, LOCAL, key(1), NOW + 1000, NOW)
    heard = await other.changed_since()
    assert heard.videos == [1]
    await one.touch(1, LOCAL, key(1), NOW + 1500, NOW)
    assert (await other.changed_since(heard.cursor)).videos == []
    await one.touch(1, LOCAL, key(2), NOW + 1500, NOW)
    await one.touch(2, LOCAL, key(1), NOW + 1000, NOW)
    await one.leave(2, LOCAL, key(1), NOW)
    await one.put_total(3, Total(1, NOW + 1000, NOW, 0), NOW)
    heard = await other.changed_since(heard.cursor)
    assert sorted(heard.videos) == [1, 2, 3]
    assert sorted((await one.changed_since()).videos) == [1, 2, 3]
    await one.sweep(NOW + 1500)
    assert sorted((await other.changed_since(heard.cursor)).videos) == [1, 3]
    live_redis.flush()
    await one.touch(7, LOCAL, key(1), NOW + 9000, NOW + 2000)
    assert (await other.changed_since(heard.cursor)).videos == [7], "numbers go on growing over a flush"


async def test_no_key_lives_for_ever(opened: Opened, live_redis: RedisServer) -> None:
    store = opened()
    for number in range(20):
        await store.touch(5, LOCAL, key(number), NOW + 1000, NOW)
        await store.touch(5, "a.example", key(number), NOW + 31_000, NOW)
        await store.claim_view(5, key(number), NOW + 1000, NOW)
    await store.put_total(6, Total(1, NOW + 1000, NOW, 0), NOW)
    await store.mark_told(6, Told(key(1), NOW, NOW + 1000, 0))
    await store.sweep(NOW + 1000)
    await store.forget_video(9)
    await store.changed_since()
    longest_ms = store.settings.claim_life_ms + HOUR_MS
    async with Redis.from_url(live_redis.url) as redis:
        names = [name async for name in redis.scan_iter()]
        assert len(names) > 15
        for name in names:
            assert 0 < await redis.pttl(name) <= longest_ms, name


async def test_room_is_counted_anew_after_a_pause_that_nobody_swept(opened: Opened, live_redis: RedisServer) -> None:
    settings = dataclasses.replace(BY_HAND, shards=1, max_viewers=3)
    store = opened(settings)
    for number in range(3):
        await store.touch(1, LOCAL, key(number), NOW + 1000, NOW)
    with pytest.raises(StorageUnavailable):
        await store.touch(2, LOCAL, key(9), NOW + 1000, NOW)
    live_redis.call("DEL", "fediviews:{0}:v:1:")
    await store.start()
    assert await store.touch(2, LOCAL, key(9), NOW + 1000, NOW)
    live_redis.call("DEL", "fediviews:{0}:v:2:")
    await store.sweep(NOW + 1000)
    for number in range(3):
        assert await store.touch(1, LOCAL, key(number), NOW + 3000, NOW + 1000)


async def test_instances_that_share_a_redis_are_apart(opened: Opened) -> None:
    here, there = opened(), opened(dataclasses.replace(BY_HAND, prefix="other"))
    await here.touch(1, LOCAL, key(1), NOW + 1000, NOW)
    assert (await there.read(1, NOW)).local == 0
    assert await there.sweep(NOW + 1000) == []


async def test_concurrent_calls_share_exchanges(live_redis: RedisServer) -> None:
    metrics = Metrics()
    store = RedisCounterStore(RedisLink(live_redis.url, metrics=metrics), ManualClock(NOW), BY_HAND)
    new = await asyncio.gather(*(store.touch(5, LOCAL, key(n), NOW + 1000, NOW) for n in range(500)))
    assert sum(new) == 500
    assert (await store.read(5, NOW)).local == 500
    calls = metrics.registry.get_sample_value("fediviews_live_store_calls_total") or 0
    exchanges = metrics.registry.get_sample_value("fediviews_live_store_exchanges_total") or 0
    assert calls > 500
    assert exchanges < 40
    await store.close()
    with pytest.raises(StorageUnavailable):
        await store.read(5, NOW)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://:hush@127.0.0.1:1/0", "redis://127.0.0.1:1/0"),
        ("unix:///run/user/nobody.sock?password=hush", "unix:///run/user/nobody.sock"),
        ("redis+cluster://u:hush@127.0.0.1:1,127.0.0.1:2", "redis+cluster://127.0.0.1:1,127.0.0.1:2"),
        ("redis+sentinel://:hush@127.0.0.1:1/live/0", "redis+sentinel://127.0.0.1:1/live/0"),
        ("rediss://127.0.0.1:1", "rediss://127.0.0.1:1"),
    ],
)
async def test_nobody_there_is_named_without_secrets(url: str, place: str) -> None:
    assert place_of(url) == place
    store = RedisCounterStore(RedisLink(url, LinkSettings(timeout_ms=500)), ManualClock(NOW), BY_HAND)
    with pytest.raises(StorageUnavailable) as refusal:
        await store.start()
    assert place in str(refusal.value)
    assert "hush" not in str(refusal.value)
    with pytest.raises(StorageUnavailable):
        await store.read(1, NOW)
    await store.close()


@pytest.mark.parametrize("url", ["redis+cluster://:1", "redis://h:1?db=x", "memcached://h:1"])
def test_an_address_that_cannot_be_used_is_the_configurations_fault(url: str) -> None:
    with pytest.raises(ConfigError, match=r"storage\.live"):
        RedisLink(url)
