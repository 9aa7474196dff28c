"""The most viewers at once, found without looking at every stay. Pure but for the loading it is handed.

A stay is there from its start to its end, both included: at an instant, starts count before ends. Of each bucket of
time it is enough to know how far the number rose above what it was at the bucket's beginning. Where that is not known
(not settled yet, or several videos together) there is at least a bound, and only buckets whose bound is above the best
are looked into: hours of a day, minutes of an hour, stays of a minute.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from views.stats.units import TIME_UNITS, Piece, Unit

MAX_LOOKED_INTO = 200
"""Buckets; beyond them the best number found is the answer (a lower bound)."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """``most``: the rise, first reached at ``when_ms``, or when not ``exact`` a bound of it."""

    unit: Unit | None
    at_ms: int
    starts: int
    ends: int
    most: int
    when_ms: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Peak:
    """``certain``: no bound stood above it."""

    viewers: int
    at_ms: int | None
    certain: bool = True


Load = Callable[[Piece], Awaitable[Sequence[Bucket]]]
"""The buckets of a piece in order of time; a piece of single stays is one exact bucket, or none."""


def rise_of(
    at_ms: int, starts: Iterable[tuple[int, int]], ends: Iterable[tuple[int, int]]
) -> tuple[int, int, int, int]:
    """Of (instant, how many): (rise, when first, starts, ends) of a bucket that begins at ``at_ms``."""
    # Starts before ends at the same instant.
    events = sorted([(when, 0, number) for when, number in starts] + [(when, 1, number) for when, number in ends])
    running = best = started = 0
    when_best = at_ms
    for when, is_end, number in events:
        if is_end:
            running -= number
            continue
        running += number
        started += number
        if running > best:
            best, when_best = running, when
    return best, when_best, started, started - running


def combined(at_ms: int, buckets: Iterable[tuple[int, int, int, int]]) -> tuple[int, int]:
    """Of the (starts, ends, rise, when) of a bucket's parts in order of time: its own rise and when first."""
    running = best = 0
    when_best = at_ms
    for starts, ends, rise, when in buckets:
        if running + rise > best:
            best, when_best = running + rise, when
        running += starts - ends
    return best, when_best


async def find_peak(load: Load, pieces: Iterable[Piece], base: int, from_ms: int | None) -> Peak:
    """Of ``pieces`` in order of time, at whose beginning (``from_ms``) ``base`` viewers are there.

    The earliest of equal peaks; no viewer at all is (0, None)."""
    search = _Search(load, Peak(base, from_ms) if base > 0 and from_ms is not None else Peak(0, None))
    for piece in pieces:
        base = await search.add(piece, base)
    return await search.run()


class _Search:
    def __init__(self, load: Load, best: Peak) -> None:
        self._load = load
        self._best = best
        self._heap: list[tuple[int, int, int, Bucket, int]] = []
        self._order = 0

    async def add(self, piece: Piece, base: int) -> int:
        """Returns how many viewers are there at its end."""
        for bucket in await self._load(piece):
            viewers = base + bucket.most
            if bucket.exact:
                self._offer(viewers, bucket.when_ms)
            else:
                self._order += 1
                self._heap.append((-viewers, bucket.at_ms, self._order, bucket, base))
            base += bucket.starts - bucket.ends
        return base

    async def run(self) -> Peak:
        heapify(self._heap)
        for _ in range(MAX_LOOKED_INTO):
            bucket, base = self._next()
            if bucket is None:
                return self._best
            heap, self._heap = self._heap, []
            await self.add(_inside(bucket), base)
            for entry in self._heap:
                heappush(heap, entry)
            self._heap = heap
        bucket, _ = self._next()
        return Peak(self._best.viewers, self._best.at_ms, certain=bucket is None)

    def _next(self) -> tuple[Bucket | None, int]:
        """The bucket with the highest bound that may hold a higher peak, or an equal one that is earlier."""
        while self._heap:
            negative, at_ms, _, bucket, base = heappop(self._heap)
            best, best_ms = self._best.viewers, self._best.at_ms
            if -negative < best or (best_ms is None and negative == 0):
                return None, 0
            if -negative > best or (best_ms is not None and at_ms < best_ms):
                return bucket, base
        return None, 0

    def _offer(self, viewers: int, when_ms: int) -> None:
        best, best_ms = self._best.viewers, self._best.at_ms
        if viewers > best or (viewers == best > 0 and best_ms is not None and when_ms < best_ms):
            self._best = Peak(viewers, when_ms)


def _inside(bucket: Bucket) -> Piece:
    assert bucket.unit is not None
    finer = TIME_UNITS.index(bucket.unit) - 1
    unit = TIME_UNITS[finer] if finer >= 0 else None
    return Piece(unit, bucket.at_ms, bucket.at_ms + bucket.unit.ms)
