"""What one stay adds to the sums, and takes from them when it is deleted. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from views.stats.model import Stay
from views.stats.traits import Kind, named
from views.stats.units import TIME_UNITS, TRAIT_UNITS


class Sums:
    """Changes to be made to ``stay_times``, ``stay_traits`` and ``retention_steps``, one row each.

    Rows come out in the order of their keys, so that processes that write at once never wait for each other in a
    circle.
    """

    def __init__(self) -> None:
        self._times: dict[tuple[int, int, int], list[int]] = {}
        self._traits: dict[tuple[int, int, int, int, str], list[int]] = {}
        self._steps: dict[tuple[int, int], int] = {}

    def add(self, stays: Iterable[Stay], sign: int = 1) -> None:
        """Count the stays in (``sign`` 1) or out (-1). They are stays at videos of ours."""
        for stay in stays:
            self._count(stay.video, stay.start_ms, (sign, sign * stay.watch_time_s, 0, 0))
            self._count(stay.video, stay.end_ms, (0, 0, sign, sign * stay.watch_time_s))
            for kind, name in named(stay.traits):
                self._name(stay.video, kind, name, stay.start_ms, (sign, 0))
                self._name(stay.video, kind, name, stay.end_ms, (0, sign))
            for start_s, end_s in stay.sections:
                for second, delta in ((start_s, sign), (end_s + 1, -sign)):
                    key = (stay.video, second)
                    self._steps[key] = self._steps.get(key, 0) + delta

    def times(self) -> list[tuple[int, ...]]:
        """(video, unit, at, starts, start watch time, ends, end watch time)"""
        return sorted((*key, *sums) for key, sums in self._times.items())

    def traits(self) -> list[tuple[int | str, ...]]:
        """(video, kind, unit, at, name, starts, ends)"""
        return [(*key, *self._traits[key]) for key in sorted(self._traits)]

    def steps(self) -> list[tuple[int, ...]]:
        """(video, second, delta); none that change nothing."""
        return sorted((*key, delta) for key, delta in self._steps.items() if delta)

    def _count(self, video: int, at_ms: int, change: tuple[int, int, int, int]) -> None:
        for unit in TIME_UNITS:
            sums = self._times.setdefault((video, unit.value, unit.floor(at_ms)), [0, 0, 0, 0])
            for index, value in enumerate(change):
                sums[index] += value

    def _name(self, video: int, kind: Kind, name: str, at_ms: int, change: tuple[int, int]) -> None:
        for unit in TRAIT_UNITS:
            sums = self._traits.setdefault((video, kind.value, unit.value, unit.floor(at_ms), name), [0, 0])
            sums[0] += change[0]
            sums[1] += change[1]
