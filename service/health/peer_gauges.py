"""How deliveries to each peer stand, as metrics of a bounded number of peers, brought up to date before a scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from federation.peers import Peers
from foundation.clock import Clock
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from outbox.batching import Batch
from outbox.breaker import BreakerState
from outbox.report import Delivery, DeliveryReports

AT_MOST_EVERY_MS = 5_000
"""The log is counted for it."""


class PeerGauges:
    """At most ``limit`` peers: those of the configuration first, then followers by name. A peer that left is gone,
    and so is one that another process serves, which shows it."""

    def __init__(
        self,
        reports: DeliveryReports,
        peers: Peers,
        clock: Clock,
        metrics: Metrics,
        *,
        limit: int,
        serves: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._reports = reports
        self._peers = peers
        self._clock = clock
        self._limit = limit
        self._serves = serves
        self._next_ms = 0
        self._queue = metrics.gauge(
            "fediviews_peer_queue", "What waits for a peer: activities, set aside, totals, viewers", ["peer", "what"]
        )
        self._oldest = metrics.gauge("fediviews_peer_oldest_seconds", "Age of the oldest activity it is owed", ["peer"])
        self._success = metrics.gauge(
            "fediviews_peer_last_success_seconds", "Time since it last took something", ["peer"]
        )
        self._failures = metrics.gauge("fediviews_peer_failures", "Deliveries that failed in a row", ["peer"])
        self._open = metrics.gauge("fediviews_peer_breaker_open", "1: asked by single probes only", ["peer"])
        self._singly = metrics.gauge("fediviews_peer_singly", "1: gets activities one by one", ["peer", "reason"])
        self._posts = metrics.gauge("fediviews_peer_posts_per_hour", "Signed POSTs of the last hour", ["peer"])
        self._bytes = metrics.gauge("fediviews_peer_bytes_per_hour", "Bytes of their bodies", ["peer"])
        self._all = (
            *(self._queue, self._oldest, self._success, self._failures, self._open),
            *(self._singly, self._posts, self._bytes),
        )

    async def refresh(self) -> None:
        """The last values stand while the database does not answer."""
        now_ms = self._clock.monotonic_ms()
        if not self._limit or now_ms < self._next_ms:
            return
        self._next_ms = now_ms + AT_MOST_EVERY_MS
        try:
            delivery_to = await self._reports.read()
        except StorageUnavailable:
            return
        for gauge in self._all:
            gauge.clear()
        for host in self._chosen():
            self._show(host, delivery_to(host))

    def _chosen(self) -> Iterable[str]:
        listed = [policy.host for policy in self._peers.policies() if not policy.blocked]
        followers = [follower.host for follower in self._peers.followers()]
        return [host for host in list(dict.fromkeys([*listed, *followers]))[: self._limit] if self._serves(host)]

    def _show(self, host: str, delivery: Delivery) -> None:
        now_ms, health, queue = self._clock.now_ms(), delivery.health, delivery.queue
        for what, depth in (
            ("activities", queue.waiting),
            ("set_aside", queue.set_aside),
            ("totals", delivery.totals),
            ("viewers", delivery.viewers),
        ):
            self._queue.labels(host, what).set(depth)
        self._oldest.labels(host).set(0 if queue.oldest_ms is None else (now_ms - queue.oldest_ms) / 1000)
        if health.arrived_ms is not None:
            self._success.labels(host).set((now_ms - health.arrived_ms) / 1000)
        self._failures.labels(host).set(health.failures)
        self._open.labels(host).set(health.breaker is not BreakerState.CLOSED)
        self._singly.labels(host, delivery.batch_reason.value).set(delivery.batch is Batch.NOTHING)
        self._posts.labels(host).set(health.posts)
        self._bytes.labels(host).set(health.bytes)
