"""Where telemetry's records go: to several places at once, to the log, to the database."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from functools import partial

import msgspec
from sqlalchemy import CursorResult, delete, select

from foundation.clock import Clock
from foundation.database import Database, Transaction
from foundation.metrics import Metrics
from views.stats.bulk import insert_rows
from views.telemetry.events import Event, StatRecord
from views.telemetry.interface import AnalyticsService
from views.telemetry.subjects import NodeRooms, ReportInfo
from views.telemetry.tables import telemetry_records as records

WRITTEN_AT_ONCE = 1_000

_log = logging.getLogger("fediviews.telemetry.events")
_say = msgspec.json.Encoder().encode


class Everywhere:
    """Each place gets everything; one that fails keeps nothing from the others, and the operation counts as failed."""

    def __init__(self, places: Sequence[AnalyticsService]) -> None:
        self._places = tuple(places)

    def send_stats(self, stats: Sequence[StatRecord]) -> None:
        self._each([partial(place.send_stats, stats) for place in self._places])

    def send_event(self, event: Event) -> None:
        self._each([partial(place.send_event, event) for place in self._places])

    def send_node_room_states(self, states: NodeRooms) -> None:
        self._each([partial(place.send_node_room_states, states) for place in self._places])

    def _each(self, calls: Sequence[partial[None]]) -> None:
        problem: Exception | None = None
        for call in calls:
            try:
                call()
            except Exception as error:
                problem = error
        if problem is not None:
            raise problem


class LogSink:
    """One line of JSON per record, at level info. The log names no viewer: participants stay out."""

    def send_stats(self, stats: Sequence[StatRecord]) -> None:
        for record in stats:
            _log.info("%s", _say(msgspec.structs.replace(record, participant="")).decode())

    def send_event(self, event: Event) -> None:
        nameless = msgspec.structs.replace(event, participant="", identity="", publisher="")
        if isinstance(nameless.info, ReportInfo):
            nameless = msgspec.structs.replace(nameless, info=msgspec.structs.replace(nameless.info, participant=""))
        _log.info("%s", _say(nameless).decode())

    def send_node_room_states(self, states: NodeRooms) -> None:
        _log.info("%s", _say(states).decode())


class DatabaseSink:
    """Rows in ``telemetry_records``, written in bulk by ``write``. Where a commit's answer is lost a record may be
    there twice, under the same id. ``max_waiting`` bounds what waits: the oldest are lost, and counted."""

    def __init__(self, db: Database, clock: Clock, metrics: Metrics, max_waiting: int) -> None:
        self._db = db
        self._clock = clock
        self._waiting: deque[tuple[object, ...]] = deque()
        self._max_waiting = max_waiting
        metrics.gauge_from("fediviews_telemetry_records_waiting", "Records not written yet", lambda: len(self._waiting))
        self._written = metrics.counter("fediviews_telemetry_records_written", "Records written to the database")
        self._lost = metrics.counter("fediviews_telemetry_records_lost", "Records lost because so many waited")

    def send_stats(self, stats: Sequence[StatRecord]) -> None:
        for record in stats:
            self._keep(record.at_ms, record.id, "stat", record.room, record.participant, record)

    def send_event(self, event: Event) -> None:
        self._keep(event.at_ms, event.id, event.kind.value, event.room, event.participant, event)

    def send_node_room_states(self, states: NodeRooms) -> None:
        self._keep(states.at_ms, f"{states.node}", "node_rooms", "", "", states)

    def _keep(self, at_ms: int, record: str, kind: str, room: str, participant: str, whole: object) -> None:
        if len(self._waiting) >= self._max_waiting:
            self._waiting.popleft()
            self._lost.inc()
        self._waiting.append((at_ms, record, kind, room, participant, _say(whole).decode()))

    async def write(self) -> int:
        """Write what waits; how many. Raises StorageUnavailable: the rest waits on."""
        written = 0
        while self._waiting:
            rows = [self._waiting.popleft() for _ in range(min(WRITTEN_AT_ONCE, len(self._waiting)))]
            try:
                await self._db.write(partial(_insert, rows=rows))
            except BaseException:
                self._waiting.extendleft(reversed(rows))
                raise
            written += len(rows)
            self._written.inc(len(rows))
        return written

    async def purge(self, max_age_ms: int | None) -> int:
        """Forget what is older; how many. None keeps it for good."""
        if max_age_ms is None:
            return 0
        forgotten, before_ms = 0, self._clock.now_ms() - max_age_ms
        while True:
            batch = await self._db.write(partial(_delete, before_ms=before_ms))
            forgotten += batch
            if batch < WRITTEN_AT_ONCE:
                return forgotten


_COLUMNS = (
    records.c.at_ms,
    records.c.record,
    records.c.kind,
    records.c.room,
    records.c.participant,
    records.c.body,
)


async def _insert(tx: Transaction, *, rows: Sequence[tuple[object, ...]]) -> None:
    await insert_rows(tx, _COLUMNS, rows)


async def _delete(tx: Transaction, *, before_ms: int) -> int:
    old = select(records.c.id).where(records.c.at_ms < before_ms).order_by(records.c.at_ms).limit(WRITTEN_AT_ONCE)
    result = await tx.execute(delete(records).where(records.c.id.in_(old)))
    assert isinstance(result, CursorResult)
    return result.rowcount
