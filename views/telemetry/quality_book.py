"""Keeps what viewers said of playing, summed per viewer, hour and height; and asks what it comes to."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from functools import partial

from sqlalchemy import CursorResult, Select, delete, func, select, tuple_

from foundation.clock import Clock
from foundation.database import Database, Transaction
from foundation.metrics import Metrics
from views.stats.bulk import add_sums
from views.telemetry.events import Event, StatRecord
from views.telemetry.quality import FIELDS, Played, Quality, judge
from views.telemetry.samples import Direction, Stat
from views.telemetry.subjects import NodeRooms
from views.telemetry.tables import playback_sums as sums

HOUR_MS = 3_600_000

MAX_UNWRITTEN = 200_000
"""Sums that wait to be written; further ones of other viewers are refused."""

WRITTEN_AT_ONCE = 1_000

MAX_VIEWERS = 50_000
"""Viewers one answer is made of. Of more, those whose pseudonyms come first, which is as good as drawing lots."""

_KEYS = (sums.c.video_number, sums.c.at_ms, sums.c.participant, sums.c.height)
_SUMS = tuple(sums.c[name] for name in FIELDS)

_Key = tuple[int, int, str, int]


class QualityBook:
    """One of the places where analytics go. What several processes write is summed by the database."""

    def __init__(self, db: Database, clock: Clock, metrics: Metrics) -> None:
        self._db = db
        self._clock = clock
        self._unwritten: dict[_Key, Played] = {}
        self._writing = asyncio.Lock()
        self.as_of_ms = clock.now_ms()
        """Everything flushed before this instant is in the database."""
        metrics.gauge_from(
            "fediviews_playback_sums_waiting", "Sums of playback not written yet", lambda: len(self._unwritten)
        )
        self._refused = metrics.counter("fediviews_playback_sums_refused", "Statistics of playback that found no room")

    # As an analytics service

    def send_stats(self, stats: Sequence[StatRecord]) -> None:
        for record in stats:
            if record.stat.direction is Direction.UP:
                continue
            hour_ms = record.stat.end_ms - record.stat.end_ms % HOUR_MS
            key = (record.number, hour_ms, record.participant, record.stat.layer)
            before = self._unwritten.get(key)
            if before is None and len(self._unwritten) >= MAX_UNWRITTEN:
                self._refused.inc()
                continue
            played = _played(record.stat)
            self._unwritten[key] = played if before is None else before + played

    def send_event(self, event: Event) -> None:
        return None

    def send_node_room_states(self, states: NodeRooms) -> None:
        return None

    # Writing

    async def write(self) -> int:
        """Write what waits; how many sums. Raises StorageUnavailable: what is not written waits on."""
        async with self._writing:
            now_ms = self._clock.now_ms()
            waiting, self._unwritten = list(self._unwritten.items()), {}
            for at in range(0, len(waiting), WRITTEN_AT_ONCE):
                # In one order everywhere, so that two processes never wait for each other.
                batch = sorted(waiting[at : at + WRITTEN_AT_ONCE], key=_key_of)
                try:
                    await self._db.write(partial(_add, rows=[(*key, *played.sums()) for key, played in batch]))
                except BaseException:
                    for key, played in waiting[at:]:
                        self._unwritten[key] = played + self._unwritten.get(key, Played())
                    raise
            self.as_of_ms = now_ms
        return len(waiting)

    async def purge(self, max_age_ms: int | None) -> int:
        """Forget what is older; how many sums. None keeps it for good."""
        if max_age_ms is None:
            return 0
        before_ms = self._clock.now_ms() - max_age_ms
        return await self._forget(select(*_KEYS).where(sums.c.at_ms < before_ms))

    async def forget_video(self, number: int) -> None:
        for key in [key for key in self._unwritten if key[0] == number]:
            self._unwritten.pop(key, None)
        await self._forget(select(*_KEYS).where(sums.c.video_number == number))

    async def _forget(self, which: Select[tuple[int, int, str, int]]) -> int:
        forgotten = 0
        while True:
            batch = await self._db.write(partial(_delete, which=which.limit(WRITTEN_AT_ONCE)))
            forgotten += batch
            if batch < WRITTEN_AT_ONCE:
                return forgotten

    # Asking

    async def quality(self, number: int, start_ms: int | None = None, end_ms: int | None = None) -> Quality:
        """Of one video, in the hours that overlap the bounds. Writes first, so that what was flushed is in it. Raises
        StorageUnavailable."""
        await self.write()
        chosen = [sums.c.video_number == number]
        if start_ms is not None:
            chosen.append(sums.c.at_ms > start_ms - HOUR_MS)
        if end_ms is not None:
            chosen.append(sums.c.at_ms <= end_ms)
        among = select(sums.c.participant).where(*chosen).distinct().order_by(sums.c.participant).limit(MAX_VIEWERS)
        totals = [func.sum(column) for column in _SUMS]
        asked = (
            select(sums.c.participant, sums.c.height, *totals)
            .where(*chosen, sums.c.participant.in_(among))
            .group_by(sums.c.participant, sums.c.height)
        )
        viewers: dict[str, dict[int, Played]] = defaultdict(dict)
        async with self._db.read() as tx:
            for participant, height, *said in await tx.execute(asked):
                viewers[participant][height] = Played(*map(int, said))
        return await asyncio.to_thread(judge, viewers) if len(viewers) > WRITTEN_AT_ONCE else judge(viewers)


def _played(stat: Stat) -> Played:
    """Of a coalesced statistic: its time is the sum of its samples' as far as it is known."""
    return Played(
        span_ms=stat.span_ms,
        stalls=stat.stalls,
        stall_ms=stat.stall_ms,
        switches=stat.switches,
        errors=stat.errors + stat.failed,
        frames=stat.frames,
        dropped_frames=stat.dropped_frames,
        latency_ms=stat.latency_ms,
        latencies=int(stat.latency_ms > 0),
        startup_ms=stat.startup_ms,
        startups=int(stat.startup_ms > 0),
        bytes=stat.bytes,
    )


def _key_of(item: tuple[_Key, Played]) -> _Key:
    return item[0]


async def _add(tx: Transaction, *, rows: Sequence[Sequence[object]]) -> None:
    await add_sums(tx, _KEYS, _SUMS, rows)


async def _delete(tx: Transaction, *, which: Select[tuple[int, int, str, int]]) -> int:
    result = await tx.execute(delete(sums).where(tuple_(*_KEYS).in_(which)))
    assert isinstance(result, CursorResult)
    return result.rowcount
