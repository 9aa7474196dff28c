"""The number shown: table and properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from views.counters.base import Reading, Told, Total
from views.ports import OriginTraits
from views.shown import ACK_MARGIN_MS, Shown, count_ours, shown

NOW = 1_800_000_000_000
COUNTS = st.integers(0, 1_000)
HOSTS = st.dictionaries(st.sampled_from(["a.example", "b.example", "c.example"]), COUNTS)


def no_limit(host: str) -> int:
    return 10**9


def fresh(count: int, ours: int) -> Total:
    return Total(count, NOW + 1_000, NOW, ours)


@pytest.mark.parametrize(
    ("local", "reading", "expected"),
    [
        (True, Reading(0, {}, None), Shown(0, 0)),
        (True, Reading(3, {"a.example": 2}, None), Shown(5, 3, {"a.example": 2})),
        (True, Reading(3, {"a.example": 9, "b.example": 1}, None), Shown(8, 3, {"a.example": 4, "b.example": 1}, 5)),
        (True, Reading(1, {"a.example": 2}, fresh(99, 0)), Shown(3, 1, {"a.example": 2})),
        (False, Reading(3, {}, None), Shown(3, 3)),
        (False, Reading(3, {"a.example": 9}, None), Shown(7, 3, {"a.example": 4}, 5)),
        (False, Reading(3, {}, fresh(10, 2)), Shown(11, 3, remote_total=10, ours=2)),
        (False, Reading(3, {}, fresh(1, 2)), Shown(3, 3, remote_total=1, ours=2)),
        (False, Reading(0, {}, fresh(0, 0)), Shown(0, 0, remote_total=0)),
        (False, Reading(0, {}, Total(8, NOW - 100, NOW, 0, 404)), Shown(8, 0, remote_total=8)),
        (False, Reading(2, {}, Total(8, NOW - 100, NOW, 0, 400)), Shown(2, 2)),
    ],
)
def test_every_rule(local: bool, reading: Reading, expected: Shown) -> None:
    assert shown(local, reading, lambda host: 4, NOW) == expected


@given(local=COUNTS, peers=HOSTS, quota=st.integers(-1, 500))
def test_nobody_vanishes_between_counted_and_unverified(local: int, peers: dict[str, int], quota: int) -> None:
    number = shown(True, Reading(local, peers, None), lambda host: quota, NOW)
    assert number.viewers + number.unverified == local + sum(peers.values())
    assert number.viewers == local + sum(number.peers.values())
    assert all(count <= max(0, quota) for count in number.peers.values())


@given(local=COUNTS, count=COUNTS, ours=COUNTS)
def test_our_viewers_are_always_shown_and_the_rest_is_never_more_than_the_total(
    local: int, count: int, ours: int
) -> None:
    number = shown(False, Reading(local, {}, fresh(count, ours)), no_limit, NOW)
    assert local <= number.viewers <= local + count
    assert number.remote == number.viewers - local


def tell(number: int, acked: int, until: int) -> Told:
    return Told(number.to_bytes(16, "big"), NOW - 9_000, NOW + until, NOW + acked if acked else 0)


@pytest.mark.parametrize(
    ("told", "extends", "appends"),
    [
        ([], 0, 0),
        ([tell(1, -ACK_MARGIN_MS, 1)], 1, 1),
        ([tell(1, -ACK_MARGIN_MS + 1, 1)], 0, 0),
        ([tell(1, -5_000, 0)], 0, 0),
        ([tell(1, 0, 60_000)], 0, 0),
        ([tell(1, -5_000, 60_000), tell(1, -8_000, 10_000)], 1, 2),
        ([tell(1, -1_000, 60_000), tell(1, -8_000, 10_000)], 1, 1),
        ([tell(1, -5_000, 60_000), tell(2, -5_000, 60_000)], 2, 2),
    ],
)
def test_how_many_of_a_total_are_ours(told: list[Told], extends: int, appends: int) -> None:
    assert count_ours(told, NOW, OriginTraits()) == extends
    assert count_ours(told, NOW, OriginTraits(appends=True)) == appends
