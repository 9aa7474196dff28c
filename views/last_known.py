"""Numbers for people: read now, or while the live store does not answer as they last were, and of which instant."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from foundation.clock import Clock
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from views.model import Video
from views.shown import Shown

REMEMBERED = 20_000
"""Videos whose number is remembered; whichever was asked for longest ago goes first."""

FOR_MS = 3_600_000
"""A number older than this says nothing any more."""


class Known(NamedTuple):
    """What is shown of a video, and when that was true (Unix ms)."""

    shown: Shown
    as_of_ms: int


class Numbers(Protocol):
    """The part of ``views.viewers.Viewers`` that is needed here."""

    async def shown_many(self, videos: Sequence[Video]) -> Sequence[Shown]: ...


class LastKnown:
    """Not for what is told to other instances: a number of the past would live on there."""

    def __init__(self, numbers: Numbers, clock: Clock, metrics: Metrics, size: int = REMEMBERED) -> None:
        self._numbers = numbers
        self._clock = clock
        self._size = size
        self._known: OrderedDict[int, Known] = OrderedDict()
        self._vain_until_ms = 0
        self._answers = metrics.counter(
            "fediviews_last_known_numbers", "Numbers answered as they last were: the live store did not answer."
        )

    async def shown(self, video: Video) -> Known:
        """Raises StorageUnavailable when the number is not known either."""
        return (await self.shown_many((video,)))[0]

    async def shown_many(self, videos: Sequence[Video]) -> Sequence[Known]:
        """In the order of ``videos``: all read now, or none. Raises StorageUnavailable when one is not known either."""
        began_ms = self._clock.monotonic_ms()
        if began_ms < self._vain_until_ms:
            before = self._remembered(videos)
            if before is not None:
                return before
        try:
            shown = await self._numbers.shown_many(videos)
        except StorageUnavailable:
            # Where it takes long to learn that nobody answers, not everybody has to learn it.
            now_ms = self._clock.monotonic_ms()
            self._vain_until_ms = now_ms + now_ms - began_ms
            before = self._remembered(videos)
            if before is None:
                raise
            return before
        self._vain_until_ms = 0
        as_of_ms = self._clock.now_ms()
        known = [Known(each, as_of_ms) for each in shown]
        for video, each in zip(videos, known, strict=True):
            self._known.pop(video.number, None)
            self._known[video.number] = each
        while len(self._known) > self._size:
            self._known.popitem(last=False)
        return known

    def _remembered(self, videos: Sequence[Video]) -> Sequence[Known] | None:
        oldest_ms = self._clock.now_ms() - FOR_MS
        known = [each for video in videos if (each := self._known.get(video.number)) and each.as_of_ms > oldest_ms]
        if len(known) < len(videos):
            return None
        self._answers.inc(len(known))
        return known
