"""What waits for receivers of webhooks, in SQL: written by every process, delivered by one, shown by all."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, func, insert, select

from foundation.database import Database, Transaction, upsert
from outbox.webhooks.bodies import Event
from outbox.webhooks.hooks import Hook
from outbox.webhooks.tables import webhook_hooks, webhook_outcomes, webhook_queue

KEPT_OUTCOMES = 100
"""Outcomes kept of each receiver."""

_queue, _outcomes, _hooks = webhook_queue.c, webhook_outcomes.c, webhook_hooks.c


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event that one receiver has not been told yet."""

    seq: int
    resource: str
    event: str
    event_id: str
    body: bytes
    created_ms: int


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of an event for good: ``delivered`` or ``dropped``, and why. ``seq`` 0: it never was in the queue."""

    seq: int
    event: str
    event_id: str
    outcome: str
    reason: str
    attempts: int
    queued_ms: int
    at_ms: int
    status: int | None = None
    resource: str = ""

    @property
    def delivered(self) -> bool:
        return self.outcome == "delivered"


def full(event: Event, at_ms: int) -> Settled:
    """It found no room in a queue."""
    return Settled(0, event.event, event.id, "dropped", "full", 0, event.at_ms, at_ms, resource=event.resource)


@dataclass(frozen=True, slots=True)
class Depth:
    """How many events wait for a receiver, and since when the oldest does."""

    waiting: int = 0
    oldest_ms: int | None = None


@dataclass(frozen=True, slots=True)
class HookState:
    """How a receiver does; ``recent`` outcomes are the newest first."""

    sent: int = 0
    dropped: int = 0
    untold: int = 0
    failures: int = 0
    success_ms: int | None = None
    error: str | None = None
    error_ms: int | None = None
    recent: list[Settled] = field(default_factory=list)


class WebhookQueue:
    """Methods with ``tx`` write through the caller's transaction. All raise StorageUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, tx: Transaction, entries: Iterable[tuple[Hook, Event]]) -> None:
        rows = [
            {
                "hook": hook.id,
                "resource": event.resource,
                "event": event.event,
                "event_id": event.id,
                "body": event.body,
                "created_ms": event.at_ms,
            }
            for hook, event in entries
        ]
        if rows:
            await tx.execute(insert(webhook_queue), rows)

    async def dropped(self, tx: Transaction, hook: Hook, events: int, last: Settled) -> None:
        """So many found no room; ``last`` stands for all of them among the outcomes."""
        counted = upsert(tx, webhook_hooks).values(hook=hook.id, dropped=events, untold=events)
        more = {"dropped": _hooks.dropped + events, "untold": _hooks.untold + events}
        await tx.execute(counted.on_conflict_do_update(index_elements=["hook"], set_=more))
        await self._record(tx, hook.id, [last])

    async def waiting(self, hook: str, limit: int, held: Collection[str] = ()) -> list[Waiting]:
        """The oldest, without those of resources that are ``held``."""
        query = select(webhook_queue).where(_queue.hook == hook).order_by(_queue.seq).limit(limit)
        if held:
            query = query.where(_queue.resource.not_in(list(held)))
        async with self._database.read() as tx:
            return [
                Waiting(row.seq, row.resource, row.event, row.event_id, row.body, row.created_ms)
                for row in await tx.execute(query)
            ]

    async def settle(self, hook: str, settled: Sequence[Settled], *, told: int = 0) -> None:
        """These are over; what was delivered makes the receiver well again, and told it of ``told`` dropped ones."""
        sent = sum(one.delivered for one in settled)
        dropped = len(settled) - sent
        last_ms = max((one.at_ms for one in settled if one.delivered), default=None)

        async def work(tx: Transaction) -> None:
            await tx.execute(delete(webhook_queue).where(_queue.seq.in_([one.seq for one in settled])))
            more: dict[str, Any] = {
                "sent": _hooks.sent + sent,
                "dropped": _hooks.dropped + dropped,
                "untold": _hooks.untold + dropped - (told if sent else 0),
            }
            first: dict[str, Any] = {"hook": hook, "sent": sent, "dropped": dropped, "untold": dropped}
            if sent:
                more |= {"failures": 0, "success_ms": last_ms}
                first |= {"failures": 0, "success_ms": last_ms}
            statement = upsert(tx, webhook_hooks).values(first)
            await tx.execute(statement.on_conflict_do_update(index_elements=["hook"], set_=more))
            await self._record(tx, hook, settled)

        await self._database.write(work)

    async def failed(self, hook: str, reason: str, at_ms: int, *, times: int = 1) -> None:
        """The receiver did not take something, whether that is tried again or not: ``times`` in a row."""

        async def work(tx: Transaction) -> None:
            error = {"error": reason[:64], "error_ms": at_ms}
            statement = upsert(tx, webhook_hooks).values(hook=hook, failures=times, **error)
            more = {"failures": _hooks.failures + times, **error}
            await tx.execute(statement.on_conflict_do_update(index_elements=["hook"], set_=more))

        await self._database.write(work)

    async def depths(self) -> dict[str, Depth]:
        query = select(_queue.hook, func.count(), func.min(_queue.created_ms)).group_by(_queue.hook)
        async with self._database.read() as tx:
            return {str(hook): Depth(int(count), int(oldest)) for hook, count, oldest in await tx.execute(query)}

    async def state(self, hook: str) -> HookState:
        recent = select(webhook_outcomes).where(_outcomes.hook == hook).order_by(_outcomes.seq.desc())
        async with self._database.read() as tx:
            row = (await tx.execute(select(webhook_hooks).where(_hooks.hook == hook))).one_or_none()
            found = [
                Settled(
                    row.seq,
                    row.event,
                    row.event_id,
                    row.outcome,
                    row.reason,
                    row.attempts,
                    row.queued_ms,
                    row.at_ms,
                    row.status,
                )
                for row in await tx.execute(recent.limit(KEPT_OUTCOMES))
            ]
        if row is None:
            return HookState(recent=found)
        return HookState(
            row.sent, row.dropped, row.untold, row.failures, row.success_ms, row.error, row.error_ms, found
        )

    async def failures(self, hook: str) -> int:
        """How many in a row it did not take."""
        async with self._database.read() as tx:
            return int(await tx.scalar(select(_hooks.failures).where(_hooks.hook == hook)) or 0)

    async def untold(self, hook: str) -> int:
        """How many were dropped since the last one that arrived."""
        async with self._database.read() as tx:
            return int(await tx.scalar(select(_hooks.untold).where(_hooks.hook == hook)) or 0)

    async def forget_others(self, hooks: Collection[str]) -> None:
        """Drop all that is kept of receivers that are configured no more."""

        async def work(tx: Transaction) -> None:
            for table in (webhook_queue, webhook_outcomes, webhook_hooks):
                await tx.execute(delete(table).where(table.c.hook.not_in(list(hooks))))

        await self._database.write(work)

    @staticmethod
    async def _record(tx: Transaction, hook: str, settled: Sequence[Settled]) -> None:
        rows = [
            {
                "hook": hook,
                "event": one.event,
                "event_id": one.event_id,
                "outcome": one.outcome,
                "reason": one.reason[:64],
                "status": one.status,
                "attempts": one.attempts,
                "queued_ms": one.queued_ms,
                "at_ms": one.at_ms,
            }
            for one in settled[-KEPT_OUTCOMES:]
        ]
        await tx.execute(insert(webhook_outcomes), rows)
        newest = select(_outcomes.seq).where(_outcomes.hook == hook).order_by(_outcomes.seq.desc())
        oldest = newest.offset(KEPT_OUTCOMES - 1).limit(1).scalar_subquery()
        await tx.execute(delete(webhook_outcomes).where(_outcomes.hook == hook, _outcomes.seq < oldest))
