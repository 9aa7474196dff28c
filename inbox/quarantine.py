"""The last messages that were not taken, so that an admin can see why a number is not what a peer says it is."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice

from prometheus_client import Counter

from foundation.clock import Clock
from foundation.errors import Refused
from foundation.metrics import Metrics

MAX_TEXT = 200
"""Longest piece of foreign text an entry keeps, in characters."""
UNKNOWN_HOST = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One refusal or drop. ``host`` is proven only where ``verified``; foreign text is cut and on one line."""

    number: int
    at_ms: int
    host: str
    verified: bool
    kind: str
    reason: str
    detail: str
    status: int


class Quarantine:
    """A ring of the newest ``size`` refusals and drops, and a counter per reason."""

    def __init__(self, size: int, clock: Clock, metrics: Metrics) -> None:
        self._ring: deque[Entry] = deque(maxlen=size)
        self._clock = clock
        self._number = 0
        self._refusals: Counter = metrics.counter(
            "fediviews_inbox_refused_total", "Inbox messages refused or dropped, by reason", ["reason"]
        )

    def add(self, refusal: Refused, *, host: str = UNKNOWN_HOST, verified: bool = False, kind: str = "") -> None:
        self._number += 1
        self._refusals.labels(str(refusal.reason)).inc()
        self._ring.append(
            Entry(
                self._number,
                self._clock.now_ms(),
                _one_line(host),
                verified,
                _one_line(kind),
                str(refusal.reason),
                _one_line(refusal.detail),
                refusal.status,
            )
        )

    def newest(self, limit: int, *, host: str | None = None) -> list[Entry]:
        """At most ``limit`` entries, newest first; of one host where given."""
        chosen = (entry for entry in reversed(self._ring) if host is None or entry.host == host)
        return list(islice(chosen, limit))

    def __len__(self) -> int:
        return len(self._ring)


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "�" for character in text[:MAX_TEXT])
