"""``POST /api/v1/pages/views`` and ``/heartbeat``: where web sites say that somebody reads them.

Order of judgement: rate limit 429, size 413, body 400, site 404, origin 403, too much to do 503. Then 204, whatever
became of the report: ``X-Stats`` says it (``counted``, ``ignored: <reason>``), of those before as well (``refused:
<reason>``).

Browsers may report from the origins of the site alone; who sends no ``Origin`` is no browser on a page.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import hdrs, web

from foundation.errors import Refused, StorageUnavailable
from foundation.problems import invalid_params, problem
from foundation.web import read_body
from views.pages.service import Pages
from views.routes import page_pixel
from views.routes.access import Access
from views.routes.page_body import MAX_BODY, parse_page_report
from views.routes.page_desk import SAYS, PageDesk
from views.routes.replies import refusal, unavailable
from views.routes.report_body import BadBody
from views.routes.services import ViewsApi

_METHODS = "OPTIONS, POST"
_EXPOSED = "Retry-After, X-Stats"


class PageRoutes:
    def __init__(self, desk: PageDesk) -> None:
        self._desk = desk

    async def view(self, request: web.Request) -> web.Response:
        return await self._report(request, heartbeat=False)

    async def heartbeat(self, request: web.Request) -> web.Response:
        return await self._report(request, heartbeat=True)

    async def _report(self, request: web.Request, *, heartbeat: bool) -> web.Response:
        access = self._desk.access
        origin = request.headers.get(hdrs.ORIGIN)
        address = access.address(request)
        limited = access.throttle(request, address)
        if limited is not None:
            return self._refuse(refusal(limited), limited.reason)
        raw = await read_body(request, MAX_BODY)
        if isinstance(raw, Refused):
            return self._refuse(refusal(raw), raw.reason)
        said = parse_page_report(raw)
        if isinstance(said, BadBody):
            return self._refuse(invalid_params(said.params), page_pixel.BAD_REPORT)
        try:
            word = await self._desk.take(request, said, origin, address, heartbeat=heartbeat)
        except StorageUnavailable:
            return self._refuse(unavailable(), page_pixel.UNAVAILABLE)
        if isinstance(word, Refused):
            return self._refuse(refusal(word), word.reason)
        return web.Response(status=204, headers={**_cors(origin), "Cache-Control": "no-store", SAYS: word})

    async def preflight(self, request: web.Request) -> web.Response:
        """Which site it is about stands in the body that has not been sent yet: any of theirs may go on."""
        origin = request.headers.get(hdrs.ORIGIN)
        headers = {
            **_cors(origin if origin is not None and self._desk.knows(origin) else None),
            "Allow": _METHODS,
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": "Content-Type",
            "Access-Control-Max-Age": "86400",
        }
        return web.Response(status=204, headers=headers)

    async def not_allowed(self, _request: web.Request) -> web.Response:
        return problem(405, "Method Not Allowed", headers={"Allow": _METHODS})

    def _refuse(self, response: web.Response, reason: str) -> web.Response:
        """Any page may read why its report was refused: else a script could not know when to stop."""
        self._desk.not_taken(response.status)
        response.headers[SAYS] = f"refused: {reason}"
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
    desk = PageDesk(api, access, pages)
    routes = PageRoutes(desk)
    page_pixel.setup(router, desk)
    for name, handler in (("views", routes.view), ("heartbeat", routes.heartbeat)):
        resource = router.add_resource(f"/api/v1/pages/{name}")
        resource.add_route(hdrs.METH_POST, handler)
        resource.add_route(hdrs.METH_OPTIONS, routes.preflight)
        resource.add_route("*", routes.not_allowed)
