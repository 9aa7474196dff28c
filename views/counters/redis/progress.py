"""Watch progress of viewers in Redis, for many processes."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from typing import Any

from foundation.clock import Clock
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from foundation.redis.link import RedisLink
from foundation.redis.script import Script
from foundation.redis.shards import every
from views.counters.progress import Naming, Progress
from views.counters.redis.keys import Keys
from views.counters.redis.lua import script
from views.counters.redis.settings import RedisSettings

LEASE_MS = 30_000
"""How long others leave a stay alone that a process took to close or to save; the process may have been killed."""

KEPT_MS = 86_400_000
"""How long progress waits for somebody to close and save it, when nobody runs."""

_AT_A_TIME = 500

_MAX_LENT = 100_000
"""How many lent stays' shards are remembered; of others every shard is asked."""

_FULL = 4

_TIDY = """
local function tidy(video)
  if call('EXISTS', B .. 'p:' .. video, B .. 'q:' .. video) == 0 then call('SREM', B .. 'pv', video) end
end
"""

_LENT = """
local function lent(kind)
  local ends, found = B .. kind .. 'e', {}
  for _, id in ipairs(call('ZRANGEBYSCORE', ends, '-inf', now, 'LIMIT', 0, ARGV[4])) do
    local video, key = parted(id)
    local blob = call('HGET', B .. kind .. ':' .. video, key)
    if blob then
      call('ZADD', ends, now + ARGV[5], id)
      found[#found + 1] = {tonumber(video), key, blob}
    else
      call('ZREM', ends, id)
    end
  end
  return found
end
"""

PUT = script(
    "progress_put",
    """
local video, viewer, exp = ARGV[4], ARGV[5], ARGV[7] + shift
local key, id = B .. 'p:' .. video, ARGV[4] .. ':' .. ARGV[5]
local old = call('ZSCORE', B .. 'pe', id)
if call('HEXISTS', key, viewer) == 0 then
  if call('ZCARD', B .. 'pe') + call('ZCARD', B .. 'qe') >= tonumber(ARGV[8]) then return 4 end
  old = false
end
call('HSET', key, viewer, ARGV[6])
call('ZADD', B .. 'pe', 'GT', exp, id)
if not old or math.floor(old / 30000) ~= math.floor(exp / 30000) then
  call('SADD', B .. 'pv', video)
  renew('p:' .. video, 'pe', 'pv')
end
return 1
""",
)
"""video, viewer, blob, end, room -> 1, or 4: no room."""

GET = script("progress_get", "return call('HGET', B .. 'p:' .. ARGV[4], ARGV[5])\n")
"""video, viewer -> blob or nothing."""

POP = script(
    "progress_pop",
    """
local blob = call('HGET', B .. 'p:' .. ARGV[4], ARGV[5])
call('HDEL', B .. 'p:' .. ARGV[4], ARGV[5])
call('ZREM', B .. 'pe', ARGV[4] .. ':' .. ARGV[5])
tidy(ARGV[4])
return blob
""",
    _TIDY,
)
"""video, viewer -> blob or nothing; it is gone."""

TAKE_ENDED = script("progress_take_ended", "return lent('p')\n", _LENT)
"""most, lease -> video, viewer, blob of those who have ended; nobody else gets them while the lease lasts."""

CLOSE = script(
    "progress_close",
    """
local video, viewer, blob, key = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
if call('HGET', B .. 'p:' .. video, viewer) ~= blob then return 0 end
call('HDEL', B .. 'p:' .. video, viewer)
call('ZREM', B .. 'pe', video .. ':' .. viewer)
if key == '' then
  tidy(video)
elseif call('HSETNX', B .. 'q:' .. video, key, blob) == 1 then
  call('ZADD', B .. 'qe', now, video .. ':' .. key)
  renew('q:' .. video, 'qe', 'pv')
end
return 1
""",
    _TIDY,
)
"""video, viewer, blob, key of the closed stay or nothing -> 1, or 0: it has gone on meanwhile, nothing is done."""

DUE = script("progress_due", "return lent('q')\n", _LENT)
"""most, lease -> video, key, blob of closed stays; nobody else gets them while the lease lasts."""

SAVED = script(
    "progress_saved",
    """
local gone = 0
for i = 4, #ARGV, 2 do
  gone = gone + call('HDEL', B .. 'q:' .. ARGV[i], ARGV[i + 1])
  call('ZREM', B .. 'qe', ARGV[i] .. ':' .. ARGV[i + 1])
  tidy(ARGV[i])
end
return gone
""",
    _TIDY,
)
"""video and key by turns -> how many were there."""

ALL_OF = script(
    "progress_all_of",
    "return {call('HGETALL', B .. 'p:' .. ARGV[4]), call('HGETALL', B .. 'q:' .. ARGV[4])}\n",
)
"""video -> key and blob by turns: of open stays, of closed ones."""

VIDEOS = script("progress_videos", "return call('SMEMBERS', B .. 'pv')\n")
"""-> videos."""

FORGET = script(
    "progress_forget",
    """
call('UNLINK', B .. 'p:' .. ARGV[4], B .. 'q:' .. ARGV[4])
call('SREM', B .. 'pv', ARGV[4])
return 1
""",
)
"""video -> 1; what the indexes say of it is dropped when its time comes."""


class RedisProgressStore:
    """As ``progress.ProgressStore``, awaited. Progress lies in the shard that its viewer's id names.

    ``hand_over`` and ``due`` may run in several processes at once: each gets others' stays only when those were not
    done with them within ``LEASE_MS``. A stay that is saved twice all the same has one key. Every method may raise
    StorageUnavailable; all may be repeated.
    """

    def __init__(
        self,
        link: RedisLink,
        clock: Clock,
        settings: RedisSettings | None = None,
        metrics: Metrics | None = None,
        *,
        lifetime_ms: int = 3_600_000,
    ) -> None:
        """``lifetime_ms`` is the silence after which a stay has ended: the longest ``expires_ms`` from now."""
        self.settings = settings = settings or RedisSettings()
        self._link = link
        self._clock = clock
        self._keys = Keys(settings.prefix, settings.shards)
        self._ttl = lifetime_ms + KEPT_MS
        self._room = settings.share(6 * settings.max_viewers)
        self._lent: dict[tuple[int, bytes], int] = {}
        metrics = metrics or Metrics()
        self._refused = metrics.counter("fediviews_live_progress_refused", "Watch progress that found no room")

    async def put(self, video: int, viewer: bytes, blob: bytes, expires_ms: int) -> None:
        """Replace the progress; its end only ever moves later. ``blob`` is not empty."""
        shard = self._keys.spread(video, viewer)
        if await self._run(PUT, shard, self._clock.now_ms(), video, viewer, blob, expires_ms, self._room) == _FULL:
            self._refused.inc()
            raise StorageUnavailable("no room for the progress of another viewer")

    async def get(self, video: int, viewer: bytes) -> bytes | None:
        """Also what has ended, until ``hand_over``."""
        shard = self._keys.spread(video, viewer)
        blob: bytes | None = await self._run(GET, shard, self._clock.now_ms(), video, viewer)
        return blob

    async def pop(self, video: int, viewer: bytes) -> bytes | None:
        shard = self._keys.spread(video, viewer)
        blob: bytes | None = await self._run(POP, shard, self._clock.now_ms(), video, viewer)
        return blob

    async def hand_over(self, now_ms: int, name: Naming) -> int:
        """Close the stay of everybody who has been silent for too long, in time proportional to them; how many."""
        shards = range(self._keys.shards)
        closed: list[int] = await every(self._hand_over(shard, now_ms, name) for shard in shards)
        return sum(closed)

    async def close(self, video: int, viewer: bytes, name: Naming) -> bool:
        """Close one stay now: from here on the viewer begins anew. False when nothing is kept of it."""
        shard = self._keys.spread(video, viewer)
        for _ in range(3):
            blob = await self.get(video, viewer)
            if blob is None:
                return False
            if await self._close(shard, video, viewer, blob, name):
                return True
        return False

    async def due(self, limit: int) -> Sequence[Progress]:
        """Closed stays, at most ``limit``, which stay here until they are ``saved``; lent to the caller meanwhile."""
        found: list[Progress] = []
        now_ms = self._clock.now_ms()
        for shard in range(self._keys.shards):
            if len(found) >= limit:
                break
            for video, key, blob in await self._run(DUE, shard, now_ms, limit - len(found), LEASE_MS):
                found.append(Progress(video, key, blob))
                if len(self._lent) >= _MAX_LENT:
                    self._lent.clear()
                self._lent[video, key] = shard
        return found

    async def saved(self, closed: Iterable[Progress]) -> None:
        """These closed stays are kept elsewhere from now on, or worth nothing."""
        by_shard: dict[int, list[bytes | str | int]] = {}
        for progress in closed:
            known = self._lent.pop((progress.video, progress.viewer), None)
            for shard in range(self._keys.shards) if known is None else (known,):
                by_shard.setdefault(shard, []).extend((progress.video, progress.viewer))
        now_ms = self._clock.now_ms()
        step = 2 * _AT_A_TIME
        await every(
            self._run(SAVED, shard, now_ms, *names[at : at + step])
            for shard, names in by_shard.items()
            for at in range(0, len(names), step)
        )

    async def all_of(self, video: int) -> Sequence[Progress]:
        """What is kept of one video, closed or not, left in place."""
        answers = await self._everywhere(ALL_OF, video)
        pairs = [pairs for answer in answers for pairs in answer]
        return [Progress(video, key, blob) for each in pairs for key, blob in zip(each[::2], each[1::2], strict=True)]

    async def videos(self) -> Sequence[int]:
        """Numbers of the videos of which something is kept."""
        return list(dict.fromkeys(int(video) for found in await self._everywhere(VIDEOS) for video in found))

    async def forget_video(self, video: int) -> None:
        await self._everywhere(FORGET, video)

    async def _hand_over(self, shard: int, now_ms: int, name: Naming) -> int:
        closed: int = 0
        while True:
            taken = await self._run(TAKE_ENDED, shard, now_ms, _AT_A_TIME, LEASE_MS)
            closed += await self._close_each(shard, taken, name)
            if len(taken) < _AT_A_TIME:
                return closed

    async def _close_each(self, shard: int, taken: Sequence[Any], name: Naming) -> int:
        done: list[bool] = await every(self._close(shard, each[0], each[1], each[2], name) for each in taken)
        return sum(done)

    async def _close(self, shard: int, video: int, viewer: bytes, blob: bytes, name: Naming) -> bool:
        key = name(video, viewer, blob) or b""
        return bool(await self._run(CLOSE, shard, self._clock.now_ms(), video, viewer, blob, key))

    def _run(self, command: Script, shard: int, now_ms: int, *arguments: bytes | str | int) -> Awaitable[Any]:
        clock_ms = self._clock.now_ms() if self.settings.server_time else ""
        return self._link.run(command, self._keys.bases[shard], clock_ms, now_ms, self._ttl, *arguments)

    async def _everywhere(self, command: Script, *arguments: bytes | str | int) -> list[Any]:
        now_ms = self._clock.now_ms()
        return await every(self._run(command, shard, now_ms, *arguments) for shard in range(self._keys.shards))
