"""A live stream's views and viewers, carried to the video that its replay became."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from sqlalchemy import case, delete, select, update

from foundation.clock import Clock
from foundation.database import Database, Transaction
from foundation.errors import Refused
from views.catalog.catalog import Catalog
from views.model import Video
from views.ports import Announcer
from views.rows import COLUMNS, video_of
from views.tables import video_views, videos
from views.tallies import add_hours

MoveStays = Callable[[int, int], Awaitable[int]]
"""Gives the stays of one video (by number), with sections and sums, to another; returns how many."""

NOT_LIVE = Refused("not_live", "Only a live stream has a replay", 409)
REPLAY_IS_LIVE = Refused("replay_is_live", "A live stream cannot be a replay", 409)
GONE = Refused("video_not_found", "Video not found", 404)


@dataclass(frozen=True, slots=True)
class Carried:
    """Both videos as they are now, and what went from one to the other."""

    live: Video
    replay: Video
    views: int
    stays: int


async def no_stays(_live: int, _replay: int) -> int:
    """For a house that keeps no viewer statistics."""
    return 0


class Replays:
    """Moves, never copies: nothing is counted twice, and saying it again moves what has come since.

    So every replay of a stream that is live again and again takes what was gathered since the one before it.
    """

    def __init__(
        self,
        db: Database,
        catalog: Catalog,
        announcer: Announcer,
        clock: Clock,
        move_stays: MoveStays = no_stays,
    ) -> None:
        self._db = db
        self._catalog = catalog
        self._announcer = announcer
        self._clock = clock
        self._move_stays = move_stays

    async def carry(self, live: Video, replay: Video) -> Carried | Refused:
        """First the viewers' stays, in batches, then the counted views (the total and its hours) in one transaction
        that announces both new totals. Both videos are ours.

        Refused: ``not_live``, ``replay_is_live`` (409), ``video_not_found`` (404). Raises StorageUnavailable: a part of
        the stays may have moved; saying it again moves the rest.
        """
        if not live.is_live:
            return NOT_LIVE
        if replay.is_live:
            return REPLAY_IS_LIVE
        stays = await self._move_stays(live.number, replay.number)
        work = partial(self._carry, live=live, replay=replay, stays=stays, now_ms=self._clock.now_ms())
        carried = await self._db.write(work)
        if isinstance(carried, Carried):
            for video in (carried.live, carried.replay):
                self._catalog.remember(video)
            self._announcer.committed()
        return carried

    async def _carry(self, tx: Transaction, live: Video, replay: Video, stays: int, now_ms: int) -> Carried | Refused:
        # Locked in the order of numbers, as counting does, so that two processes never wait for each other.
        numbers = sorted((live.number, replay.number))
        statement = select(*COLUMNS).where(videos.c.number.in_(numbers)).order_by(videos.c.number).with_for_update()
        now = {row.number: video_of(row) for row in await tx.execute(statement)}
        if len(now) < 2:
            return GONE
        views = now[live.number].views
        await _move_hours(tx, live.number, now[replay.number])
        if views:
            for number, total in ((live.number, 0), (replay.number, now[replay.number].views + views)):
                now[number] = await self._put_total(tx, now[number], total, now_ms)
        return Carried(now[live.number], now[replay.number], views, stays)

    async def _put_total(self, tx: Transaction, video: Video, views: int, now_ms: int) -> Video:
        values = {
            "views": views,
            "views_announced": views,
            "announced_ms": now_ms,
            "updated_ms": case((videos.c.updated_ms >= now_ms, videos.c.updated_ms + 1), else_=now_ms),
        }
        statement = update(videos).where(videos.c.number == video.number).values(values).returning(*COLUMNS)
        moved = video_of((await tx.execute(statement)).one())
        if moved.federated:
            await self._announcer.views_moved(tx, moved)
        return moved


async def _move_hours(tx: Transaction, live: int, replay: Video) -> None:
    hours = select(video_views.c.hour_ms, video_views.c.views).where(video_views.c.video_number == live)
    await add_hours(tx, [(replay, row.hour_ms, row.views) for row in await tx.execute(hours)])
    await tx.execute(delete(video_views).where(video_views.c.video_number == live))
