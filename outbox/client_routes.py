"""POST to the outbox: ActivityPub's client side (section 6) for host applications. Views only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web

from federation.documents import ActorKind, InstanceIdentity
from federation.vocabulary import read_json
from federation.vocabulary.build import view_id
from foundation import problems
from foundation.clock import Clock, parse_iso_ms
from foundation.errors import Refused
from foundation.principal import Principal, Role
from foundation.web import read_body
from outbox.client_auth import may
from outbox.waiting import available
from views.model import Video

MAX_BODY_BYTES = 20_000
MAX_VIEWER_CHARS = 200
CONTENT_TYPES = frozenset({"application/activity+json", "application/ld+json", "application/json"})

Authenticate = Callable[[web.BaseRequest, bytes], Principal | Refused]


class LocalViews(Protocol):
    """What views does with them; ``viewer`` is the application's own key of a viewer, opaque."""

    async def watching(self, video: Video, viewer: str, expires_ms: int) -> str:
        """A viewer of ours is here until ``expires_ms``; the last part of the id it is told under."""

    async def count(self, video: Video, viewer: str) -> str | None:
        """A view, once it is committed: the last part of its id. None when this viewer's was counted not long ago."""


class VideosByUrl(Protocol):
    """The part of `views.catalog.Catalog` that is needed here."""

    async def by_url(self, url: str) -> Video | None: ...


@dataclass(frozen=True, slots=True)
class PostedView:
    """A View as a client posts it: ``expires_ms`` None makes it a counted view."""

    object: str
    viewer: str
    expires_ms: int | None


class ClientRoutes:
    """``max_expires_ms`` is the longest life that a viewer is given at once; more is cut."""

    def __init__(
        self,
        *,
        identity: InstanceIdentity,
        authenticate: Authenticate,
        videos: VideosByUrl,
        local_views: LocalViews,
        clock: Clock,
        max_expires_ms: int,
    ) -> None:
        self._identity = identity
        self._authenticate = authenticate
        self._videos = videos
        self._local_views = local_views
        self._clock = clock
        self._max_expires_ms = max_expires_ms

    def setup(self, router: web.UrlDispatcher) -> None:
        router.add_post("/accounts/{name}/outbox", available(self.post))

    async def post(self, request: web.Request) -> web.StreamResponse:
        """201 and the View's id in Location; 200 when the same viewer's view was counted already."""
        if self._identity.account(request.match_info["name"]) is not ActorKind.INSTANCE:
            return problems.problem(404, "There is no such outbox here.")
        if request.content_type not in CONTENT_TYPES:
            return problems.refused(Refused("content_type", "send application/activity+json", 415))
        body = await read_body(request, MAX_BODY_BYTES)
        if isinstance(body, Refused):
            return problems.refused(body)
        refusal = may(self._authenticate(request, body), Role.HOST)
        if refusal is not None:
            return problems.refused(refusal)
        view = read_view(body)
        if isinstance(view, Refused):
            return problems.refused(view)
        return await self._take(view)

    async def _take(self, view: PostedView) -> web.Response:
        video = await self._videos.by_url(view.object)
        if video is None:
            return problems.refused(Refused("unknown_video", "no video of this id is known here", 404))
        name: str | None
        if view.expires_ms is None:
            name = await self._local_views.count(video, view.viewer)
        else:
            now_ms = self._clock.now_ms()
            if view.expires_ms <= now_ms:
                return problems.refused(Refused("expired", "expires lies in the past", 400))
            expires_ms = min(view.expires_ms, now_ms + self._max_expires_ms)
            name = await self._local_views.watching(video, view.viewer, expires_ms)
        if name is None:
            return web.json_response({"counted": False})
        location = view_id(self._identity.actor_url, video.number, name)
        return web.Response(status=201, headers={"Location": location})


def read_view(body: bytes) -> PostedView | Refused:
    """The View in a body; a refusal (400) names the member that is wrong, or says ``unsupported_type``."""
    members = read_json(body)
    if isinstance(members, Refused):
        return members
    if not isinstance(members, dict) or members.get("type") != "View":
        return Refused("unsupported_type", "only a View can be posted here")
    object_ = _id_of(members.get("object"))
    if object_ is None:
        return Refused("bad_object", "object must be the id of a video")
    viewer = members.get("viewer")
    if not isinstance(viewer, str) or not 1 <= len(viewer) <= MAX_VIEWER_CHARS:
        return Refused("bad_viewer", f"viewer must be a text of 1 to {MAX_VIEWER_CHARS} characters")
    if members.get("expires") is None:
        return PostedView(object_, viewer, None)
    expires_ms = parse_iso_ms(members["expires"]) if isinstance(members["expires"], str) else None
    if expires_ms is None:
        return Refused("bad_expires", "expires must be an ISO 8601 instant with its zone")
    return PostedView(object_, viewer, expires_ms)


def _id_of(value: Any) -> str | None:
    found = value.get("id") if isinstance(value, dict) else value
    return found if isinstance(found, str) and found else None
