"""What is done with a report about a page, however it came: whose site, from where, whether somebody reads there."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import hdrs, web

from foundation.errors import Refused
from foundation.shedding import Load
from views.bots import is_prefetch
from views.geo.places import agreed, city_of
from views.pages.model import Outcome, Site
from views.pages.paths import referrer_host
from views.pages.places import spot_of
from views.pages.service import Pages
from views.routes.access import Access
from views.routes.page_body import PageReport
from views.routes.places import RequestPlaces
from views.routes.services import ViewsApi

ORIGIN_REFUSED = Refused("origin_refused", "This origin may not report for the site", 403)

SAYS = "X-Stats"
"""Header of every answer to a report: what became of it."""

_ANSWERS = {outcome: "counted" if outcome is Outcome.COUNTED else f"ignored: {outcome.value}" for outcome in Outcome}


class PageDesk:
    def __init__(self, api: ViewsApi, access: Access, pages: Pages) -> None:
        self._pages = pages
        self._identity = api.identity
        self._place = RequestPlaces(api.place_headers, api.settings.trusted_proxies)
        self._shedder = api.shedder
        self._rules = api.rules
        self.access = access
        refused = api.metrics.counter(
            "fediviews_page_reports_refused", "Reports of pages that were refused, by status.", ["status"]
        )
        self._refused = {status: refused.labels(str(status)).inc for status in (400, 403, 404, 408, 413, 415, 429, 503)}

    def knows(self, origin: str) -> bool:
        """Whether pages of any site come from there."""
        return self._pages.sites.is_origin(origin.lower())

    def not_taken(self, status: int) -> None:
        count = self._refused.get(status)
        if count is not None:
            count()

    async def take(
        self, request: web.Request, said: PageReport, origin: str | None, address: str, *, heartbeat: bool
    ) -> str | Refused:
        """What ``X-Stats`` says of it. ``origin`` is where a browser says that it comes from. Refused:
        ``site_unknown``, ``origin_refused``, ``overloaded``. Raises StorageUnavailable."""
        site = self._pages.sites.find(said.site)
        if isinstance(site, Refused):
            return site
        if origin is not None and origin.lower() not in site.origins:
            return ORIGIN_REFUSED
        if self._shedder is not None and not self._shedder.allows(Load.PAGE_BEACON):
            return self._shedder.refusal()
        return _ANSWERS[await self._outcome(request, site, said, address, heartbeat)]

    async def _outcome(
        self, request: web.Request, site: Site, said: PageReport, address: str, heartbeat: bool
    ) -> Outcome:
        visits = self._pages.visits
        why = self._nobody(request.headers, said)
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

    def _nobody(self, headers: Mapping[str, str], said: PageReport) -> Outcome | None:
        """Why there is no reader behind a report; None: there is one."""
        if self._rules.ignore_prefetch and is_prefetch(headers):
            return Outcome.PREFETCH
        is_crawler = self._rules.is_crawler
        if is_crawler is None:
            return None
        if said.webdriver:
            return Outcome.WEBDRIVER
        return Outcome.BOT if is_crawler(headers.get(hdrs.USER_AGENT, "")) else None
