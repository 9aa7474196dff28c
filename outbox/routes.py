"""GET routes of our videos and collections: documents for instances, small pages for people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from typing import Any, Protocol, TypeAlias

from aiohttp import web

from federation.documents import ActorKind, InstanceIdentity, collection_page, empty_collection, ordered_collection
from federation.routes import SignatureGuard
from federation.vocabulary import CONTENT_TYPE
from federation.vocabulary.build import Document, encode
from foundation import problems
from foundation.errors import Refused
from foundation.web import prefers_html
from outbox.announcer import announce_of
from outbox.documents import video_object
from outbox.members import Collections, Page
from outbox.names import ICON_PATH
from outbox.waiting import available
from views.ids import canonical_uuid, long_uuid, parse_video_ref, short_uuid
from views.model import Privacy, Video

Render: TypeAlias = Callable[[web.Request, str, Mapping[str, Any]], web.StreamResponse]
"""Makes a page for people: the request, the template's name (``video.html``, ``actor.html``) and its data."""

ShownNumber: TypeAlias = Callable[[Video], Awaitable[int]]
"""How many watch a video now."""

_NOT_FOUND = "There is no such thing here."
_EMPTY_BELOW_VIDEO = ("likes", "dislikes", "comments")


class Videos(Protocol):
    """The part of `views.catalog.Catalog` that is needed here."""

    async def by_uuid(self, uuid: str) -> Video | None: ...

    async def by_number(self, number: int) -> Video | None: ...


class DocumentRoutes:
    """``channel_exists`` tells channels with something to show from names that nobody has.

    Private and unknown videos are the same 404. Whoever asks for HTML gets a page made by ``render``.
    """

    def __init__(
        self,
        *,
        identity: InstanceIdentity,
        videos: Videos,
        collections: Collections,
        shown: ShownNumber,
        channel_exists: Callable[[str], Awaitable[bool]],
        render: Render,
        require_signature: SignatureGuard | None = None,
    ) -> None:
        self._identity = identity
        self._videos = videos
        self._collections = collections
        self._shown = shown
        self._channel_exists = channel_exists
        self._render = render
        self._require_signature = require_signature
        self._icon = files("outbox").joinpath("static", "video-icon.jpg").read_bytes()

    def setup(self, router: web.UrlDispatcher) -> None:
        router.add_get("/videos/watch/{uuid}", available(self.video))
        router.add_get("/w/{uuid}", available(self.watch_page))
        router.add_get("/videos/watch/{uuid}/announces", available(self.announces))
        router.add_get("/videos/watch/{uuid}/announces/1", available(self.announce))
        for name in _EMPTY_BELOW_VIDEO:
            router.add_get(f"/videos/watch/{{uuid}}/{name}", available(self.empty_below_video))
        for name in ("outbox", "followers", "following"):
            router.add_get(f"/accounts/{{name}}/{name}", available(self.account_collection))
            router.add_get(f"/video-channels/{{name}}/{name}", available(self.channel_collection))
        router.add_get(ICON_PATH, available(self.icon))

    async def video(self, request: web.Request) -> web.StreamResponse:
        """People see videos of others as well; to instances these are known by their own ids alone."""
        video = await self._shown_video(request)
        if video is None:
            return _missing()
        if prefers_html(request.headers.get("Accept")):
            data = {"video": video, "viewers": await self._shown(video), "live": video.is_live}
            return _page(self._render(request, "video.html", data))
        if not video.local:
            return _missing()
        return await self._document(request, video_object(self._identity, video))

    async def watch_page(self, request: web.Request) -> web.StreamResponse:
        """The same; an integer leads there. It can be guessed, so unlisted videos have none here, as in PeerTube."""
        named = parse_video_ref(request.match_info["uuid"])
        if not isinstance(named, int):
            return await self.video(request)
        video = await self._videos.by_number(named)
        if video is None or video.privacy is not Privacy.PUBLIC:
            return _missing()
        return web.Response(status=302, headers={"Location": f"/w/{short_uuid(video.uuid)}", "Vary": "Accept"})

    async def announces(self, request: web.Request) -> web.StreamResponse:
        """Who shared it: the instance actor, when it is public."""
        video = await self._video(request)
        if video is None:
            return _missing()
        url = f"{video.url}/announces"
        items = [f"{url}/1"] if video.privacy is Privacy.PUBLIC else []
        if "page" in request.query:
            return await self._document(request, collection_page(f"{url}?page=1", url, items, len(items)))
        return await self._document(request, ordered_collection(url, len(items), f"{url}?page=1"))

    async def announce(self, request: web.Request) -> web.StreamResponse:
        video = await self._video(request)
        if video is None or video.privacy is not Privacy.PUBLIC:
            return _missing()
        return await self._document(request, announce_of(self._identity, video))

    async def empty_below_video(self, request: web.Request) -> web.StreamResponse:
        """Likes, dislikes and comments: none here, but PeerTube wants to count them."""
        video = await self._video(request)
        if video is None:
            return _missing()
        return await self._document(request, empty_collection(f"{video.url}/{request.path.rpartition('/')[2]}"))

    async def account_collection(self, request: web.Request) -> web.StreamResponse:
        name, what = request.match_info["name"], request.path.rpartition("/")[2]
        kind = self._identity.account(name)
        if kind is None:
            return _missing()
        url = f"{self._identity.account_url(name)}/{what}"
        if kind is not ActorKind.INSTANCE:
            return await self._document(request, empty_collection(url))
        number = _page_number(request)
        if isinstance(number, Refused):
            return problems.refused(number)
        if prefers_html(request.headers.get("Accept")):
            page = await self._collections.page(what, 1 if number is None else number)
            data = {"identity": self._identity, "what": what, "total": page.total, "items": page.labels}
            return _page(self._render(request, "actor.html", data))
        if number is None:
            total = (await self._collections.page(what, 1)).total
            return await self._document(request, ordered_collection(url, total, f"{url}?page=1" if total else None))
        return await self._document(request, _page_document(url, number, await self._collections.page(what, number)))

    async def channel_collection(self, request: web.Request) -> web.StreamResponse:
        """Channels speak through the instance actor: theirs are empty."""
        name, what = request.match_info["name"], request.path.rpartition("/")[2]
        if not await self._channel_exists(name):
            return _missing()
        return await self._document(request, empty_collection(f"{self._identity.channel_url(name)}/{what}"))

    async def icon(self, request: web.Request) -> web.StreamResponse:
        headers = {"Cache-Control": "public, max-age=86400", "X-Content-Type-Options": "nosniff"}
        return web.Response(body=self._icon, content_type="image/jpeg", headers=headers)

    async def _video(self, request: web.Request) -> Video | None:
        """One of ours."""
        video = await self._shown_video(request)
        return video if video is not None and video.local else None

    async def _shown_video(self, request: web.Request) -> Video | None:
        text = request.match_info["uuid"]
        uuid = canonical_uuid(text) or long_uuid(text)
        video = None if uuid is None else await self._videos.by_uuid(uuid)
        return video if video is not None and video.federated else None

    async def _document(self, request: web.Request, document: Document) -> web.StreamResponse:
        if self._require_signature is not None:
            refusal = await self._require_signature(request)
            if refusal is not None:
                return problems.refused(refusal)
        headers = {"Content-Type": CONTENT_TYPE, "Vary": "Accept", "Cache-Control": "no-cache"}
        return web.Response(body=encode(document), headers=headers)


def _page_document(url: str, number: int, page: Page) -> Document:
    following = f"{url}?page={number + 1}" if page.more else None
    return collection_page(f"{url}?page={number}", url, page.items, page.total, following)


def _page_number(request: web.Request) -> int | Refused | None:
    text = request.query.get("page")
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 6 or int(text) < 1:
        return Refused("bad_page", "page must be a number from 1", 400)
    return int(text)


def _missing() -> web.Response:
    return problems.problem(404, _NOT_FOUND, headers={"Vary": "Accept"})


def _page(response: web.StreamResponse) -> web.StreamResponse:
    response.headers["Vary"] = "Accept"
    return response
