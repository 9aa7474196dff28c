"""Whether a host is worth a request at all. Pure; instants are monotonic milliseconds.

After some failures in a row the breaker opens: from then on a host is asked by single probes. A probe that arrives
closes it, and so does any signed message of the host, whatever it failed before. The days on which it failed and never
succeeded are counted: after enough of them it is taken for dead and probed once a day.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

DAY_MS = 86_400_000
DEAD_AFTER_DAYS = 7


class BreakerState(enum.Enum):
    CLOSED = "closed"
    """Deliveries go as they are due, later after a failure."""

    OPEN = "open"
    """Nothing goes until the next probe is due."""

    HALF_OPEN = "half_open"
    """A probe is under way."""


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """``open_after`` failures in a row; ``dead_after_days`` days with failures and without a success."""

    open_after: int = 5
    dead_after_days: int = DEAD_AFTER_DAYS
    dead_probe_ms: int = DAY_MS


@dataclass(slots=True)
class Breaker:
    """``failures`` in a row, ``days`` on which they happened (the day of the first one counts)."""

    state: BreakerState = BreakerState.CLOSED
    failures: int = 0
    since_ms: int = 0
    days: int = 0
    failed_on_day: int = -1

    def begins(self) -> None:
        """Something is sent to the host now: through an open breaker that is a probe."""
        if self.state is BreakerState.OPEN:
            self.state = BreakerState.HALF_OPEN

    def failed(self, policy: BreakerPolicy, now_ms: int) -> None:
        if self.failures == 0:
            self.since_ms = now_ms
        self.failures += 1
        if now_ms // DAY_MS != self.failed_on_day:
            self.failed_on_day = now_ms // DAY_MS
            self.days += 1
        if self.state is BreakerState.HALF_OPEN or self.failures >= policy.open_after:
            self.state = BreakerState.OPEN

    def broken_off(self) -> None:
        """What was begun ended for a reason of our own: nothing was learnt of the host."""
        if self.state is BreakerState.HALF_OPEN:
            self.state = BreakerState.OPEN

    def succeeded(self) -> None:
        self.state, self.failures, self.since_ms, self.days, self.failed_on_day = BreakerState.CLOSED, 0, 0, 0, -1

    def spoke(self) -> bool:
        """The host sent something that it signed. It counts as one that failed once until a delivery arrives; whether
        that is less than before."""
        fewer = self.failures > 1
        self.state, self.failures, self.days = BreakerState.CLOSED, min(self.failures, 1), min(self.days, 1)
        return fewer

    def is_dead(self, policy: BreakerPolicy) -> bool:
        return self.state is not BreakerState.CLOSED and self.days >= policy.dead_after_days
