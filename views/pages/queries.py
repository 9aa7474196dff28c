"""What sums say about pages: any site, path and span from O(log n) rows, tops of a period, timeseries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sqlalchemy import BigInteger, ColumnElement, Select, SmallInteger, func, literal, select, true, union_all

from foundation.database import Database, Transaction
from views.pages.buckets import LAST_MINUTE, MINUTE_MS, cover, minute_of
from views.pages.model import Site
from views.pages.naming import AT_ONCE, batched
from views.pages.paths import OTHER
from views.pages.series import Kind
from views.pages.tables import page_catalog, page_counts, page_series, page_sites

POST_TYPES = ("post", "blog", "article")
PAGE_TYPES = ("page", "home")
"""Types of a catalog that ``publishedPosts`` and ``publishedPages`` count."""


@dataclass(frozen=True, slots=True)
class Totals:
    """``since_ms`` is when the oldest view happened, None when there is none."""

    views: int
    visitors: int
    paths: int
    since_ms: int | None


@dataclass(frozen=True, slots=True)
class PageViews:
    path: str
    title: str | None
    page_type: str | None
    views: int


@dataclass(frozen=True, slots=True)
class Share:
    """A referring host or a country, and the views (of `Kind.HOME`: visitors) that came from it."""

    name: str
    views: int


@dataclass(frozen=True, slots=True)
class Point:
    """``visitors``: those whose first view of the site this was."""

    at_ms: int
    views: int
    visitors: int


class PageQueries:
    """Every method reads one instant of the database and may raise StorageUnavailable.

    A period begins at ``start_ms``, rounded down to its minute, and ends now; None is everything.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    async def totals(self, site: Site, start_ms: int | None) -> Totals:
        of = page_sites.c
        async with self._db.read() as tx:
            row = (await tx.execute(select(of.views, of.visitors, of.paths, of.since_ms).where(_is(site)))).one()
            if start_ms is None:
                return Totals(*row)
            views = await _count(tx, await _number(tx, site, Kind.VIEWS, ""), start_ms, None)
            visitors = await _count(tx, await _number(tx, site, Kind.LAST, ""), start_ms, None)
            paths = select(func.count()).select_from(page_series).where(*_viewed(site, Kind.PATH, start_ms))
            return Totals(views, visitors, (await tx.execute(paths)).scalar_one(), row.since_ms)

    async def count(self, site: Site, key: str | None, from_ms: int | None, to_ms: int | None) -> int:
        """Views of a path (or of the site) in whole minutes: from that of ``from_ms`` to before that of ``to_ms``."""
        async with self._db.read() as tx:
            kind, name = (Kind.VIEWS, "") if key is None else (Kind.PATH, key)
            return await _count(tx, await _number(tx, site, kind, name), from_ms, to_ms)

    async def top_pages(self, site: Site, start_ms: int | None, limit: int) -> list[PageViews]:
        """The most viewed first, with the titles of the catalog, else of the last view."""
        async with self._db.read() as tx:
            found = await _top(tx, site, Kind.PATH, start_ms, limit)
            known = await _catalog(tx, site, [name for name, _, _, _, _ in found])
        pages = []
        for name, path, title, page_type, views in found:
            said = known.get(name, (None, None))
            pages.append(PageViews(path or name, said[0] or title, said[1] or page_type, views))
        return pages

    async def top(self, site: Site, kind: Kind, start_ms: int | None, limit: int) -> list[Share]:
        """Referring hosts or countries, the most views first."""
        async with self._db.read() as tx:
            found = await _top(tx, site, kind, start_ms, limit)
        return [Share(name, views) for name, _, _, _, views in found]

    async def published(self, site: Site) -> tuple[int, int]:
        """How many posts and how many pages the catalog has."""
        of = page_catalog.c
        asked = (
            select(of.page_type, func.count().label("published")).where(of.site == site.number).group_by(of.page_type)
        )
        async with self._db.read() as tx:
            counts = {row.page_type: row.published for row in await tx.execute(asked)}
        return sum(counts.get(word, 0) for word in POST_TYPES), sum(counts.get(word, 0) for word in PAGE_TYPES)

    async def paths_of(self, site: Site, keys: Sequence[str]) -> dict[str, str]:
        """The whole paths of keys that are not paths themselves, as far as they were viewed."""
        long = [key for key in keys if "#" in key]
        found: dict[str, str] = {}
        of = page_series.c
        if long:
            async with self._db.read() as tx:
                for some in batched(long, AT_ONCE):
                    asked = select(of.name, of.path).where(
                        of.site == site.number, of.kind == Kind.PATH, of.name.in_(some)
                    )
                    found |= {name: path for name, path in await tx.execute(asked) if path}
        return found

    async def timeseries(self, site: Site, key: str | None, starts_ms: Sequence[int]) -> list[Point]:
        """Views between neighbours of ``starts_ms`` (ascending, whole minutes); of the whole site visitors too."""
        async with self._db.read() as tx:
            kind, name = (Kind.VIEWS, "") if key is None else (Kind.PATH, key)
            views = await _number(tx, site, kind, name)
            first = await _number(tx, site, Kind.FIRST, "") if key is None else None
            steps: list[_Range] = list(pairwise(starts_ms))
            counted, new = await _sums(tx, views, steps), await _sums(tx, first, steps)
        return [Point(*point) for point in zip(starts_ms, counted, new, strict=False)]


def _is(site: Site) -> ColumnElement[bool]:
    return page_sites.c.number == site.number


def _viewed(site: Site, kind: Kind, start_ms: int) -> tuple[ColumnElement[bool], ...]:
    """The series of a kind with a view since the minute of ``start_ms``."""
    of = page_series.c
    since = minute_of(start_ms) * MINUTE_MS
    return of.site == site.number, of.kind == kind, of.last_ms >= since, of.name != OTHER


async def _number(tx: Transaction, site: Site, kind: Kind, name: str) -> int | None:
    of = page_series.c
    asked = select(of.number).where(of.site == site.number, of.kind == kind, of.name == name)
    number: int | None = (await tx.execute(asked)).scalar_one_or_none()
    return number


_TERMS = 400
"""Of one compound statement; SQLite takes 500."""

_Range = tuple[int | None, int | None]


def _spans(ranges: Sequence[_Range]) -> list[Select[int, int, int, int]]:
    """The covers of several ranges as rows: which range, level, first and last bucket."""
    rows = []
    for at, (from_ms, to_ms) in enumerate(ranges):
        first = 0 if from_ms is None else minute_of(from_ms)
        for level, low, high in cover(first, LAST_MINUTE if to_ms is None else minute_of(to_ms)):
            rows.append(
                select(
                    literal(at, BigInteger).label("at"),
                    literal(level, SmallInteger).label("level"),
                    literal(low, BigInteger).label("low"),
                    literal(high, BigInteger).label("high"),
                )
            )
    return rows


async def _sums(tx: Transaction, series: int | None, ranges: Sequence[_Range]) -> list[int]:
    """Of each range: a scan of at most 15 rows of the primary key for each span of its cover."""
    found = [0] * len(ranges)
    if series is None:
        return found
    of = page_counts.c
    for terms in batched(_spans(ranges), _TERMS):
        spans = union_all(*terms).subquery("spans")
        inside = (of.series == series) & (of.level == spans.c.level) & of.bucket.between(spans.c.low, spans.c.high)
        asked = select(spans.c.at, func.sum(of.n)).select_from(spans.join(page_counts, inside)).group_by(spans.c.at)
        for at, n in await tx.execute(asked):
            found[at] += int(n)
    return found


async def _count(tx: Transaction, series: int | None, from_ms: int | None, to_ms: int | None) -> int:
    return (await _sums(tx, series, [(from_ms, to_ms)]))[0]


_Top = tuple[str, str | None, str | None, str | None, int]
"""Name, path, title, type, views."""


async def _top(tx: Transaction, site: Site, kind: Kind, start_ms: int | None, limit: int) -> list[_Top]:
    """Of all time by the index over totals; of a period from the sums of the series that were viewed in it."""
    of = page_series.c
    said = (of.name, of.path, of.title, of.page_type)
    if start_ms is None:
        wanted = select(*said, of.total).where(of.site == site.number, of.kind == kind, of.total > 0)
        found = await tx.execute(wanted.order_by(of.total.desc(), of.name).limit(limit))
        return [(name, path, title, page_type, views) for name, path, title, page_type, views in found]
    spans, counts = union_all(*_spans([(start_ms, None)])).subquery("spans"), page_counts.c
    inside = (counts.series == of.number) & (counts.level == spans.c.level)
    inside &= counts.bucket.between(spans.c.low, spans.c.high)
    views = func.sum(counts.n)
    since = minute_of(start_ms) * MINUTE_MS
    summed = (
        select(of.number, views.label("views"))
        .select_from(page_series.join(spans, true()).join(page_counts, inside))
        .where(of.site == site.number, of.kind == kind, of.last_ms >= since)
        .group_by(of.number)
        .order_by(views.desc(), of.number)
        .limit(limit)
        .subquery("summed")
    )
    asked = select(*said, summed.c.views).select_from(summed.join(page_series, of.number == summed.c.number))
    found = await tx.execute(asked.order_by(summed.c.views.desc(), of.name))
    return [(name, path, title, page_type, int(views)) for name, path, title, page_type, views in found if views > 0]


async def _catalog(tx: Transaction, site: Site, names: Sequence[str]) -> dict[str, tuple[str | None, str]]:
    of = page_catalog.c
    found: dict[str, tuple[str | None, str]] = {}
    for some in batched(names, AT_ONCE):
        asked = select(of.name, of.title, of.page_type).where(of.site == site.number, of.name.in_(some))
        found |= {name: (title, page_type) for name, title, page_type in await tx.execute(asked)}
    return found
