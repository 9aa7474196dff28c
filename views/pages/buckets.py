"""Time in buckets of growing length, so that any span is a sum over few of them. Pure.

Level 0 is a minute, every further level sixteen of the one below; all begin at whole multiples of themselves since 1970
(UTC). A count of ``n`` minutes is put together from at most 15 buckets at either end of each level below the longest:
with 16 to the power ``levels`` minutes that is O(log n), whatever happened in between. Beyond the longest level (32
years) the number of its buckets grows with time, one in 32 years.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

MINUTE_MS = 60_000
RADIX = 16
LEVELS = 7

LAST_MINUTE = 2**40
"""Later than anything: only ever a bound. A multiple of the longest bucket."""


class Span(NamedTuple):
    """Buckets ``first`` to ``last`` (both included) of one level."""

    level: int
    first: int
    last: int


def minute_of(at_ms: int) -> int:
    return at_ms // MINUTE_MS


def buckets_of(minute: int) -> Iterator[tuple[int, int]]:
    """The bucket of each level that a minute lies in: what one count is added to."""
    for level in range(LEVELS):
        yield level, minute
        minute //= RADIX


def cover(from_minute: int, to_minute: int) -> list[Span]:
    """Disjoint spans that together are ``[from_minute, to_minute)``, at most two of each level below the longest."""
    first, end = max(0, from_minute), min(to_minute, LAST_MINUTE)
    spans: list[Span] = []
    for level in range(LEVELS):
        if first >= end:
            break
        if level == LEVELS - 1:
            spans.append(Span(level, first, end - 1))
            break
        up, down = -(-first // RADIX) * RADIX, end // RADIX * RADIX
        if up > down:
            spans.append(Span(level, first, end - 1))
            break
        if first < up:
            spans.append(Span(level, first, up - 1))
        if down < end:
            spans.append(Span(level, down, end - 1))
        first, end = up // RADIX, down // RADIX
    return spans
