"""How fast one address, and one proven host, may talk to the inbox."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from foundation.addresses import network_key
from foundation.clock import Clock
from foundation.errors import Refused
from foundation.ratelimit import WindowLimiter
from inbox.reasons import InboxReason

MAX_KEYS = 50_000
"""Addresses or hosts remembered at once; the longest unheard is forgotten first."""

_network_key = lru_cache(maxsize=8_192)(network_key)  # the same peers all day, from the same addresses


class HostLimiter:
    """At most ``limit`` within a window by each host, and ``hosts_per_site`` times that by each party of several."""

    def __init__(
        self,
        clock: Clock,
        limit: int,
        window_ms: int,
        *,
        party_of: Callable[[str], str] = lambda host: host,
        hosts_per_site: int = 1,
    ) -> None:
        self._party_of = party_of
        self._by_host: WindowLimiter[str] = WindowLimiter(clock, limit, window_ms, MAX_KEYS)
        self._by_party: WindowLimiter[str] = WindowLimiter(clock, limit * hosts_per_site, window_ms, MAX_KEYS)

    def hit(self, host: str) -> int | None:
        """Count one. None: it is within both limits; else the whole seconds until it would be."""
        wait_s = self._by_host.hit(host)
        if wait_s is not None:
            return wait_s
        party = self._party_of(host)
        return None if party == host else self._by_party.hit(party)


class Quotas:
    """By client address before anything is verified, by host once it is proven; the limit is the same.

    The host that a signature merely claims is never charged: else anybody could spend a peer's allowance.
    """

    def __init__(
        self,
        clock: Clock,
        limit: int | None,
        window_ms: int,
        *,
        party_of: Callable[[str], str] = lambda host: host,
        hosts_per_site: int = 1,
    ) -> None:
        self._by_address: WindowLimiter[str] | None = None
        self._by_host: HostLimiter | None = None
        if limit is not None:
            self._by_address = WindowLimiter(clock, limit, window_ms, MAX_KEYS)
            self._by_host = HostLimiter(clock, limit, window_ms, party_of=party_of, hosts_per_site=hosts_per_site)

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
