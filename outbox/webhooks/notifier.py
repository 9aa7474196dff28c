"""Webhooks as a whole: takes what happens, writes it down for everybody who wants it, and has it delivered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from foundation.clock import Clock
from foundation.database import Database, Transaction
from foundation.ending import end
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from outbox.retry import RetryPolicy
from outbox.webhooks.bodies import Event
from outbox.webhooks.delivery import RETRY, HookDelivery
from outbox.webhooks.gathering import Gatherer
from outbox.webhooks.hooks import Hook
from outbox.webhooks.queue import Depth, HookState, Settled, WebhookQueue, full
from outbox.webhooks.sender import Tried, WebhookSender
from views.notices import NOTICES, Notice, ViewCounted

GATHER_MS = 250
"""How long events are put together before they are written: what a crash costs, views excepted."""
COUNT_EVERY_MS = 5_000
"""How often the queues are counted."""

EVENTS = tuple(notice.event for notice in NOTICES)
_logger = logging.getLogger(__name__)

Processed = Callable[[Hook, Settled], None]
"""Hears what became of each event for good; must not block."""


@dataclass(slots=True)
class _Fit:
    """What one receiver is to be told of, and what finds no room with it."""

    hook: Hook
    events: list[Event] = field(default_factory=list)
    over: list[Event] = field(default_factory=list)


def _nobody(_hook: Hook, _settled: Settled) -> None:
    return None


class Webhooks:
    """``notify`` and ``views_counted`` are what the domain calls; ``start``, ``stop`` and ``replace`` the service.

    ``may_deliver`` says of a hook's id whether this process delivers to it. ``processed`` may be set before ``start``.
    """

    def __init__(
        self,
        hooks: Sequence[Hook],
        *,
        database: Database,
        sender: WebhookSender,
        clock: Clock,
        metrics: Metrics,
        random: Callable[[], float],
        may_deliver: Callable[[str], bool] = lambda _: True,
        retry: RetryPolicy = RETRY,
    ) -> None:
        self.hooks = tuple(hooks)
        self.queue = WebhookQueue(database)
        self.sender = sender
        self.processed: Processed = _nobody
        self._database = database
        self._clock = clock
        self._random = random
        self._may_deliver = may_deliver
        self._retry = retry
        self._gatherer = Gatherer()
        self._depths: dict[str, Depth] = {}
        self._added: dict[str, int] = {}
        self._unsaid: list[_Fit] = []
        self._counted_ms = 0
        self._wanted: frozenset[str] = self._all_wanted()
        self._deliveries: list[HookDelivery] = []
        self._task: asyncio.Task[None] | None = None
        self._running = False
        self._measure(metrics)

    def _measure(self, metrics: Metrics) -> None:
        over = metrics.counter(
            "fediviews_webhooks_total", "Webhooks by what became of them for good", ["event", "outcome"]
        )
        self._over = {
            (event, outcome): over.labels(event, outcome) for event in EVENTS for outcome in ("delivered", "dropped")
        }
        self._lost = metrics.counter("fediviews_webhook_events_lost_total", "Events that could not be written down")
        metrics.gauge_from("fediviews_webhooks_gathered", "Events not written yet", self._gatherer.__len__)
        metrics.gauge_from("fediviews_webhooks_waiting", "Webhooks not delivered yet", self._all_waiting)
        metrics.gauge_from("fediviews_webhooks_oldest_seconds", "Age of the oldest webhook waiting", self._oldest_s)
        metrics.gauge_from(
            "fediviews_webhook_receivers_failing",
            "Receivers of webhooks that do not take them now",
            lambda: sum(delivery.failing for delivery in self._deliveries),
        )

    # What happens

    def notify(self, notice: Notice) -> None:
        """Never blocks. An event that no receiver wants costs one look into a set. Counted views come by
        ``views_counted``, in their transaction."""
        if notice.event in self._wanted and not isinstance(notice, ViewCounted) and not self._gatherer.add(notice):
            self._lost.inc()

    async def views_counted(self, tx: Transaction, views: Sequence[ViewCounted]) -> None:
        """Inside the transaction that counts them: a view that is counted is told."""
        if ViewCounted.event not in self._wanted:
            return
        gatherer = Gatherer(limit=len(views) + 1)
        for view in views:
            gatherer.add(view)
        fitted = self._fit(gatherer.take())
        await self._write(tx, fitted)
        # At once, so that the next transaction finds less room; if this one fails, until the queues are counted.
        self._take_room(fitted)
        self._unsaid += fitted

    def committed(self) -> None:
        """Views were counted, and that is durable. What a failed transaction found no room for is said with those of
        the next: too much rather than too little."""
        unsaid, self._unsaid = self._unsaid, []
        self._say_full(unsaid)
        for delivery in self._deliveries:
            delivery.wake()

    # What is asked

    async def state(self, hook: Hook) -> tuple[HookState, Depth]:
        depths = await self.queue.depths()
        return await self.queue.state(hook.id), depths.get(hook.id, Depth())

    def hook(self, hook_id: str) -> Hook | None:
        return next((hook for hook in self.hooks if hook.id == hook_id), None)

    async def test(self, hook: Hook) -> Tried:
        """Send a test event now, past the queue."""
        return await self.sender.test(hook)

    # Life

    async def start(self) -> None:
        """Go on with what a restart left undelivered. Raises StorageUnavailable."""
        await self.queue.forget_others([hook.id for hook in self.hooks])
        self._running = True
        await self._begin()

    async def stop(self) -> None:
        """Write down what was gathered; what is under way is sent again after the next start."""
        self._running = False
        await end(self._task)
        self._task = None
        await self._end_deliveries()
        try:
            await self._flush()
        except StorageUnavailable as problem:
            _logger.warning("the last events for webhooks are lost: %s", problem)

    async def replace(self, hooks: Sequence[Hook]) -> None:
        """Other receivers from now on; what waits for those that stay is kept."""
        await self._end_deliveries()
        self.hooks = tuple(hooks)
        self._wanted = self._all_wanted()
        if self._running:
            with suppress(StorageUnavailable):
                await self.queue.forget_others([hook.id for hook in self.hooks])
            await end(self._task)
            await self._begin()

    async def _begin(self) -> None:
        if not self.hooks:
            return
        self._counted_ms = 0
        self._deliveries = [
            HookDelivery(
                hook,
                queue=self.queue,
                sender=self.sender,
                clock=self._clock,
                random=self._random,
                may_deliver=self._may_deliver,
                settled=self._settled,
                retry=self._retry,
            )
            for hook in self.hooks
        ]
        for delivery in self._deliveries:
            delivery.start()
        self._task = asyncio.create_task(self._run(), name="webhook events")

    async def _end_deliveries(self) -> None:
        for delivery in self._deliveries:
            await delivery.stop()
        self._deliveries = []

    async def _run(self) -> None:
        while True:
            await self._clock.sleep_ms(GATHER_MS)
            try:
                await self._count()
                await self._flush()
            except StorageUnavailable as problem:
                _logger.warning("events for webhooks are lost: %s", problem)
            except Exception:
                _logger.exception("writing webhooks met a bug; it goes on")

    # Inside

    def _all_wanted(self) -> frozenset[str]:
        return frozenset(event for event in EVENTS if any(hook.wants(event) for hook in self.hooks))

    async def _flush(self) -> None:
        events = self._gatherer.take()
        if not events:
            return
        fitted = self._fit(events)
        try:
            await self._database.write(lambda tx: self._write(tx, fitted))
        except StorageUnavailable:
            self._lost.inc(len(events))
            raise
        self._take_room(fitted)
        self._say_full(fitted)
        self.committed()

    def _take_room(self, fitted: Sequence[_Fit]) -> None:
        for fit in fitted:
            self._added[fit.hook.id] = self._added.get(fit.hook.id, 0) + len(fit.events)

    def _say_full(self, fitted: Sequence[_Fit]) -> None:
        now_ms = self._clock.now_ms()
        for fit in fitted:
            for event in fit.over:
                self._over[event.event, "dropped"].inc()
                self.processed(fit.hook, full(event, now_ms))

    def _fit(self, events: Sequence[Event]) -> list[_Fit]:
        """Who is to be told of which, and what finds no room. Changes nothing."""
        fitted = []
        for hook in self.hooks:
            waiting = self._depths.get(hook.id, Depth()).waiting + self._added.get(hook.id, 0)
            fit = _Fit(hook)
            for event in events:
                if hook.wants(event.event):
                    room = hook.has_room(event.event, waiting + len(fit.events))
                    (fit.events if room else fit.over).append(event)
            fitted.append(fit)
        return fitted

    async def _write(self, tx: Transaction, fitted: Sequence[_Fit]) -> None:
        await self.queue.add(tx, [(fit.hook, event) for fit in fitted for event in fit.events])
        now_ms = self._clock.now_ms()
        for fit in fitted:
            if fit.over:
                await self.queue.dropped(tx, fit.hook, len(fit.over), full(fit.over[-1], now_ms))

    async def _count(self) -> None:
        now_ms = self._clock.monotonic_ms()
        if self._counted_ms and now_ms - self._counted_ms < COUNT_EVERY_MS:
            return
        self._counted_ms = max(1, now_ms)
        self._added = {}
        # Not seen by the count perhaps, as it may not be committed yet.
        self._take_room(self._unsaid)
        self._depths = await self.queue.depths()

    def _settled(self, hook: Hook, settled: Settled) -> None:
        counter = self._over.get((settled.event, settled.outcome))
        if counter is not None:
            counter.inc()
        self._added[hook.id] = self._added.get(hook.id, 0) - 1
        self.processed(hook, settled)

    def _all_waiting(self) -> int:
        return sum(depth.waiting for depth in self._depths.values()) + sum(self._added.values())

    def _oldest_s(self) -> float:
        oldest_ms = min(
            (depth.oldest_ms for depth in self._depths.values() if depth.oldest_ms is not None), default=None
        )
        return 0.0 if oldest_ms is None else max(0, self._clock.now_ms() - oldest_ms) / 1000
