"""Forgets stays that are old, or whose video is gone, in batches, and takes them out of the sums."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from sqlalchemy import CursorResult, Table, delete, func, select, tuple_

from foundation.clock import Clock
from foundation.database import Database, Transaction
from views.stats import rows
from views.stats.settling import settle
from views.stats.tables import retention_steps, stay_times, stay_traits, viewer_stays
from views.tables import videos

BATCH = 500
"""Stays that one transaction takes away, so that counting never waits long behind it."""

_SUMS_AT_ONCE = 2_000

_SUMS = (stay_times, stay_traits, retention_steps)


class Cleaner:
    """Every method is safe to call at any time, also twice at once."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def purge(self, *, local_max_age_ms: int | None, remote_max_age_ms: int | None) -> int:
        """Forget stays that began longer ago than the age of their kind of video; None keeps them for good. How many
        were forgotten. Raises StorageUnavailable: the rest goes the next time."""
        now_ms = self._clock.now_ms()
        ages = {True: local_max_age_ms, False: remote_max_age_ms}
        forgotten = 0
        for number in await self._numbers():
            async with self._db.read() as tx:
                local = (await tx.execute(select(videos.c.local).where(videos.c.number == number))).scalar_one_or_none()
            if local is None:
                forgotten += await self._forget_video(number)
            elif (age_ms := ages[bool(local)]) is not None:
                forgotten += await self._forget(number, now_ms - age_ms, counted=bool(local))
        return forgotten

    async def settle(self) -> int:
        """Make peaks quick to find again after stays came or went; how many buckets were looked at."""
        return await settle(self._db)

    async def _numbers(self) -> Sequence[int]:
        """Of the videos that anything is kept of, by skipping through the indexes."""
        numbers: set[int] = set()
        async with self._db.read() as tx:
            for table in (viewer_stays, *_SUMS):
                last = 0
                while True:
                    after = table.c.video_number > last
                    found = (await tx.execute(select(func.min(table.c.video_number)).where(after))).scalar_one()
                    if found is None:
                        break
                    numbers.add(found)
                    last = found
        return sorted(numbers)

    async def _forget_video(self, number: int) -> int:
        forgotten = await self._forget(number, None, counted=False)
        for table in _SUMS:
            while await self._db.write(partial(_forget_sums, number=number, table=table)) == _SUMS_AT_ONCE:
                pass
        return forgotten

    async def _forget(self, number: int, before_ms: int | None, *, counted: bool) -> int:
        forgotten = 0
        work = partial(_forget_batch, number=number, before_ms=before_ms, counted=counted)
        while True:
            batch = await self._db.write(work)
            forgotten += batch
            if batch < BATCH:
                return forgotten


async def _forget_batch(tx: Transaction, *, number: int, before_ms: int | None, counted: bool) -> int:
    old = select(*rows.COLUMNS).where(viewer_stays.c.video_number == number)
    if before_ms is not None:
        old = old.where(viewer_stays.c.start_ms < before_ms)
    found = (await tx.execute(old.order_by(viewer_stays.c.start_ms).limit(BATCH))).all()
    await rows.remove(tx, found, counted=counted)
    return len(found)


async def _forget_sums(tx: Transaction, *, number: int, table: Table) -> int:
    keys = list(table.primary_key.columns)
    some = select(*keys).where(table.c.video_number == number).limit(_SUMS_AT_ONCE)
    result = await tx.execute(delete(table).where(tuple_(*keys).in_(some)))
    assert isinstance(result, CursorResult)
    return result.rowcount
