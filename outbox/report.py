"""How deliveries to each peer stand, put together for administrators and for gauges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from foundation.clock import Clock
from outbox.batching import Batch
from outbox.health import Health
from outbox.health_book import HealthBook
from outbox.queues import Queue, Queues
from outbox.routing import BatchReason, Route, RouteBook
from outbox.tells import TellBox
from outbox.totals import Board


@dataclass(frozen=True, slots=True)
class Delivery:
    """One peer. ``queue`` is what it is owed of the log, ``totals`` and ``viewers`` what waits of soft state.

    ``batch`` is what goes together now, and ``batch_reason`` why. ``next_try_ms`` None: nothing keeps it from being
    tried at once.
    """

    health: Health
    queue: Queue = field(default_factory=Queue)
    totals: int = 0
    viewers: int = 0
    batch: Batch = Batch.NOTHING
    batch_reason: BatchReason = BatchReason.UNKNOWN
    next_try_ms: int | None = None


class BatchReasons(Protocol):
    """The part of `outbox.routing.PeerRoutes` that is needed here beside its routes."""

    def batch_reason(self, host: str) -> BatchReason: ...


class Routes(RouteBook, BatchReasons, Protocol): ...


class DeliveryReports:
    """Of hosts that another process serves the soft queues are not known here, and count as empty."""

    def __init__(
        self,
        *,
        health: HealthBook,
        queues: Queues,
        routes: Routes,
        board: Board,
        slots: TellBox,
        clock: Clock,
    ) -> None:
        self._health = health
        self._queues = queues
        self._routes = routes
        self._board = board
        self._slots = slots
        self._clock = clock

    async def read(self) -> Callable[[str], Delivery]:
        """All peers at this moment; what comes back answers for any host. Raises StorageUnavailable."""
        health_of, queues = await self._health.everybody(), await self._queues.all()
        now_ms = self._clock.now_ms()

        def of(host: str) -> Delivery:
            return self._of(health_of(host), queues.get(host, Queue()), now_ms)

        return of

    def _of(self, health: Health, queue: Queue, now_ms: int) -> Delivery:
        route = self._routes.route(health.host)
        batch, reason = route.batch, self._routes.batch_reason(health.host)
        if batch is not Batch.NOTHING and health.singles_until_ms > now_ms:
            batch, reason = Batch.NOTHING, BatchReason.REFUSED
        totals = self._totals(route)
        viewers = self._slots.waiting(health.host)
        try_ms = health.soft_try_ms if totals or viewers else health.try_ms
        return Delivery(
            health,
            queue,
            totals=totals,
            viewers=viewers,
            batch=batch,
            batch_reason=reason,
            next_try_ms=try_ms if health.failures and try_ms > now_ms else None,
        )

    def _totals(self, route: Route) -> int:
        if not route.totals or route.inbox is None or route.blocked:
            return 0
        return len(self._board.due(route.cadence, route.host))
