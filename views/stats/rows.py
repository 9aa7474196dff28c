"""Stays in SQL: written with their sections and sums, read back, deleted. All of it inside the caller's transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

from sqlalchemy import Row, delete, select, text

from foundation.database import Transaction
from views.stats.bulk import add_sums, insert_rows, reserve_ids
from views.stats.model import Stay, Traits
from views.stats.rollup import Sums
from views.stats.tables import retention_steps, stay_times, stay_traits, viewer_sections, viewer_stays
from views.stats.traits import Kind
from views.stats.units import TIME_UNITS, TRAIT_UNITS

_ASKED_AT_ONCE = 500

COLUMNS = tuple(viewer_stays.c)
_SECTIONS = (viewer_sections.c.stay_id, viewer_sections.c.start_s, viewer_sections.c.end_s)


async def unknown(tx: Transaction, stays: Sequence[Stay]) -> list[Stay]:
    """Those that are not kept yet, by their URLs; each once."""
    fresh: dict[str, Stay] = {}
    for stay in stays:
        fresh.setdefault(stay.url, stay)
    if tx.dialect.name == "postgresql":
        # A plan that was made while the table was empty reads all of it, and would be kept.
        await tx.execute(text("SET LOCAL plan_cache_mode = force_custom_plan"))
    urls = list(fresh)
    for at in range(0, len(urls), _ASKED_AT_ONCE):
        asked = select(viewer_stays.c.url).where(viewer_stays.c.url.in_(urls[at : at + _ASKED_AT_ONCE]))
        for url in (await tx.execute(asked)).scalars():
            del fresh[url]
    return list(fresh.values())


async def insert(tx: Transaction, stays: Sequence[Stay], ours: Iterable[int]) -> None:
    """Write stays that are not kept yet; ``ours`` are the numbers of the videos that sums are kept for."""
    ids = await reserve_ids(tx, viewer_stays, len(stays))
    await insert_rows(tx, COLUMNS, [_values(number, stay) for number, stay in zip(ids, stays, strict=True)])
    sections = [(number, *section) for number, stay in zip(ids, stays, strict=True) for section in stay.sections]
    await insert_rows(tx, _SECTIONS, sections)
    local = frozenset(ours)
    await count(tx, [stay for stay in stays if stay.video in local])


async def count(tx: Transaction, stays: Sequence[Stay], sign: int = 1) -> None:
    """Add stays at videos of ours to the sums, or (-1) take them out."""
    sums = Sums()
    sums.add(stays, sign)
    times, traits, steps = stay_times.c, stay_traits.c, retention_steps.c
    await add_sums(
        tx,
        (times.video_number, times.unit_s, times.at_ms),
        (times.starts, times.start_watch_s, times.ends, times.end_watch_s),
        sums.times(),
        unknown=(times.rise, times.rise_ms),
    )
    names = (traits.video_number, traits.kind, traits.unit_s, traits.at_ms, traits.name)
    await add_sums(tx, names, (traits.starts, traits.ends), sums.traits())
    await add_sums(tx, (steps.video_number, steps.second), (steps.delta,), sums.steps())


async def stays_of(tx: Transaction, rows: Sequence[Row[Any]]) -> list[Stay]:
    """Rows of all ``COLUMNS`` with their sections."""
    sections: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for at in range(0, len(rows), _ASKED_AT_ONCE):
        ids = [row.id for row in rows[at : at + _ASKED_AT_ONCE]]
        asked = select(*_SECTIONS).where(viewer_sections.c.stay_id.in_(ids)).order_by(*_SECTIONS)
        for number, start_s, end_s in await tx.execute(asked):
            sections[number].append((start_s, end_s))
    return [_stay(row, sections[row.id]) for row in rows]


async def remove(tx: Transaction, rows: Sequence[Row[Any]], *, counted: bool) -> None:
    """Delete stays (rows of all ``COLUMNS``); ``counted`` in sums as well."""
    if counted:
        stays = await stays_of(tx, rows)
        await count(tx, stays, -1)
        await _forget_empty_sums(tx, stays)
    for at in range(0, len(rows), _ASKED_AT_ONCE):
        ids = [row.id for row in rows[at : at + _ASKED_AT_ONCE]]
        await tx.execute(delete(viewer_sections).where(viewer_sections.c.stay_id.in_(ids)))
        await tx.execute(delete(viewer_stays).where(viewer_stays.c.id.in_(ids)))


async def _forget_empty_sums(tx: Transaction, stays: Sequence[Stay]) -> None:
    """Sums of nothing are worth nothing; looked for only where the stays were."""
    spans: dict[int, tuple[int, int]] = {}
    for stay in stays:
        first, last = spans.get(stay.video, (stay.start_ms, stay.end_ms))
        spans[stay.video] = min(first, stay.start_ms), max(last, stay.end_ms)
    for number, (first, last) in spans.items():
        for table, kinds, units in ((stay_times, (None,), TIME_UNITS), (stay_traits, tuple(Kind), TRAIT_UNITS)):
            for kind, unit in product(kinds, units):
                where = (table.c.video_number == number) & (table.c.unit_s == unit.value)
                if kind is not None:
                    where &= table.c.kind == kind.value
                where &= table.c.at_ms.between(unit.floor(first), last)
                await tx.execute(delete(table).where(where, table.c.starts == 0, table.c.ends == 0))
        gone = (retention_steps.c.video_number == number) & (retention_steps.c.delta == 0)
        await tx.execute(delete(retention_steps).where(gone))


def _values(number: int, stay: Stay) -> tuple[object, ...]:
    traits = stay.traits
    return (
        number,
        stay.video,
        stay.uuid,
        stay.url,
        stay.source,
        stay.start_ms,
        stay.end_ms,
        stay.watch_time_s,
        traits.country,
        traits.subdivision,
        traits.client,
        traits.device,
        traits.operating_system,
        stay.flagged,
    )


def _stay(row: Row[Any], sections: Sequence[tuple[int, int]]) -> Stay:
    return Stay(
        video=row.video_number,
        uuid=row.uuid,
        url=row.url,
        start_ms=row.start_ms,
        end_ms=row.end_ms,
        watch_time_s=row.watch_time_s,
        sections=tuple(sections),
        traits=Traits(row.country, row.subdivision, row.client, row.device, row.operating_system),
        source=row.source,
        flagged=row.flagged,
    )
