"""How many viewers one address has at once; no address is kept.

An address is known by a keyed hash only, its viewers by eight bytes. The key is random and dies with the process.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from functools import lru_cache

from foundation.addresses import network_key
from foundation.clock import Clock
from foundation.metrics import Metrics

_HASH_BYTES = 8
MAX_ADDRESSES = 50_000
MAX_VIEWERS = 250_000
"""Of all addresses together. Whichever is reached first: the address that was silent for longest is forgotten, and
counts anew."""

_SPREAD = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1

_Viewers = OrderedDict[int, int]
"""A viewer of one video -> when it was here last; who was silent for longest comes first."""


class Crowding:
    """At most ``limit`` viewers of one address (IPv6: of one /64) at once; counted per process.

    A viewer is here until ``window_ms`` after its last report, or until it says that it leaves. Who watches two videos
    is two viewers: it raises two numbers.
    """

    def __init__(self, clock: Clock, metrics: Metrics, limit: int, window_ms: int) -> None:
        self._key = secrets.token_bytes(16)
        self._clock = clock
        self._limit = limit
        self._window_ms = window_ms
        # The same players all day, from the same addresses.
        self._name = lru_cache(maxsize=8_192)(self._hash)
        self._addresses: OrderedDict[bytes, _Viewers] = OrderedDict()
        self._size = 0
        metrics.gauge_from(
            "fediviews_viewer_addresses_kept",
            "Keyed hashes of viewers' addresses held in memory",
            lambda: len(self._addresses),
        )

    def admits(self, address: str, viewer: bytes, video: int) -> bool:
        """Whether this viewer is among the first ``limit`` of its address; those who are here are never turned out."""
        name, one, now_ms = self._name(address), _one(viewer, video), self._clock.monotonic_ms()
        viewers = self._addresses.get(name)
        if viewers is None:
            viewers = self._addresses[name] = OrderedDict()
        if one not in viewers:
            if len(viewers) >= self._limit:
                self._forget_silent(viewers, now_ms)
                if len(viewers) >= self._limit:
                    return False
            self._size += 1
        viewers[one] = now_ms
        viewers.move_to_end(one)
        self._addresses.move_to_end(name)
        while len(self._addresses) > MAX_ADDRESSES or self._size > MAX_VIEWERS:
            self._size -= len(self._addresses.popitem(last=False)[1])
        return True

    def left(self, address: str, viewer: bytes, video: int) -> None:
        """It is no viewer any more, and makes room for another."""
        name = self._name(address)
        viewers = self._addresses.get(name)
        if viewers is not None and viewers.pop(_one(viewer, video), None) is not None:
            self._size -= 1
            if not viewers:
                del self._addresses[name]

    def _forget_silent(self, viewers: _Viewers, now_ms: int) -> None:
        while viewers:
            one, seen_ms = next(iter(viewers.items()))
            if seen_ms > now_ms - self._window_ms:
                return
            del viewers[one]
            self._size -= 1

    def _hash(self, address: str) -> bytes:
        raw = network_key(address).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(raw, digest_size=_HASH_BYTES, key=self._key).digest()


def _one(viewer: bytes, video: int) -> int:
    return int.from_bytes(viewer[:8]) ^ (video * _SPREAD & _MASK)
