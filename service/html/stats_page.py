"""``GET /stats``: what everybody may see of the web sites counted here. All of it is HTML, which a script refreshes.

Order: rate limit 429, site 404 or 403, period 400. A store that is gone is 503.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from foundation.errors import Refused
from foundation.problems import invalid_params
from foundation.web import ClientAddresses
from outbox.routes import Render
from service.html.polite import polite
from service.html.world.map import SHADES, rows_of, shapes_of
from service.html.world.projection import HEIGHT, WIDTH
from views.pages.model import Site
from views.pages.sites import UNKNOWN
from views.pages.summary import summary
from views.routes.replies import refusal
from views.routes.services import ViewsApi

CLOSED = Refused("site_closed", "The statistics of this site are not public: they need a token, over the API", 403)
HOUR_MS = 3_600_000
PERIODS = {"24h": 24 * HOUR_MS, "7d": 7 * 24 * HOUR_MS, "30d": 30 * 24 * HOUR_MS, "all": None}
PERIOD_WORDS = {"24h": "24 hours", "7d": "7 days", "30d": "30 days", "all": "All time"}
LISTED = 20
FIRST_ROWS = 10
"""Of the table of countries: the others are shown when asked for."""

MAX_SITES = 200
REFRESH_S = 5


class StatsPage:
    """One site, or a list to choose from where there are several and none is named."""

    def __init__(self, api: ViewsApi, render: Render) -> None:
        self._api = api
        self._render = render
        address_of = ClientAddresses(api.settings.trusted_proxies)
        self._polite = polite(self._answer, api.reading, address_of)

    def setup(self, router: web.UrlDispatcher) -> None:
        router.add_get("/stats", self._polite)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        pages = self._api.pages
        named = request.query.get("site")
        if pages is None or not tuple(pages.sites):
            return refusal(UNKNOWN) if named else self._render(request, "sites.html", {"sites": [], "known": 0})
        site = _only_public(pages.sites.only()) if named is None else pages.sites.find(named)
        if isinstance(site, Refused):
            return refusal(site)
        if site is not None and not site.public:
            return refusal(CLOSED)
        period = request.query.get("period", "all")
        if period not in PERIODS:
            return invalid_params({"period": "Should be 24h, 7d, 30d or all"}, location="query")
        if site is None:
            listed = await self._listed([site for site in pages.sites if site.listed])
            return self._render(request, "sites.html", {"sites": listed, "known": len(tuple(pages.sites))})
        past, live = request.query.get("where") == "period", "live" in request.query
        return self._render(request, "stats.html", await self._data(site, period, past=past, live=live))

    async def _listed(self, sites: Sequence[Site]) -> list[dict[str, Any]]:
        pages = self._api.pages
        assert pages is not None
        found = []
        for site in sites[:MAX_SITES]:
            totals = await pages.queries.totals(site, None)
            present = await pages.active.present(site.number)
            found.append({"host": site.host, "active": present.visitors, "views": totals.views})
        return found

    async def _data(self, site: Site, period: str, *, past: bool, live: bool) -> dict[str, Any]:
        """``past``: the map of all visitors of the period, not of those who are there now. ``live``: without the
        shapes of the map, for the script that has them."""
        pages, length_ms = self._api.pages, PERIODS[period]
        assert pages is not None
        now_ms = self._api.clock.now_ms()
        start_ms = None if length_ms is None else now_ms - length_ms
        body = await summary(pages, site, start_ms, LISTED, self._api.geo_attribution())
        if past:
            rows = rows_of((place["country"], place["visitors"]) for place in body["visitorCountries"])
        else:
            rows = rows_of((place["country"], place["count"]) for place in body["visitorLocations"])
        since_ms = body["trackingSince"]
        return {
            "site": site.host,
            "period": period,
            "periods": PERIOD_WORDS,
            "stats": body,
            "past": past,
            "visitors": body["uniqueVisitors"] if past else body["activeVisitors"],
            "rows": rows,
            "first_rows": FIRST_ROWS,
            "placed": sum(row.count for row in rows),
            "minimum": pages.location_minimum,
            "shapes": [] if live else _empty_map() if not rows else shapes_of(rows),
            "shades": range(1, SHADES + 1),
            "width": WIDTH,
            "height": HEIGHT,
            "since": None if since_ms is None else _minute(since_ms),
            "as_of": _minute(now_ms),
            "active_paths": body["activeByPath"][:LISTED],
            "refresh_s": REFRESH_S,
        }


def _only_public(site: Site | None) -> Site | None:
    return site if site is not None and site.public else None


@functools.cache
def _empty_map() -> Any:
    return shapes_of([])


def _minute(at_ms: int) -> str:
    """As people read it, in UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
