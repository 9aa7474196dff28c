"""What is kept of a host over a restart, so that one that was given up is not asked again as if nothing had happened.

Standings and batch refusals live on the monotonic clock, which means nothing after a restart: here all instants are
Unix milliseconds. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from outbox.batching import Doubt
from outbox.breaker import DAY_MS, DEAD_AFTER_DAYS, Breaker, BreakerState
from outbox.ledger import Account
from outbox.standing import Standing, is_forgotten


@dataclass(frozen=True, slots=True)
class Now:
    """The same moment on both clocks."""

    wall_ms: int
    monotonic_ms: int

    def wall(self, monotonic_ms: int) -> int:
        return self.wall_ms + monotonic_ms - self.monotonic_ms

    def monotonic(self, wall_ms: int, latest_ms: int) -> int:
        """At most ``latest_ms`` ahead: a wall clock that was set does not silence anybody for ever."""
        return self.monotonic_ms + min(wall_ms - self.wall_ms, latest_ms)


@dataclass(frozen=True, slots=True)
class Health:
    """One host. ``failures`` in a row since ``since_ms``, the last at ``failed_ms``, on ``days`` days; the next try is
    at ``try_ms``, of totals and viewers at ``soft_try_ms``, after what the host asked for at ``asked_ms``. It refused
    Collections ``refusals`` times and gets none until ``singles_until_ms``. ``posts`` and ``bytes`` of an hour."""

    host: str
    arrived_ms: int | None = None
    error: str = ""
    error_ms: int | None = None
    failures: int = 0
    days: int = 0
    since_ms: int = 0
    failed_ms: int = 0
    try_ms: int = 0
    soft_try_ms: int = 0
    asked_ms: int = 0
    breaker: BreakerState = BreakerState.CLOSED
    refusals: int = 0
    singles_until_ms: int = 0
    posts: int = 0
    bytes: int = 0
    kept_ms: int = 0
    """When this was so."""


def health_of(
    host: str,
    now: Now,
    *,
    account: Account | None = None,
    standing: Standing | None = None,
    doubt: Doubt | None = None,
) -> Health:
    """A host as it stands."""
    account = account or Account()
    posts, size = account.traffic.hour(now.monotonic_ms)
    breaker = Breaker() if standing is None else standing.breaker
    troubled = standing if standing is not None and standing.failures else None
    return Health(
        host,
        arrived_ms=account.arrived_ms,
        error=account.error,
        error_ms=account.error_ms,
        failures=breaker.failures,
        days=breaker.days,
        since_ms=now.wall(breaker.since_ms) if troubled else 0,
        failed_ms=now.wall(troubled.failed_ms) if troubled else 0,
        try_ms=now.wall(troubled.not_before_ms) if troubled else 0,
        soft_try_ms=now.wall(troubled.soft_before_ms) if troubled else 0,
        asked_ms=now.wall(troubled.asked_ms) if troubled else 0,
        breaker=breaker.state,
        refusals=0 if doubt is None else doubt.refusals,
        singles_until_ms=0 if doubt is None or not doubt.refusals else now.wall(doubt.until_ms),
        posts=posts,
        bytes=size,
        kept_ms=now.wall_ms,
    )


def is_dead(health: Health, before_ms: int) -> bool:
    """Whether everything that was to go to the host failed since before this instant, on a week's days at least."""
    return (
        health.failures > 0
        and health.days >= DEAD_AFTER_DAYS
        and health.since_ms <= before_ms
        and (health.arrived_ms or 0) <= before_ms
    )


def standing_of(health: Health, now: Now) -> Standing | None:
    """The trouble that a host was in; None when it was in none, or so long ago that it would be forgotten."""
    if not health.failures:
        return None
    failed_ms = now.monotonic(health.failed_ms, 0)
    today = health.failed_ms // DAY_MS == now.wall_ms // DAY_MS
    breaker = Breaker(
        BreakerState.CLOSED if health.breaker is BreakerState.CLOSED else BreakerState.OPEN,
        health.failures,
        now.monotonic(health.since_ms, 0),
        health.days,
        failed_on_day=now.monotonic_ms // DAY_MS if today else -1,
    )
    if is_forgotten(breaker, failed_ms, now.monotonic_ms):
        return None
    return Standing(
        breaker=breaker,
        failed_ms=failed_ms,
        not_before_ms=now.monotonic(health.try_ms, DAY_MS),
        soft_before_ms=now.monotonic(health.soft_try_ms, DAY_MS),
        asked_ms=now.monotonic(health.asked_ms, DAY_MS),
        last_error=health.error,
    )


def doubt_of(health: Health, now: Now) -> Doubt | None:
    """What was learnt of a host that takes no Collections."""
    if not health.refusals:
        return None
    return Doubt(refusals=health.refusals, until_ms=now.monotonic(health.singles_until_ms, DAY_MS))
