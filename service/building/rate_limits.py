"""How often one may ask, as configured."""

from __future__ import annotations

from foundation.clock import Clock
from foundation.ratelimit import WindowLimiter
from service.config import Rate

MAX_LIMITED_CLIENTS = 100_000


def rate_limiter(clock: Clock, rate: Rate | None) -> WindowLimiter[str] | None:
    """A limiter for a configured rate; None for ``never``."""
    return None if rate is None else WindowLimiter(clock, rate.limit, rate.window_ms, MAX_LIMITED_CLIENTS)
