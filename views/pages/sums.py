"""Visits become rows and sums, in one transaction; sums of visits that are there already are made in the same way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, bindparam, case, or_, select, update

from foundation.database import Transaction, upsert
from views.pages.buckets import minute_of
from views.pages.model import Room, Visit
from views.pages.naming import AT_ONCE, Series, batched, describe, find_series, lock_sites
from views.pages.series import Deltas, Kind
from views.pages.tables import page_counts, page_series, page_sites, page_visitors, page_visits
from views.stats.bulk import add_sums, insert_rows


@dataclass(frozen=True, slots=True)
class Kept:
    """A visit as it is in its row: numbers of series instead of names."""

    site: int
    path: int
    session: bytes
    at_ms: int
    referrer: int | None
    country: int | None


_COLUMNS = tuple(page_visits.c[name] for name in ("site", "path", "session", "at_ms", "referrer", "country", "counted"))


async def add_visits(tx: Transaction, visits: Sequence[Visit], room: Room) -> list[Kept]:
    """New visits, and all sums that they change. Exact also where several processes do this at once."""
    if not visits:
        return []
    await lock_sites(tx, {visit.site for visit in visits})
    series = await find_series(tx, visits, room)
    kept = [_kept(visit, series) for visit in visits]
    rows = [(one.site, one.path, one.session, one.at_ms, one.referrer, one.country, True) for one in kept]
    await insert_rows(tx, _COLUMNS, rows)
    await count(tx, kept)
    await describe(tx, series, visits)
    return kept


def _kept(visit: Visit, series: Series) -> Kept:
    referrer = None if visit.referrer is None else series.number(visit.site, Kind.REFERRER, visit.referrer)
    country = None if visit.country is None else series.number(visit.site, Kind.COUNTRY, visit.country)
    path = series.number(visit.site, Kind.PATH, visit.path.key)
    return Kept(visit.site, path, visit.session, visit.at_ms, referrer, country)


async def count(tx: Transaction, visits: Sequence[Kept]) -> int:
    """Add visits to the sums, whatever their order in time; how many visitors are new. The sites are locked."""
    if not visits:
        return 0
    single = await _single_series(tx, {visit.site for visit in visits})
    deltas = Deltas()
    for visit in visits:
        minute = minute_of(visit.at_ms)
        for number in (single[visit.site, Kind.VIEWS], visit.path, visit.referrer, visit.country):
            if number is not None:
                deltas.add(number, minute, visit.at_ms)
    new = await _visitors(tx, visits, single, deltas)
    await add_sums(tx, _COUNT_KEY, (page_counts.c.n,), deltas.rows())
    totals = [
        {"this": number, "more": more, "at_ms": deltas.last_ms[number]}
        for number, more in sorted(deltas.totals.items())
    ]
    await tx.execute(_RAISE_SERIES, totals)
    views = Counter(visit.site for visit in visits)
    oldest: dict[int, int] = {}
    for visit in visits:
        oldest[visit.site] = min(visit.at_ms, oldest.get(visit.site, visit.at_ms))
    sites = [{"this": site, "more": n, "new": new[site], "at_ms": oldest[site]} for site, n in sorted(views.items())]
    await tx.execute(_RAISE_SITE, sites)
    return new.total()


_AT_MS = bindparam("at_ms", type_=BigInteger)

_COUNT_KEY = (page_counts.c.series, page_counts.c.level, page_counts.c.bucket)

_RAISE_SERIES = (
    update(page_series)
    .where(page_series.c.number == bindparam("this"))
    .values(
        total=page_series.c.total + bindparam("more"),
        last_ms=case((page_series.c.last_ms < _AT_MS, _AT_MS), else_=page_series.c.last_ms),
    )
)

_since = page_sites.c.since_ms
_RAISE_SITE = (
    update(page_sites)
    .where(page_sites.c.number == bindparam("this"))
    .values(
        views=page_sites.c.views + bindparam("more"),
        visitors=page_sites.c.visitors + bindparam("new"),
        since_ms=case((or_(_since.is_(None), _since > _AT_MS), _AT_MS), else_=_since),
    )
)


async def _single_series(tx: Transaction, sites: set[int]) -> dict[tuple[int, Kind], int]:
    """The series of which every site has one."""
    of = page_series.c
    asked = select(of.site, of.kind, of.number).where(
        of.site.in_(sorted(sites)), of.kind.in_([Kind.VIEWS, Kind.FIRST, Kind.LAST]), of.name == ""
    )
    return {(site, Kind(kind)): number for site, kind, number in await tx.execute(asked)}


@dataclass(frozen=True, slots=True)
class _Visitor:
    """First and last view, and the country of the last one: the series of its views."""

    first_ms: int
    last_ms: int
    country: int | None

    def with_visit(self, at_ms: int, country: int | None) -> _Visitor:
        """In whatever order visits come: of two at the same instant the greater country stands."""
        last_ms, home = max((self.last_ms, self.country or 0), (at_ms, country or 0))
        return _Visitor(min(self.first_ms, at_ms), last_ms, home or None)


async def _visitors(
    tx: Transaction, visits: Sequence[Kept], single: dict[tuple[int, Kind], int], deltas: Deltas
) -> Counter[int]:
    """When each visitor came first and last, and the sums over that; how many are new, by site."""
    known = await _known_visitors(tx, visits)
    found = dict(known)
    for visit in visits:
        key = visit.site, visit.session
        before = found.get(key) or _Visitor(visit.at_ms, visit.at_ms, visit.country)
        found[key] = before.with_visit(visit.at_ms, visit.country)
    homes = await _homes(tx, {site for site, _ in found})
    new: Counter[int] = Counter()
    rows = []
    for (site, session), visitor in sorted(found.items(), key=lambda one: one[0]):
        before_now = known.get((site, session))
        if visitor == before_now:
            continue
        first, last = single[site, Kind.FIRST], single[site, Kind.LAST]
        if before_now is None:
            new[site] += 1
            deltas.add(first, minute_of(visitor.first_ms), visitor.first_ms)
            deltas.add(last, minute_of(visitor.last_ms), visitor.last_ms)
        else:
            deltas.move(first, minute_of(before_now.first_ms), minute_of(visitor.first_ms))
            deltas.move(last, minute_of(before_now.last_ms), minute_of(visitor.last_ms))
            if before_now.country in homes:
                deltas.take(homes[before_now.country], minute_of(before_now.last_ms))
        if visitor.country in homes:
            deltas.add(homes[visitor.country], minute_of(visitor.last_ms), visitor.last_ms)
        rows.append(
            {
                "site": site,
                "session": session,
                "first_ms": visitor.first_ms,
                "last_ms": visitor.last_ms,
                "country": visitor.country,
            }
        )
    if rows:
        put = upsert(tx, page_visitors)
        changed = {name: put.excluded[name] for name in ("first_ms", "last_ms", "country")}
        await tx.execute(put.on_conflict_do_update(index_elements=["site", "session"], set_=changed), rows)
    return new


async def _homes(tx: Transaction, sites: set[int]) -> dict[int | None, int]:
    """The series of visitors for each series of views of a country."""
    of = page_series.c
    asked = select(of.site, of.kind, of.name, of.number).where(
        of.site.in_(sorted(sites)), of.kind.in_([Kind.COUNTRY, Kind.HOME])
    )
    numbers = {(site, kind, name): number for site, kind, name, number in await tx.execute(asked)}
    return {
        number: numbers[site, Kind.HOME, name]
        for (site, kind, name), number in numbers.items()
        if kind == Kind.COUNTRY and (site, Kind.HOME, name) in numbers
    }


async def _known_visitors(tx: Transaction, visits: Sequence[Kept]) -> dict[tuple[int, bytes], _Visitor]:
    sessions: dict[int, dict[bytes, None]] = {}
    for visit in visits:
        sessions.setdefault(visit.site, {})[visit.session] = None
    of = page_visitors.c
    found: dict[tuple[int, bytes], _Visitor] = {}
    for site, wanted in sessions.items():
        for some in batched(wanted, AT_ONCE):
            asked = select(of.session, of.first_ms, of.last_ms, of.country).where(of.site == site, of.session.in_(some))
            for session, first, last, country in await tx.execute(asked):
                found[site, bytes(session)] = _Visitor(first, last, country)
    return found
