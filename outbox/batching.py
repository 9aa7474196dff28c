"""What goes to a peer together, and who turned out to take no Collections. Pure; instants are monotonic
milliseconds."""

from __future__ import annotations

import enum
from collections import OrderedDict
from dataclasses import dataclass

FIRST_SINGLES_MS = 3_600_000
"""How long a peer that refused a Collection gets its activities one by one; after a further refusal twice as long."""
MAX_SINGLES_MS = 86_400_000
MAX_HOSTS = 10_000
DOUBTS = 3
"""So many server errors in a row in answer to Collections are a refusal: PeerTube 6.3 answers 500 to a shape that it
does not know."""


class Batch(enum.Enum):
    """What a peer takes several of in one Collection."""

    NOTHING = "nothing"
    VIEWS = "views"
    """Views of any kind, tried with PeerTube 6.3, which takes whatever else is in a Collection without a word; and what
    was watched, which goes through its inbox item by item in the same way."""

    EVERYTHING = "everything"
    """All that goes to shared inboxes: peers of our own kind."""


@dataclass(slots=True)
class Doubt:
    """Of one host: Collections that broke it in a row, those it refused, and until when it gets none."""

    doubts: int = 0
    refusals: int = 0
    until_ms: int = 0


class BatchMemory:
    """Remembers refusals per host, for a while: Collections are tried again after it. Bounded; the oldest go first."""

    def __init__(self, max_hosts: int = MAX_HOSTS) -> None:
        self._hosts: OrderedDict[str, Doubt] = OrderedDict()
        self._max = max_hosts

    def __len__(self) -> int:
        return len(self._hosts)

    def may_try(self, host: str, now_ms: int) -> bool:
        """Whether the host may get a Collection now."""
        doubt = self._hosts.get(host)
        return doubt is None or doubt.until_ms <= now_ms

    def taken(self, host: str) -> None:
        """It took one."""
        self._hosts.pop(host, None)

    def refused(self, host: str, now_ms: int) -> None:
        """It wants none."""
        doubt = self._of(host)
        wait_ms = min(FIRST_SINGLES_MS << min(doubt.refusals, 10), MAX_SINGLES_MS)
        doubt.doubts, doubt.refusals, doubt.until_ms = 0, doubt.refusals + 1, now_ms + wait_ms

    def broke(self, host: str, now_ms: int) -> None:
        """It answered one with a server's error, which may have had another reason."""
        doubt = self._of(host)
        doubt.doubts += 1
        if doubt.doubts >= DOUBTS:
            self.refused(host, now_ms)

    def get(self, host: str) -> Doubt | None:
        return self._hosts.get(host)

    def recall(self, host: str, doubt: Doubt) -> None:
        """What an earlier run learnt; what this one learnt stands."""
        if host not in self._hosts:
            self._of(host)
            self._hosts[host] = doubt

    def _of(self, host: str) -> Doubt:
        doubt = self._hosts.setdefault(host, Doubt())
        self._hosts.move_to_end(host)
        if len(self._hosts) > self._max:
            self._hosts.popitem(last=False)
        return doubt
