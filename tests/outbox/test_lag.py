"""How long deliveries took lately."""

from __future__ import annotations

import pytest

from foundation.clock import ManualClock
from foundation.metrics import Metrics
from outbox.lag import BOUNDS_MS, WINDOW_MS, WINDOWS, DeliveryLag, percentile_ms


def counts(**at: int) -> list[int]:
    return [at.get(f"b{bound}", 0) for bound in (*BOUNDS_MS, "more")]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (counts(), None),
        (counts(b100=1), 100),
        (counts(b100=95, b60000=5), 100),
        (counts(b100=94, b60000=6), 60_000),
        (counts(bmore=1), BOUNDS_MS[-1]),
    ],
)
def test_the_percentile_is_the_end_of_a_bucket(found: list[int], expected: int | None) -> None:
    assert percentile_ms(found, 0.95) == expected


def test_what_is_older_than_an_hour_does_not_count(clock: ManualClock) -> None:
    lag = DeliveryLag(clock, Metrics())
    now_ms = clock.now_ms()
    lag.delivered([now_ms, now_ms - 100, now_ms - 101, now_ms + 5_000])
    assert lag.recent() == counts(b100=3, b250=1)
    clock.advance((WINDOWS - 1) * WINDOW_MS)
    lag.delivered([clock.now_ms() - 8_000_000])
    assert sum(lag.recent()) == 5
    clock.advance(WINDOW_MS)
    assert lag.recent() == counts(bmore=1)
    clock.advance(WINDOWS * WINDOW_MS)
    assert lag.recent() == counts()
