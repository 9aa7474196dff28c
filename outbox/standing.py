"""Where hosts stand with our deliveries: who is due, who waits and how long, who is in trouble. Pure; instants are
monotonic milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from outbox.breaker import Breaker, BreakerPolicy, BreakerState
from outbox.posting import Outcome
from outbox.retry import Meaning, RetryPolicy

FORGET_FAILURE_MS = 2 * 3_600_000
"""How long trouble is remembered of a host for which nothing is left to do."""
FORGET_OPEN_MS = 8 * 86_400_000
"""Likewise when its breaker is open: long enough to count the days on which it failed."""
MAX_IDLE = 20_000
"""Hosts in trouble for which nothing is left to do, at most; beyond it those known longest are forgotten."""


@dataclass(frozen=True, slots=True)
class TroublePolicy:
    """``retry`` says how long to wait after failures. What is valued at sending waits at most ``soft_max_ms`` in the
    first ``soft_for_ms`` of an outage, so that numbers agree within a viewer's life after a short one."""

    retry: RetryPolicy = field(default_factory=RetryPolicy)
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    soft_max_ms: int = 45_000
    soft_for_ms: int = 3_600_000


@dataclass(slots=True)
class Standing:
    """``durable``: the log may hold something for it. ``busy``: a round is under way. ``exception_ms``: when a message
    that it did not take is tried again. Nothing goes before ``not_before_ms``, nor soft state before
    ``soft_before_ms``; ``asked_ms`` is until when the host itself asked to be left alone."""

    durable: bool = False
    busy: bool = False
    breaker: Breaker = field(default_factory=Breaker)
    failed_ms: int = 0
    not_before_ms: int = 0
    soft_before_ms: int = 0
    asked_ms: int = 0
    exception_ms: int | None = None
    last_error: str = ""

    @property
    def failures(self) -> int:
        return self.breaker.failures

    def begins(self) -> None:
        self.busy = True
        self.breaker.begins()

    def failed(self, outcome: Outcome, policy: TroublePolicy, random: Callable[[], float], now_ms: int) -> None:
        """A round ended in trouble: wait, longer each time."""
        self.breaker.failed(policy.breaker, now_ms)
        self.failed_ms, self.last_error = now_ms, outcome.reason
        asked_ms = outcome.retry_after_s * 1_000 if outcome.retry_after_s is not None else 0
        self.asked_ms = now_ms + min(asked_ms, policy.retry.max_ms)
        wait_ms = policy.retry.wait_ms(self.failures, random, outcome.retry_after_s)
        if self.breaker.is_dead(policy.breaker):
            wait_ms = max(wait_ms, policy.breaker.dead_probe_ms)
        self.not_before_ms = self.soft_before_ms = now_ms + wait_ms
        # Who does not let us in would have to change its mind first.
        if outcome.meaning is not Meaning.CLOSED and now_ms - self.breaker.since_ms < policy.soft_for_ms:
            self.soft_before_ms = max(self.asked_ms, now_ms + min(wait_ms, policy.soft_max_ms))

    def broken_off(self, reason: str, wait_ms: int, now_ms: int) -> None:
        """A round ended for a reason of our own."""
        self.breaker.broken_off()
        self.not_before_ms = self.soft_before_ms = now_ms + wait_ms
        self.last_error = self.last_error or reason

    def succeeded(self) -> None:
        self.breaker.succeeded()
        self.last_error = ""
        self.not_before_ms = self.soft_before_ms = self.asked_ms = 0

    def spoke(self, policy: TroublePolicy) -> bool:
        """The host is alive: wait no longer than after a first failure, or than it asked; whether that is sooner."""
        fewer = self.breaker.spoke()
        soon_ms = max(self.failed_ms + policy.retry.first_ms, self.asked_ms)
        if not fewer or soon_ms >= self.not_before_ms:
            return False
        self.not_before_ms, self.soft_before_ms = soon_ms, min(soon_ms, self.soft_before_ms)
        return True

    def look_at_exceptions(self, now_ms: int) -> None:
        if self.exception_ms is not None and self.exception_ms <= now_ms:
            self.exception_ms, self.durable = None, True

    def is_forgettable(self, now_ms: int) -> bool:
        """Whether a host with nothing to do need not be remembered."""
        if self.busy or self.exception_ms is not None:
            return False
        return not self.failures or is_forgotten(self.breaker, self.failed_ms, now_ms)


def is_forgotten(breaker: Breaker, failed_ms: int, now_ms: int) -> bool:
    """Whether trouble is so long ago that it says nothing any more."""
    return now_ms - failed_ms > (FORGET_FAILURE_MS if breaker.state is BreakerState.CLOSED else FORGET_OPEN_MS)


class HostHealth(Protocol):
    """Hears how rounds ended, and knows how they ended in earlier runs and in other processes."""

    async def load(self) -> None:
        """Before hosts are served. Raises StorageUnavailable."""

    async def save(self, hosts: Callable[[str], bool] | None = None) -> int:
        """Of these hosts, after they were served. Raises StorageUnavailable."""

    def recall(self, host: str) -> Standing | None: ...

    def troubled(self) -> Sequence[str]: ...

    def arrived(self, host: str) -> None: ...

    def arrived_ms(self, host: str) -> int | None:
        """When something arrived there last, Unix milliseconds; None when nothing is known to have."""

    def failed(self, host: str, reason: str) -> None: ...


class NoHealth:
    """Remembers nothing."""

    async def load(self) -> None:
        return None

    async def save(self, hosts: Callable[[str], bool] | None = None) -> int:
        return 0

    def recall(self, host: str) -> Standing | None:
        return None

    def troubled(self) -> Sequence[str]:
        return ()

    def arrived(self, host: str) -> None:
        return None

    def arrived_ms(self, host: str) -> int | None:
        return None

    def failed(self, host: str, reason: str) -> None:
        return None


class Standings:
    """Those of all hosts with something to do or in trouble. Bounded by who follows us, whom we tell of viewers, and
    ``max_idle`` more. ``recall`` says where a host stood before it was last forgotten."""

    def __init__(self, max_idle: int = MAX_IDLE, *, recall: Callable[[str], Standing | None] = lambda _: None) -> None:
        self._hosts: dict[str, Standing] = {}
        self._max_idle = max_idle
        self._recall = recall

    def __len__(self) -> int:
        return len(self._hosts)

    def __getitem__(self, host: str) -> Standing:
        """The host's, made when it has none."""
        standing = self._hosts.get(host)
        if standing is None:
            standing = self._hosts[host] = self._recall(host) or Standing()
        return standing

    def get(self, host: str) -> Standing | None:
        return self._hosts.get(host)

    def items(self) -> Iterator[tuple[str, Standing]]:
        return iter(self._hosts.items())

    def forget(self, hosts: Callable[[str], bool]) -> None:
        """Those that another process serves from now on."""
        for host in [host for host, peer in self._hosts.items() if not peer.busy and hosts(host)]:
            del self._hosts[host]

    def troubled(self) -> dict[str, str]:
        """Hosts whose last delivery failed, and why."""
        return {host: peer.last_error for host, peer in self._hosts.items() if peer.failures}

    def in_state(self, state: BreakerState) -> int:
        return sum(peer.breaker.state is state for peer in self._hosts.values())

    def due(self, has_soft: Callable[[str], bool], now_ms: int) -> tuple[list[tuple[str, Standing]], int | None]:
        """Hosts to begin a round with now, and how long until others are due, in milliseconds. Hosts with nothing to
        do are forgotten in time."""
        begin: list[tuple[str, Standing]] = []
        idle: list[str] = []
        next_ms: int | None = None
        for host, peer in list(self._hosts.items()):
            peer.look_at_exceptions(now_ms)
            if peer.busy:
                continue
            at_ms = self._at_ms(peer, has_soft(host))
            if at_ms is None and peer.is_forgettable(now_ms):
                del self._hosts[host]
            elif at_ms is None:
                if peer.exception_ms is None:
                    idle.append(host)
                at_ms = peer.exception_ms
            elif at_ms <= now_ms:
                begin.append((host, peer))
                continue
            if at_ms is not None:
                next_ms = at_ms - now_ms if next_ms is None else min(next_ms, at_ms - now_ms)
        for host in idle[: max(0, len(idle) - self._max_idle)]:
            del self._hosts[host]
        return begin, next_ms

    @staticmethod
    def _at_ms(peer: Standing, has_soft: bool) -> int | None:
        if has_soft:
            return peer.soft_before_ms
        return peer.not_before_ms if peer.durable else None
