"""Durable activities of one peer: in order, retried until they are too old, the poisonous ones set aside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from foundation.clock import Clock
from foundation.errors import Refused
from outbox.batching import Batch
from outbox.bodies import Outgoing, Parcel
from outbox.inboxes import InboxDirectory
from outbox.lanes import Courier, Served, without_inbox
from outbox.log import ActivityLog, Kind, Logged
from outbox.posting import Outcome
from outbox.retry import Meaning, RetryPolicy, may_be_poison
from outbox.routing import Route

PER_ROUND = 50
MAX_STRUCK = 10_000
"""Hosts whose first message in the row is suspected, at most."""


@dataclass(frozen=True, slots=True)
class _Skip:
    """Nothing to send: too old, or not for this peer."""

    item: Logged


@dataclass(frozen=True, slots=True)
class _Stuck:
    """Its inbox cannot be found now."""

    item: Logged
    outcome: Outcome


_Step = Outgoing[Logged] | _Skip | _Stuck


def _unheard(_created_ms: Sequence[int]) -> None:
    return None


class DurableLane:
    """Serves the log to one peer at a time; the owner never runs two rounds with the same peer at once."""

    def __init__(
        self,
        *,
        log: ActivityLog,
        courier: Courier,
        directory: InboxDirectory,
        policy: RetryPolicy,
        clock: Clock,
        random: Callable[[], float],
        delivered: Callable[[Sequence[int]], None] = _unheard,
    ) -> None:
        """``delivered`` is told when the activities that a peer took were written down (Unix milliseconds)."""
        self._log = log
        self._courier = courier
        self._directory = directory
        self._policy = policy
        self._clock = clock
        self._random = random
        self._delivered = delivered
        self._strikes: dict[str, tuple[int, int]] = {}

    async def serve(self, route: Route) -> Served:
        """Deliver up to `PER_ROUND` activities. Raises StorageUnavailable."""
        items = await self._log.pending(route.host, PER_ROUND, self._clock.now_ms())
        steps: list[_Step] = []
        for item in items:
            step = await self._step(route, item)
            if step is None:
                break
            steps.append(step)
            if isinstance(step, _Stuck) and step.outcome.meaning is Meaning.LATER:
                # The host does not answer: asking it for the next actor would only cost another wait.
                break
        sent = 0
        for kind, group in groupby(steps, key=type):
            run = list(group)
            if kind is _Skip:
                await self._log.delivered(route.host, [step.item for step in run], self._clock.now_ms())
                continue
            if kind is _Stuck:
                failed = [step for step in run if isinstance(step, _Stuck)]
                served = await self._stuck(route, failed[0])
            else:
                served = await self._send(route, [step for step in run if isinstance(step, Outgoing)])
            sent += served.sent
            if served.failure is not None or served.more:
                return Served(served.failure, served.more, sent)
        return Served(more=len(steps) >= PER_ROUND, sent=sent)

    async def _step(self, route: Route, item: Logged) -> _Step | None:
        """What to do with an activity; None: it and all behind it must wait until the peer's software is known."""
        if self._policy.too_old(item.created_ms, self._clock.now_ms()):
            self._courier.dropped.labels(item.kind.value, "too_old").inc()
            return _Skip(item)
        if item.inbox:
            return Outgoing(item.actor, item.inbox, item.body, item, Batch.NOTHING)
        if item.recipient:
            inbox = await self._directory.shared_inbox(item.recipient)
            if isinstance(inbox, Refused):
                return _Stuck(item, without_inbox(inbox))
            return Outgoing(item.actor, inbox, item.body, item, _alike(item.kind))
        if route.inbox is None:
            return _Skip(item)
        if item.kind is Kind.VIEW and not route.views:
            return None if route.views is None else _Skip(item)
        return Outgoing(item.actor, "", item.body, item, _alike(item.kind))

    async def _send(self, route: Route, run: list[Outgoing[Logged]]) -> Served:
        sent = 0
        for parcel in self._courier.pack(route, run):
            outcome = await self._courier.deliver(route, parcel)
            if outcome.delivered:
                self._strikes.pop(route.host, None)
                await self._log.delivered(route.host, parcel.items, self._clock.now_ms())
                self._delivered([item.created_ms for item in parcel.items])
                sent += len(parcel.items)
                continue
            served = await self._failed(route, parcel, outcome)
            if served is not None:
                return Served(served.failure, served.more, sent)
        return Served(sent=sent)

    async def _stuck(self, route: Route, step: _Stuck) -> Served:
        if step.outcome.meaning is not Meaning.GONE:
            return Served(failure=step.outcome)
        await self._postpone(route.host, step.item, step.outcome)
        return Served(more=True)

    async def _failed(self, route: Route, parcel: Parcel[Logged], outcome: Outcome) -> Served | None:
        """None: the trouble is this message's alone, go on with the next."""
        first = parcel.items[0]
        if outcome.meaning is Meaning.CLOSED or (
            outcome.meaning is Meaning.LATER and not may_be_poison(outcome.status)
        ):
            return Served(failure=outcome)
        if outcome.meaning is Meaning.GONE and not first.recipient:
            return Served(failure=outcome)
        if outcome.meaning is Meaning.LATER and not first.attempts and not self._struck_out(route.host, first.seq):
            return Served(failure=outcome)
        if len(parcel.items) > 1:
            self._courier.one_by_one(route.host)
            return Served(failure=outcome if outcome.meaning is Meaning.LATER else None, more=True)
        if outcome.meaning is Meaning.GONE:
            self._directory.forget(first.recipient)
        await self._postpone(route.host, first, outcome)
        return None

    def _struck_out(self, host: str, seq: int) -> bool:
        """Whether the peer has now failed with an answer so often on the same first message that others may pass."""
        last, count = self._strikes.pop(host, (seq, 0))
        count = count + 1 if last == seq else 1
        if count >= self._policy.poison_after:
            return True
        while len(self._strikes) >= MAX_STRUCK:
            del self._strikes[next(iter(self._strikes))]
        self._strikes[host] = (seq, count)
        return False

    async def _postpone(self, host: str, item: Logged, outcome: Outcome) -> None:
        attempts = item.attempts + 1
        set_aside = attempts >= self._policy.poison_after and outcome.meaning is not Meaning.LATER
        wait_ms = self._policy.wait_ms(attempts, self._random, outcome.retry_after_s)
        await self._log.postpone(
            host,
            item,
            reason=outcome.reason,
            next_try_ms=self._clock.now_ms() + wait_ms,
            set_aside=set_aside,
        )
        if set_aside:
            self._courier.dropped.labels(item.kind.value, "poison").inc()


def _alike(kind: Kind) -> Batch:
    """A peer that takes Views together does not say whether it reads anything else in a Collection."""
    return Batch.VIEWS if kind in (Kind.VIEW, Kind.CREATE) else Batch.EVERYTHING
