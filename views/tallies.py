"""The SQL of counted views: totals, hourly buckets (UTC), and what is forgotten when it is old."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import CursorResult, bindparam, delete, func, select, tuple_, update
from sqlalchemy.sql import Delete

from foundation.database import Database, Transaction, upsert
from foundation.partitions import drop
from views.model import LOCAL, Video
from views.rows import COLUMNS, video_of
from views.tables import HOURS, remote_views, video_views, videos

HOUR_MS = 3_600_000

BATCH = 1_000
"""Rows that one purging transaction takes away, so that counting never waits long behind it."""


def hour_of(at_ms: int) -> int:
    """Start of the UTC hour that ``at_ms`` lies in."""
    return at_ms - at_ms % HOUR_MS


@dataclass(frozen=True, slots=True)
class CountedView:
    """One view to be counted. ``activity`` is the hash that a remote view is known by, ``source`` the host that told of
    it; None and "" for a view of a viewer of ours, which goes by ``view_id``, a fresh UUID."""

    video: Video
    at_ms: int
    view_id: str = ""
    activity: bytes | None = None
    source: str = LOCAL


async def add_views(tx: Transaction, views: Sequence[CountedView]) -> list[Video | None]:
    """Each view in its hour and, when its video is ours, in the total (a remote origin says its total itself).

    Returns for each view its video as it is after all of them, or None: known already, or the video is gone. Rows are
    locked in one order everywhere (activities, videos by number, hours), so that processes never wait in a circle.
    """
    news = await _not_counted_before(tx, views)
    fresh = [view for view, new in zip(views, news, strict=True) if new]
    now = await _raise_totals(tx, fresh)
    hours = Counter((now[view.video.number], hour_of(view.at_ms)) for view in fresh if view.video.number in now)
    await add_hours(tx, [(video, hour, number) for (video, hour), number in hours.items()])
    return [now.get(view.video.number) if new else None for view, new in zip(views, news, strict=True)]


async def add_hours(tx: Transaction, hours: Sequence[tuple[Video, int, int]]) -> None:
    """Add views to hours: video, start of the hour, number; each video and hour once."""
    if not hours:
        return
    await HOURS.ready(tx, ((video.local, hour) for video, hour, _ in hours))
    bucket = upsert(tx, video_views)
    raised = {"views": video_views.c.views + bucket.excluded.views}
    rows = [
        {"video_number": number, "hour_ms": hour, "local": local, "views": views}
        for number, hour, local, views in sorted(
            (video.number, hour, video.local, views) for video, hour, views in hours
        )
    ]
    await tx.execute(bucket.on_conflict_do_update(index_elements=_HOUR_KEY, set_=raised), rows)


_HOUR_KEY = [column.name for column in video_views.primary_key]


async def _not_counted_before(tx: Transaction, views: Sequence[CountedView]) -> list[bool]:
    """Claim the remote views by their UNIQUE rows; True for a viewer of ours."""
    claimed = {view.activity: view.at_ms for view in reversed(views) if view.activity is not None}
    if claimed:
        rows = [{"activity": activity, "at_ms": claimed[activity]} for activity in sorted(claimed)]
        claim = upsert(tx, remote_views).on_conflict_do_nothing().returning(remote_views.c.activity)
        unclaimed = {bytes(activity) for activity in (await tx.execute(claim, rows)).scalars()}
    else:
        unclaimed = set()
    news = []
    for view in views:
        news.append(view.activity is None or view.activity in unclaimed)
        unclaimed.discard(view.activity or b"")
    return news


async def _raise_totals(tx: Transaction, views: Sequence[CountedView]) -> dict[int, Video]:
    """The videos of the views by number, as they are now; a video that is gone is absent."""
    added = Counter(view.video.number for view in views)
    local = {view.video.number for view in views if view.video.local}
    now = {}
    for number in sorted(added):
        if number in local:
            result = await tx.execute(_RAISE_TOTAL, {"this": number, "added": added[number]})
        else:
            result = await tx.execute(_KEEP, {"this": number})
        row = result.one_or_none()
        if row is not None:
            now[number] = video_of(row)
    return now


_RAISE_TOTAL = (
    update(videos)
    .where(videos.c.number == bindparam("this"))
    .values(views=videos.c.views + bindparam("added"))
    .returning(*COLUMNS)
)

_KEEP = select(*COLUMNS).where(videos.c.number == bindparam("this")).with_for_update(read=True, key_share=True)
"""The video, which nobody may delete before we commit; it may be changed."""


async def purge_remote_views(db: Database, before_ms: int) -> int:
    """Forget which remote views were counted before ``before_ms``; returns how many."""
    old = select(remote_views.c.activity).where(remote_views.c.at_ms < before_ms).limit(BATCH)
    old = old.with_for_update(skip_locked=True)
    return await _in_batches(db, delete(remote_views).where(remote_views.c.activity.in_(old)))


async def purge_hourly(db: Database, *, local: bool, before_ms: int) -> int:
    """Forget the hours of our videos (``local``) or of remote ones that began before ``before_ms``; on PostgreSQL by
    whole months, so that some stay for a month longer. How many rows, or there months, went."""
    if db.dialect == "postgresql":
        return await db.write(partial(_drop_months, local=local, before_ms=before_ms))
    keys = tuple(video_views.primary_key.columns)
    key = tuple_(*keys)
    old = select(*keys).where(video_views.c.hour_ms < before_ms, video_views.c.local.is_(local)).limit(BATCH)
    return await _in_batches(db, delete(video_views).where(key.in_(old)))


async def _drop_months(tx: Transaction, *, local: bool, before_ms: int) -> int:
    gone = await HOURS.detach_old(tx, local, before_ms)
    await drop(tx, gone)
    return len(gone)


async def total_local_views(db: Database) -> int:
    """Counted views of all our videos together."""
    async with db.read() as tx:
        total = await tx.execute(select(func.coalesce(func.sum(videos.c.views), 0)).where(videos.c.local.is_(True)))
    return int(total.scalar_one())


async def local_views_since(db: Database, hour_ms: int) -> int:
    """Counted views of our videos since the beginning of an hour."""
    counted = select(func.coalesce(func.sum(video_views.c.views), 0))
    since = counted.where(video_views.c.local.is_(True), video_views.c.hour_ms >= hour_ms)
    async with db.read() as tx:
        return int((await tx.execute(since)).scalar_one())


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
