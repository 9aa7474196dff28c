"""What is refused, said to people: a page in place of the problem document that a program gets. Same status, same
headers."""

from __future__ import annotations

import http
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from aiohttp import hdrs, web

from foundation.problems import CONTENT_TYPE
from foundation.web import prefers_html

WORDS: Mapping[int, str] = {
    400: "That cannot be shown",
    401: "That needs a token",
    403: "That is not for everybody",
    404: "There is nothing here",
    405: "That cannot be done here",
    429: "Too many requests",
    503: "Not at this moment",
}
"""Titles; of any other status its own."""

API = "/api/"
"""Below it programs alone ask, whatever they accept."""

NEXT = (
    ("/admin", "/admin", "The dashboard"),
    ("/stats", "/stats", "Statistics of web sites"),
)
"""Where to go from paths that begin so: path, address, words."""

Page = Callable[[web.Request, str, Mapping[str, Any]], web.Response]


class RefusedPages:
    """A signal, not a middleware: what hot routes answer does not come by here (``foundation.answers``)."""

    def __init__(self, render: Page) -> None:
        self._render = render

    def setup(self, app: web.Application) -> None:
        app.on_response_prepare.append(self.prepare)

    async def prepare(self, request: web.Request, response: web.StreamResponse) -> None:
        if response.status < http.HTTPStatus.BAD_REQUEST or response.content_type != CONTENT_TYPE:
            return
        if request.path.startswith(API) or not isinstance(response, web.Response):
            return
        vary = response.headers.get(hdrs.VARY, "")
        if hdrs.ACCEPT.lower() not in vary.lower():
            response.headers[hdrs.VARY] = f"{vary}, {hdrs.ACCEPT}" if vary else hdrs.ACCEPT
        if not prefers_html(request.headers.get(hdrs.ACCEPT)):
            return
        page = self._render(request, "refused.html", _said(request, response))
        response.headers.update({name: value for name, value in page.headers.items() if name != hdrs.CONTENT_LENGTH})
        response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
        response.body = page.body
        # Its own was written before signals are sent.
        if hdrs.CONTENT_LENGTH in response.headers and isinstance(page.body, bytes):
            response.headers[hdrs.CONTENT_LENGTH] = str(len(page.body))


def _said(request: web.Request, response: web.Response) -> dict[str, Any]:
    problem = msgspec.json.decode(response.body) if isinstance(response.body, bytes) else {}
    after = [(address, words) for start, address, words in NEXT if _is_below(request.path, start)]
    return {
        "title": WORDS.get(response.status, problem.get("title", "Error")),
        "detail": problem.get("detail", ""),
        "wrong": {name: said["msg"] for name, said in problem.get("invalid-params", {}).items()},
        "status": response.status,
        "wait_s": response.headers.get(hdrs.RETRY_AFTER),
        "where": [*after, ("/", "The start page")],
    }


def _is_below(path: str, start: str) -> bool:
    return path == start or path.startswith(start + "/")
