"""When a viewer becomes a view, and how views are counted: once each, durable before they are acknowledged."""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import and_, case, select, update

from foundation.clock import Clock
from foundation.database import Database, Transaction
from foundation.errors import OutcomeUnknown, StorageUnavailable
from foundation.metrics import Metrics
from foundation.spool import Applied, Spool
from views import spooled_views, tallies
from views.catalog.catalog import Catalog
from views.counters.base import CounterStore
from views.model import Privacy, Video
from views.notices import ViewCounted
from views.ports import Announcer, CountedViews, NullNotifier
from views.rows import COLUMNS, video_of
from views.tables import videos
from views.tallies import HOUR_MS, CountedView

_BATCH = 200
"""Videos that one announcing transaction tells of, so that counting never waits long behind it."""

_log = logging.getLogger(__name__)


def enough_watch_time(watch_time_s: float, duration_s: float, is_live: bool, count_view_after_s: float) -> bool:
    """Has somebody watched enough to be a view? (PeerTube 6.3.)

    ``count_view_after_s`` of a live stream or of a video at least that long; of a shorter video strictly more than
    half.
    """
    if is_live or duration_s >= count_view_after_s:
        return watch_time_s >= count_view_after_s
    return watch_time_s > 0 and watch_time_s * 2 > duration_s


@dataclass(frozen=True, slots=True)
class CountingRules:
    """``view_expiration_ms``: the same viewer is a new view after this. ``announce_views_within_ms``: a moved total of
    a video is told to others at most this often."""

    view_expiration_ms: int = HOUR_MS
    announce_views_within_ms: int = 30 * 60_000


class ViewCounter:
    """Counts views of our viewers and of the fediverse's.

    What the database does not take goes to the ``spool`` and is counted there; without one it is refused.
    """

    def __init__(
        self,
        db: Database,
        catalog: Catalog,
        store: CounterStore,
        announcer: Announcer,
        clock: Clock,
        metrics: Metrics,
        rules: CountingRules | None = None,
        *,
        told: CountedViews | None = None,
        spool: Spool | None = None,
    ) -> None:
        self._db = db
        self._catalog = catalog
        self._store = store
        self._announcer = announcer
        self._told = told or NullNotifier()
        self._clock = clock
        self._rules = rules or CountingRules()
        self._spool = spool
        if spool is not None:
            spool.replays(spooled_views.KIND, self._replay)
        counted = metrics.counter("fediviews_views_counted_total", "Views counted, by where the viewer is.", ["viewer"])
        self._counted_local = counted.labels("local")
        self._counted_remote = counted.labels("remote")
        self._duplicates = metrics.counter(
            "fediviews_remote_view_duplicates_total", "Counted views of other instances that were known already."
        )

    async def count_local(self, video: Video, viewer: bytes) -> bool:
        """As ``count_view``, for whoever needs no id."""
        return await self.count_view(video, viewer) is not None

    async def count_view(self, video: Video, viewer: bytes) -> str | None:
        """Count one view of a viewer of ours, unless theirs was counted within ``view_expiration_ms`` (None).

        When this returns the view's id (a UUID), the view is durable and on its way to others. Raises
        StorageUnavailable; the view was not counted then, and may be counted by a later call. OutcomeUnknown: perhaps
        it was, and a later call counts nothing. ``viewer`` is the 16-byte key of the counter store.
        """
        now_ms = self._clock.now_ms()
        until_ms = now_ms + self._rules.view_expiration_ms
        if not await self._store.claim_view(video.number, viewer, until_ms, now_ms):
            return None
        # Chosen outside of the work: that may run twice.
        view_id = str(uuid.uuid4())

        try:
            counted = await self._count_or_spool(CountedView(video, now_ms, view_id=view_id))
        # As for a cancellation: the view may be committed all the same, and a lost one is better than a double one.
        except OutcomeUnknown:
            raise
        except Exception:
            await self._store.release_view(video.number, viewer)
            raise
        if not counted:
            await self._store.release_view(video.number, viewer)
            return None
        self._counted_local.inc()
        return view_id

    async def count_remote(self, video: Video, activity_id: str, actor: str, host: str) -> bool:
        """Count a view that another instance reports, once per (actor, activity id); False when known already.

        False as well for a video that is gone or private. When this returns True the view is durable; in the spool it
        is not known yet whether it is news. Raises StorageUnavailable; the sender may repeat the activity then.
        """
        if not video.federated:
            return False
        now_ms = self._clock.now_ms()
        activity = hashlib.sha256(f"{actor}\0{activity_id}".encode("utf-8", "surrogatepass")).digest()

        if not await self._count_or_spool(CountedView(video, now_ms, activity=activity, source=host)):
            _log.debug("a counted view of %s was known already, or its video is gone", host)
            return False
        return True

    async def _count_or_spool(self, view: CountedView) -> bool:
        patience_ms = None if self._spool is None else self._spool.settings.after_ms
        try:
            video = await self._db.write_together(self._count, view, patience_ms=patience_ms)
        except StorageUnavailable as problem:
            # A view of a peer is known by its activity: what is committed all the same is not counted again.
            if self._spool is None or (isinstance(problem, OutcomeUnknown) and view.activity is None):
                raise
            await self._spool.add(spooled_views.KIND, spooled_views.spooled(view))
            return True
        self._committed([view], [video])
        return video is not None

    async def _replay(self, tx: Transaction, payloads: Sequence[bytes]) -> Applied:
        views = await spooled_views.read_back(tx, payloads)
        return partial(self._committed, views, await self._count(tx, views))

    async def _count(self, tx: Transaction, views: Sequence[CountedView]) -> Sequence[Video | None]:
        counted = await tallies.add_views(tx, views)
        for view, video in zip(views, counted, strict=True):
            if video is not None and video.federated and view.activity is None:
                await self._announcer.view_counted(tx, video, view.view_id, view.at_ms)
        await self._told.views_counted(
            tx,
            [
                ViewCounted(video, view.at_ms, view.source, video.views)
                for view, video in zip(views, counted, strict=True)
                if video is not None
            ],
        )
        return counted

    def _committed(self, views: Sequence[CountedView], counted: Sequence[Video | None]) -> None:
        for view, video in zip(views, counted, strict=True):
            if view.activity is not None:
                (self._counted_remote if video is not None else self._duplicates).inc()
            if video is not None:
                self._catalog.remember(video)
        if any(counted):
            self._announcer.committed()
            self._told.committed()

    async def flush_moved(self, now_ms: int, *, force: bool = False) -> int:
        """Tell others the counted totals that moved since they were told, each video at most once per
        ``announce_views_within_ms``, or all of them with ``force``. Returns how many were told.

        Which totals moved is read from the database, so a restart forgets none.
        """
        told = 0
        after = 0
        while True:
            batch = await self._db.write(partial(self._flush_batch, after=after, now_ms=now_ms, force=force))
            for video in batch:
                self._catalog.remember(video)
            told += len(batch)
            if len(batch) < _BATCH:
                break
            after = batch[-1].number
        if told:
            self._announcer.committed()
        return told

    async def _flush_batch(self, tx: Transaction, *, after: int, now_ms: int, force: bool) -> list[Video]:
        moved = and_(
            videos.c.local.is_(True),
            videos.c.views != videos.c.views_announced,
            videos.c.privacy != Privacy.PRIVATE.value,
            videos.c.number > after,
        )
        if not force:
            moved = and_(moved, videos.c.announced_ms <= now_ms - self._rules.announce_views_within_ms)
        # Locked in the order of numbers, as counting does, so that two processes never wait for each other.
        numbers = select(videos.c.number).where(moved).order_by(videos.c.number).limit(_BATCH).with_for_update()
        told = []
        for number in (await tx.execute(numbers)).scalars().all():
            updated_ms = case((videos.c.updated_ms >= now_ms, videos.c.updated_ms + 1), else_=now_ms)
            values = {"views_announced": videos.c.views, "announced_ms": now_ms, "updated_ms": updated_ms}
            statement = update(videos).where(videos.c.number == number).values(values).returning(*COLUMNS)
            video = video_of((await tx.execute(statement)).one())
            await self._announcer.views_moved(tx, video)
            told.append(video)
        return told

    async def purge_remote_views(self, before_ms: int) -> int:
        """Forget which remote views were counted before ``before_ms``; returns how many."""
        return await tallies.purge_remote_views(self._db, before_ms)

    async def purge_hourly(self, now_ms: int, *, local_max_age_ms: int | None, remote_max_age_ms: int | None) -> int:
        """Forget hourly views older than the age of their kind; None keeps them for good. Totals stay."""
        purged = 0
        for local, age_ms in ((True, local_max_age_ms), (False, remote_max_age_ms)):
            if age_ms is not None:
                purged += await tallies.purge_hourly(self._db, local=local, before_ms=now_ms - age_ms)
        return purged

    async def total_local_views(self) -> int:
        """Counted views of all our videos together."""
        return await tallies.total_local_views(self._db)

    async def local_views_since(self, hour_ms: int) -> int:
        """Counted views of our videos since the beginning of an hour."""
        return await tallies.local_views_since(self._db, hour_ms)
