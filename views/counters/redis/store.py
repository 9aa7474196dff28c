"""The counter store of many processes, in Redis (6.2 or later) or Valkey: standalone, Sentinel or Cluster."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from foundation.clock import Clock
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from foundation.redis.link import RedisLink
from foundation.redis.script import Script
from foundation.redis.shards import every
from views.counters.base import MAX_TOTALS_OF_ONE_INSTANT, Reading, Telling, Told, Total, TotalMark
from views.counters.redis import scripts
from views.counters.redis.claims import RedisClaims
from views.counters.redis.hot import HotVideos
from views.counters.redis.keys import Keys
from views.counters.redis.rows import Row
from views.counters.redis.settings import RedisSettings
from views.counters.redis.shards import ShardScripts, Touched
from views.counters.redis.tells import RedisTells

_AT_A_TIME = 200
"""Videos read, or ended groups looked at, by one script."""

_CHANGES_KEPT = 20_000
"""Per shard; whoever looks more rarely than so many videos move does not learn of the oldest ones."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Videos whose number may have moved, and the cursor to ask with next time."""

    videos: Sequence[int]
    cursor: tuple[int, ...]


class RedisCounterStore:
    """As ``base.CounterStore``. Exact at every read by the server's clock.

    A script touches one shard; what concerns several (a hot video, a forgotten source) is exact once all have answered.
    ``max_viewers`` holds for each shard by its share. Every method may raise StorageUnavailable; a change may then have
    been made or not, and all of them may be repeated, except that a claim that was made stands until its time.
    """

    def __init__(
        self,
        link: RedisLink,
        clock: Clock,
        settings: RedisSettings | None = None,
        metrics: Metrics | None = None,
        *,
        keep_departed: bool = False,
    ) -> None:
        self._keep_departed = keep_departed
        self._departed: list[tuple[int, bytes]] = []
        self.settings = settings = settings or RedisSettings()
        self._link = link
        self._clock = clock
        self._keys = Keys(settings.prefix, settings.shards)
        self._shards = ShardScripts(link, self._keys, clock, settings)
        self._room = settings.share(settings.max_viewers)
        self._hot = HotVideos(clock)
        self.sweeps: Callable[[int], bool] = lambda _: True
        """Which shards this process sweeps, where processes divide them."""
        metrics = metrics or Metrics()
        refused = metrics.counter("fediviews_live_refused", "Changes of live state that found no room", ["what"])
        self._refused = refused.labels("viewer")
        self._tells = RedisTells(self._shards, self._room, refused.labels("told").inc)
        self._claims = RedisClaims(self._shards, settings, refused.labels("claim").inc)

    async def start(self) -> None:
        """Raises StorageUnavailable when Redis does not answer; counts anew what a longer pause left behind."""
        await self._link.ping()
        await self._shards.everywhere(scripts.RECOUNT)

    async def ping(self) -> None:
        """Raises StorageUnavailable, naming where and why."""
        await self._link.ping()

    async def close(self) -> None:
        await self._link.close()

    # Viewers

    async def touch(self, video: int, source: str, viewer: bytes, expires_ms: int, now_ms: int) -> bool:
        if expires_ms <= now_ms:
            return False
        home, own = self._keys.home(video), self._keys.spread(video, viewer)
        if home == own:
            return self._is_new(await self._touch(home, video, source, viewer, expires_ms, now_ms, "own"))
        if self._hot.has(video):
            known = await self._touch(own, video, source, viewer, expires_ms, now_ms, "known")
            if known != Touched.UNKNOWN:
                return False
        at_home = await self._touch(home, video, source, viewer, expires_ms, now_ms, "guest")
        if at_home != Touched.ELSEWHERE:
            return self._is_new(at_home)
        self._hot.note(video)
        return self._is_new(await self._touch(own, video, source, viewer, expires_ms, now_ms, "own"))

    @property
    def fullness(self) -> float:
        """Share of the places for calls that wait for Redis that are taken; at 1.0 they are refused."""
        return self._link.fullness

    async def has(self, video: int, source: str, viewer: bytes, now_ms: int) -> bool:
        return await self._at_home_or_own(scripts.HAS, video, source, viewer, now_ms)

    async def leave(self, video: int, source: str, viewer: bytes, now_ms: int) -> bool:
        return await self._at_home_or_own(scripts.LEAVE, video, source, viewer, now_ms)

    # Totals and tells

    async def put_total(self, video: int, total: Total, now_ms: int, mark: TotalMark | None = None) -> bool:
        said = (total.count, total.expires_ms, total.order_ms, total.ours, total.granted_ms)
        marked = (0, "") if mark is None else (mark.until_ms, mark.fingerprint)
        home = self._keys.home(video)
        taken, hot = await self._shards.run(
            scripts.PUT_TOTAL, home, now_ms, video, *said, *marked, MAX_TOTALS_OF_ONE_INSTANT
        )
        if taken and hot:
            self._hot.note(video)
            others = [shard for shard in range(self._keys.shards) if shard != home]
            await every(self._shards.run(scripts.DROP_PEERS, shard, now_ms, video) for shard in others)
        return bool(taken)

    async def told(self, video: int, now_ms: int) -> Sequence[Told]:
        return await self._tells.told(video, now_ms)

    async def mark_told(self, video: int, told: Told) -> None:
        await self._tells.mark(video, told)

    async def claim_tell(self, video: int, viewer: bytes, telling: Telling, now_ms: int) -> tuple[bool, Telling]:
        """As ``base.TellClaims``."""
        return await self._tells.claim(video, viewer, telling, now_ms)

    async def told_videos(self) -> Sequence[int]:
        return await self._tells.videos()

    # Reading

    async def read(self, video: int, now_ms: int) -> Reading:
        return (await self.read_many((video,), now_ms))[0]

    async def read_many(self, videos: Sequence[int], now_ms: int) -> Sequence[Reading]:
        found: dict[int, Row] = {video: Row() for video in videos}
        at_home = [(shard, batch) for shard, of in self._keys.by_home(found).items() for batch in _batches(of)]
        hot = await self._read_into(found, at_home, now_ms)
        if hot:
            for video in hot:
                self._hot.note(video)
            shards = range(self._keys.shards)
            elsewhere = [(shard, [video for video in hot if self._keys.home(video) != shard]) for shard in shards]
            batches = [(shard, batch) for shard, of in elsewhere for batch in _batches(of)]
            await self._read_into(found, batches, now_ms)
        return [found[video].reading() for video in videos]

    async def watched(self, now_ms: int) -> Sequence[int]:
        shards = range(self._keys.shards)
        found = await every(self._shards.run(scripts.WATCHED, shard, now_ms) for shard in shards)
        return list(dict.fromkeys(video for videos in found for video in videos))

    async def changed_since(
        self, cursor: tuple[int, ...] = (), most: int = 1_000, of: Collection[int] | None = None
    ) -> Changes:
        """What moved since ``cursor`` (empty: as far back as is known), by any process; at most ``most`` per shard, so
        ask again until nothing comes. A video that moved twice is there once. ``of``: only of these shards."""
        seen = list(cursor) if len(cursor) == self._keys.shards else [0] * self._keys.shards
        now_ms = self._clock.now_ms()
        asked = range(self._keys.shards) if of is None else sorted(of)
        answers = await every(self._shards.run(scripts.CHANGES, shard, now_ms, seen[shard], most) for shard in asked)
        videos = dict.fromkeys(int(video) for answer in answers for video in answer[::2])
        for shard, answer in zip(asked, answers, strict=True):
            if answer:
                seen[shard] = int(answer[-1])
        return Changes(list(videos), tuple(seen))

    # Forgetting

    async def sweep(self, now_ms: int) -> Sequence[int]:
        """Several processes may sweep at once: each change is named to one of them."""
        shards = [shard for shard in range(self._keys.shards) if self.sweeps(shard)]
        found = await every(self._sweep(shard, now_ms) for shard in shards)
        return list(dict.fromkeys(video for videos in found for video in videos))

    def departed(self) -> Sequence[tuple[int, bytes]]:
        departed, self._departed = self._departed, []
        return departed

    async def forget_source(self, source: str) -> None:
        await self._shards.everywhere(scripts.FORGET_SOURCE, source)

    async def forget_video(self, video: int) -> None:
        await self._shards.everywhere(scripts.FORGET_VIDEO, video, "all", self.settings.claims_ttl_ms)

    # The right to count a view

    async def claim_view(self, video: int, viewer: bytes, until_ms: int, now_ms: int) -> bool:
        return await self._claims.claim(video, viewer, until_ms, now_ms)

    async def release_view(self, video: int, viewer: bytes) -> None:
        await self._claims.release(video, viewer)

    # Inside

    async def _touch(
        self, shard: int, video: int, source: str, viewer: bytes, expires_ms: int, now_ms: int, role: str
    ) -> Touched:
        said = (video, source, viewer, expires_ms, role, self._room, self.settings.split_at)
        return Touched(await self._shards.run(scripts.TOUCH, shard, now_ms, *said))

    def _is_new(self, touched: Touched) -> bool:
        if touched is Touched.FULL:
            self._refused.inc()
            raise StorageUnavailable("no room for another live viewer")
        return touched is Touched.NEW

    async def _at_home_or_own(self, script: Script, video: int, source: str, viewer: bytes, now_ms: int) -> bool:
        """In one of the two shards the viewer is, if it is anywhere."""
        home, own = self._keys.home(video), self._keys.spread(video, viewer)
        here, hot = await self._shards.run(script, home, now_ms, video, source, viewer)
        if here or not hot or home == own:
            return bool(here)
        here, _ = await self._shards.run(script, own, now_ms, video, source, viewer)
        return bool(here)

    async def _read_into(
        self, found: dict[int, Row], batches: Sequence[tuple[int, Sequence[int]]], now_ms: int
    ) -> list[int]:
        """Adds up; returns those that say they are hot."""
        answers = await every(self._shards.run(scripts.READ, shard, now_ms, *videos) for shard, videos in batches)
        hot: list[int] = []
        for (_, videos), rows in zip(batches, answers, strict=True):
            for video, row in zip(videos, rows, strict=True):
                found[video].add(row)
                if row[0]:
                    hot.append(video)
        return hot

    async def _sweep(self, shard: int, now_ms: int) -> list[int]:
        ended: list[int] = []
        again = True
        while again:
            said = (_AT_A_TIME, _CHANGES_KEPT, int(self._keep_departed))
            again, lost, videos, departed = await self._shards.run(scripts.SWEEP, shard, now_ms, *said)
            self._departed += zip(map(int, departed[::2]), departed[1::2], strict=True)
            ended += map(int, videos)
            if lost:
                await self._shards.run(scripts.RECOUNT, shard, now_ms)
        return ended


def _batches(videos: Sequence[int]) -> Iterable[Sequence[int]]:
    for start in range(0, len(videos), _AT_A_TIME):
        yield videos[start : start + _AT_A_TIME]
