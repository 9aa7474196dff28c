"""News between processes, on a real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from support.servers import RedisServer

from foundation.clock import SystemClock
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from foundation.redis.link import RedisLink
from foundation.redis.news import KEPT, RedisNews
from foundation.redis.shards import Shards


class Listening:
    def __init__(self, url: str) -> None:
        self.link = RedisLink(url)
        self.news = RedisNews(
            Shards(self.link, SystemClock(), prefix="t", count=2, ttl_ms=60_000), SystemClock(), Metrics()
        )
        self.heard: list[str] = []
        self.news.hear("video", self._hear)

    async def _hear(self, key: str) -> None:
        self.heard.append(key)


@pytest.fixture
async def pair(live_redis: RedisServer) -> AsyncIterator[tuple[Listening, Listening]]:
    one, two = Listening(live_redis.url), Listening(live_redis.url)
    await one.news.exchange()
    await two.news.exchange()
    yield one, two
    await one.link.close()
    await two.link.close()


async def test_others_hear_what_one_tells_once(pair: tuple[Listening, Listening]) -> None:
    one, two = pair
    one.news.tell("video", "7")
    one.news.tell("video", "7")
    one.news.tell("other", "8")
    await one.news.exchange()
    await two.news.exchange()
    await two.news.exchange()
    assert (one.heard, two.heard) == ([], ["7"])


async def test_whoever_comes_later_hears_only_what_is_new(
    pair: tuple[Listening, Listening], live_redis: RedisServer
) -> None:
    one, _ = pair
    one.news.tell("video", "7")
    await one.news.exchange()
    late = Listening(live_redis.url)
    try:
        await late.news.exchange()
        await late.news.exchange()
        assert late.heard == []
    finally:
        await late.link.close()


async def test_whoever_was_away_too_long_knows_that_it_missed_something(pair: tuple[Listening, Listening]) -> None:
    one, two = pair
    for number in range(KEPT + 10):
        one.news.tell("video", str(number))
        if number % 400 == 0:
            await one.news.exchange()
    for _ in range(8):
        await one.news.exchange()
    await two.news.exchange()
    assert two.heard == [""]
    one.news.tell("video", "again")
    await one.news.exchange()
    await two.news.exchange()
    assert two.heard == ["", "again"]


async def test_a_redis_that_forgot_everything_is_noticed(
    pair: tuple[Listening, Listening], live_redis: RedisServer
) -> None:
    one, two = pair
    live_redis.flush()
    one.news.tell("video", "7")
    await one.news.exchange()
    await two.news.exchange()
    assert two.heard in ([""], ["7"])


async def test_what_could_not_be_told_waits(pair: tuple[Listening, Listening], live_redis: RedisServer) -> None:
    one, two = pair
    live_redis.kill()
    try:
        one.news.tell("video", "7")
        with pytest.raises(StorageUnavailable):
            await one.news.exchange()
    finally:
        live_redis.start()
    await one.news.exchange()
    await two.news.exchange()
    assert two.heard in (["7"], [""])
