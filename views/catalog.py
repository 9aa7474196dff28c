"""Every video we know, ours and remote ones: how it is found, registered, changed and forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, update

from foundation.clock import Clock
from foundation.database import Database, Transaction, upsert
from foundation.errors import Refused, StorageUnavailable
from views.drafts import judge_draft, judge_remote
from views.ids import VideoRef
from views.listing import MAX_COUNT, VideoFilter, VideoPage, page_of
from views.model import Privacy, RemoteVideo, Video, VideoDraft
from views.ports import Announcer
from views.rows import COLUMNS, draft_values, remote_values, video_of
from views.tables import video_views, videos
from views.video_cache import VideoCache

MISSING_FOR_MS = 5_000
"""How long a name asked for in vain is not looked up again."""


@dataclass(frozen=True, slots=True)
class CatalogBounds:
    """``cached`` videos and ``missing`` names are kept in memory; ``remote_videos`` at most are kept at all."""

    cached: int = 20_000
    missing: int = 10_000
    remote_videos: int = 1_000_000


class Catalog:
    """The hot path finds its video with ``peek_*``, a dictionary look-up; the rest waits for the database.

    The memory is this process's own: where several processes share a database, ``forget`` is how one hears of
    another's change.
    """

    def __init__(
        self,
        db: Database,
        announcer: Announcer,
        clock: Clock,
        local_url: Callable[[str], str],
        local_origin: str,
        bounds: CatalogBounds | None = None,
        judge_channel: Callable[[str], Refused | None] = lambda _: None,
        moved: Callable[[int], None] | None = None,
    ) -> None:
        """``local_url`` makes the global id of a video of ours from its UUID; ``local_origin`` is our authority.

        ``judge_channel`` knows the names that no channel of ours may have. ``moved`` is told the number of every video
        that changed here in more than its views, where other processes use the database too.
        """
        self._alone = moved is None
        self._moved = moved or _nobody_hears
        self._judge_channel = judge_channel
        self._db = db
        self._announcer = announcer
        self._clock = clock
        self._local_url = local_url
        self._local_origin = local_origin
        self._bounds = bounds or CatalogBounds()
        self.gone: Callable[[Video], Awaitable[None]] = _nobody_asks
        """Called after a video was deleted, or became private: whoever keeps something of it forgets it then."""
        self._reading: dict[int, asyncio.Task[Video | None]] = {}
        self._cache = VideoCache(self._bounds.cached, missing_size=self._bounds.missing, missing_for_ms=MISSING_FOR_MS)

    # Finding

    def peek(self, ref: VideoRef) -> Video | None:
        """The video if it is in memory, by number or canonical UUID; None says nothing about the database."""
        return self._cache.get(ref)

    def peek_number(self, number: int) -> Video | None:
        """As ``peek``, by number."""
        return self._cache.get(number)

    def peek_uuid(self, uuid: str) -> Video | None:
        """As ``peek``, by canonical UUID."""
        return self._cache.get(uuid)

    def peek_url(self, url: str) -> Video | None:
        """As ``peek``, by global id."""
        return self._cache.get(url)

    async def find(self, ref: VideoRef) -> Video | None:
        """By what a client said, see ``ids.parse_video_ref``."""
        return await (self.by_number(ref) if isinstance(ref, int) else self.by_uuid(ref))

    async def by_number(self, number: int) -> Video | None:
        return await self._load(number, videos.c.number == number)

    async def by_uuid(self, uuid: str) -> Video | None:
        return await self._load(uuid, videos.c.uuid == uuid)

    async def by_url(self, url: str) -> Video | None:
        return await self._load(url, videos.c.url == url)

    async def _load(self, name: VideoRef, condition: ColumnElement[bool]) -> Video | None:
        cached = self._cache.get(name)
        if cached is not None or self._cache.is_missing(name, self._clock.now_ms()):
            return cached
        before = self._cache.last(name)
        if before is not None and self._db.is_gone:
            return before
        try:
            async with self._db.read() as tx:
                row = (await tx.execute(select(*COLUMNS).where(condition))).one_or_none()
        except StorageUnavailable:
            if before is None:
                raise
            return before
        # A write that was committed meanwhile has told the memory already and knows better than this read.
        cached, now_ms = self._cache.get(name), self._clock.now_ms()
        if cached is not None or self._cache.is_missing(name, now_ms):
            return cached
        if row is None:
            self._cache.put_missing(name, now_ms)
            return None
        video = video_of(row)
        self._cache.put(video)
        return video

    async def by_number_anew(self, number: int) -> Video | None:
        """As ``by_number``, with what other processes committed before this was called.

        Whoever asks in the same turn of the event loop shares one read.
        """
        if self._alone:
            return await self.by_number(number)
        reading = self._reading.get(number)
        if reading is None:
            reading = self._reading[number] = asyncio.create_task(self._read_anew(number), name="read a video anew")
        return await asyncio.shield(reading)

    async def _read_anew(self, number: int) -> Video | None:
        # Whoever asks from here on may have to know of a commit that this read does not see.
        del self._reading[number]
        self._cache.age(number)
        return await self.by_number(number)

    def remember(self, video: Video) -> None:
        """Take note of a row that was just committed (whoever writes ``videos`` calls this in order of commits)."""
        self._cache.put(video)

    def forget(self, video: Video) -> None:
        """Read it from the database the next time."""
        self._cache.evict(video.number)

    def forget_number(self, number: int | None) -> None:
        """Another process changed this video, or (None) may have changed any."""
        if number is None:
            self._cache.clear()
        else:
            self._cache.evict(number)

    def forget_old(self) -> None:
        """Read anew what was last read two calls ago, where the database answers: other processes count views too."""
        self._cache.forget_old()

    async def current(self, known: Video) -> Video:
        """The video with the counted views of this moment, whichever process counted them."""
        if self._alone:
            return known
        try:
            async with self._db.read() as tx:
                row = (await tx.execute(select(*COLUMNS).where(videos.c.number == known.number))).one_or_none()
        except StorageUnavailable:
            return known
        return known if row is None else video_of(row)

    # Our videos

    async def put_local(self, draft: VideoDraft) -> tuple[Video, bool] | Refused:
        """Register a video of ours, or change it; the flag says that it is new. A draft without change changes nothing.

        Followers are told in the same transaction; a video that becomes private is deleted for them. Refused: a field
        breaks its rule (``bad_*``, 400), or the UUID is a remote video's (``uuid_taken``, 409).
        """
        refusal = judge_draft(draft) or self._judge_channel(draft.channel)
        if refusal is not None:
            return refusal
        verdict = await self._db.write(lambda tx: self._put_local(tx, draft))
        if isinstance(verdict, Refused):
            return verdict
        video, before = verdict
        self._cache.put(video)
        if video != before:
            self._moved(video.number)
            self._announcer.committed()
        if before is not None and before.federated and not video.federated:
            await self.gone(video)
        return video, before is None

    async def _put_local(self, tx: Transaction, draft: VideoDraft) -> tuple[Video, Video | None] | Refused:
        created = await self._insert_local(tx, draft)
        if created is not None:
            if created.federated:
                await self._announcer.video_published(tx, created)
            return created, None
        stored = select(*COLUMNS).where(videos.c.uuid == draft.uuid).with_for_update()
        row = (await tx.execute(stored)).one_or_none()
        if row is None or not row.local:
            return Refused("uuid_taken", "this uuid belongs to a video of another instance", 409)
        before = video_of(row)
        changes = {name: value for name, value in draft_values(draft).items() if value != _plain(before, name)}
        if not changes:
            return before, before
        now_ms = self._clock.now_ms()
        changes["updated_ms"] = max(now_ms, before.updated_ms + 1)
        if draft.privacy is not Privacy.PRIVATE:
            # What is told now carries the counted total as it stands.
            changes |= {"views_announced": videos.c.views, "announced_ms": now_ms}
        changing = update(videos).where(videos.c.number == before.number).values(changes).returning(*COLUMNS)
        video = video_of((await tx.execute(changing)).one())
        await self._tell_change(tx, before, video)
        return video, before

    async def _insert_local(self, tx: Transaction, draft: VideoDraft) -> Video | None:
        """None when the UUID is known already."""
        now_ms = self._clock.now_ms()
        values = {
            "uuid": draft.uuid,
            "url": self._local_url(draft.uuid),
            "origin": self._local_origin,
            "local": True,
            "published_ms": now_ms,
            "updated_ms": now_ms,
            "refreshed_ms": now_ms,
        }
        known = await tx.execute(select(videos.c.number).where(videos.c.uuid == draft.uuid))
        if known.one_or_none() is not None:
            return None
        statement = upsert(tx, videos).values(values | draft_values(draft)).on_conflict_do_nothing()
        row = (await tx.execute(statement.returning(*COLUMNS))).one_or_none()
        return None if row is None else video_of(row)

    async def _tell_change(self, tx: Transaction, before: Video, video: Video) -> None:
        if not video.federated:
            if before.federated:
                await self._announcer.video_deleted(tx, before)
        elif not before.federated or (video.privacy is Privacy.PUBLIC and before.privacy is not Privacy.PUBLIC):
            await self._announcer.video_published(tx, video)
        else:
            await self._announcer.video_updated(tx, video)

    # Remote videos

    async def put_remote(self, remote: RemoteVideo) -> Video | Refused:
        """Keep what a remote origin says about its video; older news than the kept changes nothing.

        Refused: ``bad_*`` (400), ``own_video`` (409, the id is on our authority), ``uuid_taken`` (409, another video
        has this UUID; PeerTube holds UUIDs to be unique everywhere), ``uuid_changed`` (409), ``catalog_full`` (503).
        """
        refusal = judge_remote(remote)
        if refusal is None and remote.origin == self._local_origin:
            refusal = Refused("own_video", "this video is ours", 409)
        if refusal is not None:
            return refusal
        verdict = await self._db.write(lambda tx: self._put_remote(tx, remote))
        if isinstance(verdict, Video):
            self._cache.put(verdict)
            self._moved(verdict.number)
        return verdict

    async def _put_remote(self, tx: Transaction, remote: RemoteVideo) -> Video | Refused:
        now_ms = self._clock.now_ms()
        stored = select(*COLUMNS).where(videos.c.url == remote.url).with_for_update()
        row = (await tx.execute(stored)).one_or_none()
        if row is None:
            return await self._insert_remote(tx, remote, now_ms)
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

    async def _insert_remote(self, tx: Transaction, remote: RemoteVideo, now_ms: int) -> Video | Refused:
        kept = await tx.execute(select(func.count()).select_from(videos).where(videos.c.local.is_(False)))
        if kept.scalar_one() >= self._bounds.remote_videos:
            return Refused("catalog_full", "no more remote videos are kept", 503)
        values = {"uuid": remote.uuid, "url": remote.url, "local": False, "refreshed_ms": now_ms}
        statement = upsert(tx, videos).values(values | remote_values(remote)).on_conflict_do_nothing()
        row = (await tx.execute(statement.returning(*COLUMNS))).one_or_none()
        if row is None:
            return Refused("uuid_taken", "this uuid belongs to another video", 409)
        return video_of(row)

    async def remote_gone(self, url: str) -> bool:
        """The origin deleted its video (or answers 404, 410): forget it. False when we knew none of that id."""
        video = await self.by_url(url)
        return video is not None and not video.local and await self.delete(video)

    async def touch_refreshed(self, video: Video) -> None:
        """The origin was asked just now, in vain: do not ask again at once."""
        now_ms = self._clock.now_ms()
        statement = update(videos).where(videos.c.number == video.number).values(refreshed_ms=now_ms)
        await self._db.write(lambda tx: tx.execute(statement))

    async def stale_remote(self, before_ms: int, limit: int = MAX_COUNT) -> Sequence[Video]:
        """Remote videos whose document was last asked for before ``before_ms``, the longest ago first."""
        statement = (
            select(*COLUMNS)
            .where(videos.c.local.is_(False), videos.c.refreshed_ms < before_ms)
            .order_by(videos.c.refreshed_ms, videos.c.number)
            .limit(limit)
        )
        async with self._db.read() as tx:
            return [video_of(row) for row in await tx.execute(statement)]

    # All videos

    async def delete(self, video: Video) -> bool:
        """Forget the video with its hourly views; followers of ours are told. False when it was gone already."""

        async def work(tx: Transaction) -> bool:
            # First the video, as counting does: nobody adds an hour behind our back, or waits for us in a circle.
            statement = delete(videos).where(videos.c.number == video.number).returning(*COLUMNS)
            row = (await tx.execute(statement)).one_or_none()
            await tx.execute(delete(video_views).where(video_views.c.video_number == video.number))
            if row is None:
                return False
            gone = video_of(row)
            if gone.local and gone.federated:
                await self._announcer.video_deleted(tx, gone)
            return True

        deleted = await self._db.write(work)
        self._cache.drop(video, self._clock.now_ms())
        self._moved(video.number)
        if deleted and video.local:
            self._announcer.committed()
        if deleted:
            await self.gone(video)
        return deleted

    async def list_videos(
        self,
        start: int = 0,
        count: int = 15,
        sort: str = "-publishedAt",
        filters: VideoFilter | None = None,
        *,
        include_private: bool = False,
    ) -> VideoPage | Refused:
        """One page, see ``listing.page_of``."""
        async with self._db.read() as tx:
            return await page_of(tx, start, count, sort, filters or VideoFilter(), include_private=include_private)


async def _nobody_asks(_: Video) -> None:
    return None


def _plain(video: Video, column: str) -> object:
    value = getattr(video, column)
    return value.value if isinstance(value, Privacy) else value


def _nobody_hears(_: int) -> None:
    return None
