"""How long activities wait until their receiver has them: by buckets, of the last hour. Nothing here waits or asks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from foundation.clock import Clock
from foundation.metrics import Metrics

BOUNDS_MS = (100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 1_800_000, 7_200_000)
"""Upper ends of the buckets; one more is for what waited longer."""

WINDOW_MS = 600_000
WINDOWS = 6
"""Ten minutes each: what is told of is between an hour less ten minutes and an hour."""


class DeliveryLag:
    """Of durable activities, from when they are written down to when one receiver has taken them."""

    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        self._clock = clock
        self._windows: dict[int, list[int]] = {}
        self._histogram = metrics.histogram(
            "fediviews_delivery_lag_seconds",
            "From an activity being written down to its receiver taking it",
            buckets=[bound / 1000 for bound in BOUNDS_MS],
        )

    def delivered(self, created_ms: Sequence[int]) -> None:
        """Activities written at these instants were just taken."""
        now_ms = self._clock.now_ms()
        window = self._windows.setdefault(now_ms // WINDOW_MS, [0] * (len(BOUNDS_MS) + 1))
        for written_ms in created_ms:
            lag_ms = max(0, now_ms - written_ms)
            window[bisect_left(BOUNDS_MS, lag_ms)] += 1
            self._histogram.observe(lag_ms / 1000)
        self._forget(now_ms)

    def recent(self) -> list[int]:
        """How many deliveries of the last hour fell into each bucket."""
        self._forget(self._clock.now_ms())
        return [sum(counts) for counts in zip([0] * (len(BOUNDS_MS) + 1), *self._windows.values(), strict=True)]

    def _forget(self, now_ms: int) -> None:
        oldest = now_ms // WINDOW_MS - WINDOWS + 1
        for number in [number for number in self._windows if not oldest <= number < oldest + WINDOWS]:
            del self._windows[number]


def percentile_ms(counts: Sequence[int], share: float) -> int | None:
    """An instant before which ``share`` of them had arrived: the end of a bucket, of which the last has none but is
    told as the end of the one before. None for no deliveries at all."""
    total, seen = sum(counts), 0
    if not total:
        return None
    for bound, count in zip(BOUNDS_MS, counts, strict=False):
        seen += count
        if seen >= share * total:
            return bound
    return BOUNDS_MS[-1]
