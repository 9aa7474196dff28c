"""How fast one address, and one proven host, may talk to the inbox."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from federation.peers.parties import Circle
from foundation.addresses import network_key
from foundation.clock import Clock
from foundation.errors import Refused
from foundation.ratelimit import SharedLimiter, WindowLimiter
from inbox.reasons import InboxReason

Circles = Callable[[str], Sequence[Circle]]
"""The parties of several that a host is part of; see :meth:`federation.peers.parties.Parties.circles`."""

MAX_KEYS = 50_000
"""Addresses or hosts remembered at once; the longest unheard is forgotten first."""

_network_key = lru_cache(maxsize=8_192)(network_key)  # the same peers all day, from the same addresses


def alone(host: str) -> Sequence[Circle]:
    """Every host stands for itself."""
    return ()


class HostLimiter:
    """At most ``limit`` within a window by each host, and so many times that by each of the ``circles`` it stands in;
    there its heaviest members are refused first."""

    def __init__(self, clock: Clock, limit: int, window_ms: int, circles: Circles = alone) -> None:
        self._circles = circles
        self._clock = clock
        self._limit = limit
        self._window_ms = window_ms
        self._by_host: WindowLimiter[str] = WindowLimiter(clock, limit, window_ms, MAX_KEYS)
        self._by_circle: dict[int, SharedLimiter] = {}

    def hit(self, host: str) -> int | None:
        """Count one. None: it is within the limits; else the whole seconds until it would be."""
        wait_s = self._by_host.hit(host)
        member = host
        if wait_s is not None:
            return wait_s
        for circle in self._circles(host):
            wait_s = self._shared(circle.hosts).hit(circle.name, member)
            if wait_s is not None:
                return wait_s
            member = circle.name
        return None

    def _shared(self, hosts: int) -> SharedLimiter:
        """One for each size that circles have: two."""
        shared = self._by_circle.get(hosts)
        if shared is None:
            shared = SharedLimiter(self._clock, self._limit * hosts, self._window_ms, MAX_KEYS)
            self._by_circle[hosts] = shared
        return shared


class Quotas:
    """By client address before anything is verified, by host once it is proven; the limit is the same.

    The host that a signature merely claims is never charged: else anybody could spend a peer's allowance.
    """

    def __init__(
        self,
        clock: Clock,
        limit: int | None,
        window_ms: int,
        circles: Circles = alone,
    ) -> None:
        self._by_address: WindowLimiter[str] | None = None
        self._by_host: HostLimiter | None = None
        if limit is not None:
            self._by_address = WindowLimiter(clock, limit, window_ms, MAX_KEYS)
            self._by_host = HostLimiter(clock, limit, window_ms, circles)

    def address(self, address: str) -> Refused | None:
        """Of IPv6 the /64 is charged: one customer has at least that much."""
        return None if self._by_address is None else _charge(self._by_address, _network_key(address))

    def host(self, host: str) -> Refused | None:
        return None if self._by_host is None else _charge(self._by_host, host)


def _charge(limiter: WindowLimiter[str] | HostLimiter, key: str) -> Refused | None:
    retry_after_s = limiter.hit(key)
    if retry_after_s is None:
        return None
    return Refused(InboxReason.TOO_MANY_REQUESTS, "slow down", 429, retry_after_s)
