from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.peers import ClockOffset

NOW = 1_800_000_000_000


@pytest.mark.parametrize(
    ("behind_ms", "expected_ms"), [(0, 0), (1_500, 0), (-1_999, 0), (60_000, 60_000), (-7_000, -7_000)]
)
def test_the_difference_beyond_the_dead_band(behind_ms: int, expected_ms: int) -> None:
    clock = ClockOffset()
    clock.saw_signed(NOW - behind_ms, NOW)
    assert clock.offset_ms == expected_ms


def test_the_smallest_difference_is_nearest_to_the_truth() -> None:
    clock = ClockOffset()
    for delay_ms in (9_000, 300, 4_000):
        clock.saw_signed(NOW - 60_000 - delay_ms, NOW)
    assert clock.offset_ms == 60_300


def test_dates_of_answers_are_preferred_while_they_are_fresh() -> None:
    clock = ClockOffset()
    clock.saw_date(NOW - 10_000, NOW)
    clock.saw_signed(NOW - 5_000, NOW + 1)
    assert clock.offset_ms == 10_000
    later = NOW + 11 * 60_000
    clock.saw_signed(later - 5_000, later)
    assert clock.offset_ms == 5_000


def test_a_clock_that_was_set_is_believed_within_ten_minutes() -> None:
    clock = ClockOffset()
    clock.saw_signed(NOW, NOW)
    for minute in range(1, 12):
        at_ms = NOW + minute * 60_000
        clock.saw_signed(at_ms - 30_000, at_ms)
        assert clock.offset_ms == (0 if minute < 10 else 30_000)


def test_what_is_no_clock_is_ignored() -> None:
    clock = ClockOffset(known_ms=5_000)
    clock.saw_date(0, NOW)
    assert clock.offset_ms == 5_000


def test_our_own_clock_set_back_does_not_freeze_it() -> None:
    clock = ClockOffset()
    clock.saw_signed(NOW, NOW)
    back = NOW - 3_600_000
    clock.saw_signed(back - 40_000, back)
    assert clock.offset_ms == 40_000


@settings(deadline=None)
@given(
    st.integers(-600_000, 600_000),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 30_000)), min_size=1, max_size=40),
)
def test_it_errs_by_no_more_than_the_smallest_delay(truth_ms: int, samples: list[tuple[int, int]]) -> None:
    clock = ClockOffset()
    now_ms = NOW
    for gap_ms, delay_ms in samples:
        now_ms += gap_ms
        clock.saw_signed(now_ms - delay_ms - truth_ms, now_ms)
    within = min(delay for _gap, delay in samples)
    expected = truth_ms + within
    assert clock.offset_ms == (0 if abs(expected) < 2_000 else expected)
