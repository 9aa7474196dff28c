"""``GET /api/v1/accounts/{name}/video-channels``: the channels of the one account, with their views when asked for."""

from __future__ import annotations

import re
from typing import Any

from aiohttp import web

from foundation.clock import iso_ms
from foundation.errors import Refused
from foundation.problems import invalid_params
from views.catalog.listing import MAX_COUNT
from views.channel_totals import DAY_MS, SORTS, Channels, ChannelTotals
from views.routes.access import Access
from views.routes.replies import add_resource, guarded, json, refusal
from views.routes.services import ViewsApi
from views.routes.stats_subjects import seen_by

DAYS = 31
"""Of ``viewsPerDay``: thirty days and today, in UTC (PeerTube's number)."""

NO_ACCOUNT = Refused("account_not_found", "Account not found", 404)

_INTEGER = re.compile(r"[0-9]{1,9}", re.ASCII)
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


class ChannelRoutes:
    """Public, as PeerTube's. Private videos are in the sums of whoever may see their statistics."""

    def __init__(self, api: ViewsApi, access: Access, channels: Channels) -> None:
        self._api = api
        self._access = access
        self._channels = channels

    async def of_account(self, request: web.Request) -> web.StreamResponse:
        """``{"total", "data"}`` with start, count, sort and ``withStats=true``: ``viewsPerDay`` and ``totalViews``."""
        principal = self._access.principal(request)
        if isinstance(principal, Refused):
            return refusal(principal)
        query, bad = request.query, dict[str, str]()
        start, count = _integer(query.get("start", "0")), _integer(query.get("count", "15"))
        sort, with_stats = query.get("sort", "-createdAt"), _FLAGS.get(query.get("withStats", "false"))
        if start is None:
            bad["start"] = "Should be an integer, 0 or more"
        if count is None or not 1 <= count <= MAX_COUNT:
            bad["count"] = f"Should be 1 to {MAX_COUNT}"
        if sort.removeprefix("-") not in SORTS:
            bad["sort"] = "Should be one of " + ", ".join(SORTS) + ", with - in front to reverse it"
        if with_stats is None:
            bad["withStats"] = "Should be true or false"
        if bad or start is None or count is None:
            return invalid_params(bad, location="query")
        name, _, host = request.match_info["name"].partition("@")
        if name != self._api.settings.account:
            return refusal(NO_ACCOUNT)
        seen = seen_by(principal)
        total, channels = await self._channels.page(start, count, sort, seen)
        if host and any(channel.origin != host.lower() for channel in channels):
            return refusal(NO_ACCOUNT)
        data = [self._plain(channel) for channel in channels]
        if with_stats:
            today_ms = self._api.clock.now_ms() // DAY_MS * DAY_MS
            days = [today_ms - ago * DAY_MS for ago in reversed(range(DAYS))]
            views = await self._channels.views_by_day([channel.name for channel in channels], days[0], seen)
            for body, channel in zip(data, channels, strict=True):
                body["viewsPerDay"] = [
                    {"date": iso_ms(day_ms), "views": views.get((channel.name, day_ms), 0)} for day_ms in days
                ]
                body["totalViews"] = channel.views
        return json({"total": total, "data": data})

    def _plain(self, channel: ChannelTotals) -> dict[str, Any]:
        account = self._api.settings.account
        return {
            "name": channel.name,
            "displayName": channel.name,
            "host": channel.origin,
            "isLocal": True,
            "createdAt": iso_ms(channel.created_ms),
            "updatedAt": iso_ms(channel.updated_ms),
            "videosCount": channel.videos,
            "ownerAccount": {"name": account, "displayName": account, "host": channel.origin},
        }


def _integer(text: str) -> int | None:
    return int(text) if _INTEGER.fullmatch(text) else None


def setup(router: web.UrlDispatcher, api: ViewsApi, access: Access, channels: Channels) -> None:
    routes = ChannelRoutes(api, access, channels)
    add_resource(router, "/api/v1/accounts/{name}/video-channels", {"GET": guarded(access, routes.of_account)})
