"""``POST /api/v1/pages/views`` and ``/heartbeat``: where web sites say that somebody reads them.

Order of judgement: rate limit 429, size 413, body 400, site 404, origin 403, too much to do 503. Then 204, whatever
became of the report: ``X-Stats`` says it (``counted``, ``ignored: <reason>``).

Browsers may report from the origins of the site alone; who sends no ``Origin`` is no browser on a page.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import hdrs, web

from foundation.errors import Refused, StorageUnavailable
from foundation.problems import invalid_params, problem
from foundation.shedding import Load
from foundation.web import read_body
from views.bots import is_prefetch
from views.geo import agreed, city_of
from views.pages.model import Outcome, Site
from views.pages.paths import referrer_host
from views.pages.places import spot_of
from views.pages.service import Pages
from views.routes.access import Access
from views.routes.page_body import MAX_BODY, PageReport, parse_page_report
from views.routes.places import RequestPlaces
from views.routes.replies import refusal, unavailable
from views.routes.report_body import BadBody
from views.routes.services import ViewsApi

_ORIGIN_REFUSED = Refused("origin_refused", "This origin may not report for the site", 403)

_METHODS = "OPTIONS, POST"
_EXPOSED = "Retry-After, X-Stats"
_ANSWERS = {outcome: "counted" if outcome is Outcome.COUNTED else f"ignored: {outcome.value}" for outcome in Outcome}


class PageRoutes:
    def __init__(self, api: ViewsApi, access: Access, pages: Pages) -> None:
        self._access = access
        self._pages = pages
        self._identity = api.identity
        self._place = RequestPlaces(api.place_headers, api.settings.trusted_proxies)
        self._shedder = api.shedder
        self._rules = api.rules
        refused = api.metrics.counter(
            "fediviews_page_reports_refused", "Reports of pages that were refused, by status.", ["status"]
        )
        self._refused = {status: refused.labels(str(status)).inc for status in (400, 403, 404, 408, 413, 415, 429, 503)}

    async def view(self, request: web.Request) -> web.Response:
        return await self._report(request, heartbeat=False)

    async def heartbeat(self, request: web.Request) -> web.Response:
        return await self._report(request, heartbeat=True)

    async def _report(self, request: web.Request, *, heartbeat: bool) -> web.Response:
        origin = request.headers.get(hdrs.ORIGIN)
        address = self._access.address(request)
        limited = self._access.throttle(request, address)
        if limited is not None:
            return self._refuse(refusal(limited))
        raw = await read_body(request, MAX_BODY)
        if isinstance(raw, Refused):
            return self._refuse(refusal(raw))
        said = parse_page_report(raw)
        if isinstance(said, BadBody):
            return self._refuse(invalid_params(said.params))
        site = self._pages.sites.find(said.site)
        if isinstance(site, Refused):
            return self._refuse(refusal(site))
        if origin is not None and origin.lower() not in site.origins:
            return self._refuse(refusal(_ORIGIN_REFUSED))
        cors = _cors(origin)
        if self._shedder is not None and not self._shedder.allows(Load.PAGE_BEACON):
            return self._refuse(refusal(self._shedder.refusal()))
        try:
            outcome = await self._take(request, site, said, address, heartbeat)
        except StorageUnavailable:
            return self._refuse(unavailable())
        headers = {**cors, "Cache-Control": "no-store", "X-Stats": _ANSWERS[outcome]}
        return web.Response(status=204, headers=headers)

    async def _take(self, request: web.Request, site: Site, said: PageReport, address: str, heartbeat: bool) -> Outcome:
        visits = self._pages.visits
        why = self._nobody(request.headers)
        if why is not None:
            return visits.ignored(why, heartbeat=heartbeat)
        agent = request.headers.get(hdrs.USER_AGENT, "")
        session, alternate = self._identity.visitor(site.host, said.session_id, address, agent)
        if heartbeat and said.leave:
            return await visits.leave(site, session, alternate)
        country, _ = agreed(self._place(request), self._pages.locate(address))
        if heartbeat:
            city = city_of(self._place.city(request), self._pages.city(address))
            return await visits.heartbeat(site, said.path, session, alternate, spot_of(country, city))
        return await visits.view(
            site,
            said.path,
            session,
            alternate,
            referrer=None if said.referrer is None else referrer_host(said.referrer, site.host),
            country=country,
            title=said.title,
            page_type=said.page_type,
        )

    def _nobody(self, headers: Mapping[str, str]) -> Outcome | None:
        """Why there is no reader behind a report; None: there is one."""
        if self._rules.ignore_prefetch and is_prefetch(headers):
            return Outcome.PREFETCH
        is_crawler = self._rules.is_crawler
        return Outcome.BOT if is_crawler is not None and is_crawler(headers.get(hdrs.USER_AGENT, "")) else None

    async def preflight(self, request: web.Request) -> web.Response:
        """Which site it is about stands in the body that has not been sent yet: any of theirs may go on."""
        origin = request.headers.get(hdrs.ORIGIN)
        headers = {
            **_cors(origin if origin is not None and self._pages.sites.is_origin(origin.lower()) else None),
            "Allow": _METHODS,
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": "Content-Type",
            "Access-Control-Max-Age": "86400",
        }
        return web.Response(status=204, headers=headers)

    async def not_allowed(self, _request: web.Request) -> web.Response:
        return problem(405, "Method Not Allowed", headers={"Allow": _METHODS})

    def _refuse(self, response: web.Response) -> web.Response:
        """Any page may read why its report was refused: else a script could not know when to stop."""
        count = self._refused.get(response.status)
        if count is not None:
            count()
        response.headers.update({"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": _EXPOSED})
        response.headers["Cache-Control"] = "no-store"
        return response


def _cors(origin: str | None) -> Mapping[str, str]:
    if origin is None:
        return {"Vary": "Origin"}
    return {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": _EXPOSED,
    }


def setup(router: web.UrlDispatcher, api: ViewsApi, access: Access, pages: Pages) -> None:
    routes = PageRoutes(api, access, pages)
    for name, handler in (("views", routes.view), ("heartbeat", routes.heartbeat)):
        resource = router.add_resource(f"/api/v1/pages/{name}")
        resource.add_route(hdrs.METH_POST, handler)
        resource.add_route(hdrs.METH_OPTIONS, routes.preflight)
        resource.add_route("*", routes.not_allowed)
