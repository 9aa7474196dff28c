"""Look-ups of names within bounds: names that hang take time and places from nobody else.

Each look-up has a time limit of its own, is shared by all who wait for the name, and ends when nobody does. A name that
hung is not asked for a while; of its site (`foundation.sites`) only few at once until one is answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import StrEnum

from aiohttp.abc import AbstractResolver, ResolveResult

from foundation.clock import Clock
from foundation.sites import site_of

OF_SITE, OF_HANGING_SITE = 8, 2
"""Look-ups of one site at once; further ones wait, or are refused while the site hangs."""
HANGS_FOR_MS = 15_000
REMEMBERED = 10_000


class Lookup(StrEnum):
    """How a look-up ended. ``hanging``: not asked, because it hung a moment ago."""

    ANSWERED = "answered"
    FAILED = "failed"
    TIMEOUT = "timeout"
    HANGING = "hanging"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class LookupLimits:
    timeout_ms: int = 3_000
    at_once: int = 512


@dataclass(slots=True)
class _Shared:
    task: asyncio.Task[list[ResolveResult]]
    waiting: int = 0


@dataclass(slots=True)
class _Site:
    places: asyncio.Semaphore
    here: int = 0


class Lookups(AbstractResolver):
    """Another resolver within bounds. ``ended`` hears how each look-up ended. All failures are OSError."""

    def __init__(
        self,
        inner: AbstractResolver,
        clock: Clock,
        limits: LookupLimits | None = None,
        ended: Callable[[Lookup], None] = lambda how: None,
    ) -> None:
        limits = limits or LookupLimits()
        self._inner = inner
        self._clock = clock
        self._timeout_s = limits.timeout_ms / 1000
        self._places = asyncio.Semaphore(limits.at_once)
        self._ended = ended
        self._shared: dict[tuple[str, int], _Shared] = {}
        self._sites: dict[str, _Site] = {}
        # Names and sites -> until when they are taken for hanging; the oldest first.
        self._hanging: OrderedDict[str, int] = OrderedDict()

    def in_flight(self) -> int:
        """Look-ups that are under way or wait for their turn."""
        return len(self._shared)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        key = (host, family)
        shared = self._shared.get(key)
        if shared is None:
            site = site_of(host)
            if self._hangs(host) or (self._hangs(_all_of(site)) and self._crowded(site)):
                self._ended(Lookup.HANGING)
                raise OSError("the name servers of this site do not answer")
            task = asyncio.create_task(self._look_up(host, site, family), name="name look-up")
            shared = self._shared[key] = _Shared(task)
            task.add_done_callback(lambda done: self._forget(key, done))
        shared.waiting += 1
        try:
            found = await asyncio.shield(shared.task)
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if shared.task.cancelled() and not (current and current.cancelling()):
                raise OSError("the resolver is closed") from None
            raise
        finally:
            shared.waiting -= 1
            if not shared.waiting and not shared.task.done():
                shared.task.cancel()
                self._shared.pop(key, None)
        return [ResolveResult(**{**result, "port": port}) for result in found]

    async def close(self) -> None:
        """Drop all look-ups; whoever waits for one hears OSError."""
        tasks = [shared.task for shared in self._shared.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._inner.close()

    async def _look_up(self, host: str, site: str, family: socket.AddressFamily) -> list[ResolveResult]:
        asked = False
        how = Lookup.ABANDONED
        try:
            async with asyncio.timeout(self._timeout_s), self._place(site):
                asked = True
                how = Lookup.FAILED
                found = await self._inner.resolve(host, 0, family)
            how = Lookup.ANSWERED
            self._hanging.pop(_all_of(site), None)
            return found
        except TimeoutError:
            how = Lookup.TIMEOUT
            if asked:
                self._remember(host)
                self._remember(_all_of(site))
            raise OSError("the name servers did not answer in time") from None
        except asyncio.CancelledError:
            how = Lookup.ABANDONED
            raise
        finally:
            self._ended(how)

    @contextlib.asynccontextmanager
    async def _place(self, name: str) -> AsyncIterator[None]:
        """A place of the site, then one of all: a site that waits for its own holds none of the others'."""
        site = self._sites.setdefault(name, _Site(asyncio.Semaphore(OF_SITE)))
        site.here += 1
        try:
            async with site.places, self._places:
                yield
        finally:
            site.here -= 1
            if not site.here:
                del self._sites[name]

    def _crowded(self, name: str) -> bool:
        site = self._sites.get(name)
        return site is not None and site.here >= OF_HANGING_SITE

    def _hangs(self, name: str) -> bool:
        return self._clock.monotonic_ms() < self._hanging.get(name, 0)

    def _remember(self, name: str) -> None:
        self._hanging[name] = self._clock.monotonic_ms() + HANGS_FOR_MS
        self._hanging.move_to_end(name)
        if len(self._hanging) > REMEMBERED:
            self._hanging.popitem(last=False)

    def _forget(self, key: tuple[str, int], done: asyncio.Task[list[ResolveResult]]) -> None:
        shared = self._shared.get(key)
        if shared is not None and shared.task is done:
            del self._shared[key]
        if not done.cancelled():
            done.exception()  # Nobody may have waited for it to the end.


def _all_of(site: str) -> str:
    return "*." + site
