"""Prometheus metrics of one running service. Children of hot labels are made at start, never per request."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

# When each child was made is of use to nobody here, and doubles what is scraped of counters.
disable_created_metrics()  # type: ignore[no-untyped-call]

STARTED = "fediviews_process_start_time_seconds"


class Metrics:
    """A registry of its own per service, so that several run in one process (demo, tests)."""

    CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

    def started(self, at_ms: int) -> None:
        """Say since when this process counts. Unix milliseconds."""
        self.gauge(STARTED, "Unix time at which this process began to count").set(at_ms / 1000)

    def counter(self, name: str, help_text: str, labels: Sequence[str] = ()) -> Counter:
        return Counter(name, help_text, labels, registry=self.registry)

    def gauge(self, name: str, help_text: str, labels: Sequence[str] = ()) -> Gauge:
        return Gauge(name, help_text, labels, registry=self.registry)

    def gauge_from(self, name: str, help_text: str, read: Callable[[], float]) -> Gauge:
        """A gauge whose value is asked at scrape time."""
        gauge = self.gauge(name, help_text)
        gauge.set_function(read)
        return gauge

    def histogram(
        self,
        name: str,
        help_text: str,
        labels: Sequence[str] = (),
        buckets: Sequence[float] = Histogram.DEFAULT_BUCKETS,
    ) -> Histogram:
        return Histogram(name, help_text, labels, buckets=buckets, registry=self.registry)

    def render(self) -> bytes:
        return generate_latest(self.registry)
