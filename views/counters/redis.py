"""The counter store of many processes, in Redis (6.2 or later) or Valkey: standalone, Sentinel or Cluster."""

from __future__ import annotations

import enum
import math
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from foundation.clock import Clock
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from foundation.redis.link import RedisLink
from foundation.redis.script import Script
from foundation.redis.shards import every
from views.counters import redis_scripts as scripts
from views.counters import redis_told_scripts as told_scripts
from views.counters.base import MAX_TOTALS_OF_ONE_INSTANT, TOLD_MEMORY_MS, Reading, Telling, Told, Total, TotalMark
from views.counters.redis_keys import Keys
from views.model import LOCAL

SLACK_MS = 60_000
"""What a key outlives the longest life in it: sweeps come first while anybody sweeps."""

_AT_A_TIME = 200
"""Videos read, or ended groups looked at, by one script."""

_CHANGES_KEPT = 20_000
"""Per shard; whoever looks more rarely than so many videos move does not learn of the oldest ones."""

_HOT_FOR_MS = 60_000
"""How long a video is taken for hot before its home is asked again."""

_MAX_HOT = 10_000


class _Touched(enum.IntEnum):
    """What the touch script answers."""

    EXTENDED = 0
    NEW = 1
    ELSEWHERE = 2
    """The video is hot: the viewer belongs to its own shard."""
    UNKNOWN = 3
    FULL = 4


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """``prefix`` keeps instances apart that share a Redis. ``shards`` and ``prefix`` are the same in all processes of
    one instance; after a change of ``shards`` counters rebuild within one lifetime.

    ``split_at``: viewers of one source at which a video is hot (0: never). ``longest_life_ms`` bounds lives of viewers
    and totals with their grace, ``claim_life_ms`` those of claims. ``server_time``: the server's clock rules, so that
    the clocks of processes may differ; False, for tests, takes the caller's instants as they are.
    """

    prefix: str = "fediviews"
    shards: int = 16
    split_at: int = 5_000
    max_viewers: int = 5_000_000
    longest_life_ms: int = 750_000
    claim_life_ms: int = 3_600_000
    server_time: bool = True

    def share(self, room: int) -> int:
        """Of one shard; half as much again, because videos are not equally liked."""
        return room if self.shards == 1 else max(1, math.ceil(1.5 * room / self.shards))


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
        self._ttl = settings.longest_life_ms + TOLD_MEMORY_MS + SLACK_MS
        self._claims_ttl = settings.claim_life_ms + SLACK_MS
        self._room = settings.share(settings.max_viewers)
        self._claim_room = settings.share(6 * settings.max_viewers)
        self._hot: dict[int, int] = {}
        self.sweeps: Callable[[int], bool] = lambda _: True
        """Which shards this process sweeps, where processes divide them."""
        metrics = metrics or Metrics()
        refused = metrics.counter("fediviews_live_refused", "Changes of live state that found no room", ["what"])
        self._refused = {what: refused.labels(what) for what in ("viewer", "told", "claim")}

    async def start(self) -> None:
        """Raises StorageUnavailable when Redis does not answer; counts anew what a longer pause left behind."""
        await self._link.ping()
        await self._everywhere(scripts.RECOUNT)

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
        if self._is_hot(video):
            known = await self._touch(own, video, source, viewer, expires_ms, now_ms, "known")
            if known != _Touched.UNKNOWN:
                return False
        at_home = await self._touch(home, video, source, viewer, expires_ms, now_ms, "guest")
        if at_home != _Touched.ELSEWHERE:
            return self._is_new(at_home)
        self._note_hot(video)
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
        taken, hot = await self._run(scripts.PUT_TOTAL, home, now_ms, video, *said, *marked, MAX_TOTALS_OF_ONE_INSTANT)
        if taken and hot:
            self._note_hot(video)
            others = [shard for shard in range(self._keys.shards) if shard != home]
            await every(self._run(scripts.DROP_PEERS, shard, now_ms, video) for shard in others)
        return bool(taken)

    async def told(self, video: int, now_ms: int) -> Sequence[Told]:
        found = await self._run(told_scripts.TOLD, self._keys.home(video), now_ms, video)
        return [Told(viewer, int(since), int(expires), int(acked)) for viewer, since, expires, acked in found]

    async def mark_told(self, video: int, told: Told) -> None:
        said = (told.viewer, told.since_ms, told.told_expires_ms, told.acked_ms, self._room, TOLD_MEMORY_MS)
        answer = await self._run(told_scripts.MARK_TOLD, self._keys.home(video), self._clock.now_ms(), video, *said)
        if answer == _Touched.FULL:
            self._refused["told"].inc()

    async def claim_tell(self, video: int, viewer: bytes, telling: Telling, now_ms: int) -> tuple[bool, Telling]:
        """As ``base.TellClaims``."""
        said = (viewer, telling.since_ms, telling.expires_ms, telling.resend_at_ms, self._room, TOLD_MEMORY_MS)
        answer = await self._run(told_scripts.CLAIM_TELL, self._keys.home(video), now_ms, video, *said)
        granted, since, expires, again = map(int, answer)
        return bool(granted), Telling(since, expires, again)

    async def told_videos(self) -> Sequence[int]:
        return [int(video) for found in await self._everywhere(told_scripts.TOLD_VIDEOS) for video in found]

    # Reading

    async def read(self, video: int, now_ms: int) -> Reading:
        return (await self.read_many((video,), now_ms))[0]

    async def read_many(self, videos: Sequence[int], now_ms: int) -> Sequence[Reading]:
        found: dict[int, _Row] = {video: _Row() for video in videos}
        at_home = [(shard, batch) for shard, of in self._keys.by_home(found).items() for batch in _batches(of)]
        hot = await self._read_into(found, at_home, now_ms)
        if hot:
            for video in hot:
                self._note_hot(video)
            shards = range(self._keys.shards)
            elsewhere = [(shard, [video for video in hot if self._keys.home(video) != shard]) for shard in shards]
            batches = [(shard, batch) for shard, of in elsewhere for batch in _batches(of)]
            await self._read_into(found, batches, now_ms)
        return [found[video].reading() for video in videos]

    async def watched(self, now_ms: int) -> Sequence[int]:
        shards = range(self._keys.shards)
        found = await every(self._run(scripts.WATCHED, shard, now_ms) for shard in shards)
        return list(dict.fromkeys(video for videos in found for video in videos))

    async def changed_since(
        self, cursor: tuple[int, ...] = (), most: int = 1_000, of: Collection[int] | None = None
    ) -> Changes:
        """What moved since ``cursor`` (empty: as far back as is known), by any process; at most ``most`` per shard, so
        ask again until nothing comes. A video that moved twice is there once. ``of``: only of these shards."""
        seen = list(cursor) if len(cursor) == self._keys.shards else [0] * self._keys.shards
        now_ms = self._clock.now_ms()
        asked = range(self._keys.shards) if of is None else sorted(of)
        answers = await every(self._run(scripts.CHANGES, shard, now_ms, seen[shard], most) for shard in asked)
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
        await self._everywhere(scripts.FORGET_SOURCE, source)

    async def forget_video(self, video: int) -> None:
        await self._everywhere(scripts.FORGET_VIDEO, video, "all", self._claims_ttl)

    # The right to count a view

    async def claim_view(self, video: int, viewer: bytes, until_ms: int, now_ms: int) -> bool:
        shard = self._keys.spread(video, viewer)
        said = (video, viewer, until_ms, self._claim_room)
        answer = await self._run(told_scripts.CLAIM, shard, now_ms, *said, ttl=self._claims_ttl)
        if answer == _Touched.FULL:
            self._refused["claim"].inc()
            raise StorageUnavailable("no room for another view claim")
        return bool(answer)

    async def release_view(self, video: int, viewer: bytes) -> None:
        shard, now_ms = self._keys.spread(video, viewer), self._clock.now_ms()
        await self._run(told_scripts.RELEASE, shard, now_ms, video, viewer, ttl=self._claims_ttl)

    # Inside

    def _run(
        self, script: Script, shard: int, now_ms: int, *arguments: bytes | str | int, ttl: int = 0
    ) -> Awaitable[Any]:
        clock_ms = self._clock.now_ms() if self.settings.server_time else ""
        return self._link.run(script, self._keys.bases[shard], clock_ms, now_ms, ttl or self._ttl, *arguments)

    async def _everywhere(self, script: Script, *arguments: bytes | str | int) -> list[Any]:
        now_ms = self._clock.now_ms()
        return await every(self._run(script, shard, now_ms, *arguments) for shard in range(self._keys.shards))

    async def _touch(
        self, shard: int, video: int, source: str, viewer: bytes, expires_ms: int, now_ms: int, role: str
    ) -> _Touched:
        said = (video, source, viewer, expires_ms, role, self._room, self.settings.split_at)
        return _Touched(await self._run(scripts.TOUCH, shard, now_ms, *said))

    def _is_new(self, touched: _Touched) -> bool:
        if touched is _Touched.FULL:
            self._refused["viewer"].inc()
            raise StorageUnavailable("no room for another live viewer")
        return touched is _Touched.NEW

    async def _at_home_or_own(self, script: Script, video: int, source: str, viewer: bytes, now_ms: int) -> bool:
        """In one of the two shards the viewer is, if it is anywhere."""
        home, own = self._keys.home(video), self._keys.spread(video, viewer)
        here, hot = await self._run(script, home, now_ms, video, source, viewer)
        if here or not hot or home == own:
            return bool(here)
        here, _ = await self._run(script, own, now_ms, video, source, viewer)
        return bool(here)

    async def _read_into(
        self, found: dict[int, _Row], batches: Sequence[tuple[int, Sequence[int]]], now_ms: int
    ) -> list[int]:
        """Adds up; returns those that say they are hot."""
        answers = await every(self._run(scripts.READ, shard, now_ms, *videos) for shard, videos in batches)
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
            again, lost, videos, departed = await self._run(scripts.SWEEP, shard, now_ms, *said)
            self._departed += zip(map(int, departed[::2]), departed[1::2], strict=True)
            ended += map(int, videos)
            if lost:
                await self._run(scripts.RECOUNT, shard, now_ms)
        return ended

    def _is_hot(self, video: int) -> bool:
        return self._hot.get(video, 0) > self._clock.monotonic_ms()

    def _note_hot(self, video: int) -> None:
        if self._is_hot(video):
            return
        if len(self._hot) >= _MAX_HOT:
            self._hot.clear()
        self._hot[video] = self._clock.monotonic_ms() + _HOT_FOR_MS


class _Row:
    """What the shards of one video say, added up."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.total: Total | None = None

    def add(self, row: Sequence[Any]) -> None:
        if row[1] is not None:
            count, expires_ms, order_ms, ours, granted_ms = map(int, row[1])
            self.total = Total(count, expires_ms, order_ms, ours, granted_ms)
        for source, count in zip(row[2::2], row[3::2], strict=True):
            name = source.decode()
            self.counts[name] = self.counts.get(name, 0) + count

    def reading(self) -> Reading:
        local = self.counts.get(LOCAL, 0)
        if self.total is not None:
            return Reading(local, {}, self.total)
        return Reading(local, {source: count for source, count in self.counts.items() if source != LOCAL}, None)


def _batches(videos: Sequence[int]) -> Iterable[Sequence[int]]:
    for start in range(0, len(videos), _AT_A_TIME):
        yield videos[start : start + _AT_A_TIME]
