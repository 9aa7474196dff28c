"""Who watches what just now, by address: for as long as it takes, and for no longer."""

from __future__ import annotations

import pytest

from foundation.clock import ManualClock
from views import audience as module
from views.audience import FOR_MS, Audience


def test_an_address_is_known_at_what_it_watches(clock: ManualClock) -> None:
    audience = Audience(clock)
    audience.seen("192.0.2.1", 1)
    audience.seen("2001:db8::1", 1)
    assert audience.knows("192.0.2.1", 1)
    assert not audience.knows("192.0.2.1", 2)
    assert not audience.knows("192.0.2.2", 1)
    assert audience.knows("2001:db8::ffff", 1), "the same network"
    assert not audience.knows("2001:db8:1::1", 1)


@pytest.mark.parametrize("begin_ms", [0, 1, FOR_MS - 1])
def test_it_is_known_for_three_minutes_and_not_for_more_than_six(clock: ManualClock, begin_ms: int) -> None:
    audience = Audience(clock)
    clock.advance(begin_ms)
    audience.seen("192.0.2.1", 1)
    clock.advance(FOR_MS - 1)
    assert audience.knows("192.0.2.1", 1)
    clock.advance(FOR_MS + 1)
    assert not audience.knows("192.0.2.1", 1)


def test_silence_forgets_everybody(clock: ManualClock) -> None:
    audience = Audience(clock)
    audience.seen("192.0.2.1", 1)
    clock.advance(10 * FOR_MS)
    audience.seen("192.0.2.2", 1)
    assert not audience.knows("192.0.2.1", 1)
    assert audience.knows("192.0.2.2", 1)


def test_many_take_room_from_who_came_long_before(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 10)
    audience = Audience(clock)
    for number in range(100):
        audience.seen(f"192.0.2.{number}", 1)
        assert len(audience._now) + len(audience._before) <= 20
    assert audience.knows("192.0.2.99", 1)
    assert not audience.knows("192.0.2.1", 1)
