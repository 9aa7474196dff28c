"""What every counter store promises, on every implementation."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from foundation.clock import ManualClock
from foundation.errors import StorageUnavailable
from foundation.redis.link import RedisLink
from views.counters.base import (
    MAX_TOTALS_OF_ONE_INSTANT,
    TOLD_MEMORY_MS,
    CounterStore,
    Reading,
    Told,
    Total,
    TotalMark,
)
from views.counters.journal import Journal, JournalSettings
from views.counters.memory import MemoryCounterStore
from views.counters.records import NullRecorder
from views.counters.redis.settings import RedisSettings
from views.counters.redis.store import RedisCounterStore
from views.model import LOCAL

NOW = 1_800_000_000_000
SMALL = 5


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


@contextlib.asynccontextmanager
async def opened(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[CounterStore]:
    """``memory``, ``memory+journal`` and ``redis`` have room for five viewers; the others spread them over shards."""
    if kind == "memory":
        yield MemoryCounterStore(SMALL, keep_departed=True)
    elif kind == "memory+journal":
        journal = Journal(JournalSettings(tmp_path / "live"), ManualClock(NOW))
        await journal.start(NullRecorder())
        yield MemoryCounterStore(SMALL, recorder=journal, keep_departed=True)
        await journal.stop()
    else:
        settings = {
            "redis": RedisSettings(shards=1, max_viewers=SMALL, server_time=False),
            "redis, split": RedisSettings(shards=4, split_at=1, server_time=False),
            "redis, cluster": RedisSettings(shards=16, split_at=2, server_time=False),
        }[kind]
        server = request.getfixturevalue("any_cluster" if "cluster" in kind else "any_redis")
        store = RedisCounterStore(RedisLink(server.url), ManualClock(NOW), settings, keep_departed=True)
        await store.start()
        yield store
        await store.close()


ALL = ["memory", "memory+journal", "redis", "redis, split", "redis, cluster"]


@pytest.fixture(params=ALL)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[CounterStore]:
    async with opened(request.param, request, tmp_path) as store:
        yield store


@pytest.fixture(params=ALL[:3])
async def small_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[CounterStore]:
    """A store with room for five viewers."""
    async with opened(request.param, request, tmp_path) as store:
        yield store


async def test_a_viewer_lives_until_its_expiry_and_not_longer(store: CounterStore) -> None:
    assert await store.touch(1, LOCAL, key(1), NOW + 1000, NOW)
    assert await store.has(1, LOCAL, key(1), NOW + 999)
    assert (await store.read(1, NOW + 999)).local == 1
    assert not await store.has(1, LOCAL, key(1), NOW + 1000)
    assert (await store.read(1, NOW + 1000)).local == 0


async def test_a_touch_extends_and_never_shortens(store: CounterStore) -> None:
    assert await store.touch(1, LOCAL, key(1), NOW + 1000, NOW)
    assert not await store.touch(1, LOCAL, key(1), NOW + 3000, NOW)
    assert not await store.touch(1, LOCAL, key(1), NOW + 2000, NOW)
    assert (await store.read(1, NOW + 2999)).local == 1
    assert (await store.read(1, NOW + 3000)).local == 0


async def test_who_expired_unswept_is_new_again(store: CounterStore) -> None:
    assert await store.touch(1, LOCAL, key(1), NOW + 1000, NOW)
    assert await store.touch(1, LOCAL, key(1), NOW + 3000, NOW + 1000)


async def test_a_life_that_is_over_is_not_added(store: CounterStore) -> None:
    assert not await store.touch(1, LOCAL, key(1), NOW, NOW)
    assert await store.watched(NOW) in ((), [])


async def test_sources_and_videos_are_apart(store: CounterStore) -> None:
    await store.touch(1, LOCAL, key(1), NOW + 1000, NOW)
    await store.touch(1, "a.example", key(1), NOW + 1000, NOW)
    await store.touch(1, "a.example:8443", key(1), NOW + 1000, NOW)
    await store.touch(2, LOCAL, key(1), NOW + 1000, NOW)
    assert await store.read(1, NOW) == Reading(1, {"a.example": 1, "a.example:8443": 1}, None)
    assert [reading.local for reading in await store.read_many([2, 1, 3], NOW)] == [1, 1, 0]
    assert sorted(await store.watched(NOW)) == [1, 2]


async def test_leaving(store: CounterStore) -> None:
    await store.touch(1, LOCAL, key(1), NOW + 1000, NOW)
    assert await store.leave(1, LOCAL, key(1), NOW)
    assert not await store.leave(1, LOCAL, key(1), NOW)
    assert not await store.leave(9, LOCAL, key(1), NOW)
    assert (await store.read(1, NOW)).local == 0
    await store.touch(1, LOCAL, key(1), NOW + 1000, NOW)
    assert not await store.leave(1, LOCAL, key(1), NOW + 1000)


async def test_the_sweep_names_what_changed_once_even_when_a_read_noticed_first(store: CounterStore) -> None:
    await store.touch(1, LOCAL, key(1), NOW + 1000, NOW)
    await store.touch(2, LOCAL, key(1), NOW + 2000, NOW)
    assert list(await store.sweep(NOW)) == []
    await store.read(1, NOW + 1000)
    assert list(await store.sweep(NOW + 1000)) == [1]
    assert list(await store.sweep(NOW + 1000)) == []
    assert list(await store.sweep(NOW + 2000)) == [2]


async def test_who_departs_is_named_once_and_only_viewers_of_ours_are(store: CounterStore) -> None:
    for number in range(1, 4):
        await store.touch(1, LOCAL, key(number), NOW + 1000 * number, NOW)
    await store.touch(1, "peer.example", key(9), NOW + 1000, NOW)
    await store.touch(2, LOCAL, key(1), NOW + 1000, NOW)
    await store.leave(1, LOCAL, key(2), NOW)
    assert not store.departed()
    await store.sweep(NOW + 1000)
    assert sorted(store.departed()) == [(1, key(1)), (2, key(1))]
    assert not store.departed()
    await store.forget_video(1)
    await store.sweep(NOW + 5000)
    assert not store.departed()


async def test_a_full_store_refuses_strangers_and_serves_who_is_here(small_store: CounterStore) -> None:
    for number in range(SMALL):
        await small_store.touch(number, LOCAL, key(number), NOW + 1000, NOW)
    with pytest.raises(StorageUnavailable):
        await small_store.touch(0, LOCAL, key(99), NOW + 1000, NOW)
    with pytest.raises(StorageUnavailable):
        await small_store.touch(99, LOCAL, key(99), NOW + 1000, NOW)
    assert not await small_store.touch(0, LOCAL, key(0), NOW + 2000, NOW)
    assert await small_store.touch(99, LOCAL, key(99), NOW + 2000, NOW + 1000), "expired viewers make room"


async def test_totals_are_ordered_and_a_tie_goes_to_the_later_arrival(store: CounterStore) -> None:
    assert await store.put_total(1, Total(5, NOW + 1000, 20, 0), NOW)
    assert not await store.put_total(1, Total(6, NOW + 9000, 19, 0), NOW)
    assert await store.put_total(1, Total(7, NOW + 1000, 20, 2), NOW)
    assert (await store.read(1, NOW)).total == Total(7, NOW + 1000, 20, 2)


async def test_a_total_lives_through_its_grace_and_ends(store: CounterStore) -> None:
    total = Total(5, NOW + 1000, NOW, 0, granted_ms=1000)
    assert total.fresh_until_ms == NOW + 1250
    await store.put_total(1, total, NOW)
    assert (await store.read(1, NOW + 1249)).total == total
    assert list(await store.watched(NOW + 1249)) == [1]
    assert (await store.read(1, NOW + 1250)).total is None
    assert list(await store.sweep(NOW + 1250)) == [1]
    assert await store.put_total(1, Total(1, NOW + 9000, NOW - 1, 0), NOW + 1250)
    assert not await store.put_total(2, Total(1, NOW, NOW, 0), NOW)


async def test_an_earlier_total_is_not_taken_once_the_later_one_is_over(store: CounterStore) -> None:
    mark = TotalMark(NOW + 10_000, "b" * 16)
    assert await store.put_total(1, Total(3, NOW + 1_000, 20, 0), NOW, mark)
    await store.sweep(NOW + 2_000)
    captured = Total(1_000, NOW + 60_000, 19, 0)
    assert not await store.put_total(1, captured, NOW + 2_000, TotalMark(NOW + 9_000, "a" * 16))
    assert (await store.read(1, NOW + 2_000)).total is None
    assert await store.put_total(1, captured, NOW + 10_000), "nobody believes a signature so old: it is another message"
    await store.forget_video(1)


async def test_the_mark_of_a_forgotten_video_is_forgotten(store: CounterStore) -> None:
    assert await store.put_total(1, Total(3, NOW + 1_000, 20, 0), NOW, TotalMark(NOW + 10_000, "b" * 16))
    await store.forget_video(1)
    assert await store.put_total(1, Total(4, NOW + 1_000, 19, 0), NOW)


async def test_of_a_tie_what_was_followed_by_another_does_not_come_back(store: CounterStore) -> None:
    total = {count: Total(count, NOW + 9_000, 20, 0) for count in range(50, 90)}

    async def put(count: int) -> bool:
        return await store.put_total(1, total[count], NOW, TotalMark(NOW + 60_000, f"{count:016x}"))

    assert await put(50)
    assert await put(51)
    assert await put(51), "the newest may be said twice"
    assert not await put(50)
    assert (await store.read(1, NOW)).total == total[51]
    taken = [count for count in range(52, 90) if await put(count)]
    assert len(taken) == MAX_TOTALS_OF_ONE_INSTANT - 2
    assert await store.put_total(1, Total(1, NOW + 9_000, 21, 0), NOW, TotalMark(NOW + 60_000, f"{50:016x}"))


async def test_marks_outlive_later_ones_that_end_sooner(store: CounterStore) -> None:
    assert await store.put_total(1, Total(3, NOW + 10, 20, 0), NOW, TotalMark(NOW + 60_000, "a" * 16))
    assert await store.put_total(1, Total(4, NOW + 10, 30, 0), NOW, TotalMark(NOW + 100, "b" * 16))
    assert not await store.put_total(1, Total(9, NOW + 90_000, 25, 0), NOW + 50_000)


async def test_a_total_replaces_viewers_sent_one_by_one_and_leaves_ours(store: CounterStore) -> None:
    await store.touch(1, LOCAL, key(1), NOW + 9000, NOW)
    await store.touch(1, "origin.example", key(2), NOW + 9000, NOW)
    total = Total(5, NOW + 1000, NOW, 0)
    await store.put_total(1, total, NOW)
    await store.touch(1, "origin.example", key(3), NOW + 9000, NOW)
    assert await store.read(1, NOW) == Reading(1, {}, total)
    assert await store.read(1, NOW + 1000) == Reading(1, {"origin.example": 1}, None)


async def test_forgetting_a_source_or_a_video(store: CounterStore) -> None:
    await store.touch(1, LOCAL, key(1), NOW + 9000, NOW)
    await store.touch(1, "a.example", key(2), NOW + 9000, NOW)
    await store.touch(2, "a.example", key(2), NOW + 9000, NOW)
    await store.forget_source("a.example")
    assert await store.read(1, NOW) == Reading(1, {}, None)
    assert sorted(await store.sweep(NOW)) == [1, 2]
    await store.put_total(1, Total(5, NOW + 1000, NOW, 0), NOW)
    await store.mark_told(1, Told(key(1), NOW, NOW + 1000, NOW))
    await store.claim_view(1, key(1), NOW + 1000, NOW)
    await store.forget_video(1)
    assert await store.read(1, NOW) == Reading(0, {}, None)
    assert list(await store.told(1, NOW)) == []
    assert await store.claim_view(1, key(1), NOW + 1000, NOW)


async def test_a_view_is_claimed_once_until_its_time_or_its_release(store: CounterStore) -> None:
    assert await store.claim_view(1, key(1), NOW + 1000, NOW)
    assert not await store.claim_view(1, key(1), NOW + 5000, NOW + 999)
    assert await store.claim_view(1, key(2), NOW + 1000, NOW)
    assert await store.claim_view(2, key(1), NOW + 1000, NOW)
    assert await store.claim_view(1, key(1), NOW + 5000, NOW + 1000)
    await store.release_view(1, key(1))
    await store.release_view(1, key(1))
    assert await store.claim_view(1, key(1), NOW + 5000, NOW + 1000)
    await store.sweep(NOW + 5000)
    assert await store.claim_view(1, key(1), NOW + 6000, NOW + 5000)


async def test_told_lives_keep_the_last_two_tells_of_a_stay(store: CounterStore) -> None:
    first = Told(key(1), NOW, NOW + 1000, NOW + 5)
    second = Told(key(1), NOW, NOW + 2000, NOW + 900)
    third = Told(key(1), NOW, NOW + 3000, NOW + 1800)
    await store.mark_told(1, first)
    await store.mark_told(1, first)
    assert list(await store.told(1, NOW)) == [first]
    await store.mark_told(1, second)
    assert list(await store.told(1, NOW)) == [second, first]
    await store.mark_told(1, third)
    assert list(await store.told(1, NOW)) == [third, second]
    assert list(await store.told(1, NOW + 2000)) == [third]
    assert list(await store.told_videos()) == [1]


async def test_an_unacknowledged_tell_makes_way(store: CounterStore) -> None:
    await store.mark_told(1, Told(key(1), NOW, NOW + 1000, 0))
    acknowledged = Told(key(1), NOW, NOW + 1500, NOW + 7)
    await store.mark_told(1, acknowledged)
    assert list(await store.told(1, NOW)) == [acknowledged]


async def test_a_new_stay_forgets_the_old_one(store: CounterStore) -> None:
    await store.mark_told(1, Told(key(1), NOW, NOW + 1000, NOW + 5))
    other = Told(key(1), NOW + 500, NOW + 2000, NOW + 505)
    await store.mark_told(1, other)
    assert list(await store.told(1, NOW)) == [other]


async def test_told_lives_can_be_asked_for_a_while_after_their_end(store: CounterStore) -> None:
    told = Told(key(1), NOW, NOW + 1000, NOW + 5)
    await store.mark_told(1, told)
    await store.sweep(NOW + 1000 + TOLD_MEMORY_MS - 1)
    assert list(await store.told(1, NOW + 999)) == [told]
    assert list(await store.told(1, NOW + 1000)) == []
    for later in range(3):
        await store.sweep(NOW + 1000 + TOLD_MEMORY_MS * (later + 1))
    assert list(await store.told(1, NOW)) == []


async def test_a_clock_that_is_set_back_loses_nobody_and_keeps_nobody_for_good(store: CounterStore) -> None:
    await store.touch(1, LOCAL, key(1), NOW + 1000, NOW)
    earlier = NOW - 3_600_000
    await store.touch(1, LOCAL, key(2), earlier + 1000, earlier)
    assert (await store.read(1, earlier)).local == 2
    assert (await store.read(1, earlier + 1000)).local == 1
    assert (await store.read(1, NOW + 1000)).local == 0
