"""Limits per key with a bounded number of keys. Constant time, no task behind them, monotonic time only."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
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

    def hit(self, key: K) -> int | None:
        """Count one hit. None: it is within the limit; else the whole seconds, at least 1, until the window ends."""
        now_ms = self._clock.monotonic_ms()
        ends_ms, count = self._windows.get(key, (0, 0))
        if count == 0 or ends_ms <= now_ms:
            self._windows[key] = (now_ms + self._window_ms, 1)
            self._windows.move_to_end(key)
            if len(self._windows) > self._max_keys:
                self._windows.popitem(last=False)
            return None
        self._windows.move_to_end(key)
        if count >= self._limit:
            return _seconds(ends_ms - now_ms)
        self._windows[key] = (ends_ms, count + 1)
        return None

    def peek(self, key: K) -> int | None:
        """What a hit would say, without counting one."""
        ends_ms, count = self._windows.get(key, (0, 0))
        now_ms = self._clock.monotonic_ms()
        return _seconds(ends_ms - now_ms) if count >= self._limit and ends_ms > now_ms else None

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._windows)


@dataclass(slots=True)
class _Shared:
    ends_ms: int
    count: int
    of: dict[str, int]


class SharedLimiter:
    """At most ``limit`` hits per group in a window as of `WindowLimiter`, shared fairly by the group's members.

    Where a group has used up its limit, a member that is below an equal share of it passes all the same: whoever took
    more than that is refused first. So of n members come at most ``limit`` times ln(n) + 1 hits, and from more members
    than ``limit`` nothing more. ``max_members`` of all groups are remembered; the group longest unheard goes first.
    """

    def __init__(self, clock: Clock, limit: int, window_ms: int, max_members: int = 100_000) -> None:
        if limit < 1 or window_ms < 1 or max_members < 1:
            raise ValueError("limit, window and number of members must be positive")
        self._clock = clock
        self._limit = limit
        self._window_ms = window_ms
        self._max_members = max_members
        self._groups: OrderedDict[str, _Shared] = OrderedDict()
        self._members = 0

    def hit(self, group: str, member: str) -> int | None:
        """Count one hit. None: it is within the limit; else the whole seconds, at least 1, until the window ends."""
        wait_s = self.peek(group, member)
        if wait_s is not None:
            return wait_s
        now_ms = self._clock.monotonic_ms()
        window = self._groups.get(group)
        if window is None or window.ends_ms <= now_ms:
            self._members -= 0 if window is None else len(window.of)
            window = self._groups[group] = _Shared(now_ms + self._window_ms, 0, {})
        self._groups.move_to_end(group)
        taken = window.of.get(member, 0)
        window.of[member] = taken + 1
        window.count += 1
        if not taken:
            self._members += 1
            while self._members > self._max_members:
                self._members -= len(self._groups.popitem(last=False)[1].of)
        return None

    def peek(self, group: str, member: str) -> int | None:
        """What a hit would say, without counting one."""
        window, now_ms = self._groups.get(group), self._clock.monotonic_ms()
        if window is None or window.ends_ms <= now_ms or window.count < self._limit:
            return None
        taken = window.of.get(member, 0)
        members = len(window.of) + (not taken)
        return None if (taken + 1) * members <= self._limit else _seconds(window.ends_ms - now_ms)

    def __len__(self) -> int:
        """How many members are remembered."""
        return self._members


class WindowCounter(Generic[K]):
    """How often each key was seen in a window that opens with its first sight. Bounded like `WindowLimiter`."""

    def __init__(self, clock: Clock, window_ms: int, max_keys: int = 100_000) -> None:
        if window_ms < 1 or max_keys < 1:
            raise ValueError("window and number of keys must be positive")
        self._clock = clock
        self._window_ms = window_ms
        self._max_keys = max_keys
        self._windows: OrderedDict[K, tuple[int, int]] = OrderedDict()

    def seen(self, key: K) -> int:
        """How often in the window that is open now; 0 when none is."""
        ends_ms, count = self._windows.get(key, (0, 0))
        return count if self._clock.monotonic_ms() < ends_ms else 0

    def see(self, key: K) -> None:
        """Once more."""
        now_ms = self._clock.monotonic_ms()
        ends_ms, count = self._windows.get(key, (0, 0))
        if now_ms >= ends_ms:
            ends_ms, count = now_ms + self._window_ms, 0
        self._windows[key] = (ends_ms, count + 1)
        self._windows.move_to_end(key)
        if len(self._windows) > self._max_keys:
            self._windows.popitem(last=False)

    def forgive(self, key: K) -> None:
        """Once less, in the window that is open."""
        ends_ms, count = self._windows.get(key, (0, 0))
        if count:
            self._windows[key] = (ends_ms, count - 1)

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._windows)


def _seconds(duration_ms: int) -> int:
    return max(1, -(-duration_ms // 1000))
