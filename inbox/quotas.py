"""How fast one address, and one proven host, may talk to the inbox."""

from __future__ import annotations

from functools import lru_cache

from foundation.addresses import network_key
from foundation.clock import Clock
from foundation.errors import Refused
from foundation.ratelimit import WindowLimiter
from inbox.reasons import InboxReason

MAX_KEYS = 50_000
"""Addresses or hosts remembered at once; the longest unheard is forgotten first."""

_network_key = lru_cache(maxsize=8_192)(network_key)  # the same peers all day, from the same addresses


class Quotas:
    """Two limiters with one limit: by client address before anything is verified, by host once it is proven.

    The host that a signature merely claims is never charged: else anybody could spend a peer's allowance.
    """

    def __init__(self, clock: Clock, limit: int | None, window_ms: int) -> None:
        self._by_address = _limiter(clock, limit, window_ms)
        self._by_host = _limiter(clock, limit, window_ms)

    def address(self, address: str) -> Refused | None:
        """Of IPv6 the /64 is charged: one customer has at least that much."""
        return None if self._by_address is None else _charge(self._by_address, _network_key(address))

    def host(self, host: str) -> Refused | None:
        return _charge(self._by_host, host)


def _limiter(clock: Clock, limit: int | None, window_ms: int) -> WindowLimiter[str] | None:
    return None if limit is None else WindowLimiter(clock, limit, window_ms, MAX_KEYS)


def _charge(limiter: WindowLimiter[str] | None, key: str) -> Refused | None:
    retry_after_s = None if limiter is None else limiter.hit(key)
    if retry_after_s is None:
        return None
    return Refused(InboxReason.TOO_MANY_REQUESTS, "slow down", 429, retry_after_s)
