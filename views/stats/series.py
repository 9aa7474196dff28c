"""Buckets of a timeseries: PeerTube's group intervals, in UTC. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from views.stats.units import Unit

MAX_POINTS = 10_000
"""More than any span of ten years has."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONTH_S = 2_678_400
_YEAR_S = 31_536_000


@dataclass(frozen=True, slots=True)
class Interval:
    """``name`` is PeerTube's spelling; its length is ``months`` or ``length_ms``. ``unit`` is what its buckets are made
    of, and what the first one begins with."""

    name: str
    unit: Unit
    length_ms: int = 0
    months: int = 0


_INTERVALS = (
    (6 * _YEAR_S, Interval("6 months", Unit.DAY, months=6)),
    (2 * _YEAR_S, Interval("1 month", Unit.DAY, months=1)),
    (6 * _MONTH_S, Interval("7 days", Unit.DAY, 7 * Unit.DAY.ms)),
    (2 * _MONTH_S, Interval("2 days", Unit.DAY, 2 * Unit.DAY.ms)),
    (15 * 86_400, Interval("1 day", Unit.DAY, Unit.DAY.ms)),
    (8 * 86_400, Interval("12 hours", Unit.HOUR, 12 * Unit.HOUR.ms)),
    (4 * 86_400, Interval("6 hours", Unit.HOUR, 6 * Unit.HOUR.ms)),
    (15 * 3_600, Interval("1 hour", Unit.HOUR, Unit.HOUR.ms)),
    (3 * 3_600, Interval("10 minutes", Unit.MINUTE, 10 * Unit.MINUTE.ms)),
)
_SHORTEST = Interval("1 minute", Unit.MINUTE, Unit.MINUTE.ms)


def interval_of(start_ms: int, end_ms: int) -> Interval:
    """PeerTube 6.3's choice for a span: about 15 to 200 points."""
    span_ms = end_ms - start_ms
    for at_least_s, interval in _INTERVALS:
        if span_ms >= at_least_s * 1000:
            return interval
    return _SHORTEST


def edges_of(start_ms: int, end_ms: int, interval: Interval) -> list[int]:
    """Where each bucket begins, and the end of the last: one more than there are buckets, or nothing at all.

    The first begins at the unit (or month) that ``start_ms`` lies in, the last not after ``end_ms``.
    """
    if not interval.months:
        first = interval.unit.floor(start_ms)
        count = min(MAX_POINTS, max(0, (end_ms - first) // interval.length_ms + 1))
        return [first + at * interval.length_ms for at in range(count + 1)] if count else []
    year, month = _month_of(start_ms)
    edges: list[int] = []
    while len(edges) <= MAX_POINTS:
        edge = _month_ms(year, month)
        edges.append(edge)
        if edge > end_ms:
            break
        month += interval.months
        year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    return edges if len(edges) > 1 else []


def _month_of(at_ms: int) -> tuple[int, int]:
    day = _EPOCH + timedelta(milliseconds=at_ms)
    return day.year, day.month


def _month_ms(year: int, month: int) -> int:
    if year > 9999:
        return 2**62
    return (datetime(year, month, 1, tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
