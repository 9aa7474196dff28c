"""``POST /api/v1/videos/{id}/replay``: a host application says which video the replay of its live stream became."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from foundation.errors import Refused
from foundation.principal import Role
from foundation.problems import invalid_params
from views.ids import parse_video_ref
from views.model import Video
from views.replay import Replays
from views.routes.access import NOT_FOUND, Access
from views.routes.replies import add_resource, guarded, json, json_object, refusal
from views.routes.services import ViewsApi
from views.routes.stats_subjects import REMOTE


class ReplayRoutes:
    """For host and admin tokens."""

    def __init__(self, access: Access, replays: Replays) -> None:
        self._access = access
        self._replays = replays

    async def carry(self, request: web.Request) -> web.StreamResponse:
        """``{"replay": id}``: 200 with both videos' views now, and how much went from one to the other."""
        principal = self._access.require(request, Role.HOST)
        if isinstance(principal, Refused):
            return refusal(principal)
        live = await self._ours(request.match_info["id"])
        if isinstance(live, Refused):
            return refusal(live)
        body = await json_object(request)
        if isinstance(body, Refused):
            return refusal(body)
        name = body.get("replay")
        if not isinstance(name, str) or parse_video_ref(name) is None:
            return invalid_params({"replay": "Should be the UUID of a video of ours"})
        replay = await self._ours(name)
        carried = replay if isinstance(replay, Refused) else await self._replays.carry(live, replay)
        if isinstance(carried, Refused):
            return refusal(carried)
        return json(
            {
                "live": _numbers(carried.live),
                "replay": _numbers(carried.replay),
                "moved": {"views": carried.views, "viewers": carried.stays},
            }
        )

    async def _ours(self, name: str) -> Video | Refused:
        video = await self._access.find(name)
        if video is None or isinstance(video, Refused):
            return video or NOT_FOUND
        return video if video.local else REMOTE


def _numbers(video: Video) -> dict[str, Any]:
    return {"uuid": video.uuid, "views": video.views}


def setup(router: web.UrlDispatcher, api: ViewsApi, access: Access, replays: Replays) -> None:
    routes = ReplayRoutes(access, replays)
    add_resource(router, "/api/v1/videos/{id}/replay", {"POST": guarded(access, routes.carry)})
