"""Which addresses watch what, just now: for messages that name no viewer. No address is kept."""

from __future__ import annotations

from functools import lru_cache

from foundation.addresses import network_key
from foundation.clock import Clock

FOR_MS = 180_000
"""How long after its last report an address is known at least, twice as long at most: a player says how the last part
went when it is over."""

MOST = 200_000
"""Of one half: beyond it the older half is forgotten before its time."""

_network_key = lru_cache(maxsize=8_192)(network_key)


class Audience:
    """``seen`` with every report that makes a viewer, ``knows`` with what names none.

    Addresses (IPv6: /64) and videos are kept together, as one number whose seed is Python's and dies with the process.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._now: set[int] = set()
        self._before: set[int] = set()
        self._turn_ms = clock.monotonic_ms() + FOR_MS

    def seen(self, address: str, video: int) -> None:
        """Somebody of this address watches that video."""
        now_ms = self._clock.monotonic_ms()
        if now_ms >= self._turn_ms or len(self._now) >= MOST:
            self._turn(now_ms)
        self._now.add(hash((_network_key(address), video)))

    def knows(self, address: str, video: int) -> bool:
        """Has anybody there watched it lately?"""
        now_ms = self._clock.monotonic_ms()
        if now_ms >= self._turn_ms:
            self._turn(now_ms)
        name = hash((_network_key(address), video))
        return name in self._now or name in self._before

    def _turn(self, now_ms: int) -> None:
        self._before = self._now if now_ms < self._turn_ms + FOR_MS else set()
        self._now = set()
        self._turn_ms = now_ms + FOR_MS
