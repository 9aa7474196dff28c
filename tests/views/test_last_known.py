"""The last known numbers: bounded, dated, and forgotten when they say nothing any more."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from foundation.clock import ManualClock
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from views.last_known import FOR_MS, Known, LastKnown
from views.model import Privacy, Video
from views.shown import Shown


def video(number: int) -> Video:
    uuid = f"00000000-0000-4000-8000-{number:012d}"
    url = f"https://here.example/videos/watch/{uuid}"
    return Video(number, uuid, url, "here.example", True, "A video", 60, False, "main", Privacy.PUBLIC, 0, 0)


class Numbers:
    """As many viewers as its number, while the store answers."""

    def __init__(self, clock: ManualClock) -> None:
        self.gone = False
        self.asked = 0
        self.takes_ms = 0
        self._clock = clock

    async def shown_many(self, videos: Sequence[Video]) -> Sequence[Shown]:
        self.asked += 1
        self._clock.advance(self.takes_ms)
        if self.gone:
            raise StorageUnavailable("gone")
        return [Shown(each.number, each.number) for each in videos]


@pytest.fixture
def numbers(clock: ManualClock) -> Numbers:
    return Numbers(clock)


async def test_it_answers_now_and_as_it_last_was(numbers: Numbers, clock: ManualClock, metrics: Metrics) -> None:
    known = LastKnown(numbers, clock, metrics)
    first_ms = clock.now_ms()
    assert await known.shown(video(1)) == Known(Shown(1, 1), first_ms)
    clock.advance(1_000)
    assert (await known.shown(video(2))).as_of_ms == first_ms + 1_000
    numbers.gone = True
    clock.advance(1_000)
    assert [each.as_of_ms - first_ms for each in await known.shown_many([video(2), video(1)])] == [1_000, 0]
    with pytest.raises(StorageUnavailable):
        await known.shown_many([video(1), video(3)])
    assert metrics.registry.get_sample_value("fediviews_last_known_numbers_total") == 2
    numbers.gone = False
    assert (await known.shown(video(1))).as_of_ms == first_ms + 2_000


async def test_it_is_bounded_and_ends(numbers: Numbers, clock: ManualClock, metrics: Metrics) -> None:
    known = LastKnown(numbers, clock, metrics, size=2)
    for number in (1, 2, 1, 3):
        await known.shown(video(number))
    numbers.gone = True
    assert (await known.shown(video(1))).shown.viewers == 1
    with pytest.raises(StorageUnavailable):
        await known.shown(video(2))
    clock.advance(FOR_MS)
    with pytest.raises(StorageUnavailable):
        await known.shown(video(1))


async def test_of_a_long_silence_few_have_to_learn(numbers: Numbers, clock: ManualClock, metrics: Metrics) -> None:
    known = LastKnown(numbers, clock, metrics)
    await known.shown(video(1))
    numbers.gone, numbers.takes_ms = True, 2_000
    for _ in range(10):
        await known.shown(video(1))
    assert numbers.asked == 2
    clock.advance(2_000)
    numbers.gone = False
    assert (await known.shown(video(1))).as_of_ms == clock.now_ms()
    assert numbers.asked == 3
