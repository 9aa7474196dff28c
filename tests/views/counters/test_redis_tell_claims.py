"""Which of several processes tells an origin of a viewer, and under which name: on a real Redis, and on a Cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from support.servers import RedisCluster, RedisServer

from foundation.clock import ManualClock
from foundation.redis.link import RedisLink
from views.counters.base import Telling, Told
from views.counters.redis.settings import RedisSettings
from views.counters.redis.store import RedisCounterStore
from views.model import LOCAL

NOW = 1_800_000_000_000
LIFE = 120_000
AGAIN = 90_000
VIEWER = b"v" * 16
VIDEO = 5


@pytest.fixture(params=["standalone", "cluster"])
async def stores(request: pytest.FixtureRequest) -> AsyncIterator[tuple[RedisCounterStore, RedisCounterStore]]:
    """Those of two processes."""
    server: RedisServer | RedisCluster = request.getfixturevalue(
        "live_redis" if request.param == "standalone" else "live_redis_cluster"
    )
    settings = RedisSettings(prefix="t", shards=4, server_time=False)
    pair = tuple(RedisCounterStore(RedisLink(server.url), ManualClock(NOW), settings) for _ in range(2))
    yield pair[0], pair[1]
    for store in pair:
        await store.close()


def told_at(now_ms: int, since_ms: int | None = None) -> Telling:
    return Telling(now_ms if since_ms is None else since_ms, now_ms + LIFE, now_ms + AGAIN)


async def test_the_first_tells_and_the_others_learn_its_name(
    stores: tuple[RedisCounterStore, RedisCounterStore],
) -> None:
    one, two = stores
    assert await one.claim_tell(VIDEO, VIEWER, told_at(NOW), NOW) == (True, told_at(NOW))
    granted, known = await two.claim_tell(VIDEO, VIEWER, told_at(NOW + 5_000), NOW + 5_000)
    assert not granted
    assert known == told_at(NOW), "the begin of the stay is the name it is told under"


async def test_it_is_told_again_when_that_is_worth_it_and_by_one_alone(
    stores: tuple[RedisCounterStore, RedisCounterStore],
) -> None:
    one, two = stores
    await one.claim_tell(VIDEO, VIEWER, told_at(NOW), NOW)
    later = NOW + AGAIN
    granted, known = await two.claim_tell(VIDEO, VIEWER, told_at(later), later)
    assert (granted, known) == (True, told_at(later, NOW))
    granted, _ = await one.claim_tell(VIDEO, VIEWER, told_at(later), later)
    assert not granted


async def test_without_news_there_is_nothing_to_tell(stores: tuple[RedisCounterStore, RedisCounterStore]) -> None:
    one, two = stores
    await one.claim_tell(VIDEO, VIEWER, told_at(NOW), NOW)
    granted, _ = await two.claim_tell(VIDEO, VIEWER, told_at(NOW), NOW + AGAIN)
    assert not granted


async def test_the_life_that_others_heard_of_is_told(stores: tuple[RedisCounterStore, RedisCounterStore]) -> None:
    one, two = stores
    await one.claim_tell(VIDEO, VIEWER, told_at(NOW), NOW)
    newest = NOW + AGAIN - 1_000 + LIFE
    await two.touch(VIDEO, LOCAL, VIEWER, newest, NOW + AGAIN - 1_000)
    # The process that tells heard of it last at the beginning.
    granted, known = await one.claim_tell(VIDEO, VIEWER, told_at(NOW), NOW + AGAIN)
    assert granted
    assert (known.since_ms, known.expires_ms) == (NOW, newest)


async def test_a_stay_that_is_over_begins_anew(stores: tuple[RedisCounterStore, RedisCounterStore]) -> None:
    one, two = stores
    await one.claim_tell(VIDEO, VIEWER, told_at(NOW), NOW)
    later = NOW + LIFE + 1
    assert await two.claim_tell(VIDEO, VIEWER, told_at(later), later) == (True, told_at(later))


async def test_what_origins_acknowledged_is_remembered_beside_it(
    stores: tuple[RedisCounterStore, RedisCounterStore],
) -> None:
    one, two = stores
    _, known = await one.claim_tell(VIDEO, VIEWER, told_at(NOW), NOW)
    await one.mark_told(VIDEO, Told(VIEWER, known.since_ms, known.expires_ms, NOW + 50))
    assert list(await two.told(VIDEO, NOW + 1_000)) == [Told(VIEWER, NOW, NOW + LIFE, NOW + 50)]


async def test_forgotten_videos_and_ended_stays_leave_nothing(
    stores: tuple[RedisCounterStore, RedisCounterStore],
) -> None:
    one, _ = stores
    await one.claim_tell(VIDEO, VIEWER, told_at(NOW), NOW)
    await one.forget_video(VIDEO)
    assert await one.claim_tell(VIDEO, VIEWER, told_at(NOW + 1, NOW + 1), NOW + 1) == (True, told_at(NOW + 1))
    await one.sweep(NOW + LIFE + 60_000)
    assert await one.told_videos() == []
