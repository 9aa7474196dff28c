"""What players, monitoring and PeerTube's test-suite ask about the instance as a whole."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from foundation.errors import Refused
from foundation.principal import Role
from foundation.problems import invalid_params
from views.catalog.listing import VideoFilter, VideoPage
from views.routes.access import Access
from views.routes.replies import add_resource, guarded, json, json_object, refusal
from views.routes.services import ViewsApi
from views.routes.stats_body import crowded, overall_answer
from views.routes.stats_query import read_bounds
from views.routes.stats_subjects import EVERYTHING, reaches_everything
from views.stats.model import Statistics

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
        settings, desk = self._api.settings, self._api.playback
        interval_ms = None if desk is None else desk.interval_ms
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
                "openTelemetry": {
                    "metrics": {"enabled": interval_ms is not None, "playbackStatsInterval": interval_ms or 15_000}
                },
            }
        )

    async def stats(self, request: web.Request) -> web.StreamResponse:
        """Counted views of our videos, and who is watching by scope. Public; private videos are in sums only.

        To a token that reaches every channel also the viewer statistics of all our videos together, with the
        parameters and members of a video's ``stats/overall``.
        """
        principal = self._access.principal(request)
        if isinstance(principal, Refused):
            return refusal(principal)
        now_ms = self._api.clock.monotonic_ms()
        if now_ms >= self._stats_until_ms:
            self._stats = await self._read_stats()
            self._stats_until_ms = now_ms + STATS_FOR_MS
        if principal is None or not reaches_everything(principal) or self._api.statistics is None:
            return json(self._stats)
        return await self._with_statistics(request, self._api.statistics)

    async def _with_statistics(self, request: web.Request, statistics: Statistics) -> web.Response:
        bad: dict[str, str] = {}
        bounds = read_bounds(request.query, bad)
        if bad:
            return invalid_params(bad, location="query")
        overall = await statistics.overall(EVERYTHING, *bounds.within)
        totals = {name: value for name, value in self._stats.items() if name != "viewers"}
        if bounds.csv:
            totals |= {f"viewers.{scope}": count for scope, count in self._stats["viewers"].items()}
        else:
            totals["viewers"] = self._stats["viewers"]
        overall = crowded(overall, self._api.settings.places_at_least)
        answer = overall_answer(overall, self._api.geo_attribution(), totals=totals, name="server")
        return answer.response(csv=bounds.csv)

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
        an activity is applied before it is acknowledged. ``hint`` is ours: what an administrator should look at."""
        principal = self._access.require(request, Role.ADMIN)
        if isinstance(principal, Refused):
            return refusal(principal)
        sharing = self._api.sharing
        hint = None if sharing is None else sharing.hint()
        return json({"ip": self._access.address(request), "activityPubMessagesWaiting": 0, "hint": hint})

    async def _read_stats(self) -> dict[str, Any]:
        api = self._api
        scopes = await api.viewers.sums.by_scope()
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
