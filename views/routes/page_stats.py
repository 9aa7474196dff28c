"""What is known of pages, over REST: the public summary, more of it for ``stats`` tokens, the catalog of a site."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from foundation.clock import iso_ms
from foundation.errors import Refused
from foundation.principal import Principal, Role
from foundation.problems import invalid_params
from views.instants import parse_loose_iso_ms
from views.pages.buckets import MINUTE_MS
from views.pages.catalog import MAX_PAGES, Published
from views.pages.model import Site
from views.pages.paths import normalised
from views.pages.series import Kind
from views.pages.service import Pages
from views.pages.summary import summary
from views.pages.words import clean_title, is_page_type
from views.routes.access import Access
from views.routes.replies import add_resource, guarded, json, json_object, refusal
from views.routes.services import ViewsApi
from views.routes.stats_subjects import NOT_EVERYTHING, reaches_everything

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
DEFAULT_LIMIT, MAX_LIMIT = 50, 1_000
MAX_POINTS = 1_000
MAX_CATALOG_BODY = 8_000_000
INTERVALS = {"hour": HOUR_MS, "day": DAY_MS}
_PERIOD = re.compile(r"([1-9][0-9]{0,3})([hd])", re.ASCII)
_TOO_MANY = Refused("span_too_long", f"That would be more than {MAX_POINTS} points", 400)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which site, from when (None: everything), how many."""

    site: Site
    start_ms: int | None
    limit: int


Answer = Callable[[_Asked], Awaitable[web.Response]]


class PageStatsRoutes:
    def __init__(self, api: ViewsApi, access: Access, pages: Pages) -> None:
        self._access = access
        self._pages = pages
        self._clock = api.clock
        self._attribution = api.geo_attribution

    async def stats(self, request: web.Request) -> web.Response:
        """Everybody may see this of a site that is public."""
        asked = self._asked(request)
        if isinstance(asked, web.Response):
            return asked
        reader = None if asked.site.public else self._reader(request)
        return refusal(reader) if isinstance(reader, Refused) else await self._summary(asked)

    async def referrers(self, request: web.Request) -> web.Response:
        return await self._top(request, Kind.REFERRER, "host")

    async def countries(self, request: web.Request) -> web.Response:
        return await self._top(request, Kind.COUNTRY, "country")

    async def count(self, request: web.Request) -> web.Response:
        """Views of a page, or of the site, between two instants."""
        asked = self._guarded(request)
        if isinstance(asked, web.Response):
            return asked
        bad: dict[str, str] = {}
        key, from_ms, to_ms = _path(request, bad), _date(request, "startDate", bad), _date(request, "endDate", bad)
        if bad:
            return invalid_params(bad, location="query")
        return json({"views": await self._pages.queries.count(asked.site, key, from_ms, to_ms)})

    async def timeseries(self, request: web.Request) -> web.Response:
        asked = self._guarded(request)
        if isinstance(asked, web.Response):
            return asked
        bad: dict[str, str] = {}
        key, from_ms, to_ms = _path(request, bad), _date(request, "startDate", bad), _date(request, "endDate", bad)
        named = request.query.get("interval", "day")
        if named not in INTERVALS:
            bad["interval"] = "Should be hour or day"
        if bad:
            return invalid_params(bad, location="query")
        step_ms, now_ms = INTERVALS[named], self._clock.now_ms()
        end_ms = now_ms + 1 if to_ms is None else to_ms
        begin_ms = end_ms - 30 * step_ms if from_ms is None else from_ms
        begin_ms -= begin_ms % step_ms
        if (end_ms - begin_ms) // step_ms > MAX_POINTS:
            return refusal(_TOO_MANY)
        starts = list(range(begin_ms, end_ms + step_ms, step_ms))
        points = await self._pages.queries.timeseries(asked.site, key, starts)
        data = [
            {"date": iso_ms(point.at_ms), "views": point.views, **({} if key else {"newVisitors": point.visitors})}
            for point in points
        ]
        return json({"interval": named, "data": data})

    async def sites(self, request: web.Request) -> web.Response:
        principal = self._reader(request)
        if isinstance(principal, Refused):
            return refusal(principal)
        data = []
        for site in self._pages.sites:
            totals = await self._pages.queries.totals(site, None)
            present = await self._pages.active.present(site.number)
            data.append({"site": site.host, "activeVisitors": present.visitors, "totalPageViews": totals.views})
        return json({"total": len(data), "data": data})

    async def backfills(self, request: web.Request) -> web.Response:
        principal = self._access.require(request, Role.ADMIN)
        if isinstance(principal, Refused):
            return refusal(principal)
        hosts = {site.number: site.host for site in self._pages.sites}
        data = [
            {
                "job": job.name,
                "site": None if job.site is None else hosts.get(job.site),
                "status": job.status.value,
                "processed": job.processed,
                "uniqueSessions": job.unique_sessions,
                "cursor": job.cursor,
                "size": job.size,
                "counted": job.counted,
                "skipped": job.skipped,
                "startedAt": iso_ms(job.started_ms),
                "updatedAt": iso_ms(job.updated_ms),
            }
            for job in await self._pages.backfill.jobs()
        ]
        return json({"total": len(data), "data": data})

    async def put_catalog(self, request: web.Request) -> web.Response:
        """``{"site", "pages": [{"path", "title"?, "type"?}]}`` is the whole catalog of the site."""
        principal = self._access.require(request, Role.HOST)
        body = principal if isinstance(principal, Refused) else await json_object(request, limit=MAX_CATALOG_BODY)
        if isinstance(body, Refused):
            return refusal(body)
        site = self._pages.sites.find(body["site"]) if isinstance(body.get("site"), str) else None
        if isinstance(site, Refused):
            return refusal(site)
        bad: dict[str, str] = {} if site is not None else {"site": "Should be the host of a site"}
        published = _published(body.get("pages"), bad)
        if site is None or bad:
            return invalid_params(bad)
        return json({"pages": await self._pages.catalog.replace(site, published)})

    # Inside

    async def _summary(self, asked: _Asked) -> web.Response:
        body = await summary(self._pages, asked.site, asked.start_ms, asked.limit, self._attribution())
        return json(body, headers={"Cache-Control": "no-store"})

    async def _top(self, request: web.Request, kind: Kind, word: str) -> web.Response:
        asked = self._guarded(request)
        if isinstance(asked, web.Response):
            return asked
        found = await self._pages.queries.top(asked.site, kind, asked.start_ms, asked.limit)
        body: dict[str, Any] = {"data": [{word: share.name, "views": share.views} for share in found]}
        attribution = self._attribution() if kind is Kind.COUNTRY and found else None
        if attribution is not None:
            body["attribution"] = attribution
        return json(body)

    def _reader(self, request: web.Request) -> Principal | Refused:
        """Channels are of videos: a token that is limited to some sees no site."""
        principal = self._access.require(request, Role.STATS)
        if isinstance(principal, Refused) or reaches_everything(principal):
            return principal
        return NOT_EVERYTHING

    def _guarded(self, request: web.Request) -> _Asked | web.Response:
        principal = self._reader(request)
        return refusal(principal) if isinstance(principal, Refused) else self._asked(request)

    def _asked(self, request: web.Request) -> _Asked | web.Response:
        query, bad = request.query, dict[str, str]()
        site = self._pages.sites.find(query["site"]) if "site" in query else self._pages.sites.only()
        if isinstance(site, Refused):
            return refusal(site)
        if site is None:
            bad["site"] = "Should be the host of a site"
        period = query.get("period", "all")
        match = _PERIOD.fullmatch(period)
        if period != "all" and match is None:
            bad["period"] = "Should be all, or hours or days, as in 24h and 7d"
        limit = query.get("limit", str(DEFAULT_LIMIT))
        if not (limit.isascii() and limit.isdecimal() and len(limit) <= 4 and 1 <= int(limit) <= MAX_LIMIT):
            bad["limit"] = f"Should be 1 to {MAX_LIMIT}"
        if bad or site is None:
            return invalid_params(bad, location="query")
        if match is None:
            return _Asked(site, None, int(limit))
        length_ms = int(match[1]) * (HOUR_MS if match[2] == "h" else DAY_MS)
        return _Asked(site, self._clock.now_ms() - length_ms, int(limit))


def _path(request: web.Request, bad: dict[str, str]) -> str | None:
    said = request.query.get("path")
    path = None if said is None else normalised(said)
    if said is not None and path is None:
        bad["path"] = "Should be the path of a page"
    return None if path is None else path.key


def _date(request: web.Request, name: str, bad: dict[str, str]) -> int | None:
    said = request.query.get(name)
    instant_ms = None if said is None else parse_loose_iso_ms(said)
    if said is not None and (instant_ms is None or instant_ms < 0):
        bad[name] = "Should be one ISO 8601 date"
    return None if instant_ms is None else instant_ms - instant_ms % MINUTE_MS


def _published(said: Any, bad: dict[str, str]) -> list[Published]:
    if not isinstance(said, list) or len(said) > MAX_PAGES:
        bad["pages"] = f"Should be a list of at most {MAX_PAGES} pages"
        return []
    found: list[Published] = []
    for at, entry in enumerate(said):
        page = _one_published(entry)
        if page is None:
            bad[f"pages[{at}]"] = "Should be {path, title?, type?}"
            break
        found.append(page)
    return found


def _one_published(entry: Any) -> Published | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
        return None
    path, title = normalised(entry["path"]), entry.get("title")
    page_type = entry.get("type") or entry.get("pageType") or "page"
    if path is None or not is_page_type(page_type) or not (title is None or isinstance(title, str)):
        return None
    return Published(path, None if title is None else clean_title(title), page_type)


def setup(router: web.UrlDispatcher, api: ViewsApi, access: Access, pages: Pages) -> None:
    routes = PageStatsRoutes(api, access, pages)
    for name, handler in (
        ("stats", routes.stats),
        ("referrers", routes.referrers),
        ("countries", routes.countries),
        ("timeseries", routes.timeseries),
        ("count", routes.count),
        ("sites", routes.sites),
        ("backfills", routes.backfills),
    ):
        add_resource(router, f"/api/v1/pages/{name}", {"GET": guarded(access, handler)})
    add_resource(router, "/api/v1/pages/catalog", {"PUT": guarded(access, routes.put_catalog)})
