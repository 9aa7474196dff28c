"""Makes the rises known that new stays have made unknown: of minutes from stays, of hours and days from their parts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial

from sqlalchemy import ColumnElement, FromClause, bindparam, func, select, true, update

from foundation.among import among
from foundation.database import Database, Transaction
from views.stats.peak import combined, rise_of
from views.stats.tables import stay_times, viewer_stays
from views.stats.units import TIME_UNITS, Unit

BATCH = 500
"""Buckets that one transaction settles, so that counting never waits long behind it."""

_Event = tuple[int, int]
"""An instant, and how many came (or went) then."""


async def settle(db: Database, videos: Sequence[int] | None = None) -> int:
    """All that is unsettled, or that of some videos only, in small transactions; how many buckets. Raises
    StorageUnavailable."""
    settled = 0
    concerned = true() if videos is None else among(stay_times.c.video_number, videos)
    for unit in TIME_UNITS:
        while True:
            done = await db.write(partial(_settle, unit=unit, concerned=concerned))
            settled += done
            if done < BATCH:
                break
    return settled


async def _settle(tx: Transaction, unit: Unit, concerned: ColumnElement[bool]) -> int:
    keys = await _unsettled(tx, unit, concerned)
    by_video: defaultdict[int, list[int]] = defaultdict(list)
    settled = []
    for video, at_ms, starts in keys:
        if starts:
            by_video[video].append(at_ms)
        else:
            # Nobody came: it never rose.
            settled.append({"this": video, "unit": unit.value, "at": at_ms, "most": 0, "when": at_ms})
    for video, instants in by_video.items():
        rises = await (_of_minutes if unit is Unit.MINUTE else _of_parts)(tx, video, instants, unit)
        for at_ms, (rise, when_ms) in rises.items():
            settled.append({"this": video, "unit": unit.value, "at": at_ms, "most": rise, "when": when_ms})
    if settled:
        await tx.execute(_SET, settled)
    return len(keys)


_SET = (
    update(stay_times)
    .where(stay_times.c.video_number == bindparam("this"), stay_times.c.unit_s == bindparam("unit"))
    .where(stay_times.c.at_ms == bindparam("at"))
    .values(rise=bindparam("most"), rise_ms=bindparam("when"))
)


async def _unsettled(tx: Transaction, unit: Unit, concerned: ColumnElement[bool]) -> list[tuple[int, int, int]]:
    """Of an hour or a day only where all its parts are settled: the others come the next time."""
    times = stay_times.c
    wanted = select(times.video_number, times.at_ms, times.starts).where(
        concerned, times.unit_s == unit.value, times.rise.is_(None)
    )
    if unit is not Unit.MINUTE:
        part = stay_times.alias()
        finer = TIME_UNITS[TIME_UNITS.index(unit) - 1]
        inside = _bucket(part, times.video_number, finer) & (part.c.at_ms >= times.at_ms)
        inside &= part.c.at_ms < times.at_ms + unit.ms
        wanted = wanted.where(~select(1).select_from(part).where(inside, part.c.rise.is_(None)).exists())
    wanted = wanted.order_by(times.video_number, times.at_ms).limit(BATCH).with_for_update(of=stay_times)
    return [(video, at_ms, starts) for video, at_ms, starts in await tx.execute(wanted)]


async def _of_minutes(tx: Transaction, video: int, instants: Sequence[int], unit: Unit) -> dict[int, tuple[int, int]]:
    events: dict[int, tuple[list[_Event], list[_Event]]] = {at_ms: ([], []) for at_ms in instants}
    for which, when in ((0, viewer_stays.c.start_ms), (1, viewer_stays.c.end_ms)):
        begin = stay_times.c.at_ms
        inside = (viewer_stays.c.video_number == video) & (when >= begin) & (when < begin + unit.ms)
        inside &= viewer_stays.c.local & (viewer_stays.c.end_ms >= begin)
        asked = (
            select(begin, when, func.count())
            .select_from(stay_times.join(viewer_stays, inside))
            .where(_bucket(stay_times, video, unit), begin.in_(instants))
            .group_by(begin, when)
        )
        for at_ms, when_ms, number in await tx.execute(asked):
            events[at_ms][which].append((when_ms, number))
    return {at_ms: rise_of(at_ms, *found)[:2] for at_ms, found in events.items()}


async def _of_parts(tx: Transaction, video: int, instants: Sequence[int], unit: Unit) -> dict[int, tuple[int, int]]:
    finer = TIME_UNITS[TIME_UNITS.index(unit) - 1]
    times = stay_times.c
    parts: dict[int, list[tuple[int, int, int, int]]] = {at_ms: [] for at_ms in instants}
    asked = (
        select(times.at_ms, times.starts, times.ends, times.rise, times.rise_ms)
        .where(_bucket(stay_times, video, finer), times.at_ms.between(min(instants), max(instants) + unit.ms - 1))
        .order_by(times.at_ms)
    )
    for at_ms, starts, ends, rise, when_ms in await tx.execute(asked):
        found = parts.get(unit.floor(at_ms))
        if found is not None:
            found.append((starts, ends, rise, when_ms))
    return {at_ms: combined(at_ms, found) for at_ms, found in parts.items()}


def _bucket(table: FromClause, video: int | ColumnElement[int], unit: Unit) -> ColumnElement[bool]:
    return (table.c.video_number == video) & (table.c.unit_s == unit.value)
