from __future__ import annotations

import hashlib

import pytest

from foundation.clock import ManualClock
from foundation.metrics import Metrics
from views import crowding as crowding_module
from views.crowding import MAX_ADDRESSES, Crowding

WINDOW_MS = 120_000
VIDEO = 7


def viewer(number: int) -> bytes:
    return hashlib.blake2b(str(number).encode(), digest_size=16).digest()


def crowding(clock: ManualClock, limit: int) -> Crowding:
    return Crowding(clock, Metrics(), limit, WINDOW_MS)


@pytest.mark.parametrize("limit", [1, 3, 10, 500])
def test_as_many_as_allowed_are_admitted(clock: ManualClock, limit: int) -> None:
    crowd = crowding(clock, limit)
    admitted = [number for number in range(3 * limit) if crowd.admits("192.0.2.1", viewer(number), VIDEO)]
    assert admitted == list(range(limit))


def test_who_is_here_stays_here(clock: ManualClock) -> None:
    crowd = crowding(clock, 20)
    for _ in range(10):
        here = [number for number in range(100) if crowd.admits("192.0.2.1", viewer(number), VIDEO)]
        assert here == list(range(20))
        clock.advance(WINDOW_MS - 1)


def test_who_says_nothing_for_a_lifetime_makes_room(clock: ManualClock) -> None:
    crowd = crowding(clock, 2)
    assert crowd.admits("192.0.2.1", viewer(1), VIDEO)
    clock.advance(WINDOW_MS - 1)
    assert crowd.admits("192.0.2.1", viewer(2), VIDEO)
    assert not crowd.admits("192.0.2.1", viewer(3), VIDEO)
    clock.advance(1)
    assert crowd.admits("192.0.2.1", viewer(3), VIDEO)
    assert not crowd.admits("192.0.2.1", viewer(1), VIDEO)


def test_who_leaves_makes_room_at_once(clock: ManualClock) -> None:
    crowd = crowding(clock, 10)
    for number in range(8):
        assert crowd.admits("192.0.2.1", viewer(number), VIDEO)
    for number in range(8):
        crowd.left("192.0.2.1", viewer(number), VIDEO)
    assert sum(crowd.admits("192.0.2.1", viewer(number), VIDEO) for number in range(100, 112)) == 10


def test_who_leaves_one_video_keeps_its_place_at_another(clock: ManualClock) -> None:
    """Else the limit could be passed by leaving videos that nobody watches."""
    crowd = crowding(clock, 1)
    assert crowd.admits("192.0.2.1", viewer(1), VIDEO)
    crowd.left("192.0.2.1", viewer(1), VIDEO + 1)
    crowd.left("192.0.2.2", viewer(1), VIDEO)
    assert not crowd.admits("192.0.2.1", viewer(2), VIDEO)
    assert not crowd.admits("192.0.2.1", viewer(1), VIDEO + 1)


def test_addresses_do_not_disturb_each_other(clock: ManualClock) -> None:
    crowd = crowding(clock, 1)
    assert all(crowd.admits(f"192.0.2.{last}", viewer(last), VIDEO) for last in range(200))


def test_an_ipv6_network_is_one_address(clock: ManualClock) -> None:
    crowd = crowding(clock, 10)
    assert sum(crowd.admits(f"2001:db8::{number:x}", viewer(number), VIDEO) for number in range(100)) == 10


def test_what_is_kept_is_bounded_and_no_address(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    crowd = crowding(clock, 500)
    for number in range(MAX_ADDRESSES + 10):
        crowd.admits(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", viewer(number), VIDEO)
    assert len(crowd._addresses) == MAX_ADDRESSES == crowd._size
    assert not any(b"10." in name for name in crowd._addresses)
    monkeypatch.setattr(crowding_module, "MAX_VIEWERS", 100)
    for number in range(150):
        crowd.admits(f"192.0.2.{number // 50}", viewer(number), VIDEO)
    assert [len(viewers) for viewers in crowd._addresses.values()] == [50, 50]
    assert crowd._size == 100
