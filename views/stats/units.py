"""Units of time that sums are kept for, and how any span is put together from them. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

FOREVER_MS = 2**62
"""Later than any instant, and a multiple of nothing: only ever a bound."""


class Unit(enum.IntEnum):
    """Length in seconds. Each divides the next; all begin at whole multiples of themselves since 1970 (UTC)."""

    MINUTE = 60
    TEN_MINUTES = 600
    HOUR = 3_600
    DAY = 86_400
    SPAN = 32 * 86_400

    @property
    def ms(self) -> int:
        return self.value * 1_000

    def floor(self, at_ms: int) -> int:
        """Beginning of the unit that ``at_ms`` lies in."""
        return at_ms - at_ms % self.ms


TIME_UNITS = (Unit.MINUTE, Unit.HOUR, Unit.DAY)
"""Kept of starts and ends."""

TRAIT_UNITS = (Unit.TEN_MINUTES, Unit.DAY, Unit.SPAN)
"""Kept of each country, client and so on: coarser, because there are many names."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A half-open part of a span: whole units, or (None) single stays."""

    unit: Unit | None
    from_ms: int
    to_ms: int


def pieces(from_ms: int | None, to_ms: int | None, units: Sequence[Unit]) -> Iterator[Piece]:
    """``[from_ms, to_ms)`` in order of time: at most one piece of the longest of ``units``, two of each other kind.

    None is without a bound; nothing for an empty span.
    """
    end = FOREVER_MS if to_ms is None else to_ms
    begin = -FOREVER_MS if from_ms is None else from_ms
    yield from _pieces(begin, end, units)


def _pieces(begin: int, end: int, units: Sequence[Unit]) -> Iterator[Piece]:
    if begin >= end:
        return
    if not units:
        yield Piece(None, begin, end)
        return
    unit, finer = units[-1], units[:-1]
    first = begin if begin == -FOREVER_MS else -(-begin // unit.ms) * unit.ms
    last = end if end == FOREVER_MS else unit.floor(end)
    if first >= last:
        yield from _pieces(begin, end, finer)
        return
    yield from _pieces(begin, first, finer)
    yield Piece(unit, first, last)
    yield from _pieces(last, end, finer)
