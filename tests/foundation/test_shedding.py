from __future__ import annotations

import pytest

from foundation.metrics import Metrics
from foundation.shedding import DOWN_AFTER_MS, UP_AFTER_MS, Load, Shedder, Staircase


def overloaded(level: int) -> Shedder:
    shedder = Shedder(Metrics())
    now_ms = 0
    while shedder.level < level:
        shedder.measured(2.0, now_ms)
        now_ms += UP_AFTER_MS
    return shedder


def test_the_order_in_which_load_goes() -> None:
    assert [load.name for load in Load] == ["REFRESH", "PAGE_BEACON", "TELEMETRY", "NEW_VIEWER", "TOTAL"]


@pytest.mark.parametrize("level", range(6))
def test_each_level_turns_away_what_is_worth_less(level: int) -> None:
    shedder = overloaded(level)
    assert [shedder.allows(load) for load in Load] == [load > level for load in Load]


def test_what_is_turned_away_is_counted() -> None:
    metrics = Metrics()
    shedder = Shedder(metrics)
    shedder.level = 2
    for load in (Load.REFRESH, Load.REFRESH, Load.PAGE_BEACON, Load.TELEMETRY):
        shedder.allows(load)
    text = metrics.render().decode()
    assert 'fediviews_overload_shed_total{load="refresh"} 2.0' in text
    assert 'fediviews_overload_shed_total{load="page_beacon"} 1.0' in text
    assert 'fediviews_overload_shed_total{load="telemetry"} 0.0' in text
    assert "fediviews_overload_level 2.0" in text


def test_pressure_that_passes_turns_nothing_away() -> None:
    stairs = Staircase()
    assert stairs.step(5.0, 0) == 0
    assert stairs.step(5.0, UP_AFTER_MS - 1) == 0
    assert stairs.step(0.9, UP_AFTER_MS) == 0
    assert stairs.step(5.0, UP_AFTER_MS + 1) == 0


def test_pressure_that_stays_climbs_a_step_at_a_time_and_no_further_than_there_are() -> None:
    stairs = Staircase()
    levels = [stairs.step(1.0, second * UP_AFTER_MS) for second in range(9)]
    assert levels == [0, 1, 2, 3, 4, 5, 5, 5, 5]


def test_between_relief_and_pressure_the_level_stays() -> None:
    stairs = Staircase()
    for second in range(3):
        stairs.step(1.5, second * UP_AFTER_MS)
    assert [stairs.step(0.7, 10_000 + second * 60_000) for second in range(5)] == [2] * 5


def test_relief_gives_a_step_back_at_a_time() -> None:
    stairs = Staircase()
    for second in range(4):
        stairs.step(1.5, second * UP_AFTER_MS)
    levels = [stairs.step(0.1, 10_000 + step * DOWN_AFTER_MS) for step in range(6)]
    assert levels == [3, 2, 1, 0, 0, 0]


def test_those_turned_away_do_not_all_come_again_at_once() -> None:
    waits = {overloaded(1).refusal().retry_after_s} | {(shedder := overloaded(1)).refusal().retry_after_s}
    for _ in range(8):
        waits.add(shedder.refusal().retry_after_s)
    assert len(waits) > 2
    assert all(wait is not None and 1 <= wait <= 10 for wait in waits)
    assert shedder.refusal().status == 503
