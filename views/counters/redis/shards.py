"""Running our scripts on one shard of Redis, or on all."""

from __future__ import annotations

import enum
from collections.abc import Awaitable
from typing import Any

from foundation.clock import Clock
from foundation.redis.link import RedisLink
from foundation.redis.script import Script
from foundation.redis.shards import every
from views.counters.redis.keys import Keys
from views.counters.redis.settings import RedisSettings


class Touched(enum.IntEnum):
    """What the touch script answers."""

    EXTENDED = 0
    NEW = 1
    ELSEWHERE = 2
    """The video is hot: the viewer belongs to its own shard."""
    UNKNOWN = 3
    FULL = 4


class ShardScripts:
    """Every script is told the clocks and how long its keys outlive the last change. May raise StorageUnavailable."""

    def __init__(self, link: RedisLink, keys: Keys, clock: Clock, settings: RedisSettings) -> None:
        self._link = link
        self.keys = keys
        self.clock = clock
        self._settings = settings
        self._ttl = settings.ttl_ms

    def run(
        self, script: Script, shard: int, now_ms: int, *arguments: bytes | str | int, ttl: int = 0
    ) -> Awaitable[Any]:
        clock_ms = self.clock.now_ms() if self._settings.server_time else ""
        return self._link.run(script, self.keys.bases[shard], clock_ms, now_ms, ttl or self._ttl, *arguments)

    async def everywhere(self, script: Script, *arguments: bytes | str | int) -> list[Any]:
        now_ms = self.clock.now_ms()
        return await every(self.run(script, shard, now_ms, *arguments) for shard in range(self.keys.shards))
