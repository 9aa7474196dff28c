from __future__ import annotations

import hashlib

import pytest

from foundation.clock import ManualClock
from foundation.distinct import MAX_KEYS
from foundation.metrics import Metrics
from views.crowding import Crowding

WINDOW_MS = 120_000


def viewer(number: int) -> bytes:
    return hashlib.blake2b(str(number).encode(), digest_size=16).digest()


def crowding(clock: ManualClock, limit: int) -> Crowding:
    return Crowding(clock, Metrics(), limit, WINDOW_MS)


@pytest.mark.parametrize("limit", [10, 100, 500, 2_000])
def test_about_as_many_as_allowed_are_admitted(clock: ManualClock, limit: int) -> None:
    crowd = crowding(clock, limit)
    admitted = sum(crowd.admits("192.0.2.1", viewer(number)) for number in range(3 * limit))
    # Some fall on a bit that another one set: they come in beyond the limit.
    assert limit * 0.9 <= admitted <= limit * 1.7


def test_who_is_here_stays_here(clock: ManualClock) -> None:
    crowd = crowding(clock, 20)
    here = [number for number in range(100) if crowd.admits("192.0.2.1", viewer(number))]
    for _ in range(10):
        clock.advance(WINDOW_MS // 3)
        assert all(crowd.admits("192.0.2.1", viewer(number)) for number in here)


def test_who_left_makes_room(clock: ManualClock) -> None:
    crowd = crowding(clock, 20)
    for number in range(100):
        crowd.admits("192.0.2.1", viewer(number))
    refused = next(number for number in range(1_000, 2_000) if not crowd.admits("192.0.2.1", viewer(number)))
    clock.advance(2 * WINDOW_MS)
    assert crowd.admits("192.0.2.1", viewer(refused))


def test_addresses_do_not_disturb_each_other(clock: ManualClock) -> None:
    crowd = crowding(clock, 1)
    assert all(crowd.admits(f"192.0.2.{last}", viewer(last)) for last in range(200))


def test_an_ipv6_network_is_one_address(clock: ManualClock) -> None:
    crowd = crowding(clock, 10)
    admitted = sum(crowd.admits(f"2001:db8::{number:x}", viewer(number)) for number in range(100))
    assert admitted < 30


def test_what_is_kept_is_bounded_and_no_address(clock: ManualClock) -> None:
    crowd = crowding(clock, 500)
    for number in range(MAX_KEYS + 10):
        crowd.admits(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", viewer(number))
    assert len(crowd._addresses) <= MAX_KEYS
    assert not any(b"10." in name for name in crowd._addresses._now)
