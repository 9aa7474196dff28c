"""What makes several processes one instance: leases, news, and a door out that they share.

It takes Redis and PostgreSQL both: then any number of processes, on any number of machines, may run on them. A process
on a store of its own is alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from foundation.clock import Clock
from foundation.leases import Alone, Leases
from foundation.metrics import Metrics
from foundation.news import News, NoNews
from foundation.redis.leases import RedisLeases
from foundation.redis.news import RedisNews
from foundation.redis.shards import Shards
from outbox.cadence import TotalsPolicy
from outbox.shared.board import SharedBoard
from outbox.shared.tells import SharedTells
from outbox.tells import TellBox, TellSlots
from outbox.totals import Board, TotalsBoard
from service.config import Config
from service.storage.stores import LiveStores, RedisStores
from views.counters.redis.store import RedisCounterStore
from views.model import Video

HOUR_MS = 3_600_000
NEWS_MS = 500

VideoOf = Callable[[int], Awaitable[Video | None]]
Moved = Callable[[], Awaitable[Sequence[Video]]]


@dataclass(frozen=True, slots=True)
class DoorOut:
    """What the door out keeps of its own, and (``moved``) how it hears of numbers that moved in other processes."""

    board: Board
    tells: TellBox
    moved: Moved | None = None


@dataclass(frozen=True, slots=True)
class Together:
    """``store`` is None for a process that is alone."""

    leases: Leases
    news: News
    clock: Clock
    counters: RedisCounterStore | None = None
    store: Shards | None = None

    def door_out(self, policy: TotalsPolicy, video_of: VideoOf) -> DoorOut:
        if self.store is None or self.counters is None:
            return DoorOut(TotalsBoard(policy), TellSlots())
        board = SharedBoard(policy, self.store, self.leases, self.clock)
        tells = SharedTells(self.store, self.leases, video_of)
        return DoorOut(board, tells, MovedAnywhere(self.counters, board, self.leases, video_of))


class MovedAnywhere:
    """The videos of ours that this process decides about and whose number may have moved in any process."""

    def __init__(self, counters: RedisCounterStore, board: SharedBoard, leases: Leases, video_of: VideoOf) -> None:
        self._counters = counters
        self._board = board
        self._leases = leases
        self._video_of = video_of
        self._cursor: tuple[int, ...] = ()

    async def __call__(self) -> Sequence[Video]:
        """Raises StorageUnavailable: what moved is found the next time."""
        held = [shard for shard in range(self._leases.shards) if self._leases.holds_shard(shard)]
        changes = await self._counters.changed_since(self._cursor, of=held)
        marked = list(self._board.marked)
        moved: list[Video] = []
        for number in dict.fromkeys([*changes.videos, *marked]):
            video = await self._video_of(number)
            if video is not None and video.local and video.federated:
                moved.append(video)
            else:
                self._board.forget_video(number)
        self._cursor = changes.cursor
        del self._board.marked[: len(marked)]
        return moved


def together(config: Config, live: LiveStores, clock: Clock, metrics: Metrics) -> Together:
    """Built, not started."""
    if not isinstance(live, RedisStores) or config.storage.database.url is None:
        return Together(Alone(), NoNews(), clock)
    settings = live.counters.settings
    life_ms = max(HOUR_MS, 8 * config.views.viewer_lifetime_ms)
    store = Shards(live.link, clock, prefix=settings.prefix, count=settings.shards, ttl_ms=life_ms)
    leases = RedisLeases(store, clock, metrics, lease_ms=config.storage.lease_ms)
    live.counters.sweeps = leases.holds_shard
    return Together(leases, RedisNews(store, clock, metrics, period_ms=NEWS_MS), clock, live.counters, store)
