"""Every video we know, ours and remote ones: how it is found, registered, changed and forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, select

from foundation.clock import Clock
from foundation.database import Database, Transaction
from foundation.errors import Refused, StorageUnavailable
from views.catalog.drafts import judge_draft, judge_remote, plain_draft, plain_remote
from views.catalog.listing import MAX_COUNT, VideoFilter, VideoPage, page_of
from views.catalog.own_videos import OwnVideos
from views.catalog.remote_videos import RemoteVideos
from views.catalog.video_cache import VideoCache
from views.ids import VideoRef
from views.model import RemoteVideo, Video, VideoDraft
from views.ports import Announcer
from views.rows import COLUMNS, video_of
from views.tables import video_views, videos

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
        bounds = bounds or CatalogBounds()
        self._own = OwnVideos(announcer, clock, local_url, local_origin)
        self._remote = RemoteVideos(clock, bounds.remote_videos)
        self._local_origin = local_origin
        self.gone: Callable[[Video], Awaitable[None]] = _nobody_asks
        """Called after a video was deleted, or became private: whoever keeps something of it forgets it then."""
        self._reading: dict[int, asyncio.Task[Video | None]] = {}
        self._cache = VideoCache(bounds.cached, missing_size=bounds.missing, missing_for_ms=MISSING_FOR_MS)

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
        Name and description lose what turns text round (``foundation.plain_text``).

        Followers are told in the same transaction; a video that becomes private is deleted for them. Refused: a field
        breaks its rule (``bad_*``, 400), or the UUID is a remote video's (``uuid_taken``, 409).
        """
        draft = plain_draft(draft)
        refusal = judge_draft(draft) or self._judge_channel(draft.channel)
        if refusal is not None:
            return refusal
        verdict = await self._db.write(lambda tx: self._own.put(tx, draft))
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

    # Remote videos

    async def put_remote(self, remote: RemoteVideo) -> Video | Refused:
        """Keep what a remote origin says about its video; older news than the kept changes nothing.

        Refused: ``bad_*`` (400), ``own_video`` (409, the id is on our authority), ``uuid_taken`` (409, another video
        has this UUID; PeerTube holds UUIDs to be unique everywhere), ``uuid_changed`` (409), ``catalog_full`` (503).
        """
        remote = plain_remote(remote)
        refusal = judge_remote(remote)
        if refusal is None and remote.origin == self._local_origin:
            refusal = Refused("own_video", "this video is ours", 409)
        if refusal is not None:
            return refusal
        verdict = await self._db.write(lambda tx: self._remote.put(tx, remote))
        if isinstance(verdict, Video):
            self._cache.put(verdict)
            self._moved(verdict.number)
        return verdict

    async def remote_gone(self, url: str) -> bool:
        """The origin deleted its video (or answers 404, 410): forget it. False when we knew none of that id."""
        video = await self.by_url(url)
        return video is not None and not video.local and await self.delete(video)

    async def touch_refreshed(self, video: Video) -> None:
        """The origin was asked just now, in vain: do not ask again at once."""
        await self._db.write(lambda tx: self._remote.asked_now(tx, video.number))

    async def stale_remote(self, before_ms: int, limit: int = MAX_COUNT) -> Sequence[Video]:
        """Remote videos whose document was last asked for before ``before_ms``, the longest ago first."""
        async with self._db.read() as tx:
            return await self._remote.stale(tx, before_ms, limit)

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


def _nobody_hears(_: int) -> None:
    return None
