"""Leases among processes, on a real Redis: one holder per shard, taken over when it is gone, fenced when it wakes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from integration.house import wait_until
from support.servers import RedisServer

from foundation.clock import SystemClock
from foundation.errors import StorageUnavailable
from foundation.leases import Holder
from foundation.metrics import Metrics
from foundation.redis.leases import FENCE, RedisLeases
from foundation.redis.link import RedisLink
from foundation.redis.script import script
from foundation.redis.shards import Shards

SHARDS = 8
LEASE_MS = 600

WRITE = script("test_write", "if not held(ARGV[4]) then return 0 end\ncall('INCR', B .. 'written')\nreturn 1\n", FENCE)


@dataclass
class Process:
    """A process of the instance that renews when it is told to."""

    link: RedisLink
    store: Shards
    leases: RedisLeases
    gained: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)

    def held(self) -> set[int]:
        return {shard for shard in range(SHARDS) if self.leases.holds_shard(shard)}

    async def attend(self, shard: int, *, gained: bool) -> None:
        (self.gained if gained else self.lost).append(shard)

    async def writes(self, shard: int, token: int) -> bool:
        return bool(await self.store.run(WRITE, shard, token))


class House:
    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.processes: list[Process] = []

    def process(self, lease_ms: int = LEASE_MS) -> Process:
        link, clock = RedisLink(self.server.url), SystemClock()
        store = Shards(link, clock, prefix="t", count=SHARDS, ttl_ms=60_000)
        process = Process(link, store, RedisLeases(store, clock, Metrics(), lease_ms=lease_ms))
        process.leases.attend(
            Holder(lambda shard: process.attend(shard, gained=True), lambda shard: process.attend(shard, gained=False))
        )
        self.processes.append(process)
        return process


@pytest.fixture
async def house(live_redis: RedisServer) -> AsyncIterator[House]:
    made = House(live_redis)
    yield made
    for process in made.processes:
        await process.link.close()


async def test_one_process_holds_everything(house: House) -> None:
    one = house.process()
    await one.leases.renew()
    assert one.held() == set(range(SHARDS))
    assert one.gained == list(range(SHARDS))
    assert one.leases.holds("any name")


async def test_two_divide_the_shards_and_never_hold_one_together(house: House) -> None:
    one, two = house.process(), house.process()
    await one.leases.renew()
    await two.leases.renew()
    assert one.held().isdisjoint(two.held())
    await one.leases.renew()
    await two.leases.renew()
    assert one.held().isdisjoint(two.held())
    assert one.held() | two.held() == set(range(SHARDS))
    assert set(one.lost) == two.held()


async def test_who_stops_in_order_leaves_nothing_to_wait_for(house: House) -> None:
    one, two = house.process(60_000), house.process(60_000)
    for process in (one, two, one, two):
        await process.leases.renew()
    await one.leases.stop()
    assert one.held() == set()
    await two.leases.renew()
    assert two.held() == set(range(SHARDS))


async def test_a_killed_process_is_followed_when_its_leases_are_over(house: House) -> None:
    one, two = house.process(), house.process()
    for process in (one, two, one, two):
        await process.leases.renew()
    left = one.held()
    assert left
    async with asyncio.timeout(10):
        while two.held() != set(range(SHARDS)):
            await two.leases.renew()
            await asyncio.sleep(0.02)
    assert left <= set(two.gained)
    assert one.held() == set(), "whoever is not heard of any more must not go on"


async def test_a_process_that_slept_cannot_write_in_the_name_of_a_shard(house: House) -> None:
    one, two = house.process(), house.process()
    await one.leases.renew()
    tokens = {shard: one.leases.token(shard) for shard in range(SHARDS)}
    assert all([await one.writes(shard, token) for shard, token in tokens.items()])
    async with asyncio.timeout(10):
        while not two.held():
            await two.leases.renew()
            await asyncio.sleep(0.02)
    for shard in two.held():
        assert not await one.writes(shard, tokens[shard])
        assert await two.writes(shard, two.leases.token(shard))
        assert two.leases.token(shard) > tokens[shard]


async def test_tokens_grow_even_when_redis_forgets_everything(house: House) -> None:
    one = house.process()
    await one.leases.renew()
    before = [one.leases.token(shard) for shard in range(SHARDS)]
    house.server.flush()
    await one.leases.renew()
    after = [one.leases.token(shard) for shard in range(SHARDS)]
    assert all(new > old for old, new in zip(before, after, strict=True))
    assert one.lost == one.gained[:SHARDS], "what was lost in between is noticed"


async def test_without_redis_nothing_is_held_longer_than_the_lease(house: House) -> None:
    one = house.process()
    await one.leases.renew()
    assert one.held()
    house.server.kill()
    try:
        with pytest.raises(StorageUnavailable):
            await one.leases.renew()
        await wait_until(lambda: not one.held())
    finally:
        house.server.start()


async def test_what_is_not_ready_is_not_held(house: House) -> None:
    one = house.process()

    async def fails(_: int) -> None:
        raise StorageUnavailable("not there")

    one.leases.attend(Holder(fails, fails))
    with pytest.raises(StorageUnavailable):
        await one.leases.renew()
    assert one.held() == set()
