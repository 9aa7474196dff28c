"""Gives the viewers of a live stream to the video that its replay became."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from sqlalchemy import select

from foundation.database import Database, Transaction
from views.counters.progress import ProgressKeeper, ProgressStore, awaited
from views.stats import rows
from views.stats.recorder import Recorder
from views.stats.tables import viewer_stays

BATCH = 250
"""Stays that one transaction moves, so that counting never waits long behind it."""


class StayMover:
    """Every batch is moved as a whole, sums included: whoever is interrupted begins again and finishes the rest."""

    def __init__(self, db: Database, progress: ProgressStore | ProgressKeeper, recorder: Recorder) -> None:
        self._db = db
        self._progress = awaited(progress)
        self._recorder = recorder

    async def move(self, source: int, target: int) -> int:
        """Close every stay at the video ``source``, save it, and move all of them to ``target``; how many. Both are
        videos of ours. Who goes on watching begins a new stay. Raises StorageUnavailable: a part may have moved."""
        for kept in await self._progress.all_of(source):
            self._recorder.close(source, kept.viewer)
        await self._recorder.drain()
        work = partial(_move_batch, source=source, target=target)
        moved = 0
        while True:
            batch = await self._db.write(work)
            moved += batch
            if batch < BATCH:
                return moved


async def _move_batch(tx: Transaction, *, source: int, target: int) -> int:
    some = select(*rows.COLUMNS).where(viewer_stays.c.video_number == source).order_by(viewer_stays.c.start_ms)
    found = (await tx.execute(some.limit(BATCH).with_for_update(skip_locked=True))).all()
    stays = [rows.stay_of(row) for row in found]
    await rows.remove(tx, found, counted=True)
    if stays:
        await rows.insert(tx, [replace(stay, video=target) for stay in stays], ours=(target,))
    return len(stays)
