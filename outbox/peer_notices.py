"""Says once that a peer is down, and once that it is back."""

from __future__ import annotations

from foundation.clock import Clock
from outbox.breaker import BreakerState
from outbox.standing import Standing
from views.notices import PeerDown, PeerUp
from views.ports import Notifier

MAX_DOWN = 20_000
"""Peers known to be down, at most; those that go down beyond it are not told of."""


class PeerNotices:
    """Down is a peer whose breaker is not closed: five failures in a row opened it."""

    def __init__(self, notifier: Notifier, clock: Clock) -> None:
        self._notifier = notifier
        self._clock = clock
        self._down: set[str] = set()

    def look(self, host: str, standing: Standing) -> None:
        """Called whenever a breaker may have moved."""
        down = standing.breaker.state is not BreakerState.CLOSED
        if down == (host in self._down):
            return
        now_ms = self._clock.now_ms()
        if not down:
            self._down.discard(host)
            self._notifier.notify(PeerUp(host, now_ms))
        elif len(self._down) < MAX_DOWN:
            self._down.add(host)
            self._notifier.notify(PeerDown(host, now_ms, standing.last_error))
