from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from support.name_server import NameServer, name_server

from foundation.clock import ManualClock
from foundation.errors import FetchFailed
from foundation.http import HttpClient
from foundation.lookups import HANGS_FOR_MS, OF_HANGING_SITE, OF_SITE, Lookup, LookupLimits, Lookups
from foundation.metrics import Metrics
from foundation.name_servers import NameServers

Make = Callable[..., Lookups]
SHORT = LookupLimits(timeout_ms=50)


def address_of(name: str) -> str | None:
    """Names with "hang" in them are never answered."""
    return None if "hang" in name else "" if name.startswith("nobody") else "127.0.0.9"


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    async with name_server(address_of) as running:
        yield running


@pytest.fixture
def ends() -> Counter[Lookup]:
    return Counter()


@pytest.fixture
async def make(server: NameServer, clock: ManualClock, ends: Counter[Lookup]) -> AsyncIterator[Make]:
    made: list[Lookups] = []

    def lookups(limits: LookupLimits | None = None, inner: AbstractResolver | None = None) -> Lookups:
        inner = inner or NameServers([server.authority])
        made.append(Lookups(inner, clock, limits, lambda how: ends.update([how])))
        return made[-1]

    yield lookups
    for each in made:
        await each.close()


async def addresses(lookups: Lookups, name: str) -> list[str]:
    return [result["host"] for result in await lookups.resolve(name, 80)]


class Held(AbstractResolver):
    """Answers when told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.ended: list[str] = []
        self.may_answer = asyncio.Event()
        self.closed = False

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked.append(host)
        try:
            await self.may_answer.wait()
        finally:
            self.ended.append(host)
        return [ResolveResult(hostname=host, host="8.8.8.8", port=port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        self.closed = True


async def settled() -> None:
    """Everything that can go on without the world outside has gone on."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_name_servers_answer(make: Make, ends: Counter[Lookup]) -> None:
    lookups = make()
    (found,) = await lookups.resolve("peer.example", 443)
    assert (found["host"], found["port"], found["family"]) == ("127.0.0.9", 443, socket.AF_INET)
    with pytest.raises(OSError, match="know no address"):
        await lookups.resolve("nobody.example")
    with pytest.raises(OSError, match="know no address"):
        await lookups.resolve("x" * 64 + ".example")
    assert ends == {Lookup.ANSWERED: 1, Lookup.FAILED: 2}
    assert lookups.in_flight() == 0


async def test_answers_are_forgotten_after_so_many_questions(server: NameServer) -> None:
    resolver = NameServers([server.authority], questions_per_cache=2)
    try:
        for _ in range(7):
            await resolver.resolve("peer.example", family=socket.AF_INET)
    finally:
        await resolver.close()
    assert server.asked == ["peer.example"] * 4
    with pytest.raises(OSError, match="closed"):
        await resolver.resolve("peer.example")


async def test_names_of_this_machine_are_known_without_a_name_server(make: Make, server: NameServer) -> None:
    assert "127.0.0.1" in await addresses(make(), "localhost")
    assert server.asked == []


async def test_names_that_hang_hold_nobody_up(make: Make, server: NameServer) -> None:
    # More names and sites than the old resolver had threads, twenty times over.
    lookups = make(LookupLimits(timeout_ms=600_000))
    hanging = [asyncio.create_task(lookups.resolve(f"x{n}.hang{n % 20}.example")) for n in range(200)]
    while len({name for name in server.asked if "hang" in name}) < 20 * OF_SITE:
        server.heard.clear()
        await server.heard.wait()
    assert await addresses(lookups, "honest.example") == ["127.0.0.9"]
    assert lookups.in_flight() == 200
    for each in hanging:
        each.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)
    assert lookups.in_flight() == 0
    assert await addresses(lookups, "another.example") == ["127.0.0.9"]


async def test_closing_waits_for_no_name(make: Make, server: NameServer) -> None:
    lookups = make(LookupLimits(timeout_ms=600_000))
    waiting = [asyncio.create_task(lookups.resolve(f"x{n}.hang.example")) for n in range(20)]
    await server.heard.wait()
    await lookups.close()
    ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(end) for end in ends} == {OSError}
    assert lookups.in_flight() == 0


async def test_one_look_up_for_all_who_wait(make: Make) -> None:
    held = Held()
    lookups = make(inner=held)
    first, second = (asyncio.create_task(lookups.resolve("peer.example", port)) for port in (80, 443))
    await settled()
    first.cancel()
    await settled()
    held.may_answer.set()
    assert [result["port"] for result in await second] == [443]
    assert held.asked == ["peer.example"]


async def test_a_look_up_ends_when_nobody_waits_any_more(make: Make, ends: Counter[Lookup]) -> None:
    held = Held()
    lookups = make(inner=held)
    waiting = [asyncio.create_task(lookups.resolve(f"x{n % 20}.peer.example")) for n in range(60)]
    await settled()
    assert len(held.asked) == OF_SITE
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await settled()
    # Those that waited for their turn never had it.
    assert len(held.asked) == len(held.ended) == OF_SITE
    assert lookups.in_flight() == 0
    assert ends == {Lookup.ABANDONED: 20}


async def test_asked_again_at_once_after_the_last_one_left(make: Make) -> None:
    held = Held()
    lookups = make(inner=held)
    left = asyncio.create_task(lookups.resolve("peer.example"))
    await settled()
    left.cancel()
    again = asyncio.create_task(lookups.resolve("peer.example"))
    held.may_answer.set()
    assert len(await again) == 1


async def test_places_of_a_site_and_of_all(make: Make) -> None:
    held = Held()
    lookups = make(LookupLimits(timeout_ms=600_000, at_once=OF_SITE + 1), held)
    names = [f"x{n}.one.example" for n in range(30)] + ["two.example", "three.example"]
    waiting = [asyncio.create_task(lookups.resolve(name)) for name in names]
    await settled()
    assert held.asked == [*names[:OF_SITE], "two.example"]
    held.may_answer.set()
    await asyncio.gather(*waiting)
    assert sorted(held.asked) == sorted(names)


async def test_a_name_that_hung_is_not_asked_for_a_while(
    make: Make, server: NameServer, clock: ManualClock, ends: Counter[Lookup]
) -> None:
    lookups = make(SHORT)
    with pytest.raises(OSError, match="in time"):
        await addresses(lookups, "hang.example")
    asked = len(server.asked)
    with pytest.raises(OSError, match="do not answer"):
        await addresses(lookups, "hang.example")
    assert len(server.asked) == asked
    assert ends == {Lookup.TIMEOUT: 1, Lookup.HANGING: 1}
    clock.advance(HANGS_FOR_MS)
    with pytest.raises(OSError, match="in time"):
        await addresses(lookups, "hang.example")


async def test_of_a_site_that_hung_few_names_are_asked_until_one_is_answered(make: Make, ends: Counter[Lookup]) -> None:
    held = Held()
    lookups = make(SHORT, held)
    with pytest.raises(OSError, match="in time"):
        await lookups.resolve("a.peer.example")
    few = [asyncio.create_task(lookups.resolve(f"b{n}.peer.example")) for n in range(OF_HANGING_SITE)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(OSError, match="do not answer"):
        await lookups.resolve("c.peer.example")
    other = asyncio.create_task(lookups.resolve("other.example"))
    held.may_answer.set()
    await asyncio.gather(*few, other)
    many = [lookups.resolve(f"d{n}.peer.example") for n in range(3 * OF_SITE)]
    assert len(await asyncio.gather(*many)) == 3 * OF_SITE
    assert ends[Lookup.HANGING] == 1


async def test_what_name_servers_say_is_judged_before_anything_is_dialled(
    make: Make, server: NameServer, clock: ManualClock
) -> None:
    knocks = asyncio.Event()
    # On every loopback address, that of the answer among them.
    trap = await asyncio.start_server(lambda *_: knocks.set(), "0.0.0.0", 0)
    url = f"http://peer.example:{trap.sockets[0].getsockname()[1]}/"
    async with (
        trap,
        HttpClient(
            clock, Metrics(), allow_private_addresses=False, allow_http=True, user_agent="T", resolver=make()
        ) as client,
    ):
        with pytest.raises(FetchFailed) as caught:
            await client.get(url, accept="*/*")
    assert caught.value.reason == "address_refused"
    assert "peer.example" in server.asked
    assert not knocks.is_set()
