"""``GET /b.gif``: a view of a page that is told by fetching a picture, where no script runs or nothing else gets out.

Site and path stand in the query, else in ``Referer``. Every answer is the picture, also of what was refused: a page
shows nothing broken. ``X-Stats`` and the status say what became of it, as of one by ``POST /api/v1/pages/views``.

A picture comes without ``Origin``: a browser is known by ``Sec-Fetch-Site``, and then has to say where it comes from.
"""

from __future__ import annotations

from aiohttp import hdrs, web
from multidict import istr
from yarl import URL

from foundation.errors import Refused, StorageUnavailable
from views.routes.page_body import parse_page_query
from views.routes.page_desk import ORIGIN_REFUSED, SAYS, PageDesk
from views.routes.report_body import BadBody

PATH = "/b.gif"

BAD_REPORT = "bad_report"
UNAVAILABLE = "storage_unavailable"

_SEC_FETCH_SITE = istr("Sec-Fetch-Site")
_OF_NO_PAGE = ("none", "same-origin")
_CLEAR = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
"""One transparent pixel (GIF89a)."""


class PagePixel:
    def __init__(self, desk: PageDesk) -> None:
        self._desk = desk

    async def pixel(self, request: web.Request) -> web.Response:
        address = self._desk.access.address(request)
        limited = self._desk.access.throttle(request, address, reports=True)
        if limited is not None:
            return self._refuse(limited)
        referer = request.headers.get(hdrs.REFERER)
        said = parse_page_query(request.query, referer)
        if isinstance(said, BadBody):
            return self._refuse(Refused(BAD_REPORT, status=400))
        origin = _origin(referer)
        if origin is None and request.headers.get(_SEC_FETCH_SITE, "none") not in _OF_NO_PAGE:
            return self._refuse(ORIGIN_REFUSED)
        try:
            word = await self._desk.take(request, said, origin, address, heartbeat=False)
        except StorageUnavailable:
            return self._refuse(Refused(UNAVAILABLE, status=503))
        return self._refuse(word) if isinstance(word, Refused) else _picture(200, word)

    def _refuse(self, verdict: Refused) -> web.Response:
        self._desk.not_taken(verdict.status)
        picture = _picture(verdict.status, f"refused: {verdict.reason}")
        if verdict.retry_after_s is not None:
            picture.headers[hdrs.RETRY_AFTER] = str(verdict.retry_after_s)
        return picture


def _picture(status: int, word: str) -> web.Response:
    headers = {
        "Cache-Control": "no-store",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "X-Content-Type-Options": "nosniff",
        SAYS: word,
    }
    return web.Response(status=status, body=_CLEAR, content_type="image/gif", headers=headers)


def _origin(referer: str | None) -> str | None:
    """None: it says nothing. What is no web address is an origin that no site has."""
    if not referer:
        return None
    try:
        return str(URL(referer).origin())
    except ValueError:
        return "null"


def setup(router: web.UrlDispatcher, desk: PageDesk) -> None:
    # Whoever asks for the head alone has not looked.
    router.add_get(PATH, PagePixel(desk).pixel, allow_head=False)
