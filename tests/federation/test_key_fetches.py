"""Whose keys are fetched while others waste what there is: to put off a first contact costs more and more."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from federation.key_fetches import KeyFetches
from federation.key_policy import KeyPolicy
from federation.origins import Origins
from federation.places import Places
from foundation.clock import ManualClock
from foundation.errors import Refused
from foundation.metrics import Metrics

HOST, AT = "new.example", "192.0.2.7"


class Names(AbstractResolver):
    """A name server; ``gate`` closed: it hangs."""

    def __init__(self) -> None:
        self.known: dict[str, list[str]] = {HOST: [AT, "2001:db8:0:7::1"], "other.example": ["192.0.2.8"]}
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        self.asked.append(host)
        await self.gate.wait()
        if host not in self.known:
            raise OSError("no such name")
        return [
            ResolveResult(hostname=host, host=address, port=0, family=0, proto=0, flags=0)
            for address in self.known[host]
        ]

    async def close(self) -> None:
        return None


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
def fetches(clock: ManualClock, metrics: Metrics, names: Names) -> KeyFetches:
    return KeyFetches(clock, metrics, KeyPolicy(patience_ms=0), Origins(clock, names))


def networks(count: int) -> Iterator[str]:
    return (f"10.{number // 256}.{number % 256}.1" for number in range(count))


async def fetched(fetches: KeyFetches, host: str, address: str) -> str:
    """As the cache does it, of an unknown key that comes to nothing."""
    direct = await fetches.is_direct(host, address)
    place = await fetches.place(host, address, known=False, direct=direct)
    if isinstance(place, Refused):
        return str(place.status)
    with place:
        refusal = fetches.charge(host, address, known=False, direct=direct)
    return "ok" if refusal is None else str(refusal.status)


async def hangs(fetches: KeyFetches, stack: ExitStack, host: str, address: str) -> bool:
    """Take a place and keep it."""
    direct = await fetches.is_direct(host, address)
    place = await fetches.place(host, address, known=False, direct=direct)
    if isinstance(place, Refused):
        return False
    stack.enter_context(place)
    return True


# Fetches of one host


async def test_junk_from_a_few_networks_does_not_put_off_a_first_contact(fetches: KeyFetches, names: Names) -> None:
    junk = list(networks(3))
    for address in junk:
        assert [await fetched(fetches, HOST, address) for _ in range(11)] == ["ok"] * 10 + ["429"]
    assert await fetched(fetches, HOST, "198.51.100.1") == "ok", "it wasted nothing here"
    assert await fetched(fetches, HOST, "198.51.100.2") == "429", "its network did, just now"
    assert [await fetched(fetches, HOST, AT) for _ in range(11)] == ["ok"] * 10 + ["429"]
    assert names.asked == [HOST]


async def test_junk_from_very_many_networks_leaves_something_to_the_hosts_own_machine(fetches: KeyFetches) -> None:
    junk = [await fetched(fetches, HOST, address) for address in networks(200)]
    assert junk == ["ok"] * 60 + ["429"] * 140
    assert [await fetched(fetches, HOST, AT) for _ in range(11)] == ["ok"] * 10 + ["429"]
    assert await fetched(fetches, "other.example", "198.51.100.1") == "ok"


async def test_names_of_one_site_share_its_fetches(fetches: KeyFetches, clock: ManualClock) -> None:
    outcomes = [await fetched(fetches, f"h{number}.evil.example", "198.51.100.1") for number in range(20)]
    assert outcomes == ["ok"] * 10 + ["429"] * 10
    for number, address in enumerate(networks(200)):
        outcomes.append(await fetched(fetches, f"h{number % 6}.evil.example", address))
    assert outcomes.count("ok") == 4 * 30 + 30, "of the site, and for newcomers"
    clock.advance(60_000)
    assert await fetched(fetches, "h1.evil.example", "203.0.113.1") == "ok"


async def test_what_led_to_a_signature_is_no_waste(fetches: KeyFetches) -> None:
    for _ in range(25):
        assert await fetched(fetches, HOST, "198.51.100.1") == "ok"
        fetches.was_worth_it(HOST, "198.51.100.1")


# Places


async def test_hosts_that_hang_do_not_put_off_a_first_contact(fetches: KeyFetches) -> None:
    with ExitStack() as stack:
        taken = [
            await hangs(fetches, stack, f"site{number % 32}.example", address)
            for address in list(networks(2))
            for number in range(60)
        ]
        assert taken.count(True) == 64
        assert await hangs(fetches, stack, HOST, "198.51.100.1"), "a newcomer's"
        assert not await hangs(fetches, stack, HOST, "198.51.100.1"), "one at once"
        assert await hangs(fetches, stack, HOST, AT), "its own machine's"
    assert await hangs(fetches, ExitStack(), "site1.example", next(networks(1)))


async def test_names_of_one_site_share_its_places(fetches: KeyFetches) -> None:
    with ExitStack() as stack:
        outcomes = [await hangs(fetches, stack, f"h{number}.evil.example", "198.51.100.1") for number in range(30)]
        assert outcomes == [True] * 4 + [False] * 26


async def test_who_left_us_waiting_has_one_place_until_it_answers(fetches: KeyFetches, clock: ManualClock) -> None:
    def took(duration_ms: int, *, answered: bool) -> None:
        fetches.took("a.slow.example", "198.51.100.1", duration_ms, answered=answered)

    async def at_once(site: str, address: str) -> int:
        with ExitStack() as stack:
            return [await hangs(fetches, stack, f"h{number}.{site}", address) for number in range(8)].count(True)

    took(1_999, answered=False)
    assert await at_once("slow.example", "203.0.113.1") == 4
    took(2_000, answered=False)
    assert await at_once("slow.example", "203.0.113.1") == 1
    took(5_000, answered=True)
    assert await at_once("slow.example", "203.0.113.1") == 4
    took(2_000, answered=False)
    clock.advance(600_000)
    assert await at_once("slow.example", "203.0.113.1") == 4


async def test_a_network_that_names_hosts_that_hang_has_few_places(fetches: KeyFetches, clock: ManualClock) -> None:
    async def at_once() -> int:
        with ExitStack() as stack:
            found = [await hangs(fetches, stack, f"site{number}.example", "198.51.100.1") for number in range(40)]
            return found.count(True)

    assert await at_once() == 32
    for number in range(2):
        fetches.took(f"hang{number}.example", "198.51.100.9", 7_000, answered=False)
    assert await at_once() == 4
    clock.advance(600_000)
    assert await at_once() == 32


async def test_who_has_the_fewest_places_comes_first() -> None:
    places = Places(2, (2,), 10_000)
    assert places.take("busy")
    assert places.take("busy")
    order: list[str] = []

    async def wait(group: str) -> None:
        assert await places.wait(group)
        order.append(group)

    tasks = [asyncio.create_task(wait(group)) for group in ("busy", "busy", "quiet")]
    await asyncio.sleep(0)
    for _ in range(2):
        places.leave("busy")
        await asyncio.gather(*(task for task in tasks if task.done()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert order == ["quiet", "busy"]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


# Where a key's host is


@pytest.mark.parametrize(
    ("authority", "address", "expected"),
    [
        (HOST, AT, True),
        (f"{HOST}:8443", AT, True),
        (HOST, "2001:db8:0:7::99", True),
        (HOST, "192.0.2.8", False),
        (HOST, "2001:db8:0:8::1", False),
        ("unknown.example", AT, False),
        (AT, AT, True),
        (f"{AT}:9000", AT, True),
        (f"{AT}:9000", "192.0.2.8", False),
        ("[2001:db8::1]:9000", "2001:db8::2", True),
        ("[2001:db8::1]", "2001:db8:1::2", False),
        (HOST, "", False),
    ],
)
async def test_where_a_host_is(clock: ManualClock, names: Names, authority: str, address: str, expected: bool) -> None:
    assert await Origins(clock, names).is_at(authority, address) is expected


async def test_answers_of_name_servers_are_remembered(clock: ManualClock, names: Names) -> None:
    origins = Origins(clock, names)
    for _ in range(3):
        assert await origins.is_at(HOST, AT)
        assert not await origins.is_at("unknown.example", AT)
    assert names.asked == [HOST, "unknown.example"]
    clock.advance(60_000)
    await origins.is_at(HOST, AT)
    await origins.is_at("unknown.example", AT)
    assert names.asked == [HOST, "unknown.example", "unknown.example"]
    clock.advance(240_000)
    await origins.is_at(HOST, AT)
    assert names.asked[-1] == HOST


async def test_name_servers_that_hang_hold_up_nobody_for_long(clock: ManualClock, names: Names) -> None:
    origins = Origins(clock, names, patience_ms=0)
    names.gate.clear()
    for number, address in enumerate(networks(30)):
        assert not await origins.is_at(f"a.site{number}.example", address)
        assert not await origins.is_at(f"b.site{number}.example", address)
        assert not await origins.is_at(f"a.site{number}.example", address)
    await asyncio.sleep(0)
    assert len(names.asked) == 8
    names.gate.set()
    for _ in range(5):
        await asyncio.sleep(0)
    await origins.is_at(HOST, AT)
    for _ in range(5):
        await asyncio.sleep(0)
    assert await origins.is_at(HOST, AT), "who asks again finds the answer"
    names.gate.clear()
    await origins.is_at("c.example", AT)
    await origins.close()


async def test_junk_in_the_names_of_those_we_know_is_charged_to_who_sends_it(fetches: KeyFetches) -> None:
    junk = [fetches.charge(HOST, "198.51.100.9", known=True) for _ in range(100)]
    assert 10 <= sum(refusal is None for refusal in junk) < 30
    assert fetches.charge(HOST, "203.0.113.5", known=True) is None
    assert fetches.charge(HOST, "203.0.113.6", known=False) is None


async def test_who_we_know_is_fetched_as_often_as_its_keys_turn_out_right(fetches: KeyFetches) -> None:
    for _ in range(25):
        assert fetches.charge(HOST, AT, known=True) is None
        fetches.was_worth_it(HOST, AT)
