"""The telemetry of one process: who is here and how it plays for them, told to webhooks and written down."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Protocol

from foundation.clock import Clock
from foundation.metrics import Metrics
from views.notices import VideoFinished, VideoStarted, ViewerAborted, ViewerJoined, ViewerLeft, ViewersPeak
from views.ports import Notifier
from views.telemetry.events import EventKind, StatRecord, stat_id
from views.telemetry.guard import ReferenceGuard
from views.telemetry.interface import AnalyticsService
from views.telemetry.queue import OpClass, OpsQueue
from views.telemetry.samples import Sample
from views.telemetry.subjects import Client, NodeRooms, Participant, Room
from views.telemetry.tracks import HouseBooks, TrackBooks
from views.telemetry.worker import Key, StatsWorker, Workers

FLUSHED_AT_ONCE = 50
"""Workers flushed by one operation, so that others have their turn between them."""


class RoomHolder(Protocol):
    """The part of ``rooms.Rooms`` that is needed here."""

    def hold(self, room: Room) -> None: ...

    def release(self, room: Room) -> None: ...


class Telemetry(TrackBooks, HouseBooks):
    """Implements ``service.TelemetryService``. Workers are this process's own: another process that the same viewer
    talks to has its own for it, and what both flush is summed where it is kept."""

    def __init__(
        self,
        queue: OpsQueue,
        analytics: AnalyticsService,
        notifier: Notifier,
        clock: Clock,
        metrics: Metrics,
        *,
        node: str,
        max_workers: int = 100_000,
    ) -> None:
        super().__init__(queue, analytics, clock, metrics, node)
        self._notifier = notifier
        self._workers = Workers(max_workers)
        self.rooms: RoomHolder | None = None
        self._states = 0
        metrics.gauge_from(
            "fediviews_telemetry_participants", "Viewers followed by this process.", self._workers.participants
        )
        metrics.gauge_from(
            "fediviews_telemetry_workers", "Stats workers kept, late ones included.", lambda: len(self._workers)
        )
        refused = metrics.counter("fediviews_telemetry_refused", "What telemetry had no room to follow.", ["what"])
        self._refused_worker, self._refused_sample = refused.labels("participant"), refused.labels("sample")
        self._flushed = metrics.counter("fediviews_telemetry_stats_total", "Coalesced statistics sent.")

    def knows(self, key: Key) -> bool:
        """Is this participant here, as far as this process knows?"""
        worker = self._workers.get(key)
        return worker is not None and worker.closed_ms is None

    def saw_come(self, key: Key) -> bool:
        """Does this process know by itself since when this participant is here, and that it plays?"""
        worker = self._workers.get(key)
        return worker is not None and worker.closed_ms is None and worker.announced and worker.joined_ms > 0

    # Rooms

    def room_started(self, room: Room) -> None:
        """Somebody else says so: the room stays open until the same one says that it is over, viewers or not."""
        if self.rooms is None:
            self.say_room_started(room)
        else:
            self.rooms.hold(room)

    def room_ended(self, room: Room) -> None:
        if self.rooms is None:
            self.say_room_ended(room)
        else:
            self.rooms.release(room)

    def say_room_started(self, room: Room) -> None:
        self.lifecycle(("room_started", room.sid), partial(self._room_started, room, self._clock.now_ms()))

    def _room_started(self, room: Room, at_ms: int) -> None:
        self.write(self.event(EventKind.ROOM_CREATED, room, at_ms=room.started_ms or at_ms))
        self._notifier.notify(VideoStarted(room.video, room.started_ms or at_ms))

    def say_room_ended(self, room: Room) -> None:
        self.lifecycle(("room_ended", room.sid), partial(self._room_ended, room, self._clock.now_ms()))

    def _room_ended(self, room: Room, at_ms: int) -> None:
        self.write(self.event(EventKind.ROOM_ENDED, room, at_ms=at_ms))
        self._notifier.notify(VideoFinished(room.video, at_ms, room.started_ms))

    def say_viewers_peak(self, room: Room, viewers: int) -> None:
        notice = ViewersPeak(room.video, self._clock.now_ms(), viewers)
        self.lifecycle(("peak", room.sid), partial(self._notifier.notify, notice))

    # Participants

    def participant_joined(
        self,
        room: Room,
        participant: Participant,
        *,
        client: Client | None = None,
        should_send_event: bool = True,
        guard: ReferenceGuard | None = None,
    ) -> None:
        key = ("joined", participant.sid, id(guard))
        at_ms = self._clock.now_ms()
        self.lifecycle(key, partial(self._joined, room, participant, client, should_send_event, guard, at_ms))

    def _joined(
        self,
        room: Room,
        participant: Participant,
        client: Client | None,
        should_send_event: bool,
        guard: ReferenceGuard | None,
        at_ms: int,
    ) -> None:
        worker = self._worker(room, participant, guard)
        if should_send_event:
            if worker is not None:
                worker.said = True
                worker.joined_ms = worker.joined_ms or at_ms
            self.write(self.event(EventKind.PARTICIPANT_JOINED, room, participant, at_ms=at_ms, info=client))

    def participant_active(
        self,
        room: Room,
        participant: Participant,
        *,
        is_migration: bool = False,
        guard: ReferenceGuard | None = None,
    ) -> None:
        key = ("active", participant.sid, id(guard))
        at_ms = self._clock.now_ms()
        self.lifecycle(key, partial(self._active, room, participant, is_migration, guard, at_ms))

    def _active(
        self, room: Room, participant: Participant, is_migration: bool, guard: ReferenceGuard | None, at_ms: int
    ) -> None:
        worker = self._worker(room, participant, guard)
        if worker is not None:
            self._workers.activate(worker)
            if worker.announced:
                # Another source said so before.
                return
            worker.announced = worker.said = True
        reason = "migration" if is_migration else ""
        self.write(self.event(EventKind.PARTICIPANT_ACTIVE, room, participant, at_ms=at_ms, reason=reason))
        if not is_migration:
            self._notifier.notify(ViewerJoined(room.video, at_ms, participant.identity, participant.sid))

    def participant_resumed(self, room: Room, participant: Participant, *, reason: str = "") -> None:
        op = partial(self._resumed, room, participant, reason, self._clock.now_ms())
        self.lifecycle(("resumed", participant.sid), op)

    def _resumed(self, room: Room, participant: Participant, reason: str, at_ms: int) -> None:
        self._worker(room, participant, None)
        self.write(self.event(EventKind.PARTICIPANT_RESUMED, room, participant, at_ms=at_ms, reason=reason))

    def participant_left(
        self,
        room: Room,
        participant: Participant,
        *,
        should_send_event: bool = True,
        guard: ReferenceGuard | None = None,
    ) -> None:
        at_ms = self._clock.now_ms()
        op = partial(self._left, room, participant, should_send_event, guard, at_ms)
        self.lifecycle(("left", participant.sid, id(guard)), op)

    def _left(
        self, room: Room, participant: Participant, should_send_event: bool, guard: ReferenceGuard | None, at_ms: int
    ) -> None:
        worker = self._workers.get((room.video.number, participant.sid))
        active, joined_ms = participant.active, participant.joined_ms
        if worker is not None and worker.closed_ms is None:
            if not self._workers.close(worker, at_ms, guard):
                return
            active, joined_ms = active or worker.active, worker.joined_ms or joined_ms
            should_send_event &= worker.said or active
        elif guard is not None:
            # It came at another process, or found no room here: its source says once that it left.
            if guard.released:
                return
            guard.activated = guard.released = True
        if should_send_event:
            self._say_left(room, participant, active, joined_ms, at_ms)

    def _say_left(self, room: Room, participant: Participant, active: bool, joined_ms: int, at_ms: int) -> None:
        kind = EventKind.PARTICIPANT_LEFT if active else EventKind.PARTICIPANT_CONNECTION_ABORTED
        self.write(self.event(kind, room, participant, at_ms=at_ms))
        notice = ViewerLeft if active else ViewerAborted
        self._notifier.notify(notice(room.video, at_ms, participant.identity, participant.sid, joined_ms))

    def let_go(self, room: Room, participant: Participant, guard: ReferenceGuard) -> None:
        """As ``participant_left``, of a source that may have found no room to hold it: then nothing."""
        at_ms = self._clock.now_ms()
        self.lifecycle(None, lambda: self._left(room, participant, True, guard, at_ms) if guard.activated else None)

    def empty(self, room: Room) -> None:
        """Everybody this process follows there has left, whoever holds them."""
        self.lifecycle(("empty", room.sid), partial(self._empty, room, self._clock.now_ms()))

    def _empty(self, room: Room, at_ms: int) -> None:
        here = self._workers.of(room.video.number)
        for at in range(0, len(here), FLUSHED_AT_ONCE):
            self.lifecycle(None, partial(self._empty_part, here[at : at + FLUSHED_AT_ONCE], at_ms))

    def _empty_part(self, workers: Sequence[StatsWorker], at_ms: int) -> None:
        for worker in workers:
            if self._workers.end(worker, at_ms) and worker.said:
                self._say_left(worker.room, worker.participant, worker.active, worker.joined_ms, at_ms)

    # Statistics

    def track_stats(self, room: Room, participant: Participant, sample: Sample) -> None:
        self._queue.put(OpClass.SAMPLE, partial(self._sample, room, participant, sample))

    def _sample(self, room: Room, participant: Participant, sample: Sample) -> None:
        if not self._workers.add(room, participant, sample, self._clock.now_ms()):
            self._refused_sample.inc()

    def flush_stats(self) -> None:
        self.lifecycle(("flush",), self._flush)

    def _flush(self) -> None:
        """In parts that others may come between; then those are forgotten that left long ago."""
        dirty = self._workers.take_dirty()
        for at in range(0, len(dirty), FLUSHED_AT_ONCE):
            self.lifecycle(None, partial(self._flush_part, dirty[at : at + FLUSHED_AT_ONCE]))
        now_ms = self._clock.now_ms()
        self._workers.reap(now_ms)
        self._states += 1
        self._analytics.send_node_room_states(NodeRooms(self.node, self._states, now_ms, self._workers.rooms()))

    def _flush_part(self, workers: Sequence[StatsWorker]) -> None:
        now_ms = self._clock.now_ms()
        for worker in workers:
            video, participant = worker.room.video, worker.participant.sid
            records = [
                StatRecord(stat_id(), now_ms, self.node, video.uuid, video.number, participant, stat)
                for stat in worker.take()
            ]
            if records:
                self._flushed.inc(len(records))
                self._analytics.send_stats(records)

    def forget_idle(self) -> None:
        """To be called once in a while: participants whose going was another process's to see are forgotten here."""
        self.lifecycle(("idle",), partial(self._forget_idle, self._clock.now_ms()))

    def _forget_idle(self, now_ms: int) -> None:
        self._workers.forget_idle(now_ms)

    # Inside

    def _worker(self, room: Room, participant: Participant, guard: ReferenceGuard | None) -> StatsWorker | None:
        worker = self._workers.get_or_create(room, participant, self._clock.now_ms(), guard)
        if worker is None:
            self._refused_worker.inc()
        return worker
