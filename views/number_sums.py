"""Sums of the numbers shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

from foundation.clock import Clock
from views.counters.base import CounterStore
from views.model import Video
from views.shown import Shown
from views.turns import batches


@dataclass(frozen=True, slots=True)
class ScopeTotals:
    """Sums of the numbers shown, by where the viewer is and whose the video is."""

    local_on_local: int = 0
    remote_on_local: int = 0
    local_on_remote: int = 0
    remote_on_remote: int = 0


class NumberSums:
    """Both may raise StorageUnavailable, and ask for the numbers in turns."""

    def __init__(
        self,
        store: CounterStore,
        video_of: Callable[[int], Awaitable[Video | None]],
        shown_many: Callable[[Sequence[Video]], Awaitable[Sequence[Shown]]],
        clock: Clock,
    ) -> None:
        self._store = store
        self._video_of = video_of
        self._shown_many = shown_many
        self._clock = clock

    async def by_scope(self) -> ScopeTotals:
        """Of videos that others may know of: a private one is in no sum either."""
        here, there = [0, 0], [0, 0]
        for batch in batches(await self._store.watched(self._clock.now_ms())):
            videos = [video for number in batch if (video := await self._video_of(number)) is not None]
            for video, number_shown in zip(videos, await self._shown_many(videos), strict=True):
                if not video.federated:
                    continue
                sums = here if video.local else there
                sums[0] += number_shown.local
                sums[1] += number_shown.remote
            await self._clock.sleep_ms(0)
        return ScopeTotals(here[0], here[1], there[0], there[1])

    async def of(self, numbers: Collection[int]) -> int:
        """The numbers shown of these videos together."""
        wanted = frozenset(numbers)
        watched = [number for number in await self._store.watched(self._clock.now_ms()) if number in wanted]
        total = 0
        for batch in batches(watched):
            videos = [video for number in batch if (video := await self._video_of(number)) is not None]
            total += sum(each.viewers for each in await self._shown_many(videos))
            await self._clock.sleep_ms(0)
        return total
