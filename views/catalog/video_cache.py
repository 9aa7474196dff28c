"""The catalog's memory: videos lately used, and names lately asked for in vain. Both bounded."""

from __future__ import annotations

from collections import OrderedDict

from views.ids import VideoRef
from views.model import Video


class VideoCache:
    """Least recently used leaves first. Looking up is a few dictionary operations; nothing waits.

    A *name* is the number, the UUID or the URL of a video: integers, 36 hexadecimal characters and URLs never collide.
    """

    def __init__(self, size: int, *, missing_size: int, missing_for_ms: int) -> None:
        self._size = size
        self._missing_size = missing_size
        self._missing_for_ms = missing_for_ms
        self._videos: OrderedDict[int, Video] = OrderedDict()
        self._numbers: dict[str, int] = {}
        self._missing: OrderedDict[VideoRef, int] = OrderedDict()
        self._young: set[int] = set()
        """Put since the last ``forget_old``."""
        self._old: set[int] = set()
        """Kept for when nothing newer can be had."""

    def __len__(self) -> int:
        return len(self._videos)

    def get(self, name: VideoRef) -> Video | None:
        video = self.last(name)
        return None if video is None or video.number in self._old else video

    def last(self, name: VideoRef) -> Video | None:
        """What was last known, however old it is."""
        number = name if isinstance(name, int) else self._numbers.get(name)
        if number is None:
            return None
        video = self._videos.get(number)
        if video is not None:
            self._videos.move_to_end(number)
        return video

    def put(self, video: Video) -> None:
        """Keep what was just committed, in place of whatever was known before."""
        self._unlink(video.number)
        self._videos[video.number] = video
        self._young.add(video.number)
        for name in (video.uuid, video.url):
            self._numbers[name] = video.number
        for missing in (video.number, video.uuid, video.url):
            self._missing.pop(missing, None)
        while len(self._videos) > self._size:
            self._unlink(next(iter(self._videos)))

    def drop(self, video: Video, now_ms: int) -> None:
        """The video is gone; whoever is reading it from the database right now must not bring it back."""
        self._unlink(video.number)
        for name in (video.number, video.uuid, video.url):
            self.put_missing(name, now_ms)

    def evict(self, number: int) -> None:
        """Forget what is known, without claiming that it is gone; nor is any name known to be of none any more."""
        self._unlink(number)
        self._missing.clear()

    def clear(self) -> None:
        """As ``evict``, of all."""
        self._videos.clear()
        self._numbers.clear()
        self._missing.clear()
        self._young.clear()
        self._old.clear()

    def forget_old(self) -> None:
        """Of what was put before the last call of this, only ``last`` still knows."""
        self._old.update(number for number in self._videos if number not in self._young)
        self._young.clear()

    def age(self, number: int) -> None:
        """Of this video, only ``last`` still knows."""
        if number in self._videos:
            self._young.discard(number)
            self._old.add(number)

    def is_missing(self, name: VideoRef, now_ms: int) -> bool:
        return self._missing.get(name, 0) > now_ms

    def put_missing(self, name: VideoRef, now_ms: int) -> None:
        self._missing.pop(name, None)
        self._missing[name] = now_ms + self._missing_for_ms
        while len(self._missing) > self._missing_size:
            self._missing.popitem(last=False)

    def _unlink(self, number: int) -> None:
        self._young.discard(number)
        self._old.discard(number)
        video = self._videos.pop(number, None)
        if video is not None:
            self._numbers.pop(video.uuid, None)
            self._numbers.pop(video.url, None)
