"""Whether a request comes from the machine that its key lies on: a sign of the genuine sender, never a proof."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Protocol

from federation.places import Places
from foundation.addresses import network_key, parse_address
from foundation.clock import Clock
from foundation.sites import site_of

PATIENCE_MS = 1_000
"""So long a request waits for the name server; whoever asks again later finds the answer."""
AT_ONCE = 8
_AT_ONCE_OF_SITE, _AT_ONCE_FOR_NETWORK = 1, 2
_REMEMBERED = 10_000
_KNOWN_MS, _UNKNOWN_MS = 300_000, 60_000
_NOWHERE: frozenset[str] = frozenset()


class Resolver(Protocol):
    """The part of `foundation.lookups.Lookups` that is needed here. Raises OSError."""

    async def resolve(self, host: str) -> Sequence[Mapping[str, object]]: ...

    async def close(self) -> None: ...


class Origins:
    """Looks names up, at most eight at once, one of a site and two for a network, and remembers the answers."""

    def __init__(self, clock: Clock, resolver: Resolver, patience_ms: int = PATIENCE_MS) -> None:
        self._clock = clock
        self._resolver = resolver
        self._patience_s = patience_ms / 1000
        self._places = Places(AT_ONCE, (_AT_ONCE_OF_SITE, _AT_ONCE_FOR_NETWORK), 0)
        self._known: OrderedDict[str, tuple[int, frozenset[str]]] = OrderedDict()
        self._asking: dict[str, asyncio.Task[None]] = {}

    async def is_at(self, authority: str, address: str) -> bool:
        """Whether the name of an authority leads to this address (IPv6: to its /64), as far as can be said quickly."""
        host = _host(authority)
        if parse_address(host) is not None:
            return network_key(host) == network_key(address)
        known = self._remembered(host)
        if known is None:
            await self._look(host, address)
            known = self._remembered(host)
        return known is not None and network_key(address) in known

    async def close(self) -> None:
        for task in list(self._asking.values()):
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)
        await self._resolver.close()

    def _remembered(self, host: str) -> frozenset[str] | None:
        until_ms, known = self._known.get(host, (0, _NOWHERE))
        return known if self._clock.monotonic_ms() < until_ms else None

    async def _look(self, host: str, address: str) -> None:
        task = self._asking.get(host)
        if task is None:
            groups = site_of(host), network_key(address)
            if not self._places.take(*groups):
                return
            task = self._asking[host] = asyncio.create_task(self._ask(host, groups), name="where a key lies")
        await asyncio.wait((task,), timeout=self._patience_s)

    async def _ask(self, host: str, groups: tuple[str, str]) -> None:
        # The place is given back when the name server is done, however long nobody waits for it any more.
        found = _NOWHERE
        try:
            found = frozenset(network_key(str(result["host"])) for result in await self._resolver.resolve(host))
        except OSError:
            pass
        finally:
            self._places.leave(*groups)
            del self._asking[host]
        lifetime_ms = _KNOWN_MS if found else _UNKNOWN_MS
        self._known[host] = (self._clock.monotonic_ms() + lifetime_ms, found)
        self._known.move_to_end(host)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)


def _host(authority: str) -> str:
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.rpartition(":")[0] if authority.rpartition(":")[2].isdecimal() and ":" in authority else authority
