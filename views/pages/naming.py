"""Numbers of series: found, or made while there is room. Within a transaction that holds the site (``lock_sites``)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from sqlalchemy import bindparam, select, update

from foundation.database import Transaction, upsert
from views.pages.model import Room, Visit
from views.pages.paths import OTHER
from views.pages.series import Kind
from views.pages.tables import page_series, page_sites

T = TypeVar("T")

AT_ONCE = 500
"""Values that one statement asks for."""

Name = tuple[int, Kind, str]
"""Site, kind, name."""


@dataclass(frozen=True, slots=True)
class _Known:
    number: int
    title: str | None
    page_type: str | None


class Series:
    """The series that a transaction's visits are about."""

    def __init__(self, known: dict[Name, _Known]) -> None:
        self._known = known

    def number(self, site: int, kind: Kind, name: str) -> int:
        """Of a series that was asked for; of all others together where there was no room for it."""
        known = self._known.get((site, kind, name)) or self._known[site, kind, OTHER]
        return known.number

    def described(self, site: int, key: str) -> tuple[str | None, str | None]:
        """Title and type of a path; nothing can be said of all others together."""
        known = self._known.get((site, Kind.PATH, key))
        return (None, None) if known is None else (known.title, known.page_type)

    def has(self, name: Name) -> bool:
        return name in self._known


async def lock_sites(tx: Transaction, sites: Iterable[int]) -> None:
    """Nobody else changes sums of these sites before we commit: what follows needs no further care. Sorted, so that
    processes never wait in a circle. (SQLite has one writer anyway.)"""
    wanted = select(page_sites.c.number).where(page_sites.c.number.in_(sorted(sites)))
    await tx.execute(wanted.order_by(page_sites.c.number).with_for_update())


async def find_series(tx: Transaction, visits: Sequence[Visit], room: Room) -> Series:
    """All series of these visits, made where they are new."""
    wanted = dict.fromkeys(_names(visits))
    known = await _select(tx, wanted)
    missing = [name for name in wanted if name not in known]
    if missing:
        texts = {(visit.site, Kind.PATH, visit.path.key): visit.path.text for visit in visits}
        made = await _within_room(tx, missing, room)
        rows = [
            {"site": site, "kind": kind, "name": name, "path": texts.get((site, kind, name))}
            for site, kind, name in sorted(made)
        ]
        await tx.execute(upsert(tx, page_series).on_conflict_do_nothing(), rows)
        known |= await _select(tx, made)
    return Series(known)


async def describe(tx: Transaction, series: Series, visits: Sequence[Visit]) -> None:
    """What the last visit said of each page, where it is something new."""
    said: dict[tuple[int, str], tuple[str | None, str | None]] = {}
    for visit in visits:
        before = said.get((visit.site, visit.path.key)) or series.described(visit.site, visit.path.key)
        said[visit.site, visit.path.key] = (visit.title or before[0], visit.page_type or before[1])
    rows = [
        {"this": series.number(site, Kind.PATH, key), "said": title, "type": page_type}
        for (site, key), (title, page_type) in sorted(said.items())
        if (title, page_type) != series.described(site, key) and series.has((site, Kind.PATH, key))
    ]
    if rows:
        await tx.execute(_DESCRIBE, rows)


_DESCRIBE = (
    update(page_series)
    .where(page_series.c.number == bindparam("this"))
    .values(title=bindparam("said"), page_type=bindparam("type"))
)


def _names(visits: Sequence[Visit]) -> Iterator[Name]:
    for visit in visits:
        yield visit.site, Kind.VIEWS, ""
        yield visit.site, Kind.FIRST, ""
        yield visit.site, Kind.LAST, ""
        yield visit.site, Kind.PATH, visit.path.key
        if visit.referrer is not None:
            yield visit.site, Kind.REFERRER, visit.referrer
        if visit.country is not None:
            yield visit.site, Kind.COUNTRY, visit.country
            yield visit.site, Kind.HOME, visit.country


async def _select(tx: Transaction, names: Iterable[Name]) -> dict[Name, _Known]:
    groups: dict[tuple[int, Kind], list[str]] = {}
    for site, kind, name in names:
        groups.setdefault((site, kind), []).append(name)
    found: dict[Name, _Known] = {}
    of = page_series.c
    for (site, kind), wanted in groups.items():
        for some in batched(wanted, AT_ONCE):
            # The series for what finds no room comes along.
            asked = select(of.number, of.name, of.title, of.page_type).where(
                of.site == site, of.kind == kind, of.name.in_([*some, OTHER])
            )
            for number, name, title, page_type in await tx.execute(asked):
                found[site, kind, name] = _Known(number, title, page_type)
    return found


async def _within_room(tx: Transaction, missing: Sequence[Name], room: Room) -> list[Name]:
    """Those to be made; beyond the room one for all others, which takes none."""
    sites = {site for site, _, _ in missing}
    of = page_sites.c
    taken: dict[tuple[int, Kind], int] = {}
    for number, paths, referrers in await tx.execute(
        select(of.number, of.paths, of.referrers).where(of.number.in_(sorted(sites)))
    ):
        taken[number, Kind.PATH], taken[number, Kind.REFERRER] = paths, referrers
    most: Mapping[Kind, int] = {Kind.PATH: room.paths, Kind.REFERRER: room.referrers}
    made: dict[Name, None] = {}
    more: dict[int, dict[Kind, int]] = {site: {Kind.PATH: 0, Kind.REFERRER: 0} for site in sites}
    for site, kind, name in missing:
        if kind in most and name != OTHER:
            if taken[site, kind] + more[site][kind] >= most[kind]:
                made[site, kind, OTHER] = None
                continue
            more[site][kind] += 1
        made[site, kind, name] = None
    rows = [
        {"this": site, "paths_more": kinds[Kind.PATH], "referrers_more": kinds[Kind.REFERRER]}
        for site, kinds in sorted(more.items())
        if any(kinds.values())
    ]
    if rows:
        await tx.execute(_MORE, rows)
    return list(made)


_MORE = (
    update(page_sites)
    .where(page_sites.c.number == bindparam("this"))
    .values(
        paths=page_sites.c.paths + bindparam("paths_more"),
        referrers=page_sites.c.referrers + bindparam("referrers_more"),
    )
)


def batched(values: Iterable[T], size: int) -> Iterator[list[T]]:
    remaining = iter(values)
    while some := list(islice(remaining, size)):
        yield some
