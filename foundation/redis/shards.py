"""The shards of one instance's keys: where a script runs, and what all scripts are told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any

from foundation.clock import Clock
from foundation.redis.link import RedisLink
from foundation.redis.script import Script, bases


class Shards:
    """``prefix`` keeps instances apart, ``count`` is the same in all processes of one. ``ttl_ms`` is the life of keys
    that nobody uses any more. Awaiting what ``run`` returns may raise StorageUnavailable."""

    def __init__(self, link: RedisLink, clock: Clock, *, prefix: str, count: int, ttl_ms: int) -> None:
        self.count = count
        self._link = link
        self._clock = clock
        self._bases = bases(prefix, count)
        self._ttl_ms = ttl_ms

    def run(self, script: Script, shard: int, *arguments: bytes | str | int) -> Awaitable[Any]:
        now_ms = self._clock.now_ms()
        return self._link.run(script, self._bases[shard], now_ms, now_ms, self._ttl_ms, *arguments)

    async def everywhere(self, script: Script, *arguments: bytes | str | int) -> list[Any]:
        """One answer of each shard, in their order."""
        return await every(self.run(script, shard, *arguments) for shard in range(self.count))


async def every(calls: Iterable[Awaitable[Any]]) -> list[Any]:
    """All answers, or the first failure once all have ended: nobody is left behind."""
    answers = await asyncio.gather(*calls, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return answers
