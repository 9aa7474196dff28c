"""What origins were told of viewers of ours, in Redis, and the right to tell it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from views.counters.base import TOLD_MEMORY_MS, Telling, Told
from views.counters.redis import told_scripts as scripts
from views.counters.redis.shards import ShardScripts, Touched


class RedisTells:
    """``room`` is the most of one shard; ``refused`` is called for those beyond. May raise StorageUnavailable."""

    def __init__(self, shards: ShardScripts, room: int, refused: Callable[[], None]) -> None:
        self._shards = shards
        self._room = room
        self._refused = refused

    async def told(self, video: int, now_ms: int) -> Sequence[Told]:
        found = await self._shards.run(scripts.TOLD, self._shards.keys.home(video), now_ms, video)
        return [Told(viewer, int(since), int(expires), int(acked)) for viewer, since, expires, acked in found]

    async def mark(self, video: int, told: Told) -> None:
        said = (told.viewer, told.since_ms, told.told_expires_ms, told.acked_ms, self._room, TOLD_MEMORY_MS)
        answer = await self._shards.run(
            scripts.MARK_TOLD, self._shards.keys.home(video), self._shards.clock.now_ms(), video, *said
        )
        if answer == Touched.FULL:
            self._refused()

    async def claim(self, video: int, viewer: bytes, telling: Telling, now_ms: int) -> tuple[bool, Telling]:
        """As ``base.TellClaims``."""
        said = (viewer, telling.since_ms, telling.expires_ms, telling.resend_at_ms, self._room, TOLD_MEMORY_MS)
        answer = await self._shards.run(scripts.CLAIM_TELL, self._shards.keys.home(video), now_ms, video, *said)
        granted, since, expires, again = map(int, answer)
        return bool(granted), Telling(since, expires, again)

    async def videos(self) -> Sequence[int]:
        return [int(video) for found in await self._shards.everywhere(scripts.TOLD_VIDEOS) for video in found]
