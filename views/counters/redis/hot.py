"""Videos that are watched by so many that their viewers are spread over all shards."""

from __future__ import annotations

from foundation.clock import Clock

_HOT_FOR_MS = 60_000
"""How long a video is taken for hot before its home is asked again."""

_MAX_HOT = 10_000


class HotVideos:
    """What this process knows of them; the home of a video knows it for sure."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until_ms: dict[int, int] = {}

    def has(self, video: int) -> bool:
        return self._until_ms.get(video, 0) > self._clock.monotonic_ms()

    def note(self, video: int) -> None:
        if self.has(video):
            return
        if len(self._until_ms) >= _MAX_HOT:
            self._until_ms.clear()
        self._until_ms[video] = self._clock.monotonic_ms() + _HOT_FOR_MS
