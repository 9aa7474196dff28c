"""The rows of rooms that are open: who changes one first may say so."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import delete, false, select, update

from foundation.database import Database, Transaction, upsert
from views.telemetry.tables import telemetry_rooms as rooms


class RoomRow(NamedTuple):
    video: int
    started_ms: int
    held: bool = False
    peak: int = 0


class RoomChanges(NamedTuple):
    """``open`` rooms that should be, ``close`` those nobody watches, ``peaks`` by video, ``hold`` and ``release`` what
    media servers said."""

    open: Collection[RoomRow] = ()
    close: Collection[int] = ()
    peaks: Collection[tuple[int, int]] = ()
    release: Collection[int] = ()


class RoomNews(NamedTuple):
    """What this process was the first to write."""

    opened: frozenset[int]
    closed: dict[int, int]
    """Video and since when it was open."""
    peaked: frozenset[int]


class RoomRows:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def load(self) -> list[RoomRow]:
        async with self._db.read() as tx:
            columns = (rooms.c.video_number, rooms.c.started_ms, rooms.c.held, rooms.c.peak)
            return [RoomRow(*row) for row in await tx.execute(select(*columns))]

    async def apply(self, changes: RoomChanges) -> RoomNews:
        """In one transaction. Raises StorageUnavailable."""

        async def work(tx: Transaction) -> RoomNews:
            return RoomNews(await _open(tx, changes.open), await _close(tx, changes), await _raise(tx, changes.peaks))

        return await self._db.write(work)


async def _open(tx: Transaction, rows: Collection[RoomRow]) -> frozenset[int]:
    if not rows:
        return frozenset()
    asked = select(rooms.c.video_number, rooms.c.held).where(rooms.c.video_number.in_([row.video for row in rows]))
    known: dict[int, bool] = {row.video_number: row.held for row in await tx.execute(asked)}
    opened: set[int] = set()
    # In one order everywhere, so that two processes never wait for each other.
    for row in sorted(rows):
        if row.video in known and known[row.video] >= row.held:
            continue
        new = upsert(tx, rooms).values(video_number=row.video, started_ms=row.started_ms, held=row.held, peak=row.peak)
        made = await tx.execute(new.on_conflict_do_nothing().returning(rooms.c.video_number))
        if made.first() is not None:
            opened.add(row.video)
        elif row.held:
            await tx.execute(update(rooms).where(rooms.c.video_number == row.video).values(held=True))
    return frozenset(opened)


async def _close(tx: Transaction, changes: RoomChanges) -> dict[int, int]:
    for video in sorted(changes.release):
        await tx.execute(update(rooms).where(rooms.c.video_number == video).values(held=False))
    closed: dict[int, int] = {}
    for video in sorted(changes.close):
        gone = delete(rooms).where(rooms.c.video_number == video, rooms.c.held == false())
        row = (await tx.execute(gone.returning(rooms.c.started_ms))).first()
        if row is not None:
            closed[video] = row.started_ms
    return closed


async def _raise(tx: Transaction, peaks: Collection[tuple[int, int]]) -> frozenset[int]:
    raised: set[int] = set()
    for video, peak in sorted(peaks):
        higher = update(rooms).where(rooms.c.video_number == video, rooms.c.peak < peak).values(peak=peak)
        if (await tx.execute(higher.returning(rooms.c.video_number))).first() is not None:
            raised.add(video)
    return frozenset(raised)
