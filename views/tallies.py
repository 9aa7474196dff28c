"""The SQL of counted views: totals, hourly buckets (UTC), and what is forgotten when it is old."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from sqlalchemy import CursorResult, delete, func, select, tuple_, update
from sqlalchemy.sql import Delete

from foundation.database import Database, Transaction, upsert
from views.model import Video
from views.rows import COLUMNS, video_of
from views.tables import remote_views, video_views, videos

HOUR_MS = 3_600_000

BATCH = 1_000
"""Rows that one purging transaction takes away, so that counting never waits long behind it."""


def hour_of(at_ms: int) -> int:
    """Start of the UTC hour that ``at_ms`` lies in."""
    return at_ms - at_ms % HOUR_MS


async def add_view(tx: Transaction, video: Video, at_ms: int) -> Video | None:
    """One more view in its hour and, when the video is ours, in its total (a remote origin says its total itself).

    Returns the video as it is now, None when it is gone. Rows are locked in one order everywhere: video, then hour.
    """
    this = videos.c.number == video.number
    if video.local:
        result = await tx.execute(update(videos).where(this).values(views=videos.c.views + 1).returning(*COLUMNS))
    else:
        result = await tx.execute(select(*COLUMNS).where(this).with_for_update(read=True, key_share=True))
    row = result.one_or_none()
    if row is None:
        return None
    bucket = upsert(tx, video_views).values(video_number=video.number, hour_ms=hour_of(at_ms), views=1)
    await tx.execute(
        bucket.on_conflict_do_update(
            index_elements=["video_number", "hour_ms"], set_={"views": video_views.c.views + bucket.excluded.views}
        )
    )
    return video_of(row)


async def purge_remote_views(db: Database, before_ms: int) -> int:
    """Forget which remote views were counted before ``before_ms``; returns how many."""
    old = select(remote_views.c.activity).where(remote_views.c.at_ms < before_ms).limit(BATCH)
    return await _in_batches(db, delete(remote_views).where(remote_views.c.activity.in_(old)))


async def purge_hourly(db: Database, *, local: bool, before_ms: int) -> int:
    """Forget the hours of our videos (``local``) or of remote ones that began before ``before_ms``."""
    key = tuple_(video_views.c.video_number, video_views.c.hour_ms)
    old = (
        select(video_views.c.video_number, video_views.c.hour_ms)
        .join(videos, videos.c.number == video_views.c.video_number)
        .where(video_views.c.hour_ms < before_ms, videos.c.local.is_(local))
        .limit(BATCH)
    )
    return await _in_batches(db, delete(video_views).where(key.in_(old)))


async def total_local_views(db: Database) -> int:
    """Counted views of all our videos together."""
    async with db.read() as tx:
        total = await tx.execute(select(func.coalesce(func.sum(videos.c.views), 0)).where(videos.c.local.is_(True)))
    return int(total.scalar_one())


async def _in_batches(db: Database, statement: Delete) -> int:
    deleted = 0
    work: Callable[[Transaction], Awaitable[int]] = partial(_delete, statement=statement)
    while True:
        batch = await db.write(work)
        deleted += batch
        if batch < BATCH:
            return deleted


async def _delete(tx: Transaction, statement: Delete) -> int:
    result = await tx.execute(statement)
    assert isinstance(result, CursorResult)
    return result.rowcount
