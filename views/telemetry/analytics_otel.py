"""Telemetry's records as OpenTelemetry spans: an event is one without length, a statistic one over its time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from foundation.errors import ConfigError
from views.telemetry.events import Event, StatRecord
from views.telemetry.subjects import NodeRooms, plain

EXPORT_TIMEOUT_S = 3
NS_PER_MS = 1_000_000

KEY = "telemetry.events.opentelemetry"


class OpenTelemetrySink:
    """``exporter`` is OpenTelemetry's own (``SpanExporter``); it runs in a thread of its SDK, which bounds what waits
    and drops the rest by itself. Attributes begin with ``fediviews.``."""

    def __init__(self, exporter: Any, *, service: str, node: str) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        resource = Resource.create(
            {"service.name": "fediviews", "service.namespace": service, "service.instance.id": node}
        )
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("fediviews.telemetry")

    @classmethod
    def over_http(cls, endpoint: str, *, service: str, node: str) -> OpenTelemetrySink:
        """OTLP over HTTP to ``endpoint`` (a collector's ``/v1/traces``). Raises ConfigError where OpenTelemetry is not
        installed."""
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        except ImportError:
            raise ConfigError(KEY, "OpenTelemetry is not installed: pip install 'fediviews[otel]'") from None
        return cls(OTLPSpanExporter(endpoint=endpoint, timeout=EXPORT_TIMEOUT_S), service=service, node=node)

    def send_stats(self, stats: Sequence[StatRecord]) -> None:
        for record in stats:
            said = {"id": record.id, "room": record.room, "participant": record.participant, **plain(record.stat)}
            self._span("track_stats", record.stat.start_ms, record.stat.end_ms, said)

    def send_event(self, event: Event) -> None:
        self._span(event.kind.value, event.at_ms, event.at_ms, plain(event))

    def send_node_room_states(self, states: NodeRooms) -> None:
        said = {"sequence": states.sequence, "rooms": len(states.rooms)}
        said["participants"] = sum(room.participants for room in states.rooms)
        self._span("node_rooms", states.at_ms, states.at_ms, said)

    def close(self) -> None:
        """Send what waits; blocks for as long as an export may take."""
        self._provider.shutdown()

    def _span(self, name: str, start_ms: int, end_ms: int, said: Mapping[str, Any]) -> None:
        span = self._tracer.start_span(name, start_time=start_ms * NS_PER_MS, attributes=dict(_flat("fediviews", said)))
        span.end(end_ms * NS_PER_MS)


def _flat(prefix: str, said: Mapping[str, Any]) -> list[tuple[str, str | int | float | bool]]:
    found: list[tuple[str, str | int | float | bool]] = []
    for name, value in said.items():
        if isinstance(value, Mapping):
            found += _flat(f"{prefix}.{name}", value)
        elif isinstance(value, str | int | float | bool):
            found.append((f"{prefix}.{name}", value))
        elif value is not None:
            found.append((f"{prefix}.{name}", msgspec.json.encode(value).decode()))
    return found
