"""Which visits of a history are new: the same visitor on the same page within the dedup is one view, whoever told."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

from sqlalchemy import and_, select

from foundation.database import Transaction
from views.pages.model import Visit
from views.pages.naming import AT_ONCE, batched
from views.pages.series import Kind
from views.pages.tables import page_series, page_visits

_Key = tuple[str, bytes]
"""Path and session."""


async def only_new(tx: Transaction, visits: Sequence[Visit], dedup_ms: int) -> list[Visit]:
    """Those, in order of time, that are at least ``dedup_ms`` (and in any case not at the same instant) away from every
    counted view of their session and page, before and after. All are of one site."""
    if not visits:
        return []
    apart_ms = max(1, dedup_ms)
    seen = await _seen(tx, visits, apart_ms)
    new = []
    for visit in sorted(visits, key=lambda one: one.at_ms):
        instants = seen.setdefault((visit.path.key, visit.session), [])
        at = bisect_left(instants, visit.at_ms)
        near = instants[max(0, at - 1) : at + 1]
        if all(abs(instant - visit.at_ms) >= apart_ms for instant in near):
            insort(instants, visit.at_ms)
            new.append(visit)
    return new


async def _seen(tx: Transaction, visits: Sequence[Visit], apart_ms: int) -> dict[_Key, list[int]]:
    """When each of these sessions viewed each of these pages, around the time of the visits; ascending."""
    keys = dict.fromkeys(visit.path.key for visit in visits)
    sessions = dict.fromkeys(visit.session for visit in visits)
    first = min(visit.at_ms for visit in visits) - apart_ms
    last = max(visit.at_ms for visit in visits) + apart_ms
    of, series = page_visits.c, page_series.c
    found: dict[_Key, list[int]] = {}
    for paths in batched(keys, AT_ONCE):
        for who in batched(sessions, AT_ONCE):
            named = and_(series.site == visits[0].site, series.kind == Kind.PATH, series.name.in_(paths))
            asked = (
                select(series.name, of.session, of.at_ms)
                .select_from(page_series.join(page_visits, of.path == series.number))
                .where(named, of.session.in_(who), of.at_ms.between(first, last))
                .order_by(of.at_ms)
            )
            for name, session, at_ms in await tx.execute(asked):
                found.setdefault((name, bytes(session)), []).append(at_ms)
    return found
