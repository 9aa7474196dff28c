"""How many viewers one address has at once; no address and no viewer is kept.

An address is known by a keyed hash only, its viewers by a bit each. The key is random and dies with the process.
"""

from __future__ import annotations

import hashlib
import secrets
from functools import lru_cache

from foundation.addresses import network_key
from foundation.clock import Clock
from foundation.distinct import DistinctLimiter
from foundation.metrics import Metrics

_HASH_BYTES = 8


class Crowding:
    """At most about ``limit`` viewers of one address (IPv6: of one /64) within ``window_ms``; counted per process."""

    def __init__(self, clock: Clock, metrics: Metrics, limit: int, window_ms: int) -> None:
        self._key = secrets.token_bytes(16)
        # The same players all day, from the same addresses.
        self._name = lru_cache(maxsize=8_192)(self._hash)
        self._addresses: DistinctLimiter[bytes] = DistinctLimiter(clock, limit, window_ms)
        metrics.gauge_from(
            "fediviews_viewer_addresses_kept",
            "Keyed hashes of viewers' addresses held in memory",
            lambda: len(self._addresses),
        )

    def admits(self, address: str, viewer: bytes) -> bool:
        """Whether this viewer is among the first ``limit`` of its address; those who are here are never turned out."""
        return self._addresses.admits(self._name(address), int.from_bytes(viewer[:8]))

    def _hash(self, address: str) -> bytes:
        raw = network_key(address).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(raw, digest_size=_HASH_BYTES, key=self._key).digest()
