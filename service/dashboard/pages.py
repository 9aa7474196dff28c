"""What each page of the dashboard shows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from foundation.clock import Clock, iso_ms
from foundation.errors import Refused
from outbox.webhooks.routes import WebhookRoutes
from service.admin.overview import Overview
from service.admin.overview_routes import configuration
from service.admin.peer_desk import PeerDesk
from service.config import Config
from service.dashboard.guard import HEADERS, Guard
from service.dashboard.sessions import Session
from service.dashboard.words import ago, ahead, done, lag
from views.catalog.catalog import Catalog
from views.catalog.listing import MAX_SEARCH, VideoFilter
from views.last_known import Known
from views.routes.video_json import video_json, viewers_json
from views.viewers import Viewers

SHOWN = 200
"""Rows of a table; the rest is found by searching."""
VIDEOS_PER_PAGE = 50
_MAX_PAGES = 100_000

Examine = Callable[[], Awaitable[dict[str, Any]]]


@dataclass(slots=True)
class DashboardPages:
    """``config`` is the one in force; ``worker`` names the process where several serve the instance."""

    guard: Guard
    clock: Clock
    desk: PeerDesk
    overview: Overview
    catalog: Catalog
    viewers: Viewers
    webhooks: WebhookRoutes
    examine: Examine
    config: Callable[[], Config]
    worker: str | None = None

    def setup(self, router: web.UrlDispatcher) -> None:
        for path, handler in (
            ("/admin", self.now),
            ("/admin/now.json", self.now_as_json),
            ("/admin/peers", self.peers),
            ("/admin/peers.json", self.peers_as_json),
            ("/admin/inbox", self.inbox),
            ("/admin/deliveries", self.deliveries),
            ("/admin/videos", self.videos),
            ("/admin/webhooks", self.hooks),
            ("/admin/configuration", self.configured),
            ("/admin/doctor", self.doctor),
        ):
            self.guard.page(router, path, handler)

    async def now(self, request: web.Request, session: Session) -> web.StreamResponse:
        data = {"now": await self.overview.now(), "verdicts": await self.overview.inbox()}
        return self._page(request, session, "now.html", data)

    async def now_as_json(self, _request: web.Request, _session: Session) -> web.StreamResponse:
        """As REST, for whoever is logged in and has no token at hand."""
        return web.json_response(await self.overview.now(), headers=HEADERS)

    async def peers_as_json(self, _request: web.Request, _session: Session) -> web.StreamResponse:
        return web.json_response(await self.desk.list_peers(), headers=HEADERS)

    async def peers(self, request: web.Request, session: Session) -> web.StreamResponse:
        return self._page(request, session, "peers.html", await self._peers(request))

    async def refused_peer(
        self, request: web.Request, session: Session, typed: str, refusal: Refused
    ) -> web.StreamResponse:
        """Why nothing was done, and what was typed, to be put right."""
        data = await self._peers(request) | {"typed": typed, "refusal": refusal}
        return self._page(request, session, "peers.html", data, refusal.status)

    async def _peers(self, request: web.Request) -> dict[str, Any]:
        listed, search = await self.desk.list_peers(), _search(request)
        found = [peer for peer in listed["data"] if search.lower() in peer["host"]]
        found.sort(key=lambda peer: (not _in_trouble(peer), peer["host"]))
        return {"peers": found[:SHOWN], "found": len(found), "total": listed["total"], "search": search}

    async def inbox(self, request: web.Request, session: Session) -> web.StreamResponse:
        host, reason = request.query.get("host") or None, request.query.get("reason") or None
        listed = (await self.desk.quarantine.newest(host))["data"]
        found = [one for one in listed if reason in (None, one["reason"])]
        data = {
            "verdicts": await self.overview.inbox(),
            "refusals": found[:SHOWN],
            "found": len(found),
            "replayable": sum(one["replayable"] for one in found),
            "host": host or "",
            "reason": reason or "",
            "worker": self.worker,
        }
        return self._page(request, session, "inbox.html", data)

    async def deliveries(self, request: web.Request, session: Session) -> web.StreamResponse:
        host = request.query.get("host") or None
        listed, peers = await self.desk.list_undelivered(host), await self.desk.list_peers()
        waiting = [peer for peer in peers["data"] if _waits(peer) and host in (None, peer["host"])]
        data = {
            "undelivered": listed["data"][:SHOWN],
            "found": listed["total"],
            "queues": waiting[:SHOWN],
            "host": host or "",
        }
        return self._page(request, session, "deliveries.html", data)

    async def videos(self, request: web.Request, session: Session) -> web.StreamResponse:
        search, page = _search(request), _number(request.query.get("page"))
        sort = request.query.get("sort") or "-publishedAt"
        start, filters = (page - 1) * VIDEOS_PER_PAGE, VideoFilter(search=search or None)
        listed = await self.catalog.list_videos(start, VIDEOS_PER_PAGE, sort, filters, include_private=True)
        if isinstance(listed, Refused):
            return self.guard.trouble(request, session, listed)
        now_ms, account = self.clock.now_ms(), self.config().instance.owner
        shown = await self.viewers.shown_many(listed.videos)
        rows = [
            video_json(video, Known(number, now_ms), account) | viewers_json(number, now_ms, breakdown=True)
            for video, number in zip(listed.videos, shown, strict=True)
        ]
        data = {
            "videos": rows,
            "total": listed.total,
            "search": search,
            "sort": sort,
            "page": page,
            "pages": max(1, -(-listed.total // VIDEOS_PER_PAGE)),
        }
        return self._page(request, session, "videos.html", data)

    async def hooks(self, request: web.Request, session: Session) -> web.StreamResponse:
        return await self.tested(request, session, [])

    async def tested(self, request: web.Request, session: Session, tried: list[dict[str, Any]]) -> web.StreamResponse:
        listed = await self.webhooks.listed()
        return self._page(request, session, "webhooks.html", {"hooks": listed["data"], "tried": tried})

    async def configured(self, request: web.Request, session: Session) -> web.StreamResponse:
        return self._page(request, session, "configuration.html", {"configuration": configuration(self.config())})

    async def doctor(self, request: web.Request, session: Session) -> web.StreamResponse:
        return self._page(request, session, "doctor.html", {"report": None})

    async def examined(self, request: web.Request, session: Session) -> web.StreamResponse:
        return self._page(request, session, "doctor.html", {"report": await self.examine()})

    def _page(
        self, request: web.Request, session: Session, template: str, data: dict[str, Any], status: int = 200
    ) -> web.Response:
        now_ms = self.clock.now_ms()
        helpers = {
            "ago": lambda instant: ago(instant, now_ms),
            "ahead": lambda instant: ahead(instant, now_ms),
            "as_of": iso_ms(now_ms),
            "duration": lag,
            "notice": done(request.query.get("done"), request.query.get("n")),
        }
        return self.guard.render(request, session, template, helpers | data, status)


def _search(request: web.Request) -> str:
    text = request.query.get("search", "").strip()[:MAX_SEARCH]
    return text if text.isprintable() else ""


def _number(text: str | None) -> int:
    whole = text is not None and text.isascii() and text.isdecimal() and len(text) <= 6
    return min(max(1, int(text)), _MAX_PAGES) if whole and text is not None else 1


def _waits(peer: dict[str, Any]) -> bool:
    delivery = peer["delivery"]
    return any(delivery[what] for what in ("waiting", "setAside", "totals", "viewers"))


def _in_trouble(peer: dict[str, Any]) -> bool:
    return bool(peer["trouble"] or peer["unusual"] or peer["breaker"] != "closed" or peer["delivery"]["setAside"])
