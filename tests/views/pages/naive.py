"""Sums over visits as anybody would make them by hand: what every answer has to equal."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from sqlalchemy import select

from foundation.database import Database
from views.pages.series import Kind
from views.pages.tables import page_counts, page_series, page_sites, page_visitors, page_visits

MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Seen:
    site: int
    path: str
    session: bytes
    at_ms: int
    referrer: str | None
    country: str | None
    country_number: int = 0


async def visits_of(db: Database) -> list[Seen]:
    async with db.read() as tx:
        names = {row.number: row.name for row in await tx.execute(select(page_series.c.number, page_series.c.name))}
        return [
            Seen(
                row.site,
                names[row.path],
                bytes(row.session),
                row.at_ms,
                names.get(row.referrer),
                names.get(row.country),
                row.country or 0,
            )
            for row in await tx.execute(select(page_visits))
        ]


async def sums_of(db: Database) -> dict[str, object]:
    """Everything that is summed, in a form that does not depend on numbers of series or on zeros."""
    async with db.read() as tx:
        series = {row.number: row for row in await tx.execute(select(page_series))}
        counts = Counter(
            {
                (
                    series[row.series].site,
                    series[row.series].kind,
                    series[row.series].name,
                    row.level,
                    row.bucket,
                ): row.n
                for row in await tx.execute(select(page_counts))
                if row.n
            }
        )
        totals = {(row.site, row.kind, row.name): row.total for row in series.values() if row.total}
        sites = {row.number: (row.views, row.visitors) for row in await tx.execute(select(page_sites)) if row.views}
        visitors = {
            (row.site, bytes(row.session)): (row.first_ms, row.last_ms)
            for row in await tx.execute(select(page_visitors))
        }
    return {"counts": dict(counts), "totals": totals, "sites": sites, "visitors": visitors}


def recounted(visits: list[Seen]) -> dict[str, object]:
    """The same, from nothing but visits."""
    minutes: Counter[tuple[int, int, str, int]] = Counter()
    visitors: dict[tuple[int, bytes], tuple[int, int]] = {}
    for visit in visits:
        minute = visit.at_ms // MINUTE_MS
        minutes[visit.site, Kind.VIEWS, "", minute] += 1
        minutes[visit.site, Kind.PATH, visit.path, minute] += 1
        if visit.referrer is not None:
            minutes[visit.site, Kind.REFERRER, visit.referrer, minute] += 1
        if visit.country is not None:
            minutes[visit.site, Kind.COUNTRY, visit.country, minute] += 1
        first, last = visitors.get((visit.site, visit.session), (visit.at_ms, visit.at_ms))
        visitors[visit.site, visit.session] = (min(first, visit.at_ms), max(last, visit.at_ms))
    homes: dict[tuple[int, bytes], tuple[int, int, str | None]] = {}
    for visit in visits:
        key, place = (visit.site, visit.session), (visit.at_ms, visit.country_number, visit.country)
        homes[key] = max(place, homes.get(key, place), key=lambda one: one[:2])
    for (site, _), (last, _, country) in homes.items():
        if country is not None:
            minutes[site, Kind.HOME, country, last // MINUTE_MS] += 1
    for (site, _), (first, last) in visitors.items():
        minutes[site, Kind.FIRST, "", first // MINUTE_MS] += 1
        minutes[site, Kind.LAST, "", last // MINUTE_MS] += 1
    counts: Counter[tuple[int, int, str, int, int]] = Counter()
    totals: Counter[tuple[int, int, str]] = Counter()
    for (site, kind, name, minute), n in minutes.items():
        totals[site, kind, name] += n
        for level in range(7):
            counts[site, int(kind), name, level, minute // 16**level] += n
    sites = {
        site: (
            sum(visit.site == site for visit in visits),
            sum(owner == site for owner, _ in visitors),
        )
        for site in {visit.site for visit in visits}
    }
    return {"counts": dict(counts), "totals": dict(totals), "sites": sites, "visitors": visitors}
