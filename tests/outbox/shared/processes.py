"""Processes of one instance at a real Redis, each with its part of the door out; leases are renewed when told to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from integration.house import wait_until
from support.servers import RedisCluster, RedisServer

from foundation.clock import SystemClock
from foundation.metrics import Metrics
from foundation.redis.leases import RedisLeases
from foundation.redis.link import RedisLink
from foundation.redis.shards import Shards
from outbox.cadence import Cadence, TotalsPolicy
from outbox.shared.board import SharedBoard
from outbox.shared.tells import SharedTells
from views.model import Privacy, Video

SHARDS = 4
LIFETIME_MS = 120_000
NAMES = ("one", "two", "ten", "six")
FAST, SLOW = Cadence.FAST, Cadence.SLOW


def remote_video(number: int, origin: str) -> Video:
    return Video(
        number=number,
        uuid=f"00000000-0000-4000-8000-{number:012d}",
        url=f"https://{origin}/videos/{number}",
        origin=origin,
        local=False,
        name="A video",
        duration_s=60,
        is_live=False,
        channel="",
        owner=f"https://{origin}/accounts/owner",
        privacy=Privacy.PUBLIC,
        published_ms=0,
        updated_ms=0,
        views=0,
        page_url=None,
        description=None,
    )


class Process:
    def __init__(self, server: RedisServer | RedisCluster, videos: dict[int, Video], lease_ms: int) -> None:
        self.clock = SystemClock()
        self.link = RedisLink(server.url)
        self.store = Shards(self.link, self.clock, prefix="t", count=SHARDS, ttl_ms=600_000)
        self.leases = RedisLeases(self.store, self.clock, Metrics(), lease_ms=lease_ms)
        self.board = SharedBoard(TotalsPolicy(LIFETIME_MS), self.store, self.leases, self.clock)
        self.tells = SharedTells(self.store, self.leases, self._video_of(videos))

    @staticmethod
    def _video_of(videos: dict[int, Video]) -> Callable[[int], Awaitable[Video | None]]:
        async def video_of(number: int) -> Video | None:
            return videos.get(number)

        return video_of

    def now_ms(self) -> int:
        return self.clock.monotonic_ms()

    def owns(self, video: int) -> bool:
        return self.leases.holds_shard(video % SHARDS)

    def due(self, peer: str, cadence: Cadence = FAST) -> list[int]:
        return [one.video for one in self.board.due(cadence, peer)]

    async def deliver(self, peer: str, cadence: Cadence = FAST) -> list[int]:
        """As `outbox.soft_lanes.TotalsLane` does with a peer that takes everything."""
        found = self.board.due(cadence, peer)
        self.board.delivered(cadence, peer, found)
        await self.board.keep()
        return [one.video for one in found]


class Processes:
    def __init__(self, server: RedisServer | RedisCluster) -> None:
        self.server = server
        self.videos: dict[int, Video] = {}
        self.all: list[Process] = []

    async def begin(self, count: int, lease_ms: int = 600) -> list[Process]:
        """So many processes that have divided the shards."""
        made = [Process(self.server, self.videos, lease_ms) for _ in range(count)]
        for process in made:
            # Names by which two or three of them divide the shards.
            process.leases.process = NAMES[len(self.all) + made.index(process)]
        self.all += made
        await self.settle(*made)
        return made

    async def settle(self, *living: Process) -> None:
        """Renew until every shard is held by one of these."""

        async def all_held() -> bool:
            for process in living:
                await process.leases.renew()
            return all(any(process.leases.holds_shard(shard) for process in living) for shard in range(SHARDS))

        # Whoever came first has everything until it has heard of the others.
        await all_held()
        await all_held()
        await wait_until(all_held)

    def owner(self, video: int) -> Process:
        return next(process for process in self.all if process.owns(video))

    def server_of(self, peer: str) -> Process:
        return next(process for process in self.all if process.leases.holds(peer))

    async def observe(self, video: int, number: int) -> None:
        """The number of a video was read by whoever decides about it, and all hear what came of that."""
        owner = self.owner(video)
        owner.board.observe(video, number, owner.now_ms())
        await self.exchange()

    async def exchange(self) -> None:
        for _ in range(2):
            for process in self.all:
                await process.board.exchange()

    async def kill(self, process: Process) -> None:
        """Nothing is handed over, and nothing is heard of it any more."""
        self.all.remove(process)
        await process.link.close()
        await asyncio.sleep(0)

    async def close(self) -> None:
        for process in self.all:
            await process.link.close()
