"""The socket's bounds: how many connections there are, of one address too, and how long one may hesitate to speak."""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web, web_protocol
from aiohttp.web_protocol import RequestHandler

from foundation.addresses import network_key, parse_address
from foundation.metrics import Metrics
from foundation.web import Network

OTHER_FILES = 200
"""Open files that are no connections of clients: databases, journal, connections to peers."""

PIPELINED = 2
"""Requests of one connection that are read before the first is answered. What more is sent waits with the operating
system: taken apart, each would cost some 4 kB, and work that is lost when its sender hangs up."""

ACCEPTED_AT_A_TIME = 16
"""Connections taken in one turn of the event loop. libuv takes one per turn and socket: when a turn takes long, who is
connected already is served, and nobody else gets in."""

_TOO_MANY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

log = logging.getLogger("fediviews")


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """``most`` connections, ``most_per_address`` of one address (IPv6: one /64) that is not ``trusted``.

    ``first_request_ms``: how long after a connection is made its first request may take to be all there.
    """

    most: int
    most_per_address: int
    first_request_ms: int
    trusted: Sequence[Network] = ()


class BoundedServer(web.Server):
    """aiohttp's server, which has no bound of its own: made out of a running one by `bound`."""

    def bound(self, limits: ConnectionLimits, metrics: Metrics) -> None:
        """Before the socket listens."""
        self._limits = limits
        self._open = 0
        self._addresses: Counter[str] = Counter()
        self._names: dict[RequestHandler, str | None] = {}
        refused = metrics.counter(
            "fediviews_connections_refused", "Connections closed at once, by which bound was reached", ["bound"]
        )
        self._refused = {name: refused.labels(name).inc for name in ("all", "address", "silent")}
        metrics.gauge_from("fediviews_connections", "Open connections of clients", lambda: self._open)

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        name = self._name(transport)
        self._open += 1
        self._names[handler] = name
        if name is not None:
            self._addresses[name] += 1
        bound = ""
        if self._open > self._limits.most:
            bound = "all"
        elif name is not None and self._addresses[name] > self._limits.most_per_address:
            bound = "address"
        if bound:
            self._refused[bound]()
            transport.write(_TOO_MANY)
            # The handler is about to begin, and wants to find its connection.
            asyncio.get_running_loop().call_soon(transport.close)
            return
        asyncio.get_running_loop().call_later(self._limits.first_request_ms / 1000, self._look, handler, transport)

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        if handler not in self._names:
            return
        name = self._names.pop(handler)
        self._open -= 1
        if name is not None:
            self._addresses[name] -= 1
            if self._addresses[name] <= 0:
                del self._addresses[name]

    def _look(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        # aiohttp has no public name for it; the test of slow headers fails when it is another one.
        if handler in self._names and handler._request_count == 0:
            self._refused["silent"]()
            transport.close()

    def _name(self, transport: asyncio.Transport) -> str | None:
        peer = transport.get_extra_info("peername")
        address = parse_address(peer[0].partition("%")[0]) if isinstance(peer, tuple) else None
        if address is None or any(address in network for network in self._limits.trusted):
            return None
        return network_key(str(address))


def bound_connections(runner: web.AppRunner, limits: ConnectionLimits, metrics: Metrics) -> None:
    """After ``runner.setup()``, before its first site starts."""
    server = runner.server
    assert server is not None
    # Read by aiohttp for each new connection; 32 of its own accord, and no argument for it.
    web_protocol.MAX_MSG_QUEUE_SIZE = PIPELINED
    # The runner makes its server itself; this one has the same attributes, and two of its methods do more.
    server.__class__ = BoundedServer
    assert isinstance(server, BoundedServer)
    server.bound(limits, metrics)


async def accept_more(runner: web.AppRunner, backlog: int) -> None:
    """Watch each listening socket of ``runner`` from several places, all of which take from the same queue."""
    for site in tuple(runner.sites):
        for listening in getattr(site, "_server").sockets:  # noqa: B009
            for _ in range(ACCEPTED_AT_A_TIME - 1):
                again = socket.fromfd(listening.fileno(), listening.family, listening.type)
                await web.SockSite(runner, again, backlog=backlog).start()


def room_for(connections: int) -> int:
    """As many of these connections as the process may have open files for; raises its soft limit when it can."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if soft < wanted:
            log.warning("room for %d connections only: raise the limit of open files (ulimit -n)", soft - OTHER_FILES)
    return connections if soft == resource.RLIM_INFINITY else max(1, min(connections, soft - OTHER_FILES))
