"""``GET|DELETE /api/v1/videos/{id}/resume``: where the user of a viewer token stopped watching this video."""

from __future__ import annotations

from aiohttp import web

from foundation.clock import iso_ms
from foundation.errors import Refused
from views.model import Video
from views.resume import ResumePositions
from views.routes.access import Access
from views.routes.replies import add_resource, guarded, json, refusal
from views.routes.services import ViewsApi

NO_VIEWER_TOKEN = Refused("viewer_token_missing", "A viewer token of this video is needed", 401)
NO_USER = Refused("viewer_token_nameless", "The viewer token names no user", 403)

_KEPT_BY_NOBODY = {"Cache-Control": "no-store"}


class ResumeRoutes:
    """By viewer token only: the instance's own tokens are not the user's."""

    def __init__(self, access: Access, positions: ResumePositions) -> None:
        self._access = access
        self._positions = positions

    async def get(self, request: web.Request) -> web.StreamResponse:
        """``{"currentTime": seconds, "updatedAt"}``; both null when nothing is kept."""
        asked = await self._asked(request)
        if isinstance(asked, Refused):
            return refusal(asked)
        user, video = asked
        kept = await self._positions.read(user, video.number)
        body = {
            "currentTime": None if kept is None else kept.position_s,
            "updatedAt": None if kept is None else iso_ms(kept.at_ms),
        }
        return json(body, headers=_KEPT_BY_NOBODY)

    async def delete(self, request: web.Request) -> web.StreamResponse:
        """204, whether anything was kept or not."""
        asked = await self._asked(request)
        if isinstance(asked, Refused):
            return refusal(asked)
        user, video = asked
        await self._positions.forget(user, video.number)
        return web.Response(status=204)

    async def _asked(self, request: web.Request) -> tuple[str, Video] | Refused:
        token = self._access.viewer_token(request)
        if token is None:
            principal = self._access.principal(request)
            return principal if isinstance(principal, Refused) else NO_VIEWER_TOKEN
        if isinstance(token, Refused):
            return token
        video = await self._access.visible(request, None, token)
        if isinstance(video, Refused):
            return video
        return NO_USER if token.user is None else (token.user, video)


def setup(router: web.UrlDispatcher, api: ViewsApi, access: Access, positions: ResumePositions) -> None:
    routes = ResumeRoutes(access, positions)
    handlers = {"GET": guarded(access, routes.get), "DELETE": guarded(access, routes.delete)}
    add_resource(router, "/api/v1/videos/{id}/resume", handlers)
