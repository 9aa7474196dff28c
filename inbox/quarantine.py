"""The last messages that were not taken, so that an admin can see why a number is not what a peer says it is.

What a proven sender said is held besides, in memory only, where another rule would have taken it: ``inbox.replay``.
"""

from __future__ import annotations

import heapq
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice

import msgspec
from prometheus_client import Counter

from federation.vocabulary import Activity
from foundation.addresses import neighbourhood_key
from foundation.clock import Clock
from foundation.errors import Refused
from foundation.fair import FairStore
from foundation.metrics import Metrics
from foundation.ratelimit import WindowLimiter
from inbox.reasons import REPLAYABLE
from inbox.sender import Sender

MAX_TEXT = 200
"""Longest piece of foreign text an entry keeps, in characters."""
UNKNOWN_HOST = ""

NOTED_ONCE_MS = 60_000
MAX_NOTED = 20_000
"""Of whom it is remembered that it was noted; who was longest silent may be noted again."""

_OVERHEAD_BYTES = 500
"""What holding a message costs beside its text."""


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


@dataclass(frozen=True, slots=True)
class Held:
    """What was said, and who proved to have said it: a signature is verified once, when it arrives."""

    activity: Activity
    sender: Sender
    size: int


class Quarantine:
    """The newest refusals and drops, and a counter per reason.

    There are three rings of ``size`` entries each, so that what costs nothing to send drives out nothing that matters:
    what nobody proved to have said, what a proven host said, and that of it which is held for a replay. Messages are
    held up to ``max_bytes`` together; beyond it the oldest can no longer be replayed.

    All are kept fairly. In a ring that is full, and where too many bytes are held, the party with the most loses its
    oldest; ``party_of(host)`` names the hosts that are one party. Of what nobody proved it is the network it came from
    (/24, IPv6 /48; known by a hash whose key dies with the process) with the most, and there the claimed host's party.

    Of what was too much (429) one is noted in `NOTED_ONCE_MS` for each network, host and reason; all are in the metric.
    """

    def __init__(
        self,
        size: int,
        clock: Clock,
        metrics: Metrics,
        max_bytes: int = 0,
        party_of: Callable[[str], str] = lambda host: host,
    ) -> None:
        self._size = size
        self._unproven: FairStore[Entry] = FairStore(size)
        self._proven: FairStore[Entry] = FairStore(size)
        self._replayable: FairStore[Entry] = FairStore(size)
        self._held: FairStore[Held] = FairStore(max_bytes)
        self._max_bytes = max_bytes
        self._party_of = party_of
        self._key = secrets.token_bytes(16)
        self._noted: WindowLimiter[tuple[str, str, str]] = WindowLimiter(clock, 1, NOTED_ONCE_MS, MAX_NOTED)
        self._clock = clock
        self._number = 0
        self._refusals: Counter = metrics.counter(
            "fediviews_inbox_refused_total", "Inbox messages refused or dropped, by reason", ["reason"]
        )
        metrics.gauge_from("fediviews_quarantine_held_bytes", "Messages held for a replay", lambda: self._held.cost)

    def add(
        self,
        refusal: Refused,
        *,
        host: str = UNKNOWN_HOST,
        verified: bool = False,
        kind: str = "",
        address: str = "",
    ) -> None:
        """Note a refusal or a drop; ``address`` is the client's, and not kept."""
        self._count(refusal)
        network = "" if verified else self._network(address)
        if refusal.status == 429 and self._noted.hit((network, host[:MAX_TEXT], str(refusal.reason))) is not None:
            return
        self._note(self._proven if verified else self._unproven, refusal, host, verified, kind, network)

    def hold(self, refusal: Refused, activity: Activity, sender: Sender, *, instead_of: int | None = None) -> None:
        """Note a drop of a proven sender, and keep what it said where a replay may take it.

        ``instead_of`` is the entry of a message that was judged again: it is replaced, and the message counted no
        second time.
        """
        if instead_of is None:
            self._count(refusal)
        else:
            self.forget(instead_of)
        size = len(msgspec.json.encode(activity)) + _OVERHEAD_BYTES if refusal.reason in REPLAYABLE else 0
        held = 0 < size <= self._max_bytes and self._size > 0
        self._note(
            self._replayable if held else self._proven,
            refusal,
            sender.host,
            verified=True,
            kind=type(activity).__name__,
        )
        if not held:
            return
        self.put_back(self._number, Held(activity, sender, size))

    def newest(self, limit: int, *, host: str | None = None) -> list[Entry]:
        """At most ``limit`` entries, newest first; of one host where given."""
        return list(islice(self._matching(host, None), limit))

    def holds(self, number: int) -> bool:
        """Whether what this entry is about can be replayed."""
        return number in self._held

    def held(self, *, host: str | None = None, reason: str | None = None) -> list[int]:
        """Numbers of the entries that can be replayed, oldest first."""
        return sorted(entry.number for entry in self._matching(host, reason) if entry.number in self._held)

    def take(self, number: int) -> Held | None:
        """Take out what is held of an entry, so that nobody else does; the entry stays."""
        return self._held.pop(number)

    def forget(self, number: int) -> None:
        """An entry, and what is held of it: what it was about was taken after all."""
        self._held.pop(number)
        for ring in self._rings():
            ring.pop(number)

    def put_back(self, number: int, held: Held) -> None:
        """It was not judged after all; it is held on, if its entry is still here."""
        if number in self._replayable:
            self._held.add(number, held, self._party_of(held.sender.host), held.size)

    def drop(self, *, host: str | None = None, reason: str | None = None) -> int:
        """Forget entries and what is held of them; how many."""
        gone = {entry.number for entry in self._matching(host, reason)}
        for number in gone:
            self.forget(number)
        return len(gone)

    def __len__(self) -> int:
        return sum(map(len, self._rings()))

    def _rings(self) -> tuple[FairStore[Entry], ...]:
        return self._unproven, self._proven, self._replayable

    def _count(self, refusal: Refused) -> None:
        self._refusals.labels(str(refusal.reason)).inc()

    def _network(self, address: str) -> str:
        return blake2b(neighbourhood_key(address).encode(), digest_size=8, key=self._key).hexdigest()

    def _note(
        self, ring: FairStore[Entry], refusal: Refused, host: str, verified: bool, kind: str, network: str = ""
    ) -> None:
        self._number += 1
        party = self._party_of(host)
        gone = ring.add(
            self._number,
            Entry(
                self._number,
                self._clock.now_ms(),
                _one_line(host),
                verified,
                _one_line(kind),
                str(refusal.reason),
                _one_line(refusal.detail),
                refusal.status,
            ),
            party if verified else network,
            within=None if verified else party,
        )
        for number in gone:
            self._held.pop(number)

    def _matching(self, host: str | None, reason: str | None) -> Iterator[Entry]:
        """Newest first."""
        for entry in heapq.merge(*(ring.newest() for ring in self._rings()), key=lambda entry: -entry.number):
            if (host is None or entry.host == host) and (reason is None or entry.reason == reason):
                yield entry


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "\ufffd" for character in text[:MAX_TEXT])
