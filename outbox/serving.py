"""Runs rounds with hosts: in which lane, and what is learnt of a host from how its round ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from foundation.clock import Clock
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from outbox.peer_notices import PeerNotices
from outbox.places import Places
from outbox.retry import RetryPolicy
from outbox.round import Round
from outbox.standing import HostHealth, Standing, TroublePolicy

_logger = logging.getLogger(__name__)

STORE_WAIT_MS = 1_000
"""How long to leave a database alone that did not answer."""
STOP_WITHIN_S = 1.5


@dataclass(frozen=True, slots=True)
class DeliveryRules:
    """``announce_within_ms`` as configured. At most ``concurrency`` healthy peers are served at once, and besides them
    at most ``troubled`` of those whose last delivery failed."""

    announce_within_ms: int = 3_000
    concurrency: int = 200
    troubled: int = 16
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    soft_max_ms: int = 45_000
    """The longest wait of totals and viewers in the first hour of an outage."""


class Serving:
    """All rounds under way or waiting for a place, one per host. ``ended`` hears of every one that is over."""

    def __init__(
        self,
        *,
        round_: Round,
        rules: DeliveryRules,
        trouble: TroublePolicy,
        health: HostHealth,
        notices: PeerNotices,
        clock: Clock,
        metrics: Metrics,
        random: Callable[[], float],
        ended: Callable[[], None],
    ) -> None:
        self._round = round_
        self._trouble = trouble
        self._health = health
        self._notices = notices
        self._clock = clock
        self._random = random
        self._ended = ended
        self._healthy, self._troubled = Places(rules.concurrency), Places(rules.troubled)
        self._tasks: dict[asyncio.Task[None], str] = {}
        metrics.gauge_from(
            "fediviews_delivery_rounds_waiting",
            "Peers that are due and find no place",
            lambda: self._healthy.waiting + self._troubled.waiting,
        )
        self._rounds_metric = metrics.gauge("fediviews_delivery_rounds", "Peers being served now")

    def begin(self, host: str, peer: Standing) -> None:
        """Serve a host that is not ``busy`` as soon as there is a place."""
        peer.begins()
        task = asyncio.create_task(self._serve(host, peer), name="delivery")
        self._tasks[task] = host
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    async def let_end(self, hosts: Callable[[str], bool]) -> None:
        """Wait for rounds with these hosts, so that what arrived is written down; those that take long are broken
        off."""
        rounds = [task for task, host in self._tasks.items() if hosts(host)]
        if rounds:
            _, late = await asyncio.wait(rounds, timeout=STOP_WITHIN_S)
            for task in late:
                task.cancel()

    async def stop(self, beginner: asyncio.Task[None] | None) -> None:
        """Break all rounds off, and who begins them, within two seconds."""
        tasks = [task for task in (beginner, *self._tasks) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_WITHIN_S)

    async def _serve(self, host: str, peer: Standing) -> None:
        arrived_ms = self._health.arrived_ms(host)
        # Whoever hangs gets on without taking anything: the longer it does, the later its turn.
        lane = self._troubled.place(-(arrived_ms or 0)) if peer.failures else self._healthy.place(arrived_ms is None)
        failure, sent, ours = None, 0, ""
        try:
            async with lane:
                with self._rounds_metric.track_inprogress():
                    failure, sent = await self._round.serve(host, peer)
        except StorageUnavailable:
            peer.durable = True
            ours = "storage_unavailable"
        except Exception:
            _logger.exception("a delivery round met a bug")
            ours = "bug"
        finally:
            peer.busy = False
        now_ms = self._clock.monotonic_ms()
        if ours:
            peer.broken_off(ours, STORE_WAIT_MS, now_ms)
        elif failure is not None:
            peer.failed(failure, self._trouble, self._random, now_ms)
        elif sent:
            peer.succeeded()
        else:
            # Whatever was due is over: the host was not even asked.
            peer.breaker.broken_off()
        if sent:
            self._health.arrived(host)
        if failure is not None:
            self._health.failed(host, failure.reason)
        self._notices.look(host, peer)
        self._ended()
