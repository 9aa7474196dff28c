"""What players, monitoring and PeerTube's test-suite ask about the instance as a whole."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from foundation.errors import Refused
from foundation.principal import Role
from foundation.problems import invalid_params
from views.listing import VideoFilter, VideoPage
from views.routes.access import Access
from views.routes.replies import add_resource, guarded, json, json_object, refusal
from views.routes.services import ViewsApi

STATS_FOR_MS = 5_000
"""How long one answer of the statistics stands: they are public, and sum over the whole catalog."""


class ServerRoutes:
    """PeerTube's paths and keys; ``viewers`` in the statistics is ours."""

    def __init__(self, api: ViewsApi, access: Access) -> None:
        self._api = api
        self._access = access
        self._stats: dict[str, Any] = {}
        self._stats_until_ms = -1

    async def config(self, _request: web.Request) -> web.StreamResponse:
        """What a player reads before it reports: the periods are milliseconds, null is "do not report"."""
        settings = self._api.settings
        return json(
            {
                "instance": {"name": settings.instance_name},
                "serverVersion": settings.version,
                "views": {
                    "videos": {
                        "watchingInterval": {
                            "anonymous": settings.watching_anonymous_ms,
                            "users": settings.watching_users_ms,
                        }
                    }
                },
                "openTelemetry": {"metrics": {"enabled": False, "playbackStatsInterval": 15_000}},
            }
        )

    async def stats(self, _request: web.Request) -> web.StreamResponse:
        """Counted views of our videos, and who is watching by scope. Public; private videos are in sums only."""
        now_ms = self._api.clock.monotonic_ms()
        if now_ms >= self._stats_until_ms:
            self._stats = await self._read_stats()
            self._stats_until_ms = now_ms + STATS_FOR_MS
        return json(self._stats)

    async def run_command(self, request: web.Request) -> web.StreamResponse:
        """``{"command": …}`` runs one maintenance step now and answers 204 when it is done (admin)."""
        principal = self._access.require(request, Role.ADMIN)
        body = principal if isinstance(principal, Refused) else await json_object(request)
        if isinstance(body, Refused):
            return refusal(body)
        name = body.get("command")
        command = self._api.commands.get(name) if isinstance(name, str) else None
        if command is None:
            return invalid_params({"command": "Should be one of " + ", ".join(sorted(self._api.commands))})
        await command()
        self._stats_until_ms = -1
        return web.Response(status=204)

    async def debug(self, request: web.Request) -> web.StreamResponse:
        """PeerTube's: the caller's address as we see it (to check the proxies), and what waits. Nothing ever waits:
        an activity is applied before it is acknowledged."""
        principal = self._access.require(request, Role.ADMIN)
        if isinstance(principal, Refused):
            return refusal(principal)
        return json({"ip": self._access.address(request), "activityPubMessagesWaiting": 0})

    async def _read_stats(self) -> dict[str, Any]:
        api = self._api
        scopes = await api.viewers.totals_by_scope()
        return {
            "totalLocalVideoViews": await api.counter.total_local_views(),
            "totalLocalVideos": await self._count(VideoFilter(local=True)),
            "totalVideos": await self._count(VideoFilter()),
            "viewers": {
                "localOnLocal": scopes.local_on_local,
                "remoteOnLocal": scopes.remote_on_local,
                "localOnRemote": scopes.local_on_remote,
                "remoteOnRemote": scopes.remote_on_remote,
            },
        }

    async def _count(self, filters: VideoFilter) -> int:
        page = await self._api.catalog.list_videos(count=1, filters=filters)
        assert isinstance(page, VideoPage)
        return page.total


def setup(router: web.UrlDispatcher, api: ViewsApi, access: Access) -> None:
    routes = ServerRoutes(api, access)
    add_resource(router, "/api/v1/config", {"GET": guarded(access, routes.config)})
    add_resource(router, "/api/v1/server/stats", {"GET": guarded(access, routes.stats)})
    add_resource(router, "/api/v1/server/debug", {"GET": guarded(access, routes.debug)})
    add_resource(router, "/api/v1/server/debug/run-command", {"POST": guarded(access, routes.run_command)})
