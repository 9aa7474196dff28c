"""Views that were counted lately and are not to be counted again, in memory."""

from __future__ import annotations

from views.counters.agenda import Agenda
from views.counters.lives import Lives


class Claims:
    """The right to count a view of a viewer, taken until an instant. Bounded by whoever keeps it."""

    def __init__(self) -> None:
        self._videos: dict[int, Lives] = {}
        self._size = 0
        self._ends: Agenda[int] = Agenda()

    def __len__(self) -> int:
        """Of all videos; some may have ended since the last sweep."""
        return self._size

    def holds(self, video: int, viewer: bytes, now_ms: int) -> bool:
        self._drain(video, now_ms)
        claims = self._videos.get(video)
        return claims is not None and bool(claims.expires_ms(viewer))

    def keep(self, video: int, viewer: bytes, until_ms: int) -> None:
        claims = self._videos.setdefault(video, Lives())
        self._size += claims.touch(viewer, until_ms)
        self._ends.put(video, until_ms)

    def release(self, video: int, viewer: bytes) -> bool:
        """False: there was none."""
        claims = self._videos.get(video)
        if claims is None or not claims.remove(viewer):
            return False
        self._size -= 1
        if not claims:
            del self._videos[video]
        return True

    def drop(self, video: int) -> None:
        self._size -= len(self._videos.pop(video, ()))

    def sweep(self, now_ms: int) -> None:
        for video in self._ends.pop_due(now_ms):
            self._drain(video, now_ms)

    def _drain(self, video: int, now_ms: int) -> None:
        claims = self._videos.get(video)
        if claims is None:
            return
        if now_ms >= claims.due_ms:
            self._size -= len(claims.drain(now_ms))
        if claims:
            self._ends.put(video, claims.due_ms)
        else:
            del self._videos[video]
