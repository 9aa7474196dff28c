"""``GET /api/v1/videos/{id}/viewers``: how many are watching, at once or as a stream."""

from __future__ import annotations

from aiohttp import web

from foundation.errors import Refused
from foundation.principal import Principal, Role
from foundation.problems import invalid_params
from views.last_known import LastKnown
from views.model import Video
from views.routes.access import Access
from views.routes.push import Audience, ViewerPush
from views.routes.replies import add_resource, guarded, json, refusal
from views.routes.services import ViewsApi
from views.routes.video_json import viewers_json
from views.sessions import ViewerToken, is_session_id

_MAX_ACCEPT = 1_024


class ViewerRoutes:
    """Everybody reads the number; what it is made of is for the instance's own applications (host, admin)."""

    def __init__(self, api: ViewsApi, access: Access, numbers: LastKnown, push: ViewerPush) -> None:
        self._api = api
        self._numbers = numbers
        self._access = access
        self._push = push

    async def viewers(self, request: web.Request) -> web.StreamResponse:
        """The number now (or as it last was, see ``asOf``), or with ``Accept: text/event-stream`` whenever it moves."""
        principal = self._access.principal(request)
        if isinstance(principal, Refused):
            return refusal(principal)
        token = self._access.viewer_token(request)
        video = await self._access.visible(request, principal, token)
        if isinstance(video, Refused):
            return refusal(video)
        insider = principal is not None and principal.may(Role.HOST)
        explain = request.query.get("explain") == "1"
        if request.method == "GET" and _wants_events(request):
            token = token if isinstance(token, ViewerToken) else None
            return await self._held(request, video, principal if insider else None, token)
        shown, as_of_ms = await self._numbers.shown(video)
        return json(
            viewers_json(shown, as_of_ms, breakdown=insider, explain=explain),
            headers={"Cache-Control": "no-store"},
        )

    async def _held(
        self, request: web.Request, video: Video, insider: Principal | None, token: ViewerToken | None
    ) -> web.StreamResponse:
        """The stream of a page that says whose it is (``sessionId``, or a viewer token with a user) holds its viewer,
        who is not said to have left before both its reports and its stream have ended."""
        session, user = request.query.get("sessionId"), None if token is None else token.user
        if session is not None and not is_session_id(session):
            bad = {"sessionId": "Should have 1 to 200 ASCII letters, digits or hyphens"}
            return invalid_params(bad, location="query")
        if self._api.feed is None or (session is None and user is None):
            return await self._stream(request, video.number, insider, token)
        viewer, _ = self._api.identity.viewer(session, user, self._access.address(request))
        ended = self._api.feed.listening(video, viewer)
        try:
            return await self._stream(request, video.number, insider, token)
        finally:
            ended()

    async def _stream(
        self, request: web.Request, number: int, insider: Principal | None, token: ViewerToken | None
    ) -> web.StreamResponse:
        audience = Audience(insider is not None, None if token is None else token.expires_ms)
        answer = await self._push.stream(request, number, self._access.address(request), audience)
        return refusal(answer) if isinstance(answer, Refused) else answer


def _wants_events(request: web.Request) -> bool:
    return "text/event-stream" in request.headers.get("Accept", "")[:_MAX_ACCEPT].lower()


def setup(router: web.UrlDispatcher, api: ViewsApi, access: Access, numbers: LastKnown, push: ViewerPush) -> None:
    routes = ViewerRoutes(api, access, numbers, push)
    add_resource(router, "/api/v1/videos/{id}/viewers", {"GET": guarded(access, routes.viewers)})
