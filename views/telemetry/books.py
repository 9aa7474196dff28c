"""How telemetry keeps its books: every event becomes one record, counted and passed on."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial
from typing import Any

from foundation.clock import Clock
from foundation.metrics import Metrics
from views.telemetry.events import Event, EventKind, StatRecord, event_id
from views.telemetry.interface import AnalyticsService
from views.telemetry.queue import Op, OpClass, OpsQueue
from views.telemetry.subjects import NodeRooms, Participant, Room

_FAULTS = ("", "ours", "viewer")


class Books:
    """Puts operations on the queue and writes events; what the parts of ``Telemetry`` share.

    ``node`` names this process among those of one instance.
    """

    def __init__(self, queue: OpsQueue, analytics: AnalyticsService, clock: Clock, metrics: Metrics, node: str) -> None:
        self._queue = queue
        self._analytics = analytics
        self._clock = clock
        self.node = node
        self._events = metrics.counter(
            "fediviews_telemetry_events_total", "Telemetry events; fault: whose side was to blame.", ["kind", "fault"]
        )
        for kind in EventKind:
            self._events.labels(kind.value, "")

    # The analytics service, for whoever has a finished record

    def send_stats(self, stats: Sequence[StatRecord]) -> None:
        self._queue.put(OpClass.RECORD, partial(self._analytics.send_stats, stats))

    def send_event(self, event: Event) -> None:
        self._queue.put(OpClass.RECORD, partial(self._write, event))

    def send_node_room_states(self, states: NodeRooms) -> None:
        self._queue.put(OpClass.RECORD, partial(self._analytics.send_node_room_states, states))

    # For the parts

    def record(
        self, kind: EventKind, room: Room | None = None, participant: Participant | None = None, **said: Any
    ) -> None:
        """An event that is only written down."""
        self._queue.put(OpClass.RECORD, partial(self._write, self.event(kind, room, participant, **said)))

    def lifecycle(self, key: Hashable, op: Op) -> None:
        self._queue.put(OpClass.LIFECYCLE, op, key)

    def event(
        self, kind: EventKind, room: Room | None = None, participant: Participant | None = None, **said: Any
    ) -> Event:
        return Event(
            event_id(),
            kind,
            said.pop("at_ms", None) or self._clock.now_ms(),
            self.node,
            "" if room is None else room.sid,
            "" if participant is None else participant.sid,
            "" if participant is None else participant.identity,
            **said,
        )

    def write(self, event: Event) -> None:
        """At once: for operations that run already."""
        self._write(event)

    def _write(self, event: Event) -> None:
        fault = ""
        if event.kind is EventKind.TRACK_SUBSCRIBE_FAILED:
            fault = "viewer" if event.user_error else "ours"
        self._events.labels(event.kind.value, fault).inc()
        self._analytics.send_event(event)
