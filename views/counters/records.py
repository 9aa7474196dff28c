"""What a store in memory says about its changes, so that somebody can write them down and say them again."""

from __future__ import annotations

from typing import Protocol

from views.counters.base import MarkedTotal, Told, Total


class Recorder(Protocol):
    """Told every change, in order; must not block.

    The same protocol is spoken backwards at start: a replay says every change again to a ``Restoring``.
    """

    def viewer_touched(self, video: int, source: str, viewer: bytes, expires_ms: int) -> None: ...

    def viewer_left(self, video: int, source: str, viewer: bytes) -> None: ...

    def total_put(self, video: int, total: Total) -> None: ...

    def total_marked(self, video: int, marked: MarkedTotal) -> None:
        """What is remembered of the newest total, beyond its life."""

    def viewer_told(self, video: int, told: Told) -> None: ...

    def view_claimed(self, video: int, viewer: bytes, until_ms: int) -> None: ...

    def view_released(self, video: int, viewer: bytes) -> None: ...

    def progress_put(self, video: int, viewer: bytes, blob: bytes, expires_ms: int) -> None:
        """An empty ``blob`` says that the progress was dropped."""

    def source_forgotten(self, source: str) -> None: ...

    def video_forgotten(self, video: int) -> None:
        """Viewers, total and told lives of the video are gone."""

    def claims_forgotten(self, video: int) -> None:
        """So is what is remembered of its totals."""

    def progress_forgotten(self, video: int) -> None: ...


class NullRecorder:
    """Writes nothing down."""

    def viewer_touched(self, video: int, source: str, viewer: bytes, expires_ms: int) -> None:
        return None

    def viewer_left(self, video: int, source: str, viewer: bytes) -> None:
        return None

    def total_put(self, video: int, total: Total) -> None:
        return None

    def total_marked(self, video: int, marked: MarkedTotal) -> None:
        return None

    def viewer_told(self, video: int, told: Told) -> None:
        return None

    def view_claimed(self, video: int, viewer: bytes, until_ms: int) -> None:
        return None

    def view_released(self, video: int, viewer: bytes) -> None:
        return None

    def progress_put(self, video: int, viewer: bytes, blob: bytes, expires_ms: int) -> None:
        return None

    def source_forgotten(self, source: str) -> None:
        return None

    def video_forgotten(self, video: int) -> None:
        return None

    def claims_forgotten(self, video: int) -> None:
        return None

    def progress_forgotten(self, video: int) -> None:
        return None
