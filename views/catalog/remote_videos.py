"""Rows of remote videos: what their origins said of them, and when each was last asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select, update

from foundation.clock import Clock
from foundation.database import Transaction, upsert
from foundation.errors import Refused
from views.model import RemoteVideo, Video
from views.rows import COLUMNS, remote_values, video_of
from views.tables import videos


class RemoteVideos:
    """``at_most`` are kept."""

    def __init__(self, clock: Clock, at_most: int) -> None:
        self._clock = clock
        self._at_most = at_most

    async def put(self, tx: Transaction, remote: RemoteVideo) -> Video | Refused:
        """Refused: ``own_video``, ``uuid_taken``, ``uuid_changed``, ``catalog_full``."""
        now_ms = self._clock.now_ms()
        stored = select(*COLUMNS).where(videos.c.url == remote.url).with_for_update()
        row = (await tx.execute(stored)).one_or_none()
        if row is None:
            return await self._insert(tx, remote, now_ms)
        before = video_of(row)
        if before.local:
            return Refused("own_video", "this video is ours", 409)
        if before.uuid != remote.uuid:
            return Refused("uuid_changed", "this video is known under another uuid", 409)
        values: dict[str, Any] = {"refreshed_ms": now_ms}
        if remote.updated_ms >= before.updated_ms:
            values |= remote_values(remote)
        changing = update(videos).where(videos.c.number == before.number).values(values).returning(*COLUMNS)
        return video_of((await tx.execute(changing)).one())

    async def _insert(self, tx: Transaction, remote: RemoteVideo, now_ms: int) -> Video | Refused:
        kept = await tx.execute(select(func.count()).select_from(videos).where(videos.c.local.is_(False)))
        if kept.scalar_one() >= self._at_most:
            return Refused("catalog_full", "no more remote videos are kept", 503)
        values = {"uuid": remote.uuid, "url": remote.url, "local": False, "refreshed_ms": now_ms}
        statement = upsert(tx, videos).values(values | remote_values(remote)).on_conflict_do_nothing()
        row = (await tx.execute(statement.returning(*COLUMNS))).one_or_none()
        if row is None:
            return Refused("uuid_taken", "this uuid belongs to another video", 409)
        return video_of(row)

    async def asked_now(self, tx: Transaction, number: int) -> None:
        """Its origin was asked for its document."""
        await tx.execute(update(videos).where(videos.c.number == number).values(refreshed_ms=self._clock.now_ms()))

    async def stale(self, tx: Transaction, before_ms: int, limit: int) -> Sequence[Video]:
        """Those last asked for before ``before_ms``, the longest ago first."""
        statement = (
            select(*COLUMNS)
            .where(videos.c.local.is_(False), videos.c.refreshed_ms < before_ms)
            .order_by(videos.c.refreshed_ms, videos.c.number)
            .limit(limit)
        )
        return [video_of(row) for row in await tx.execute(statement)]
