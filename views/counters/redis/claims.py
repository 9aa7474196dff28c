"""Views that were counted lately and are not to be counted again, in Redis."""

from __future__ import annotations

from collections.abc import Callable

from foundation.errors import StorageUnavailable
from views.counters.redis import told_scripts as scripts
from views.counters.redis.settings import RedisSettings
from views.counters.redis.shards import ShardScripts, Touched


class RedisClaims:
    """``refused`` is called for those that find no room. May raise StorageUnavailable."""

    def __init__(self, shards: ShardScripts, settings: RedisSettings, refused: Callable[[], None]) -> None:
        self._shards = shards
        self._room = settings.share(6 * settings.max_viewers)
        self._ttl = settings.claims_ttl_ms
        self._refused = refused

    async def claim(self, video: int, viewer: bytes, until_ms: int, now_ms: int) -> bool:
        shard = self._shards.keys.spread(video, viewer)
        said = (video, viewer, until_ms, self._room)
        answer = await self._shards.run(scripts.CLAIM, shard, now_ms, *said, ttl=self._ttl)
        if answer == Touched.FULL:
            self._refused()
            raise StorageUnavailable("no room for another view claim")
        return bool(answer)

    async def release(self, video: int, viewer: bytes) -> None:
        shard, now_ms = self._shards.keys.spread(video, viewer), self._shards.clock.now_ms()
        await self._shards.run(scripts.RELEASE, shard, now_ms, video, viewer, ttl=self._ttl)
