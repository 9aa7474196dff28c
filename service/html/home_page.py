"""``GET /``: who counts here, and where to look: public videos of ours, statistics of web sites that are on a list."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from foundation.errors import Refused, StorageUnavailable
from foundation.web import ClientAddresses
from outbox.routes import Render
from service.html.polite import polite
from views.catalog.listing import VideoFilter
from views.routes.services import ViewsApi

LISTED = 12
"""Videos; all of them are on the JSON beside."""


class HomePage:
    """It stays while a store is gone, without the videos."""

    def __init__(self, api: ViewsApi, render: Render) -> None:
        self._api = api
        self._render = render
        self._polite = polite(self._answer, api.reading, ClientAddresses(api.settings.trusted_proxies))

    def setup(self, router: web.UrlDispatcher) -> None:
        router.add_get("/", self._polite)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            shown = await self._videos()
        except StorageUnavailable:
            shown = {"videos": [], "total": 0}
        return self._render(request, "home.html", {**shown, "has_sites": self._has_sites()})

    async def _videos(self) -> dict[str, Any]:
        """The newest, with how many watch each now."""
        listed = await self._api.catalog.list_videos(0, LISTED, "-publishedAt", VideoFilter(local=True))
        if isinstance(listed, Refused):
            return {"videos": [], "total": 0}
        numbers = await asyncio.gather(*(self._api.viewers.shown(video) for video in listed.videos))
        videos = [(video, number.viewers) for video, number in zip(listed.videos, numbers, strict=True)]
        return {"videos": videos, "total": listed.total}

    def _has_sites(self) -> bool:
        """Whether ``/stats`` shows anything to who names no site."""
        if self._api.pages is None:
            return False
        sites = tuple(self._api.pages.sites)
        return any(site.public and (site.listed or len(sites) == 1) for site in sites)
