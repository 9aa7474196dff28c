"""Forgets stays that are old, or whose video is gone, and takes them out of the sums.

On SQLite rows are deleted in batches. On PostgreSQL whole months go: hidden first, then read through in batches for the
sums and ids, then dropped, so that nothing is left to be vacuumed in the largest table there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from sqlalchemy import CursorResult, Table, column, delete, func, select, table, tuple_

from foundation.clock import Clock
from foundation.database import Database, Transaction
from foundation.partitions import drop, note, noted
from views.stats import rows
from views.stats.settling import settle
from views.stats.tables import STAYS, retention_steps, stay_times, stay_traits, viewer_stays
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
        """Forget stays that began longer ago than the age of their kind of video; None keeps them for good. By months:
        those that ended in a month all of which is that long ago. How many were forgotten. Raises StorageUnavailable:
        the rest goes the next time."""
        now_ms = self._clock.now_ms()
        ages = {True: local_max_age_ms, False: remote_max_age_ms}
        forgotten = 0
        by_month = self._db.dialect == "postgresql"
        for kind, kept_ms in ages.items() if by_month else ():
            forgotten += await self._forget_months(kind, None if kept_ms is None else now_ms - kept_ms)
        for number in await self._numbers():
            async with self._db.read() as tx:
                local = (await tx.execute(select(videos.c.local).where(videos.c.number == number))).scalar_one_or_none()
            if local is None:
                forgotten += await self._forget_video(number)
            elif not by_month and (age_ms := ages[bool(local)]) is not None:
                forgotten += await self._forget(number, now_ms - age_ms, counted=bool(local))
        return forgotten

    async def settle(self) -> int:
        """Make peaks quick to find again after stays came or went; how many buckets were looked at."""
        return await settle(self._db)

    async def _numbers(self) -> Sequence[int]:
        """Of the videos that anything is kept of, by skipping through the indexes."""
        numbers: set[int] = set()
        async with self._db.read() as tx:
            for each in (viewer_stays, *_SUMS):
                last = 0
                while True:
                    after = each.c.video_number > last
                    found = (await tx.execute(select(func.min(each.c.video_number)).where(after))).scalar_one()
                    if found is None:
                        break
                    numbers.add(found)
                    last = found
        return sorted(numbers)

    async def _forget_months(self, local: bool, before_ms: int | None) -> int:
        """What an earlier run had hidden is finished in any case."""
        if before_ms is not None:
            await self._db.write(partial(STAYS.detach_old, kind=local, before_ms=before_ms))
        async with self._db.read() as tx:
            hidden = await STAYS.detached(tx, local)
        forgotten = 0
        for name in hidden:
            while batch := await self._db.write(partial(_read_off, name=name, counted=local)):
                forgotten += batch
        return forgotten

    async def _forget_video(self, number: int) -> int:
        forgotten = await self._forget(number, None, counted=False)
        for sums in _SUMS:
            while await self._db.write(partial(_forget_sums, number=number, sums=sums)) == _SUMS_AT_ONCE:
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
    # Locked: what two processes clean at once must leave the sums once.
    batch = old.order_by(viewer_stays.c.start_ms).limit(BATCH).with_for_update(skip_locked=True)
    found = (await tx.execute(batch)).all()
    await rows.remove(tx, found, counted=counted)
    return len(found)


async def _read_off(tx: Transaction, *, name: str, counted: bool) -> int:
    """The next stays of a hidden month leave ids and sums; after the last of them it is dropped."""
    upto = await noted(tx, name)
    if upto is None:
        return 0
    month = table(name, *(column(each.name, each.type) for each in rows.COLUMNS))
    # Video by video: those of one share most of their sums.
    order = (month.c.video_number, month.c.start_ms, month.c.id)
    some = select(*month.c).order_by(*order).limit(BATCH)
    if upto:
        some = some.where(tuple_(*order) > tuple_(*map(int, upto.split())))
    found = (await tx.execute(some)).all()
    if not found:
        await drop(tx, [name])
        return 0
    await rows.forget(tx, found, counted=counted)
    last = found[-1]
    await note(tx, name, f"{last.video_number} {last.start_ms} {last.id}")
    return len(found)


async def _forget_sums(tx: Transaction, *, number: int, sums: Table) -> int:
    keys = list(sums.primary_key.columns)
    some = select(*keys).where(sums.c.video_number == number).limit(_SUMS_AT_ONCE).with_for_update(skip_locked=True)
    result = await tx.execute(delete(sums).where(tuple_(*keys).in_(some)))
    assert isinstance(result, CursorResult)
    return result.rowcount
