"""Names asked of name servers, without a thread per question: a question that is never answered costs a few kilobytes.

c-ares reads what getaddrinfo reads (``/etc/hosts``, the name servers, search domains and options of
``/etc/resolv.conf``, and the order in ``/etc/nsswitch.conf``), but no plugins of NSS. It notices when they change.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

import aiodns
import pycares
from aiohttp.abc import AbstractResolver, ResolveResult

_TRY_S, _TRIES = 1.0, 5
"""Patience with the first try; c-ares doubles it at each, and shortens it for a name server that was quick before."""
QUESTIONS_PER_CACHE = 10_000
"""c-ares remembers answers for up to an hour and has no bound for them; a new one has forgotten them."""


class NameServers(AbstractResolver):
    """Made outside of a loop, used in one. ``servers``: addresses, with or without a port; none: the system's."""

    def __init__(self, servers: Sequence[str] = (), questions_per_cache: int = QUESTIONS_PER_CACHE) -> None:
        self._servers = servers
        self._questions_per_cache = questions_per_cache
        self._asked = 0
        self._closed = False
        self._now: aiodns.DNSResolver | None = None
        self._before: aiodns.DNSResolver | None = None

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises OSError (TimeoutError is one).

        Nobody waits for a cancelled question any more; c-ares itself forgets it after its tries.
        """
        resolver = await self._resolver()
        try:
            found = await resolver.getaddrinfo(
                host, family=family, port=port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
            )
        except (aiodns.error.DNSError, UnicodeError) as error:
            if error.args[0] == aiodns.error.ARES_ETIMEOUT:
                raise TimeoutError("the name servers did not answer") from None
            raise OSError("the name servers know no address") from None
        return [
            ResolveResult(
                hostname=host,
                host=node.addr[0].decode("ascii"),
                port=port,
                family=node.family,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for node in found.nodes
        ]

    async def close(self) -> None:
        self._closed = True
        for resolver in (self._before, self._now):
            if resolver is not None:
                await resolver.close()
        self._before = self._now = None

    async def _resolver(self) -> aiodns.DNSResolver:
        if self._closed:
            raise OSError("the resolver is closed")
        if self._now is None or self._asked >= self._questions_per_cache:
            new = self._new()
            idle, self._before, self._now = self._before, self._now, new
            self._asked = 0
            if idle is not None:
                await idle.close()
        self._asked += 1
        return self._now

    def _new(self) -> aiodns.DNSResolver:
        try:
            return aiodns.DNSResolver(
                self._servers or None, loop=asyncio.get_running_loop(), timeout=_TRY_S, tries=_TRIES
            )
        except pycares.AresError:
            raise OSError("no name servers can be asked") from None
