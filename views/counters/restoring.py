"""Puts written-down changes back into stores that have just been made."""

from __future__ import annotations

from views.counters.base import MarkedTotal, Told, Total
from views.counters.memory import MemoryCounterStore
from views.counters.progress import ProgressStore


class Restoring:
    """A Recorder that applies what it is told as it stands at ``now_ms``, without limits and without an echo."""

    def __init__(self, store: MemoryCounterStore, progress: ProgressStore | None, now_ms: int) -> None:
        self._store = store
        self._progress = progress
        self._now_ms = now_ms

    def viewer_touched(self, video: int, source: str, viewer: bytes, expires_ms: int) -> None:
        if expires_ms > self._now_ms:
            self._store._add(video, source, self._store._open(video, source), viewer, expires_ms)

    def viewer_left(self, video: int, source: str, viewer: bytes) -> None:
        self._store._remove(video, source, viewer)

    def total_put(self, video: int, total: Total) -> None:
        if total.fresh_until_ms > self._now_ms:
            self._store._keep_total(video, total)

    def total_marked(self, video: int, marked: MarkedTotal) -> None:
        if marked.until_ms > self._now_ms:
            self._store.marks.keep(video, marked)

    def viewer_told(self, video: int, told: Told) -> None:
        if told.told_expires_ms > self._now_ms:
            self._store.told_of.keep(video, told)

    def view_claimed(self, video: int, viewer: bytes, until_ms: int) -> None:
        if until_ms > self._now_ms:
            self._store.claims.keep(video, viewer, until_ms)

    def view_released(self, video: int, viewer: bytes) -> None:
        self._store.claims.release(video, viewer)

    def progress_put(self, video: int, viewer: bytes, blob: bytes, expires_ms: int) -> None:
        if self._progress is None:
            return
        if blob:
            # Also what has ended meanwhile, or was closed already: nobody has saved it yet.
            self._progress._keep(video, viewer, blob, expires_ms)
        elif not self._progress._drop_closed(video, viewer):
            self._progress._drop(video, viewer)

    def source_forgotten(self, source: str) -> None:
        self._store._drop_source(source)

    def video_forgotten(self, video: int) -> None:
        self._store._drop_video(video)

    def claims_forgotten(self, video: int) -> None:
        self._store.claims.drop(video)
        self._store.marks.drop(video)

    def progress_forgotten(self, video: int) -> None:
        if self._progress is not None:
            self._progress._drop_video(video)
