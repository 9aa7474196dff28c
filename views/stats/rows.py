"""Stays in SQL: written with their sums, read back, deleted. All of it inside the caller's transaction.

Rows are locked in one order everywhere: ids by their digest, then the sums by their keys, table after table.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import Row, delete, select

from foundation.database import Transaction
from views.stats.bulk import add_sums, forget_empty, insert_missing, insert_rows
from views.stats.model import Stay, Traits
from views.stats.rollup import Sums
from views.stats.tables import STAYS, retention_steps, stay_ids, stay_times, stay_traits, viewer_stays

_ASKED_AT_ONCE = 500

COLUMNS = tuple(viewer_stays.c)
_ids = stay_ids.c


async def insert(tx: Transaction, stays: Sequence[Stay], ours: Iterable[int]) -> list[Stay]:
    """Write those that are not kept yet, by their URLs, each once, and return them; ``ours`` are the numbers of the
    videos that sums are kept for."""
    local = frozenset(ours)
    claimed: dict[bytes, Stay] = {}
    for stay in stays:
        claimed.setdefault(digest_of(stay.url), stay)
    claims = sorted((digest, stay.end_ms) for digest, stay in claimed.items())
    ids = await insert_missing(tx, (_ids.digest, _ids.end_ms), claims, returning=(_ids.id, _ids.digest))
    if not ids:
        return []
    numbers = {bytes(digest): number for number, digest in ids}
    fresh = {digest: stay for digest, stay in claimed.items() if digest in numbers}
    await STAYS.ready(tx, ((stay.video in local, stay.end_ms) for stay in fresh.values()))
    values = [_values(numbers[digest], stay, stay.video in local) for digest, stay in fresh.items()]
    await insert_rows(tx, COLUMNS, values)
    await count(tx, [stay for stay in fresh.values() if stay.video in local])
    return list(fresh.values())


async def find(tx: Transaction, url: str) -> Stay | None:
    """The kept stay of a global id."""
    same = (viewer_stays.c.id == _ids.id) & (viewer_stays.c.end_ms == _ids.end_ms)
    asked = select(*COLUMNS).select_from(stay_ids.join(viewer_stays, same)).where(_ids.digest == digest_of(url))
    row = (await tx.execute(asked)).one_or_none()
    return None if row is None else stay_of(row)


def digest_of(url: str) -> bytes:
    return hashlib.sha256(url.encode("utf-8", "surrogatepass")).digest()


_times, _traits, _steps = stay_times.c, stay_traits.c, retention_steps.c
_TIMES = (_times.video_number, _times.unit_s, _times.at_ms)
_TRAITS = (_traits.video_number, _traits.kind, _traits.unit_s, _traits.at_ms, _traits.name)
_STEPS = (_steps.video_number, _steps.second)


async def count(tx: Transaction, stays: Sequence[Stay], sign: int = 1) -> None:
    """Add stays at videos of ours to the sums, or (-1) take them out; sums of nothing are not kept."""
    sums = Sums()
    sums.add(stays, sign)
    times, traits, steps = sums.times(), sums.traits(), sums.steps()
    of_times = (_times.starts, _times.start_watch_s, _times.ends, _times.end_watch_s)
    await add_sums(tx, _TIMES, of_times, times, unknown=(_times.rise, _times.rise_ms))
    await add_sums(tx, _TRAITS, (_traits.starts, _traits.ends), traits)
    await add_sums(tx, _STEPS, (_steps.delta,), steps)
    if sign < 0:
        await forget_empty(tx, _TIMES, (_times.starts, _times.ends), times)
        await forget_empty(tx, _TRAITS, (_traits.starts, _traits.ends), traits)
        await forget_empty(tx, _STEPS, (_steps.delta,), steps)


async def remove(tx: Transaction, rows: Sequence[Row[Any]], *, counted: bool) -> None:
    """Delete stays (rows of all ``COLUMNS``); ``counted`` in sums as well."""
    if not rows:
        return
    await forget(tx, rows, counted=counted)
    first, last = min(row.end_ms for row in rows), max(row.end_ms for row in rows)
    for at in range(0, len(rows), _ASKED_AT_ONCE):
        gone = viewer_stays.c.id.in_([row.id for row in rows[at : at + _ASKED_AT_ONCE]])
        await tx.execute(delete(viewer_stays).where(gone, viewer_stays.c.end_ms.between(first, last)))


async def forget(tx: Transaction, rows: Sequence[Row[Any]], *, counted: bool) -> None:
    """What is kept of stays beside their rows: their ids and, if ``counted``, their part of the sums."""
    ids = sorted(row.id for row in rows)
    for at in range(0, len(ids), _ASKED_AT_ONCE):
        await tx.execute(delete(stay_ids).where(_ids.id.in_(ids[at : at + _ASKED_AT_ONCE])))
    if counted:
        await count(tx, [stay_of(row) for row in rows], -1)


def _values(number: int, stay: Stay, local: bool) -> tuple[object, ...]:
    traits = stay.traits
    return (
        number,
        local,
        stay.video,
        stay.uuid,
        stay.url,
        stay.source,
        stay.start_ms,
        stay.end_ms,
        stay.watch_time_s,
        json.dumps(list(chain.from_iterable(stay.sections)), separators=(",", ":")),
        traits.country,
        traits.subdivision,
        traits.client,
        traits.device,
        traits.operating_system,
        stay.flagged,
    )


def stay_of(row: Row[Any]) -> Stay:
    """Of a row of all ``COLUMNS``."""
    edges = iter(json.loads(row.sections))
    return Stay(
        video=row.video_number,
        uuid=row.uuid,
        url=row.url,
        start_ms=row.start_ms,
        end_ms=row.end_ms,
        watch_time_s=row.watch_time_s,
        sections=tuple(zip(edges, edges, strict=True)),
        traits=Traits(row.country, row.subdivision, row.client, row.device, row.operating_system),
        source=row.source,
        flagged=row.flagged,
    )
