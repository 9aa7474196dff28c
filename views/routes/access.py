"""Who asks, how often, and which videos they may know of."""

from __future__ import annotations

import math
from functools import lru_cache

from aiohttp import hdrs, web

from foundation.addresses import network_key
from foundation.errors import Refused
from foundation.principal import Principal, Role
from foundation.tokens import BAD_TOKEN, NO_TOKEN, TokenBook, lacks
from foundation.web import ClientAddresses, bearer_token
from views.ids import parse_video_ref
from views.model import Privacy, Video
from views.routes.services import ViewsApi
from views.sessions import ELSEWHERE, TOKEN_PREFIX, ViewerToken
from views.telemetry.calls import ApiCalls

BAD_ID = Refused("bad_id", "id must be an integer, a UUID or a short UUID", 400)
NOT_FOUND = Refused("video_not_found", "Video not found", 404)

_MAX_REMEMBERED = 8_192
_READING = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})

_network_key = lru_cache(maxsize=_MAX_REMEMBERED)(network_key)
_short_ref = lru_cache(maxsize=_MAX_REMEMBERED)(parse_video_ref)


def principal_of(request: web.BaseRequest, tokens: TokenBook) -> Principal | Refused | None:
    """Whose token the request carries. None: it has no Authorization header, or a viewer token in it.

    A header that says anything else is refused (``token_invalid``, 401): nobody becomes anonymous by a typing error.
    """
    if "Authorization" not in request.headers:
        return None
    bearer = bearer_token(request)
    if bearer is None:
        return BAD_TOKEN
    if bearer.startswith(TOKEN_PREFIX):
        return None
    return tokens.authenticate(bearer) or BAD_TOKEN


class Access:
    """Judges requests before anything is done for them."""

    def __init__(self, api: ViewsApi) -> None:
        self._api = api
        self.address = ClientAddresses(api.settings.trusted_proxies)
        self._limiter = api.limiter
        self._reading = api.reading
        self.calls = ApiCalls(api.telemetry, api.clock)
        self._throttled = api.metrics.counter(
            "fediviews_rest_throttled", "REST requests answered 429 because their client sent too many."
        )

    def throttle(self, request: web.BaseRequest, address: str, *, reports: bool = False) -> Refused | None:
        """Count the request against its client; host and admin tokens are above the limit (PeerTube: moderators).

        What only asks is counted apart: pages that show a number take nothing from the players behind their address.
        ``reports``: it says something although its method only asks.
        """
        limiter = self._reading if request.method in _READING and not reports else self._limiter
        if limiter is None:
            return None
        wait_s = limiter.hit(_network_key(address))
        if wait_s is None:
            return None
        principal = principal_of(request, self._api.tokens)
        if isinstance(principal, Principal) and principal.may(Role.HOST):
            return None
        self._throttled.inc()
        return Refused("rate_limited", "Too many requests, please try again later", 429, math.ceil(wait_s))

    def principal(self, request: web.BaseRequest) -> Principal | Refused | None:
        return principal_of(request, self._api.tokens)

    def require(self, request: web.BaseRequest, role: Role) -> Principal | Refused:
        """The caller, if its token has the role: ``token_missing``, ``token_invalid`` (401), ``role_missing`` (403)."""
        principal = self.principal(request)
        if principal is None:
            return NO_TOKEN
        return principal if isinstance(principal, Refused) else lacks(principal, role) or principal

    def viewer_token(self, request: web.BaseRequest, said: str | None = None) -> ViewerToken | Refused | None:
        """The viewer token of a request: in its body (``said``), ``X-Viewer-Token``, the Bearer header, or the query
        parameter ``viewerToken`` (a browser's EventSource can send no header)."""
        token = said or request.headers.get("X-Viewer-Token")
        if token is None and "Authorization" in request.headers:
            bearer = bearer_token(request)
            token = bearer if bearer is not None and bearer.startswith(TOKEN_PREFIX) else None
        if token is None and "viewerToken" in request.rel_url.raw_query_string:
            token = request.query.get("viewerToken")
        return None if token is None else self._api.viewer_tokens.read(token)

    def peek(self, text: str) -> Video | None:
        """The video a path names when everybody may know of it and it is in memory; None says nothing."""
        ref = _short_ref(text) if len(text) <= 36 else None
        if ref is None:
            return None
        catalog = self._api.catalog
        video = catalog.peek_number(ref) if isinstance(ref, int) else catalog.peek_uuid(ref)
        return None if video is None or video.privacy is Privacy.PRIVATE else video

    async def find(self, text: str) -> Video | Refused | None:
        """The video a path names, in memory when possible."""
        ref = parse_video_ref(text)
        if ref is None:
            return BAD_ID
        catalog = self._api.catalog
        video = catalog.peek_number(ref) if isinstance(ref, int) else catalog.peek_uuid(ref)
        return video if video is not None else await catalog.find(ref)

    async def visible(
        self, request: web.Request, principal: Principal | None, token: ViewerToken | Refused | None = None
    ) -> Video | Refused:
        """The video of the path, if this caller may know of it.

        A private video is shown to host and admin tokens and to a viewer token made for it; to everybody else it does
        not exist, in the same words as one that really does not. Nor does an unlisted one under its number, which
        anybody can guess (PeerTube 6.3 asks for its UUID).
        """
        named = request.match_info["id"]
        video = await self.may_know(named, principal, token)
        if isinstance(video, Refused) or video.privacy is not Privacy.UNLISTED or token is not None:
            return video
        told = not named.isdecimal() or (principal is not None and principal.may(Role.HOST))
        return video if told else NOT_FOUND

    async def may_know(
        self, named: str, principal: Principal | None, token: ViewerToken | Refused | None = None
    ) -> Video | Refused:
        """As ``visible``, of the video that ``named`` names."""
        if isinstance(token, Refused):
            return token
        video = await self.find(named)
        if isinstance(video, Refused):
            return video
        if token is not None and (video is None or token.video != video.uuid):
            return ELSEWHERE
        if video is None:
            return NOT_FOUND
        if video.privacy is not Privacy.PRIVATE or token is not None:
            return video
        return video if principal is not None and principal.may(Role.HOST) else NOT_FOUND
