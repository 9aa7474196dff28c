"""Where a host stands with our deliveries. Pure; instants are monotonic milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from outbox.posting import Outcome
from outbox.retry import RetryPolicy

FORGET_FAILURE_MS = 2 * 3_600_000
"""How long trouble is remembered of a host for which nothing is left to do."""


@dataclass(slots=True)
class Standing:
    """``durable``: the log may hold something for it. ``busy``: a round is under way. ``exception_ms``: when a message
    that it did not take is tried again."""

    durable: bool = False
    busy: bool = False
    failures: int = 0
    failed_ms: int = 0
    not_before_ms: int = 0
    exception_ms: int | None = None
    last_error: str = ""

    def failed(self, outcome: Outcome, policy: RetryPolicy, random: Callable[[], float], now_ms: int) -> None:
        """A round ended in trouble: wait, longer each time."""
        self.failures += 1
        self.failed_ms = now_ms
        self.last_error = outcome.reason
        self.not_before_ms = now_ms + policy.wait_ms(self.failures, random, outcome.retry_after_s)

    def succeeded(self) -> None:
        self.failures, self.last_error = 0, ""

    def spoke(self, policy: RetryPolicy) -> bool:
        """The host is alive: no longer wait than after a first failure. Whether that is sooner than before."""
        soon_ms = self.failed_ms + policy.first_ms
        if self.failures < 2 or soon_ms >= self.not_before_ms:
            return False
        self.failures, self.not_before_ms = 1, soon_ms
        return True

    def look_at_exceptions(self, now_ms: int) -> None:
        if self.exception_ms is not None and self.exception_ms <= now_ms:
            self.exception_ms, self.durable = None, True

    def is_forgettable(self, now_ms: int) -> bool:
        """Whether a host with nothing to do need not be remembered."""
        if self.busy or self.exception_ms is not None:
            return False
        return not self.failures or now_ms - self.failed_ms > FORGET_FAILURE_MS
