"""How many viewers one address has at once, without keeping any address or viewer.

Per address, known by a keyed hash only, there is one number whose bits are viewers (linear counting: Whang and others,
1990): four bits per viewer allowed, so that the count is right within a few percent. Two windows of one viewer lifetime
each are looked at, the current one and the one before. The key is random and dies with the process.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections import OrderedDict
from functools import lru_cache

from foundation.addresses import network_key
from foundation.clock import Clock
from foundation.metrics import Metrics

MAX_ADDRESSES = 50_000
MAX_BYTES = 32_000_000
"""Of one window at most, whichever is reached first; then the address not heard of for longest is forgotten, and its
viewers count anew."""

_OVERHEAD_BYTES = 200
"""What an address costs beside its bits."""

_HASH_BYTES = 8

_network_key = lru_cache(maxsize=8_192)(network_key)


class Crowding:
    """At most ``limit`` viewers of one address (IPv6: of one /64) within ``window_ms``; counted per process."""

    def __init__(self, clock: Clock, metrics: Metrics, limit: int, window_ms: int) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(16)
        self._window_ms = window_ms
        self._width = max(64, 1 << (4 * limit - 1).bit_length())
        # So many bits are set when ``limit`` viewers have fallen on them.
        self._full = min(limit, math.ceil(self._width * (1 - math.exp(-limit / self._width))))
        self._most = min(MAX_ADDRESSES, MAX_BYTES // (self._width // 8 + _OVERHEAD_BYTES))
        self._now: OrderedDict[bytes, int] = OrderedDict()
        self._before: OrderedDict[bytes, int] = OrderedDict()
        self._began_ms = clock.monotonic_ms()
        metrics.gauge_from(
            "fediviews_viewer_addresses_kept", "Keyed hashes of viewers' addresses held in memory", self._kept
        )

    def admits(self, address: str, viewer: bytes) -> bool:
        """Whether this viewer is among the first ``limit`` of its address; those who are here are never turned out."""
        self._turn()
        name = self._hash(address)
        bit = 1 << (int.from_bytes(viewer[:8]) % self._width)
        now, before = self._now.get(name, 0), self._before.get(name, 0)
        if not now & bit:
            if not before & bit and (now | before).bit_count() >= self._full:
                return False
            self._now[name] = now | bit
            if len(self._now) > self._most:
                self._now.popitem(last=False)
        self._now.move_to_end(name)
        return True

    def _kept(self) -> int:
        return len(self._now) + len(self._before)

    def _hash(self, address: str) -> bytes:
        raw = _network_key(address).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(raw, digest_size=_HASH_BYTES, key=self._key).digest()

    def _turn(self) -> None:
        passed_ms = self._clock.monotonic_ms() - self._began_ms
        if passed_ms < self._window_ms:
            return
        self._before = self._now if passed_ms < 2 * self._window_ms else OrderedDict()
        self._now = OrderedDict()
        self._began_ms += passed_ms - passed_ms % self._window_ms
