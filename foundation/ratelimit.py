"""Limits per key with a bounded number of keys. Constant time, no task behind them, monotonic time only."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

from foundation.clock import Clock

K = TypeVar("K")


class WindowLimiter(Generic[K]):
    """At most ``limit`` hits per key in a window that opens with the key's first hit.

    The meaning of PeerTube's "50 per 10 s": the window does not slide, and a refused hit does not prolong it. When more
    than ``max_keys`` are known the least recently seen one is forgotten, so a flood of keys costs memory only up to the
    bound; `evicted` counts those that were still in their window.
    """

    def __init__(self, clock: Clock, limit: int, window_ms: int, max_keys: int = 100_000) -> None:
        if limit < 1 or window_ms < 1 or max_keys < 1:
            raise ValueError("limit, window and number of keys must be positive")
        self._clock = clock
        self._limit = limit
        self._window_ms = window_ms
        self._max_keys = max_keys
        self._windows: OrderedDict[K, tuple[int, int]] = OrderedDict()
        self.evicted = 0

    def hit(self, key: K) -> int | None:
        """Count one hit. None: it is within the limit; else the whole seconds, at least 1, until the window ends."""
        now_ms = self._clock.monotonic_ms()
        ends_ms, count = self._windows.get(key, (0, 0))
        if count == 0 or ends_ms <= now_ms:
            self._windows[key] = (now_ms + self._window_ms, 1)
            self._windows.move_to_end(key)
            self._forget(now_ms)
            return None
        self._windows.move_to_end(key)
        if count >= self._limit:
            return _seconds(ends_ms - now_ms)
        self._windows[key] = (ends_ms, count + 1)
        return None

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._windows)

    def _forget(self, now_ms: int) -> None:
        if len(self._windows) > self._max_keys:
            _, (ends_ms, _count) = self._windows.popitem(last=False)
            if ends_ms > now_ms:
                self.evicted += 1


class TokenBuckets(Generic[K]):
    """A bucket per key: ``burst`` tokens at first, one more every ``refill_ms``, never more than ``burst``.

    Kept as one instant per key, the one at which its bucket will be full again. Keys beyond ``max_keys`` are forgotten,
    least recently taken first; a forgotten key starts with a full bucket.
    """

    def __init__(self, clock: Clock, burst: int, refill_ms: int, max_keys: int = 100_000) -> None:
        if burst < 1 or refill_ms < 1 or max_keys < 1:
            raise ValueError("burst, refill interval and number of keys must be positive")
        self._clock = clock
        self._refill_ms = refill_ms
        self._capacity_ms = burst * refill_ms
        self._max_keys = max_keys
        self._full_at_ms: OrderedDict[K, int] = OrderedDict()

    def wait_ms(self, key: K) -> int:
        """Milliseconds until a token is there, without taking it; 0 when one is."""
        now_ms = self._clock.monotonic_ms()
        full_at_ms = max(self._full_at_ms.get(key, now_ms), now_ms)
        return max(0, full_at_ms + self._refill_ms - self._capacity_ms - now_ms)

    def take(self, key: K) -> int | None:
        """Take a token: None when there was one, else the milliseconds until there is (nothing is taken)."""
        now_ms = self._clock.monotonic_ms()
        full_at_ms = max(self._full_at_ms.get(key, now_ms), now_ms) + self._refill_ms
        missing_ms = full_at_ms - self._capacity_ms - now_ms
        if missing_ms > 0:
            return missing_ms
        self._full_at_ms[key] = full_at_ms
        self._full_at_ms.move_to_end(key)
        if len(self._full_at_ms) > self._max_keys:
            self._full_at_ms.popitem(last=False)
        return None

    def forget(self, key: K) -> None:
        """Drop a key that will not come back."""
        self._full_at_ms.pop(key, None)

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._full_at_ms)


def _seconds(duration_ms: int) -> int:
    return max(1, -(-duration_ms // 1000))
