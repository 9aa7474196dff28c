"""Pages for people: templates, their one style sheet, and headers that forbid everything a page does not need."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp_jinja2
import jinja2
from aiohttp import web

from federation.documents import ActorKind, InstanceIdentity
from federation.vocabulary.build import Document
from service.html.refused_pages import RefusedPages
from views.ids import short_uuid

ROOT = Path(__file__).resolve().parent.parent
STATIC = (
    "fediviews.css",
    "icon.svg",
    "admin.css",
    "admin.js",
    "public.css",
    "reach.js",
    "stats.js",
    "video.js",
    "vendor/uplot/uPlot.iife.min.js",
    "vendor/uplot/uPlot.min.css",
)
POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "connect-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
)
HEADERS = {
    "Content-Security-Policy": "; ".join(POLICY),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
STATIC_HEADERS = {"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"}


class Pages:
    """Renders templates; ``setup`` once per application."""

    def __init__(self, identity: InstanceIdentity) -> None:
        self._identity = identity

    def setup(self, app: web.Application) -> None:
        loader = jinja2.FileSystemLoader(ROOT / "templates")
        aiohttp_jinja2.setup(app, loader=loader, autoescape=True, filters={"short": short_uuid})
        RefusedPages(self.render).setup(app)
        for name in STATIC:
            app.router.add_get(f"/static/{name}", self.static)

    def render(self, request: web.Request, template: str, data: Mapping[str, Any]) -> web.Response:
        response = aiohttp_jinja2.render_template(template, request, {"identity": self._identity, **data})
        response.headers.update(HEADERS)
        return response

    def actor(self, request: web.Request, kind: ActorKind, document: Document) -> web.StreamResponse:
        return self.render(request, "actor.html", {"kind": kind.value, "document": document})

    async def static(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(ROOT / request.path.lstrip("/"), headers=STATIC_HEADERS)
