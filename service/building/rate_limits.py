"""How often one may ask, as configured."""

from __future__ import annotations

from federation.peers.parties import Parties
from foundation.clock import Clock
from foundation.ratelimit import WindowLimiter
from inbox.quotas import HostLimiter
from service.config import Rate

MAX_LIMITED_CLIENTS = 100_000


def rate_limiter(clock: Clock, rate: Rate | None) -> WindowLimiter[str] | None:
    """A limiter for a configured rate; None for ``never``."""
    return None if rate is None else WindowLimiter(clock, rate.limit, rate.window_ms, MAX_LIMITED_CLIENTS)


def host_limiter(clock: Clock, rate: Rate | None, parties: Parties) -> HostLimiter | None:
    """A limiter of hosts for a configured rate; None for ``never``."""
    if rate is None:
        return None
    return HostLimiter(clock, rate.limit, rate.window_ms, parties.circles)
