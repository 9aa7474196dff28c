"""Watch progress of viewers, as opaque bytes, so that it outlives the process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from views.counters.agenda import Agenda
from views.counters.lives import Lives
from views.counters.records import NullRecorder, Recorder


class Progress(NamedTuple):
    """What was last put for one viewer of one video."""

    video: int
    viewer: bytes
    blob: bytes


class ProgressStore:
    """One non-empty blob per (video, viewer), with the instant at which its viewer has been silent for too long.

    Unlike live viewers, progress is never lost by expiring: ``sweep`` hands it over, to be parked elsewhere.
    At most ``max_entries`` are kept; ``put`` of another raises StorageUnavailable.
    """

    def __init__(
        self, max_entries: int = 1_000_000, *, recorder: Recorder | None = None, metrics: Metrics | None = None
    ) -> None:
        self.max_entries = max_entries
        self._recorder: Recorder = recorder or NullRecorder()
        self._lives: dict[int, Lives] = {}
        self._blobs: dict[int, dict[bytes, bytes]] = {}
        self._size = 0
        self._ends: Agenda[int] = Agenda()
        metrics = metrics or Metrics()
        metrics.gauge_from("fediviews_live_progress_kept", "Watch progress held in memory", lambda: self._size)
        self._refused = metrics.counter("fediviews_live_progress_refused", "Watch progress that found no room")

    def __len__(self) -> int:
        return self._size

    def put(self, video: int, viewer: bytes, blob: bytes, expires_ms: int) -> None:
        """Replace the progress; its end only ever moves later. ``blob`` is not empty."""
        if self._size >= self.max_entries and viewer not in self._blobs.get(video, ()):
            self._refused.inc()
            raise StorageUnavailable("no room for the progress of another viewer")
        self._keep(video, viewer, blob, expires_ms)
        self._recorder.progress_put(video, viewer, blob, self._lives[video].expires_ms(viewer))

    def get(self, video: int, viewer: bytes) -> bytes | None:
        """Also what has ended, until a sweep hands it over."""
        return self._blobs.get(video, {}).get(viewer)

    def pop(self, video: int, viewer: bytes) -> bytes | None:
        blob = self._drop(video, viewer)
        if blob is not None:
            self._recorder.progress_put(video, viewer, b"", 0)
        return blob

    def sweep(self, now_ms: int) -> Sequence[Progress]:
        """Take out whatever has ended, in time proportional to it. The caller keeps it from here on."""
        ended: list[Progress] = []
        for video in self._ends.pop_due(now_ms):
            lives = self._lives.get(video)
            if lives is None:
                continue
            gone = lives.drain(now_ms)
            blobs = self._blobs[video]
            ended += [Progress(video, viewer, blobs.pop(viewer)) for viewer in gone]
            if lives:
                self._ends.put(video, lives.due_ms)
            else:
                del self._lives[video], self._blobs[video]
        self._size -= len(ended)
        for progress in ended:
            self._recorder.progress_put(progress.video, progress.viewer, b"", 0)
        return ended

    def all_of(self, video: int) -> Sequence[Progress]:
        """What is kept of one video, left in place."""
        return [Progress(video, viewer, blob) for viewer, blob in self._blobs.get(video, {}).items()]

    def videos(self) -> Sequence[int]:
        """Numbers of the videos of which something is kept."""
        return tuple(self._blobs)

    def forget_video(self, video: int) -> None:
        self._drop_video(video)
        self._recorder.progress_forgotten(video)

    def _keep(self, video: int, viewer: bytes, blob: bytes, expires_ms: int) -> None:
        lives = self._lives.setdefault(video, Lives())
        self._size += lives.touch(viewer, expires_ms)
        self._blobs.setdefault(video, {})[viewer] = blob
        self._ends.put(video, lives.due_ms)

    def _drop(self, video: int, viewer: bytes) -> bytes | None:
        blobs = self._blobs.get(video)
        blob = blobs.pop(viewer, None) if blobs is not None else None
        if blob is not None:
            lives = self._lives[video]
            lives.remove(viewer)
            self._size -= 1
            if not lives:
                del self._lives[video], self._blobs[video]
        return blob

    def _drop_video(self, video: int) -> None:
        self._size -= len(self._blobs.pop(video, ()))
        self._lives.pop(video, None)
