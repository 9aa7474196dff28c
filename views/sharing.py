"""Do nearly all viewers come from one address? Then a proxy stands before us that is not trusted (PeerTube #6307).

What is kept is a sample: of the viewers of the last minutes the ``SAMPLE`` whose hashes are smallest (bottom-k), each
with the keyed hash of its address. Keys and seeds are random and die with the process; no address and no viewer is
kept.
"""

from __future__ import annotations

import hashlib
import heapq
import logging
import secrets
from collections import Counter
from dataclasses import dataclass, field

from foundation.addresses import network_key
from foundation.clock import Clock
from foundation.metrics import Metrics

SAMPLE = 256
"""Viewers in one sample; the share found is within some three percent of the true one."""

WINDOW_MS = 5 * 60_000
"""Two windows are looked at, the current one and the one before: the last five to ten minutes."""

MIN_VIEWERS = 20
"""Fewer viewers say nothing: a household or an office watches together."""

NEARLY_ALL = 0.9
"""The share of viewers behind one network (IPv6: one /64) from which on the hint is given."""

WARN_EVERY_MS = 3_600_000

_HASH_BYTES = 8

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Window:
    """``members`` are viewers by hash; ``largest`` is a heap of the negated hashes."""

    members: dict[int, tuple[bytes, bool]] = field(default_factory=dict)
    largest: list[int] = field(default_factory=list)


class Sharing:
    """``seen`` for every report of a player, ``warn`` from the task table, ``hint`` for whoever asks."""

    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(16)
        self._now, self._before = _Window(), _Window()
        self._began_ms = clock.monotonic_ms()
        self._warn_from_ms = self._began_ms
        metrics.gauge_from(
            "fediviews_viewers_one_address_ratio",
            "Share of the last minutes' viewers that came from one address; 0 with too few viewers to tell.",
            lambda: self._most()[0],
        )

    def seen(self, viewer: str | bytes, address: str, *, forwarded: bool = False) -> None:
        """A report of ``viewer`` (whatever tells players apart: a session id, else its key) came from ``address``.

        ``forwarded``: it had an X-Forwarded-For that was not believed.
        """
        # As good a sample as any, and asked at every report: Python's own hash, whose seed dies with the process.
        name = hash(viewer)
        self._turn()
        window = self._now
        if name in window.members:
            return
        if len(window.members) >= SAMPLE:
            if name >= -window.largest[0]:
                return
            del window.members[-heapq.heapreplace(window.largest, -name)]
        else:
            heapq.heappush(window.largest, -name)
        window.members[name] = (self._hash(network_key(address).encode("utf-8", "surrogatepass")), forwarded)

    def hint(self) -> str | None:
        """What an administrator should look at, or None."""
        share, forwarded, viewers = self._most()
        if share < NEARLY_ALL:
            return None
        many = f"{viewers} or more" if viewers >= SAMPLE else str(viewers)
        hint = f"{share:.0%} of the last minutes' {many} viewers came from one address. "
        if forwarded:
            hint += "It sends X-Forwarded-For but is not trusted. "
        return hint + "If it is your reverse proxy, name it in listen.trusted_proxies."

    def warn(self) -> None:
        """Log the hint, once per hour while it stands."""
        now_ms = self._clock.monotonic_ms()
        hint = self.hint() if now_ms >= self._warn_from_ms else None
        if hint is not None:
            log.warning("%s", hint)
            self._warn_from_ms = now_ms + WARN_EVERY_MS

    def _hash(self, raw: bytes) -> bytes:
        return hashlib.blake2b(raw, digest_size=_HASH_BYTES, key=self._key).digest()

    def _turn(self) -> None:
        passed_ms = self._clock.monotonic_ms() - self._began_ms
        if passed_ms < WINDOW_MS:
            return
        self._before = self._now if passed_ms < 2 * WINDOW_MS else _Window()
        self._now = _Window()
        self._began_ms += passed_ms - passed_ms % WINDOW_MS

    def _most(self) -> tuple[float, bool, int]:
        """The largest share of one address, whether most of it came with X-Forwarded-For, and of how many viewers."""
        self._turn()
        both = self._before.members | self._now.members
        sample = [both[name] for name in sorted(both)[:SAMPLE]]
        if len(sample) < MIN_VIEWERS:
            return 0.0, False, len(sample)
        [(address, count)] = Counter(member[0] for member in sample).most_common(1)
        forwarded = sum(1 for member in sample if member[0] == address and member[1])
        return count / len(sample), 2 * forwarded > count, len(sample)
