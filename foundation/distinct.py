"""How many different things somebody has at once, without keeping any of them.

Per key there is one number whose bits are the things (linear counting: Whang and others, 1990): four bits per thing
allowed, so that the count is right within a few percent. Two windows are looked at, the current one and the one before.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Generic, TypeVar

from foundation.clock import Clock

K = TypeVar("K")

MAX_KEYS = 50_000
MAX_BYTES = 32_000_000
"""Of one window at most, whichever is reached first; then the key that had nothing new for longest is forgotten, and
counts anew."""

_OVERHEAD_BYTES = 200
"""What a key costs beside its bits."""


class DistinctLimiter(Generic[K]):
    """At most about ``limit`` different things per key within ``window_ms`` (and at most twice that)."""

    def __init__(self, clock: Clock, limit: int, window_ms: int, max_keys: int = MAX_KEYS) -> None:
        self._clock = clock
        self._limit = limit
        self._window_ms = window_ms
        self._width = max(64, 1 << (4 * limit - 1).bit_length())
        self._most = max(1, min(max_keys, MAX_BYTES // (self._width // 8 + _OVERHEAD_BYTES)))
        self._now: OrderedDict[K, int] = OrderedDict()
        self._before: OrderedDict[K, int] = OrderedDict()
        self._began_ms = clock.monotonic_ms()

    def admits(self, key: K, thing: int, limit: int | None = None) -> bool:
        """Whether ``thing`` (evenly spread, as a hash is) is among the first ``limit`` of its key.

        Those that were admitted stay so while they are seen once per window. ``limit`` of this key, at most the
        limiter's own, which is the default.
        """
        self._turn()
        bit = 1 << (thing % self._width)
        now = self._now.get(key, 0)
        if now & bit:
            return True
        limit = self._limit if limit is None else min(limit, self._limit)
        before = self._before.get(key, 0)
        if not before & bit and (now | before).bit_count() >= self._bits_of(limit):
            return False
        self._now[key] = now | bit
        self._now.move_to_end(key)
        if len(self._now) > self._most:
            self._now.popitem(last=False)
        return True

    def __len__(self) -> int:
        """Keys remembered, in both windows."""
        return len(self._now) + len(self._before)

    def _bits_of(self, limit: int) -> int:
        """How many bits are set when so many things have fallen on them."""
        return min(limit, math.ceil(self._width * (1 - math.exp(-limit / self._width))))

    def _turn(self) -> None:
        passed_ms = self._clock.monotonic_ms() - self._began_ms
        if passed_ms < self._window_ms:
            return
        self._before = self._now if passed_ms < 2 * self._window_ms else OrderedDict()
        self._now = OrderedDict()
        self._began_ms += passed_ms - passed_ms % self._window_ms
