"""What is kept of one participant between flushes: samples by track and direction, and who holds it. Pure."""

from __future__ import annotations

from collections import deque

from views.telemetry.guard import ReferenceCount, ReferenceGuard
from views.telemetry.samples import Direction, Sample, Stat, coalesce
from views.telemetry.subjects import Participant, Room, RoomState

MAX_TRACKS = 16
"""Of one participant and one flush, both directions together."""

MAX_SAMPLES = 64
"""Of one track and one flush; a player sends one or two."""

REAP_AFTER_MS = 180_000
"""How long after its participant left a worker still takes what comes late (LiveKit's three minutes)."""

IDLE_AFTER_MS = 3_600_000
"""Silence after which a worker goes that nobody closed: its participant went on, and left, at another process."""

Key = tuple[int, str]
"""A video's number and a participant's ``sid``."""


class StatsWorker:
    """``active``: its participant plays in this stay. ``announced``: that was said. ``said``: so was anything at all,
    so that its end is worth saying. ``joined_ms``: when this process saw it come, 0 if it did not."""

    __slots__ = (
        "_samples",
        "active",
        "announced",
        "closed_ms",
        "count",
        "joined_ms",
        "participant",
        "room",
        "said",
        "touched_ms",
    )

    def __init__(self, room: Room, participant: Participant, now_ms: int) -> None:
        self.room = room
        self.participant = participant
        self.count = ReferenceCount()
        self.active = participant.active
        self.announced = False
        self.said = False
        self.joined_ms = 0
        self.closed_ms: int | None = None
        self.touched_ms = now_ms
        self._samples: dict[tuple[Direction, str], list[Sample]] | None = None

    @property
    def key(self) -> Key:
        return self.room.video.number, self.participant.sid

    def add(self, sample: Sample, now_ms: int) -> bool:
        """False when there is no room for it before the next flush."""
        self.touched_ms = now_ms
        if self._samples is None:
            self._samples = {}
        of_track = self._samples.get((sample.direction, sample.track))
        if of_track is None:
            if len(self._samples) >= MAX_TRACKS:
                return False
            of_track = self._samples[sample.direction, sample.track] = []
        if len(of_track) >= MAX_SAMPLES:
            return False
        of_track.append(sample)
        return True

    def take(self) -> list[Stat]:
        """What the samples since the last call come to: at most one of each track and direction."""
        samples, self._samples = self._samples, None
        stats = map(coalesce, samples.values()) if samples is not None else ()
        return [stat for stat in stats if stat is not None]


class Workers:
    """Workers by participant; at most ``max_workers``, those that are closed and not reaped yet included.

    What a flush and a reaping cost is in proportion to who sent samples and who left, not to who is here.
    """

    def __init__(self, max_workers: int) -> None:
        self._max_workers = max_workers
        self._by_key: dict[Key, StatsWorker] = {}
        self._dirty: dict[int, StatsWorker] = {}
        self._closed: deque[StatsWorker] = deque()
        self._held = 0
        self._rooms: dict[int, _Here] = {}

    def __len__(self) -> int:
        """All that are kept."""
        return self._held

    def rooms(self) -> tuple[RoomState, ...]:
        """Videos with participants who are here."""
        return tuple(RoomState(here.room, here.participants, here.active) for here in self._rooms.values())

    def participants(self) -> int:
        return sum(here.participants for here in self._rooms.values())

    def get(self, key: Key) -> StatsWorker | None:
        return self._by_key.get(key)

    def get_or_create(
        self, room: Room, participant: Participant, now_ms: int, guard: ReferenceGuard | None = None
    ) -> StatsWorker | None:
        """The open worker of this participant, held by ``guard`` from now on; None when there is no room for another.

        In place of a closed one stands a new one, which knows nothing of the stay before; the old one stays until it is
        reaped.
        """
        key = (room.video.number, participant.sid)
        worker = self._by_key.get(key)
        if worker is None or worker.closed_ms is not None:
            if self._held >= self._max_workers:
                return None
            worker = StatsWorker(room, participant, now_ms)
            self._by_key[key] = worker
            self._held += 1
            self._count(worker, 1)
        worker.touched_ms = now_ms
        worker.count.activate(guard)
        return worker

    def close(self, worker: StatsWorker, now_ms: int, guard: ReferenceGuard | None = None) -> bool:
        """``guard`` lets go; True when that ended the stay. Without a guard it ends if nobody holds it."""
        if worker.closed_ms is not None:
            return False
        ends = len(worker.count) == 0 if guard is None else worker.count.release(guard)
        return ends and self.end(worker, now_ms)

    def end(self, worker: StatsWorker, now_ms: int) -> bool:
        """The stay is over, whoever holds it; False when it was over before."""
        if worker.closed_ms is not None:
            return False
        self._count(worker, -1)
        worker.closed_ms = now_ms
        self._closed.append(worker)
        return True

    def of(self, video: int) -> list[StatsWorker]:
        """The open workers of one video. Looks at all of them."""
        return [each for each in self._by_key.values() if each.closed_ms is None and each.room.video.number == video]

    def activate(self, worker: StatsWorker) -> None:
        """Its participant plays."""
        if not worker.active:
            worker.active = True
            if worker.closed_ms is None:
                self._rooms[worker.room.video.number].active += 1

    def add(self, room: Room, participant: Participant, sample: Sample, now_ms: int) -> bool:
        """Keep a sample, of a participant that left too, or that nobody has announced (a player that sends nothing
        else): such a worker is closed from the beginning, and stays for as long as samples come."""
        key = (room.video.number, participant.sid)
        worker = self._by_key.get(key)
        if worker is None:
            worker = self.get_or_create(room, participant, now_ms)
            if worker is None:
                return False
            self.close(worker, now_ms)
        if not worker.add(sample, now_ms):
            return False
        self._dirty[id(worker)] = worker
        return True

    def take_dirty(self) -> list[StatsWorker]:
        """Those with samples; each is to be asked to ``take``."""
        dirty, self._dirty = list(self._dirty.values()), {}
        return dirty

    def reap(self, now_ms: int) -> int:
        """Forget who left, and whom nobody has spoken to, long enough ago; how many."""
        reaped = 0
        for _ in range(len(self._closed)):
            worker = self._closed[0]
            assert worker.closed_ms is not None
            if now_ms - worker.closed_ms <= REAP_AFTER_MS:
                break
            self._closed.popleft()
            if now_ms - worker.touched_ms <= REAP_AFTER_MS:
                worker.closed_ms = worker.touched_ms
                self._closed.append(worker)
            else:
                self._forget(worker)
                reaped += 1
        return reaped

    def forget_idle(self, now_ms: int) -> int:
        """Forget open workers that nobody has spoken to for long; how many. Looks at all of them: call it rarely."""
        before_ms = now_ms - IDLE_AFTER_MS
        idle = [each for each in self._by_key.values() if each.closed_ms is None and each.touched_ms < before_ms]
        for worker in idle:
            self._forget(worker)
        return len(idle)

    def _forget(self, worker: StatsWorker) -> None:
        self._held -= 1
        if worker.closed_ms is None:
            self._count(worker, -1)
        if self._by_key.get(worker.key) is worker:
            del self._by_key[worker.key]

    def _count(self, worker: StatsWorker, change: int) -> None:
        video = worker.room.video
        here = self._rooms.setdefault(video.number, _Here(video.uuid))
        here.participants += change
        here.active += change * worker.active
        if not here.participants:
            del self._rooms[video.number]


class _Here:
    """Who is in one room."""

    __slots__ = ("active", "participants", "room")

    def __init__(self, room: str) -> None:
        self.room = room
        self.participants = 0
        self.active = 0
