"""What one stay adds to the sums, and takes from them when it is deleted. Pure."""

from __future__ import annotations

from collections import defaultdict
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
        self._minutes: defaultdict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        self._names: defaultdict[tuple[int, Kind, str, int], list[int]] = defaultdict(lambda: [0, 0])
        self._steps: defaultdict[tuple[int, int], int] = defaultdict(int)

    def add(self, stays: Iterable[Stay], sign: int = 1) -> None:
        """Count the stays in (``sign`` 1) or out (-1). They are stays at videos of ours."""
        minutes, names, steps = self._minutes, self._names, self._steps
        minute_ms, unit_ms = TIME_UNITS[0].ms, TRAIT_UNITS[0].ms
        for stay in stays:
            video, start_ms, end_ms, watch_s = stay.video, stay.start_ms, stay.end_ms, sign * stay.watch_time_s
            sums = minutes[video, start_ms - start_ms % minute_ms]
            sums[0] += sign
            sums[1] += watch_s
            sums = minutes[video, end_ms - end_ms % minute_ms]
            sums[2] += sign
            sums[3] += watch_s
            start_ms -= start_ms % unit_ms
            end_ms -= end_ms % unit_ms
            for kind, name in named(stay.traits):
                names[video, kind, name, start_ms][0] += sign
                names[video, kind, name, end_ms][1] += sign
            for start_s, end_s in stay.sections:
                steps[video, start_s] += sign
                steps[video, end_s + 1] -= sign

    def times(self) -> list[tuple[int, ...]]:
        """(video, unit, at, starts, start watch time, ends, end watch time)"""
        found: list[tuple[int, ...]] = []
        for unit in TIME_UNITS:
            summed: defaultdict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
            for (video, at_ms), sums in self._minutes.items():
                whole = summed[video, unit.floor(at_ms)]
                for index, value in enumerate(sums):
                    whole[index] += value
            found += [(video, unit.value, at_ms, *sums) for (video, at_ms), sums in summed.items()]
        return sorted(found)

    def traits(self) -> list[tuple[int | str, ...]]:
        """(video, kind, unit, at, name, starts, ends)"""
        found: list[tuple[int, int, int, int, str, int, int]] = []
        for unit in TRAIT_UNITS:
            summed: defaultdict[tuple[int, Kind, str, int], list[int]] = defaultdict(lambda: [0, 0])
            for (video, kind, name, at_ms), (starts, ends) in self._names.items():
                whole = summed[video, kind, name, unit.floor(at_ms)]
                whole[0] += starts
                whole[1] += ends
            found += [
                (video, kind.value, unit.value, at_ms, name, *sums)  # type: ignore[misc]
                for (video, kind, name, at_ms), sums in summed.items()
            ]
        found.sort()
        return list(found)

    def steps(self) -> list[tuple[int, ...]]:
        """(video, second, delta); none that change nothing."""
        return sorted((*key, delta) for key, delta in self._steps.items() if delta)
