"""How fast an address and a proven host may talk, and that neither can spend the other's allowance."""

from __future__ import annotations

import pytest

from federation.peers import PeerLimits
from federation.peers.parties import Parties
from foundation.clock import ManualClock
from foundation.errors import Refused
from inbox.quotas import Quotas


def test_the_limit_holds_for_its_window_and_no_longer(clock: ManualClock) -> None:
    quotas = Quotas(clock, 2, 10_000)
    assert quotas.address("192.0.2.1") is None
    clock.advance(4_000)
    assert quotas.address("192.0.2.1") is None
    refusal = quotas.address("192.0.2.1")
    assert isinstance(refusal, Refused)
    assert (refusal.reason, refusal.status, refusal.retry_after_s) == ("too_many_requests", 429, 6)
    assert quotas.address("192.0.2.2") is None
    clock.advance(6_000)
    assert quotas.address("192.0.2.1") is None


def test_an_address_spends_nothing_of_a_host(clock: ManualClock) -> None:
    quotas = Quotas(clock, 1, 10_000)
    assert quotas.address("peer.example") is None
    assert quotas.address("peer.example") is not None
    assert quotas.host("peer.example") is None
    assert quotas.host("peer.example") is not None
    assert quotas.host("other.example") is None


def test_one_ipv6_customer_is_one_address(clock: ManualClock) -> None:
    quotas = Quotas(clock, 1, 10_000)
    assert quotas.address("2001:db8:0:1::1") is None
    assert quotas.address("2001:db8:0:1:ffff::2") is not None
    assert quotas.address("2001:db8:0:2::1") is None


def test_without_a_limit_nobody_is_stopped(clock: ManualClock) -> None:
    quotas = Quotas(clock, None, 10_000)
    assert all(quotas.address("192.0.2.1") is None and quotas.host("peer.example") is None for _ in range(1_000))


def test_all_hosts_of_one_party_have_as_much_as_a_few(clock: ManualClock) -> None:
    parties = Parties(lambda host: host == "a.example", PeerLimits(), 2)
    quotas = Quotas(clock, 2, 10_000, parties.circles)
    assert [quotas.host(f"{number}.club.example") is None for number in (0, 0, 1, 1, 2, 2)] == [True] * 5 + [False]
    assert [quotas.host("a.example") is None for _ in range(3)] == [True, True, False]
    clock.advance(10_000)
    assert quotas.host("0.club.example") is None


@pytest.mark.parametrize("names", ["{}.club.example", "{}.vercel.app"])
def test_the_quiet_one_of_a_site_is_heard_whatever_its_neighbours_do(clock: ManualClock, names: str) -> None:
    quotas = Quotas(clock, 500, 10_000, Parties(lambda host: False, PeerLimits(), 4, 16).circles)
    taken = sum(quotas.host(names.format(number % 20)) is None for number in range(20 * 600))
    assert taken < 8_000 + 4 * 500
    assert quotas.host(names.format("neighbour")) is None
    loud = quotas.host(names.format(1))
    assert loud is not None
    assert loud.status == 429


def test_so_many_names_of_a_provider_are_no_more_than_a_few_hosts(clock: ManualClock) -> None:
    quotas = Quotas(clock, 5, 10_000, Parties(lambda host: False, PeerLimits(), 2, 4).circles)
    taken = sum(quotas.host(f"{number % 100}.vercel.app") is None for number in range(1_000))
    assert 20 <= taken <= 20 * 4
    assert quotas.host("tube.example") is None
