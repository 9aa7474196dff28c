from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.clock import ManualClock
from foundation.ratelimit import WindowCounter, WindowLimiter


def test_a_window_opens_with_the_first_hit_and_does_not_slide(clock: ManualClock) -> None:
    limiter: WindowLimiter[str] = WindowLimiter(clock, limit=2, window_ms=10_000)
    assert limiter.hit("a") is None
    clock.advance(9_000)
    assert limiter.hit("a") is None
    assert limiter.hit("a") == 1
    assert limiter.hit("b") is None
    clock.advance(999)
    assert limiter.hit("a") == 1
    clock.advance(1)
    assert limiter.hit("a") is None
    assert limiter.hit("a") is None
    assert limiter.hit("a") == 10


def test_the_wall_clock_does_not_matter(clock: ManualClock) -> None:
    limiter: WindowLimiter[str] = WindowLimiter(clock, limit=1, window_ms=1_000)
    limiter.hit("a")
    clock.set_wall(0)
    assert limiter.hit("a") == 1
    clock.advance(1_000)
    assert limiter.hit("a") is None


def test_keys_are_bounded_and_the_least_recent_goes(clock: ManualClock) -> None:
    limiter: WindowLimiter[int] = WindowLimiter(clock, limit=1, window_ms=1_000, max_keys=2)
    limiter.hit(1)
    limiter.hit(2)
    assert limiter.hit(1) == 1
    limiter.hit(3)
    assert len(limiter) == 2
    assert limiter.hit(1) == 1
    assert limiter.hit(2) is None


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 700)), max_size=60))
def test_never_more_than_the_limit_in_any_fixed_window(steps: list[tuple[int, int]]) -> None:
    clock = ManualClock()
    limiter: WindowLimiter[int] = WindowLimiter(clock, limit=3, window_ms=1_000, max_keys=10)
    windows: dict[int, tuple[int, int]] = {}
    for key, pause_ms in steps:
        clock.advance(pause_ms)
        now_ms = clock.monotonic_ms()
        started_ms, count = windows.get(key, (now_ms, 0))
        if now_ms - started_ms >= 1_000:
            started_ms, count = now_ms, 0
        wait_s = limiter.hit(key)
        assert (wait_s is None) == (count < 3)
        assert wait_s is None or wait_s == 1
        windows[key] = (started_ms, count + 1)


@pytest.mark.parametrize("bad", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_bounds_must_be_positive(clock: ManualClock, bad: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError):
        WindowLimiter(clock, *bad)


def test_a_counter_counts_within_its_window_and_forgets(clock: ManualClock) -> None:
    counter: WindowCounter[str] = WindowCounter(clock, 1_000, max_keys=2)
    for _ in range(3):
        counter.see("a")
    assert (counter.seen("a"), counter.seen("b")) == (3, 0)
    clock.advance(999)
    assert counter.seen("a") == 3
    clock.advance(1)
    assert counter.seen("a") == 0
    counter.see("a")
    assert counter.seen("a") == 1
    for key in ("b", "c"):
        counter.see(key)
    assert len(counter) == 2
    assert counter.seen("a") == 0, "the longest unseen is forgotten"
