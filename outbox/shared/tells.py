"""Viewers to tell that several processes share: whoever heard of the viewer puts, whoever serves the origin takes.

A tell stays in Redis until its origin has it: a process that is killed leaves it to the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from foundation.leases import Holder, Leases, shard_of
from foundation.redis.shards import Shards, every
from outbox.shared import scripts
from outbox.tells import MAX_SLOTS, TellSlots
from views.model import Video
from views.ports import Tell

AT_A_TIME = 500
MAX_NUMBERS = 200_000
MOST_PER_EXCHANGE = 20_000
"""Tells of one shard taken in at once; the rest waits in Redis."""

VideoOf = Callable[[int], Awaitable[Video | None]]


class SharedTells:
    """As `outbox.tells.TellBox`. To be built before ``leases`` start."""

    def __init__(self, store: Shards, leases: Leases, video_of: VideoOf) -> None:
        self._store = store
        self._leases = leases
        self._video_of = video_of
        self._put = TellSlots()
        self._taken = TellSlots()
        self._numbers: dict[tuple[str, int], bytes] = {}
        """Slot and end of life told -> number of the telling, for what is here."""
        self._cursors: dict[int, bytes] = {}
        self._room = max(1, MAX_SLOTS * 3 // (2 * store.count))
        self._exchanging = asyncio.Lock()
        leases.attend(Holder(self._gained, self._lost))

    def __len__(self) -> int:
        return len(self._put) + len(self._taken)

    def put(self, tell: Tell) -> int:
        return self._put.put(tell)

    def has(self, host: str) -> bool:
        return self._taken.has(host)

    def waiting(self, host: str) -> int:
        return self._taken.waiting(host)

    def hosts(self) -> list[str]:
        return self._taken.hosts()

    @property
    def waits(self) -> bool:
        """Whether ``exchange`` has something to hand over."""
        return len(self._put) > 0

    def take(self, host: str, limit: int, now_ms: int) -> tuple[list[Tell], int]:
        return self._taken.take(host, limit, now_ms)

    def give_back(self, tells: Iterable[Tell]) -> None:
        self._taken.give_back(tells)

    def sweep(self, now_ms: int) -> int:
        return self._put.sweep(now_ms) + self._taken.sweep(now_ms)

    def forget(self, host: str) -> None:
        self._put.forget(host)
        self._taken.forget(host)

    async def settle(self, tells: Iterable[Tell]) -> None:
        by_shard: dict[int, list[bytes | str | int]] = {}
        for tell in tells:
            slot = _slot(tell)
            number = self._numbers.pop((slot, tell.expires_ms), None)
            if number is not None:
                by_shard.setdefault(shard_of(tell.video.origin, self._store.count), []).extend((slot, number))
        await every(self._store.run(scripts.SETTLE_TELLS, shard, *said) for shard, said in by_shard.items())

    async def exchange(self) -> int:
        async with self._exchanging:
            crowded = await self._hand_over()
            await every(self._take_in(shard) for shard in range(self._store.count) if self._leases.holds_shard(shard))
        return crowded

    async def _hand_over(self) -> int:
        crowded = 0
        for host in self._put.hosts():
            shard = shard_of(host, self._store.count)
            while self._put.has(host):
                # What has expired meanwhile, the taker sees.
                tells, _ = self._put.take(host, AT_A_TIME, 0)
                said: list[bytes | str | int] = [self._room]
                for tell in tells:
                    said += [_slot(tell), tell.wire_id, tell.expires_ms, tell.since_ms]
                try:
                    crowded += int(await self._store.run(scripts.PUT_TELLS, shard, *said))
                except BaseException:
                    self._put.give_back(tells)
                    raise
        return crowded

    async def _take_in(self, shard: int) -> None:
        for _ in range(MOST_PER_EXCHANGE // AT_A_TIME):
            token, seen = self._leases.token(shard), self._cursors.get(shard, b"0")
            rows = await self._store.run(scripts.TAKE_TELLS, shard, token, seen, AT_A_TIME)
            for slot, number, name, till, since in rows:
                await self._take_one(slot.decode(), number, name.decode(), int(till), int(since))
                self._cursors[shard] = number
            if len(rows) < AT_A_TIME:
                return

    async def _take_one(self, slot: str, number: bytes, name: str, expires_ms: int, since_ms: int) -> None:
        host, video_number, viewer = slot.split(" ")
        video = await self._video_of(int(video_number)) if name else None
        if video is None or video.origin != host:
            return
        while len(self._numbers) >= MAX_NUMBERS:
            # It ends in Redis by its own time.
            del self._numbers[next(iter(self._numbers))]
        self._numbers[slot, expires_ms] = number
        self._taken.put(Tell(video, bytes.fromhex(viewer), name, expires_ms, since_ms))

    async def _gained(self, shard: int) -> None:
        self._cursors.pop(shard, None)

    async def _lost(self, shard: int) -> None:
        for host in [host for host in self._taken.hosts() if shard_of(host, self._store.count) == shard]:
            self._taken.forget(host)
        for key in [key for key in self._numbers if shard_of(key[0].partition(" ")[0], self._store.count) == shard]:
            del self._numbers[key]


def _slot(tell: Tell) -> str:
    return f"{tell.video.origin} {tell.video.number} {tell.viewer.hex()}"
