"""Watch progress of viewers, as opaque bytes, so that it outlives the process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import NamedTuple, Protocol

from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from views.counters.agenda import Agenda
from views.counters.lives import Lives
from views.counters.records import NullRecorder, Recorder

CLOSED = 0
"""In place of an end, where changes are written down: the stay is over and waits to be saved."""

Naming = Callable[[int, bytes, bytes], bytes | None]
"""From video, viewer and blob to the 16-byte key of the closed stay, always the same; None when it is worth nothing."""


class Progress(NamedTuple):
    """What was last put for one viewer of one video; of a closed stay, ``viewer`` is its key."""

    video: int
    viewer: bytes
    blob: bytes


class ProgressStore:
    """One non-empty blob per (video, viewer), with the instant at which its viewer has been silent for too long.

    Unlike live viewers, progress is never lost by expiring: ``hand_over`` closes the stay, which moves it to a key of
    its own, so that its viewer can begin anew at once. There it waits, over restarts too, until it is ``saved``.
    At most ``max_entries`` are kept; ``put`` of another raises StorageUnavailable.
    """

    def __init__(
        self, max_entries: int = 1_000_000, *, recorder: Recorder | None = None, metrics: Metrics | None = None
    ) -> None:
        self.max_entries = max_entries
        self._recorder: Recorder = recorder or NullRecorder()
        self._lives: dict[int, Lives] = {}
        self._blobs: dict[int, dict[bytes, bytes]] = {}
        self._closed: dict[int, dict[bytes, bytes]] = {}
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
        """Also what has ended, until ``hand_over``."""
        blobs = self._blobs.get(video)
        return None if blobs is None else blobs.get(viewer)

    def pop(self, video: int, viewer: bytes) -> bytes | None:
        blob = self._drop(video, viewer)
        if blob is not None:
            self._recorder.progress_put(video, viewer, b"", 0)
        return blob

    def hand_over(self, now_ms: int, name: Naming) -> int:
        """Close the stay of everybody who has been silent for too long, in time proportional to them; how many."""
        closed = 0
        for video in self._ends.pop_due(now_ms):
            lives = self._lives.get(video)
            if lives is None:
                continue
            gone = lives.drain(now_ms)
            blobs = self._blobs[video]
            for viewer in gone:
                self._close(video, viewer, blobs.pop(viewer), name)
            closed += len(gone)
            if lives:
                self._ends.put(video, lives.due_ms)
            else:
                del self._lives[video], self._blobs[video]
        return closed

    def close(self, video: int, viewer: bytes, name: Naming) -> bool:
        """Close one stay now: from here on the viewer begins anew. False when nothing is kept of it."""
        blob = self._blobs.get(video, {}).get(viewer)
        if blob is None:
            return False
        self._drop(video, viewer)
        self._size += 1
        self._close(video, viewer, blob, name)
        return True

    def due(self, limit: int) -> Sequence[Progress]:
        """Closed stays, at most ``limit``, which stay here until they are ``saved``."""
        closed = (Progress(video, key, blob) for video, blobs in self._closed.items() for key, blob in blobs.items())
        return list(islice(closed, limit))

    def saved(self, closed: Iterable[Progress]) -> None:
        """These closed stays are kept elsewhere from now on, or worth nothing."""
        for progress in closed:
            if self._drop_closed(progress.video, progress.viewer):
                self._recorder.progress_put(progress.video, progress.viewer, b"", 0)

    def all_of(self, video: int) -> Sequence[Progress]:
        """What is kept of one video, closed or not, left in place."""
        open_ones, closed = self._blobs.get(video, {}), self._closed.get(video, {})
        return [Progress(video, key, blob) for blobs in (open_ones, closed) for key, blob in blobs.items()]

    def videos(self) -> Sequence[int]:
        """Numbers of the videos of which something is kept."""
        return tuple(self._blobs.keys() | self._closed.keys())

    def forget_video(self, video: int) -> None:
        self._drop_video(video)
        self._recorder.progress_forgotten(video)

    def _close(self, video: int, viewer: bytes, blob: bytes, name: Naming) -> None:
        """Its room in the store stays taken."""
        self._recorder.progress_put(video, viewer, b"", 0)
        key = name(video, viewer, blob)
        if key is None or key in self._closed.get(video, ()):
            self._size -= 1
            return
        self._closed.setdefault(video, {})[key] = blob
        self._recorder.progress_put(video, key, blob, CLOSED)

    def _drop_closed(self, video: int, key: bytes) -> bool:
        blobs = self._closed.get(video)
        if blobs is None or blobs.pop(key, None) is None:
            return False
        self._size -= 1
        if not blobs:
            del self._closed[video]
        return True

    def _keep(self, video: int, viewer: bytes, blob: bytes, expires_ms: int) -> None:
        if expires_ms == CLOSED:
            self._size += viewer not in self._closed.setdefault(video, {})
            self._closed[video][viewer] = blob
            return
        lives = self._lives.get(video)
        if lives is None:
            lives, self._blobs[video] = self._lives.setdefault(video, Lives()), {}
        self._size += lives.touch(viewer, expires_ms)
        self._blobs[video][viewer] = blob
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
        self._size -= len(self._blobs.pop(video, ())) + len(self._closed.pop(video, ()))
        self._lives.pop(video, None)


class ProgressKeeper(Protocol):
    """What every store of watch progress promises, as ``ProgressStore`` says it; any call may raise StorageUnavailable.

    Where several processes share one, what ``due`` gives to one of them the others get only when it was not ``saved``
    within half a minute.
    """

    async def put(self, video: int, viewer: bytes, blob: bytes, expires_ms: int) -> None: ...

    async def get(self, video: int, viewer: bytes) -> bytes | None: ...

    async def pop(self, video: int, viewer: bytes) -> bytes | None: ...

    async def hand_over(self, now_ms: int, name: Naming) -> int: ...

    async def close(self, video: int, viewer: bytes, name: Naming) -> bool: ...

    async def due(self, limit: int) -> Sequence[Progress]: ...

    async def saved(self, closed: Iterable[Progress]) -> None: ...

    async def all_of(self, video: int) -> Sequence[Progress]: ...

    async def videos(self) -> Sequence[int]: ...

    async def forget_video(self, video: int) -> None: ...


class AwaitedProgress:
    """The store in memory for those who also know one that is far away."""

    def __init__(self, store: ProgressStore) -> None:
        self.store = store

    async def put(self, video: int, viewer: bytes, blob: bytes, expires_ms: int) -> None:
        self.store.put(video, viewer, blob, expires_ms)

    async def get(self, video: int, viewer: bytes) -> bytes | None:
        return self.store.get(video, viewer)

    async def pop(self, video: int, viewer: bytes) -> bytes | None:
        return self.store.pop(video, viewer)

    async def hand_over(self, now_ms: int, name: Naming) -> int:
        return self.store.hand_over(now_ms, name)

    async def close(self, video: int, viewer: bytes, name: Naming) -> bool:
        return self.store.close(video, viewer, name)

    async def due(self, limit: int) -> Sequence[Progress]:
        return self.store.due(limit)

    async def saved(self, closed: Iterable[Progress]) -> None:
        self.store.saved(closed)

    async def all_of(self, video: int) -> Sequence[Progress]:
        return self.store.all_of(video)

    async def videos(self) -> Sequence[int]:
        return self.store.videos()

    async def forget_video(self, video: int) -> None:
        self.store.forget_video(video)


def awaited(progress: ProgressStore | ProgressKeeper) -> ProgressKeeper:
    """A keeper as it is; the store in memory as one."""
    return AwaitedProgress(progress) if isinstance(progress, ProgressStore) else progress
