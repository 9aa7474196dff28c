"""What a channel of ours has: its videos, their views altogether and day by day. A channel exists while it has one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, false, func, or_, select, true

from foundation.database import Database
from views.model import Privacy
from views.tables import video_views, videos

DAY_MS = 86_400_000

SORTS = {
    "name": videos.c.channel,
    "createdAt": func.min(videos.c.published_ms),
    "updatedAt": func.max(videos.c.updated_ms),
}
"""By what a page of channels can be sorted, with ``-`` in front for the largest first (PeerTube's names)."""


@dataclass(frozen=True, slots=True)
class ChannelTotals:
    """``views`` is the sum over its videos. ``created_ms`` is when its first video was published."""

    name: str
    origin: str
    videos: int
    views: int
    created_ms: int
    updated_ms: int


@dataclass(frozen=True, slots=True)
class Seen:
    """Which videos are looked at: all that are no secret, and the private ones of ``private_in`` (None: of all)."""

    private_in: frozenset[str] | None = frozenset()

    def condition(self) -> ColumnElement[bool]:
        if self.private_in is None:
            return true()
        inside = videos.c.channel.in_(sorted(self.private_in)) if self.private_in else false()
        return or_(videos.c.privacy != Privacy.PRIVATE.value, inside)


class Channels:
    """Reads only; every sum comes from the catalog and the hourly views, no statistics are touched."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def find(self, name: str, seen: Seen) -> ChannelTotals | None:
        async with self._db.read() as tx:
            row = (await tx.execute(_totals(seen).where(videos.c.channel == name))).one_or_none()
        return None if row is None else _of(row)

    async def page(self, start: int, count: int, sort: str, seen: Seen) -> tuple[int, Sequence[ChannelTotals]]:
        """How many channels there are, and some of them; ``sort`` is one of ``SORTS``. Ties fall by name."""
        column = SORTS[sort.removeprefix("-")]
        order = column.desc() if sort.startswith("-") else column.asc()
        ours = videos.c.local.is_(True)
        async with self._db.read() as tx:
            names = select(func.count(videos.c.channel.distinct())).where(ours, seen.condition())
            total = (await tx.execute(names)).scalar_one()
            rows = await tx.execute(_totals(seen).order_by(order, videos.c.channel).offset(start).limit(count))
            return int(total), [_of(row) for row in rows]

    async def numbers(self, name: str) -> tuple[int, ...]:
        """Of all its videos, private ones too."""
        statement = select(videos.c.number).where(videos.c.local.is_(True), videos.c.channel == name)
        async with self._db.read() as tx:
            return tuple((await tx.execute(statement.order_by(videos.c.number))).scalars())

    async def views_by_day(self, names: Collection[str], since_ms: int, seen: Seen) -> dict[tuple[str, int], int]:
        """Counted views by channel and start of the UTC day, from ``since_ms`` on; a day without any is absent."""
        if not names:
            return {}
        day_ms = (video_views.c.hour_ms - video_views.c.hour_ms % DAY_MS).label("day_ms")
        statement = (
            select(videos.c.channel, day_ms, func.sum(video_views.c.views).label("views"))
            .join(videos, videos.c.number == video_views.c.video_number)
            .where(
                videos.c.local.is_(True),
                videos.c.channel.in_(sorted(names)),
                video_views.c.hour_ms >= since_ms,
                seen.condition(),
            )
            .group_by(videos.c.channel, day_ms)
        )
        async with self._db.read() as tx:
            return {(row.channel, int(row.day_ms)): int(row.views) for row in await tx.execute(statement)}


def _totals(seen: Seen) -> Select[Any]:
    return (
        select(
            videos.c.channel,
            func.min(videos.c.origin).label("origin"),
            func.count().label("videos"),
            func.sum(videos.c.views).label("views"),
            func.min(videos.c.published_ms).label("created_ms"),
            func.max(videos.c.updated_ms).label("updated_ms"),
        )
        .where(videos.c.local.is_(True), seen.condition())
        .group_by(videos.c.channel)
    )


def _of(row: Row[Any]) -> ChannelTotals:
    return ChannelTotals(
        row.channel, row.origin, int(row.videos), int(row.views), int(row.created_ms), int(row.updated_ms)
    )
