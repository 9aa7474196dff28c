"""Statistics reckoned the slow way, straight from their definitions, to hold the fast ones against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from views.stats.model import Metric, Share, Stay


def overlapping(stays: Sequence[Stay], start_ms: int | None, end_ms: int | None) -> list[Stay]:
    if start_ms is not None and end_ms is not None and start_ms > end_ms:
        return []
    return [
        stay
        for stay in stays
        if (end_ms is None or stay.start_ms <= end_ms) and (start_ms is None or stay.end_ms >= start_ms)
    ]


def peak(stays: Sequence[Stay], start_ms: int | None, end_ms: int | None) -> tuple[int, int | None]:
    """Looks at every instant at which the number can be at its highest."""
    there = overlapping(stays, start_ms, end_ms)
    instants = {stay.start_ms for stay in there if start_ms is None or stay.start_ms >= start_ms}
    if start_ms is not None:
        instants.add(start_ms)
    best: tuple[int, int | None] = (0, None)
    for at_ms in sorted(instants):
        now = sum(stay.start_ms <= at_ms <= stay.end_ms for stay in there)
        if now > best[0]:
            best = now, at_ms
    return best


def shares(names: Sequence[str | None]) -> tuple[Share, ...]:
    counted = Counter(name for name in names if name is not None)
    return tuple(Share(name, number) for name, number in sorted(counted.items(), key=lambda each: (-each[1], each[0])))


def retention(stays: Sequence[Stay], second: int) -> float:
    seen = sum(any(start <= second <= end for start, end in stay.sections) for stay in stays)
    return 100 * seen / max(len(stays), 1)


def bucket(stays: Sequence[Stay], metric: Metric, from_ms: int, to_ms: int) -> int:
    if metric is Metric.VIEWERS:
        return sum(stay.start_ms < to_ms and stay.end_ms >= from_ms for stay in stays)
    return sum(stay.watch_time_s for stay in stays if from_ms <= stay.end_ms < to_ms)


def utc(text: str) -> int:
    """``2026-03-29T01:30`` in UTC, in milliseconds."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)
