"""What remote origins were told of our viewers: the last two tells of each, packed; pure."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from views.counters.agenda import Agenda
from views.counters.base import TOLD_MEMORY_MS, Told

_PAIR = struct.Struct("<qqqqq")
"""since, then told expiry and acknowledgement of the newest tell, then of the one before (zeros when there is none)."""


class ToldLives:
    """Tells per viewer of one video, about 180 bytes each.

    Kept in the order of the last tell, which is about the order in which they end; ``drain`` may therefore be late
    with a few, ``current`` never shows them.
    """

    __slots__ = ("_packed", "due_ms")

    def __init__(self) -> None:
        self.due_ms = 0
        self._packed: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._packed)

    def mark(self, told: Told) -> None:
        before = self._packed.pop(told.viewer, None)
        older = (0, 0)
        if before is not None:
            since_ms, expires_ms, acked_ms, older_expires_ms, older_acked_ms = _PAIR.unpack(before)
            if since_ms == told.since_ms and acked_ms and expires_ms != told.told_expires_ms:
                older = (expires_ms, acked_ms)
            elif since_ms == told.since_ms:
                older = (older_expires_ms, older_acked_ms)
        self._packed[told.viewer] = _PAIR.pack(told.since_ms, told.told_expires_ms, told.acked_ms, *older)

    def current(self, now_ms: int) -> list[Told]:
        """Every tell whose life lasts beyond ``now_ms``, newest of each viewer first."""
        found: list[Told] = []
        for viewer, packed in self._packed.items():
            since_ms, expires_ms, acked_ms, older_expires_ms, older_acked_ms = _PAIR.unpack(packed)
            if expires_ms > now_ms:
                found.append(Told(viewer, since_ms, expires_ms, acked_ms))
            if older_expires_ms > now_ms:
                found.append(Told(viewer, since_ms, older_expires_ms, older_acked_ms))
        return found

    def drain(self, now_ms: int) -> int:
        """Forget what ended more than ``TOLD_MEMORY_MS`` ago; how many. ``due_ms`` says when to come again."""
        ended: list[bytes] = []
        self.due_ms = now_ms + TOLD_MEMORY_MS
        for viewer, packed in self._packed.items():
            _, expires_ms, _, older_expires_ms, _ = _PAIR.unpack(packed)
            over_ms = max(expires_ms, older_expires_ms) + TOLD_MEMORY_MS
            if over_ms > now_ms:
                self.due_ms = max(over_ms, now_ms + 1000)
                break
            ended.append(viewer)
        for viewer in ended:
            del self._packed[viewer]
        return len(ended)


class ToldBook:
    """What origins were told of viewers of ours, by video. Bounded by whoever keeps it."""

    def __init__(self) -> None:
        self._videos: dict[int, ToldLives] = {}
        self._size = 0
        self._ends: Agenda[int] = Agenda()

    def __len__(self) -> int:
        """Of all videos; some may have ended since the last sweep."""
        return self._size

    def videos(self) -> Sequence[int]:
        return tuple(self._videos)

    def current(self, video: int, now_ms: int) -> Sequence[Told]:
        told = self._videos.get(video)
        return told.current(now_ms) if told is not None else ()

    def keep(self, video: int, told: Told) -> None:
        lives = self._videos.setdefault(video, ToldLives())
        before = len(lives)
        lives.mark(told)
        self._size += len(lives) - before
        self._ends.put(video, told.told_expires_ms)

    def drop(self, video: int) -> None:
        self._size -= len(self._videos.pop(video, ()))

    def sweep(self, now_ms: int) -> None:
        for video in self._ends.pop_due(now_ms):
            told = self._videos.get(video)
            if told is not None:
                self._size -= told.drain(now_ms)
                if told:
                    self._ends.put(video, told.due_ms)
                else:
                    del self._videos[video]
