"""The catalog over REST: players read it, host applications write it."""

from __future__ import annotations

import re
from typing import Any

from aiohttp import web

from foundation.clock import iso_ms
from foundation.errors import Refused
from foundation.principal import Role
from foundation.problems import invalid_params
from views.catalog.drafts import MAX_URL
from views.catalog.listing import MAX_SEARCH, VideoFilter, VideoPage
from views.ids import parse_video_ref
from views.last_known import LastKnown
from views.model import Video
from views.routes.access import BAD_ID, NOT_FOUND, Access
from views.routes.draft_body import parameter_of, read_draft
from views.routes.replies import add_resource, guarded, json, json_object, refusal
from views.routes.services import ViewsApi
from views.routes.video_json import video_json
from views.sessions import MAX_TTL_MS, MAX_USER_CHARS

_INTEGER = re.compile(r"[0-9]{1,15}", re.ASCII)
_DEFAULT_COUNT = 15


class VideoRoutes:
    """Reading is for everybody (private videos: see ``Access.visible``), writing for host and admin tokens."""

    def __init__(self, api: ViewsApi, access: Access, numbers: LastKnown) -> None:
        self._api = api
        self._numbers = numbers
        self._access = access

    # Reading

    async def get(self, request: web.Request) -> web.StreamResponse:
        """One video, whatever its id is written as."""
        principal = self._access.principal(request)
        if isinstance(principal, Refused):
            return refusal(principal)
        video = await self._access.visible(request, principal, self._access.viewer_token(request))
        if isinstance(video, Refused):
            return refusal(video)
        return json(await self._shown(await self._api.catalog.current(video)))

    async def page(self, request: web.Request) -> web.StreamResponse:
        """``{"total", "data"}``, with PeerTube's start, count, sort, isLocal and isLive, and ``search`` in names.

        Host and admin tokens see every video, others the public ones.
        """
        principal = self._access.principal(request)
        if isinstance(principal, Refused):
            return refusal(principal)
        query = request.query
        bad: dict[str, str] = {}
        start = _integer(query.get("start", "0"), "start", bad)
        count = _integer(query.get("count", str(_DEFAULT_COUNT)), "count", bad)
        filters = VideoFilter(
            _flag(query.get("isLocal"), "isLocal", bad),
            _flag(query.get("isLive"), "isLive", bad),
            search=_search(query.get("search"), bad),
        )
        if bad:
            return invalid_params(bad, location="query")
        insider = principal is not None and principal.may(Role.HOST)
        page = await self._api.catalog.list_videos(
            start, count, query.get("sort", "-publishedAt"), filters, include_private=insider
        )
        if isinstance(page, Refused):
            return invalid_params({page.reason.removeprefix("bad_"): page.detail}, location="query")
        return json(await self._page_json(page))

    # Writing

    async def put(self, request: web.Request) -> web.StreamResponse:
        """Register a video of ours (201) or say it anew (200)."""
        uuid = await self._allowed(request)
        if isinstance(uuid, Refused):
            return refusal(uuid)
        body = await json_object(request)
        if isinstance(body, Refused):
            return refusal(body)
        draft = read_draft(uuid, body)
        if isinstance(draft, dict):
            return invalid_params(draft)
        api = self._api
        before = await api.catalog.by_uuid(uuid)
        verdict = await api.catalog.put_local(draft)
        if isinstance(verdict, Refused):
            parameter = parameter_of(verdict)
            return refusal(verdict) if parameter is None else invalid_params({parameter: verdict.detail})
        video, created = verdict
        if before is not None and before.federated and not video.federated:
            await api.viewers.forget_video(video.number)
        return await self._answer(video, created=created)

    async def delete(self, request: web.Request) -> web.StreamResponse:
        """Forget a video, of ours or remote; 204."""
        uuid = await self._allowed(request)
        if isinstance(uuid, Refused):
            return refusal(uuid)
        video = await self._api.catalog.by_uuid(uuid)
        if video is None or not await self._api.catalog.delete(video):
            return refusal(NOT_FOUND)
        await self._api.viewers.forget_video(video.number)
        await self._api.watching.forget_video(video.number)
        return web.Response(status=204)

    async def bring(self, request: web.Request) -> web.StreamResponse:
        """``{"url": <ActivityPub id>}``: bring in a remote instance's video; 201, or 200 when it was known."""
        principal = self._access.require(request, Role.HOST)
        body = principal if isinstance(principal, Refused) else await json_object(request)
        if isinstance(body, Refused):
            return refusal(body)
        url = body.get("url")
        if not isinstance(url, str) or not 1 <= len(url) <= MAX_URL:
            return invalid_params({"url": f"Should be a URL of at most {MAX_URL} characters"})
        known = await self._api.catalog.by_url(url)
        video = await self._api.importer.import_video(url)
        if isinstance(video, Refused):
            return refusal(video)
        return await self._answer(video, created=known is None)

    async def issue_token(self, request: web.Request) -> web.StreamResponse:
        """``{"user"?, "ttl"? (seconds), "owner"?}``: a token with which a browser may watch this video."""
        principal = self._access.require(request, Role.HOST)
        if isinstance(principal, Refused):
            return refusal(principal)
        video = await self._access.visible(request, principal)
        if isinstance(video, Refused):
            return refusal(video)
        body = await json_object(request, empty=True)
        if isinstance(body, Refused):
            return refusal(body)
        user, ttl_s, owner = body.get("user"), body.get("ttl"), body.get("owner", False)
        bad: dict[str, str] = {}
        if user is not None and not (isinstance(user, str) and 1 <= len(user) <= MAX_USER_CHARS):
            bad["user"] = f"Should be a text of 1 to {MAX_USER_CHARS} characters"
        if ttl_s is not None and not (type(ttl_s) is int and 1 <= ttl_s <= MAX_TTL_MS // 1000):
            bad["ttl"] = f"Should be 1 to {MAX_TTL_MS // 1000} seconds"
        if not isinstance(owner, bool):
            bad["owner"] = "Should be true or false"
        if bad:
            return invalid_params(bad)
        ttl_ms = self._api.settings.viewer_token_ttl_ms if ttl_s is None else ttl_s * 1000
        token = self._api.viewer_tokens.issue(video.uuid, user, ttl_ms, owner=owner)
        expires = iso_ms(self._api.clock.now_ms() + ttl_ms)
        return json({"token": token, "expiresAt": expires}, headers={"Cache-Control": "no-store"})

    # Inside

    async def _allowed(self, request: web.Request) -> str | Refused:
        """The UUID of the path, for a caller who may write."""
        principal = self._access.require(request, Role.HOST)
        if isinstance(principal, Refused):
            return principal
        ref = parse_video_ref(request.match_info["id"])
        if ref is None:
            return BAD_ID
        if isinstance(ref, str):
            return ref
        video = await self._api.catalog.by_number(ref)
        return NOT_FOUND if video is None else video.uuid

    async def _shown(self, video: Video) -> dict[str, Any]:
        return video_json(video, await self._numbers.shown(video), self._api.settings.account)

    async def _page_json(self, page: VideoPage) -> dict[str, Any]:
        known = await self._numbers.shown_many(page.videos)
        account = self._api.settings.account
        data = [video_json(video, each, account) for video, each in zip(page.videos, known, strict=True)]
        return {"total": page.total, "data": data}

    async def _answer(self, video: Video, *, created: bool) -> web.Response:
        headers = {"Location": f"/api/v1/videos/{video.uuid}"} if created else None
        return json(await self._shown(video), 201 if created else 200, headers)


def _integer(text: str, name: str, bad: dict[str, str]) -> int:
    if _INTEGER.fullmatch(text):
        return int(text)
    bad[name] = "Should be an integer, 0 or more"
    return 0


def _flag(text: str | None, name: str, bad: dict[str, str]) -> bool | None:
    if text is None:
        return None
    if text not in ("true", "false", "1", "0"):
        bad[name] = "Should be true or false"
    return text in ("true", "1")


def setup(router: web.UrlDispatcher, api: ViewsApi, access: Access, numbers: LastKnown) -> None:
    routes = VideoRoutes(api, access, numbers)
    add_resource(
        router,
        "/api/v1/videos",
        {"GET": guarded(access, routes.page), "POST": guarded(access, routes.bring)},
    )
    add_resource(
        router,
        "/api/v1/videos/{id}",
        {
            "GET": guarded(access, routes.get),
            "PUT": guarded(access, routes.put),
            "DELETE": guarded(access, routes.delete),
        },
    )
    add_resource(router, "/api/v1/videos/{id}/viewer-tokens", {"POST": guarded(access, routes.issue_token)})


def _search(text: str | None, bad: dict[str, str]) -> str | None:
    if text and (len(text) > MAX_SEARCH or not text.isprintable()):
        bad["search"] = f"Should be a text of at most {MAX_SEARCH} characters"
    return text or None
