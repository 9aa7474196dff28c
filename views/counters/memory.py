"""The counter store of one process, in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from views.counters.agenda import Agenda
from views.counters.base import Reading, Told, Total, TotalMark
from views.counters.claims import Claims
from views.counters.lives import Lives
from views.counters.marks import TotalMarks
from views.counters.records import NullRecorder, Recorder
from views.counters.told import ToldBook
from views.model import LOCAL

_SHARED_INSTANTS = 131_072
"""How many distinct expiry instants are kept to be shared between viewers (32 bytes saved for each that matches)."""


class _Watched:
    """Live state of one video."""

    __slots__ = ("sources", "total")

    def __init__(self) -> None:
        self.sources: dict[str, Lives] = {}
        self.total: Total | None = None


class MemoryCounterStore:
    """Exact at every read, O(1) touch, bounded; every change is said to ``recorder``.

    ``written`` waits until what the recorder was told is safe from a kill: a view is counted only then.

    Bounds: ``max_viewers`` live viewers, as many told ones, ``max_claims`` views not to be counted again. Whoever is
    beyond raises StorageUnavailable (a told viewer is silently not remembered: the number shown is then too high by
    one until its life at the origin ends) and is counted in ``fediviews_live_refused_total``.
    """

    def __init__(
        self,
        max_viewers: int = 1_000_000,
        *,
        max_claims: int | None = None,
        recorder: Recorder | None = None,
        written: Callable[[], Awaitable[None]] | None = None,
        keep_departed: bool = False,
        metrics: Metrics | None = None,
    ) -> None:
        self.max_viewers = max_viewers
        self.max_claims = 6 * max_viewers if max_claims is None else max_claims
        self._recorder: Recorder = recorder or NullRecorder()
        self._written = written
        self._videos: dict[int, _Watched] = {}
        self.told_of = ToldBook()
        self.claims = Claims()
        self._size = 0
        self._changed: set[int] = set()
        self._departed: list[tuple[int, bytes]] | None = [] if keep_departed else None
        self._ends: Agenda[tuple[int, str]] = Agenda()
        self._total_ends: Agenda[int] = Agenda()
        self._instants: dict[int, int] = {}
        self.marks = TotalMarks()
        metrics = metrics or Metrics()
        refused = metrics.counter("fediviews_live_refused", "Changes of live state that found no room", ["what"])
        self._refused_viewer, self._refused_told = refused.labels("viewer"), refused.labels("told")
        self._refused_claim = refused.labels("claim")
        metrics.gauge_from("fediviews_live_viewers_kept", "Viewers held in memory", lambda: self._size)
        metrics.gauge_from("fediviews_live_told_kept", "Told viewers held in memory", lambda: len(self.told_of))
        metrics.gauge_from("fediviews_live_claims_kept", "View claims held in memory", lambda: len(self.claims))
        metrics.gauge_from(
            "fediviews_live_total_marks_kept", "Videos whose newest total is remembered", lambda: len(self.marks)
        )

    def __len__(self) -> int:
        """Viewers held, of all videos and sources; some may have expired since the last sweep."""
        return self._size

    # Viewers

    async def touch(self, video: int, source: str, viewer: bytes, expires_ms: int, now_ms: int) -> bool:
        if expires_ms <= now_ms:
            return False
        watched = self._videos.get(video)
        lives = watched.sources.get(source) if watched is not None else None
        if lives is not None and now_ms >= lives.due_ms:
            self._drain(video, source, now_ms)
        if self._size >= self.max_viewers and (lives is None or not lives.expires_ms(viewer)):
            self._make_room(now_ms)
        if lives is None or not lives:
            lives = self._open(video, source)
        new = self._add(video, source, lives, viewer, expires_ms)
        self._recorder.viewer_touched(video, source, viewer, lives.expires_ms(viewer))
        return new

    async def has(self, video: int, source: str, viewer: bytes, now_ms: int) -> bool:
        watched = self._videos.get(video)
        lives = watched.sources.get(source) if watched is not None else None
        return lives is not None and lives.expires_ms(viewer) > now_ms

    async def leave(self, video: int, source: str, viewer: bytes, now_ms: int) -> bool:
        if not await self.has(video, source, viewer, now_ms):
            return False
        self._remove(video, source, viewer)
        self._recorder.viewer_left(video, source, viewer)
        return True

    # Totals and tells

    async def put_total(self, video: int, total: Total, now_ms: int, mark: TotalMark | None = None) -> bool:
        self._read(video, now_ms)
        watched = self._videos.get(video)
        known = watched.total if watched is not None else None
        if total.fresh_until_ms <= now_ms or (known is not None and total.order_ms < known.order_ms):
            return False
        if not self.marks.admits(video, total.order_ms, mark, now_ms):
            return False
        self._keep_total(video, total)
        marked = self.marks.note(video, total.order_ms, mark, now_ms)
        self._recorder.total_put(video, total)
        if marked is not None:
            self._recorder.total_marked(video, marked)
        return True

    async def told(self, video: int, now_ms: int) -> Sequence[Told]:
        return self.told_of.current(video, now_ms)

    async def mark_told(self, video: int, told: Told) -> None:
        if len(self.told_of) >= self.max_viewers:
            self._refused_told.inc()
            return
        self.told_of.keep(video, told)
        self._recorder.viewer_told(video, told)

    async def told_videos(self) -> Sequence[int]:
        return self.told_of.videos()

    # Reading

    async def read(self, video: int, now_ms: int) -> Reading:
        return self._read(video, now_ms)

    async def read_many(self, videos: Sequence[int], now_ms: int) -> Sequence[Reading]:
        return [self._read(video, now_ms) for video in videos]

    async def watched(self, now_ms: int) -> Sequence[int]:
        found: list[int] = []
        for video in tuple(self._videos):
            reading = self._read(video, now_ms)
            if reading.local or reading.peers or reading.total is not None:
                found.append(video)
        return found

    # Forgetting

    async def sweep(self, now_ms: int) -> Sequence[int]:
        self._drain_due(now_ms)
        self.marks.sweep(now_ms)
        self.claims.sweep(now_ms)
        self.told_of.sweep(now_ms)
        changed, self._changed = self._changed, set()
        return tuple(changed)

    def departed(self) -> Sequence[tuple[int, bytes]]:
        if not self._departed:
            return ()
        departed, self._departed = self._departed, []
        return departed

    async def forget_source(self, source: str) -> None:
        self._drop_source(source)
        self._recorder.source_forgotten(source)

    async def forget_video(self, video: int) -> None:
        self._drop_video(video)
        self.claims.drop(video)
        self._recorder.video_forgotten(video)
        self._recorder.claims_forgotten(video)

    # The right to count a view

    async def claim_view(self, video: int, viewer: bytes, until_ms: int, now_ms: int) -> bool:
        if until_ms <= now_ms or self.claims.holds(video, viewer, now_ms):
            return until_ms <= now_ms
        if len(self.claims) >= self.max_claims:
            self._refused_claim.inc()
            raise StorageUnavailable("no room for another view claim")
        self.claims.keep(video, viewer, until_ms)
        self._recorder.view_claimed(video, viewer, until_ms)
        if self._written is not None:
            # Before the view is counted: a process that is killed after counting must not count it again.
            await self._written()
        return True

    async def release_view(self, video: int, viewer: bytes) -> None:
        if self.claims.release(video, viewer):
            self._recorder.view_released(video, viewer)

    async def close(self) -> None:
        """Nothing to close: whoever owns the recorder stops it."""

    # Inside

    def _open(self, video: int, source: str) -> Lives:
        watched = self._videos.setdefault(video, _Watched())
        return watched.sources.setdefault(source, Lives())

    def _add(self, video: int, source: str, lives: Lives, viewer: bytes, expires_ms: int) -> bool:
        due_ms = lives.due_ms
        if len(self._instants) >= _SHARED_INSTANTS:
            self._instants.clear()
        new = lives.touch(viewer, self._instants.setdefault(expires_ms, expires_ms))
        if new:
            self._size += 1
        if lives.due_ms < due_ms:
            self._ends.put((video, source), lives.due_ms)
        return new

    def _remove(self, video: int, source: str, viewer: bytes) -> None:
        watched = self._videos.get(video)
        lives = watched.sources.get(source) if watched is not None else None
        if watched is not None and lives is not None and lives.remove(viewer):
            self._size -= 1
            self._close_empty(video, watched, source, lives)

    def _close_empty(self, video: int, watched: _Watched, source: str, lives: Lives) -> None:
        if not lives:
            del watched.sources[source]
            if not watched.sources and watched.total is None:
                del self._videos[video]

    def _make_room(self, now_ms: int) -> None:
        self._drain_due(now_ms)
        if self._size >= self.max_viewers:
            self._refused_viewer.inc()
            raise StorageUnavailable("no room for another live viewer")

    def _drain(self, video: int, source: str, now_ms: int) -> None:
        """Forget who has ended in one group, and make the appointment for the next look."""
        watched = self._videos.get(video)
        lives = watched.sources.get(source) if watched is not None else None
        if watched is None or lives is None:
            return
        if now_ms >= lives.due_ms:
            gone = lives.drain(now_ms)
            if gone:
                self._size -= len(gone)
                self._changed.add(video)
                if self._departed is not None and source == LOCAL:
                    self._departed.extend((video, viewer) for viewer in gone)
        if lives:
            self._ends.put((video, source), lives.due_ms)
        self._close_empty(video, watched, source, lives)

    def _drain_due(self, now_ms: int) -> None:
        for video, source in self._ends.pop_due(now_ms):
            self._drain(video, source, now_ms)
        for video in self._total_ends.pop_due(now_ms):
            self._drain_total(video, now_ms)

    def _drain_total(self, video: int, now_ms: int) -> None:
        watched = self._videos.get(video)
        if watched is None or watched.total is None:
            return
        if watched.total.fresh_until_ms > now_ms:
            self._total_ends.put(video, watched.total.fresh_until_ms)
            return
        watched.total = None
        self._changed.add(video)
        if not watched.sources:
            del self._videos[video]

    def _read(self, video: int, now_ms: int) -> Reading:
        watched = self._videos.get(video)
        if watched is None:
            return Reading(0, {}, None)
        for source in [source for source, lives in watched.sources.items() if now_ms >= lives.due_ms]:
            self._drain(video, source, now_ms)
        self._drain_total(video, now_ms)
        sources = watched.sources
        local = len(sources[LOCAL]) if LOCAL in sources else 0
        if watched.total is not None:
            return Reading(local, {}, watched.total)
        return Reading(local, {source: len(lives) for source, lives in sources.items() if source != LOCAL}, None)

    def _keep_total(self, video: int, total: Total) -> None:
        watched = self._videos.setdefault(video, _Watched())
        watched.total = total
        for source in [source for source in watched.sources if source != LOCAL]:
            self._size -= len(watched.sources.pop(source))
        self._total_ends.put(video, total.fresh_until_ms)

    def _drop_source(self, source: str) -> None:
        for video, watched in tuple(self._videos.items()):
            lives = watched.sources.pop(source, None)
            if lives is not None:
                self._size -= len(lives)
                self._changed.add(video)
                if not watched.sources and watched.total is None:
                    del self._videos[video]

    def _drop_video(self, video: int) -> None:
        watched = self._videos.pop(video, None)
        if watched is not None:
            self._size -= sum(len(lives) for lives in watched.sources.values())
        self.told_of.drop(video)
        self._changed.discard(video)
        self.marks.drop(video)
