"""The GET routes of identity and discovery: actors for machines or for people, WebFinger, host-meta, NodeInfo."""

from __future__ import annotations

import html
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

import msgspec
from aiohttp import web

from federation import discovery
from federation.discovery import NODEINFO_VERSIONS, Offers
from federation.documents import (
    ActorKind,
    Channel,
    InstanceIdentity,
    channel_actor,
    instance_actor,
    is_actor_name,
    owner_actor,
)
from federation.peers.software import SCHEMA
from federation.vocabulary.build import Document, encode
from federation.vocabulary.contexts import CONTENT_TYPE
from foundation import problems
from foundation.errors import Refused
from foundation.urls import authority
from foundation.web import prefers_html

Page: TypeAlias = Callable[[web.Request, ActorKind, Document], web.StreamResponse]
"""Makes the page for people of an actor document."""

SignatureGuard: TypeAlias = Callable[[web.Request], Awaitable[Refused | None]]
"""Judges the signature of a GET; a refusal is answered as it says."""

ACTOR_MAX_AGE_S = 180
"""Short, because a rotated key must be found soon."""
DISCOVERY_MAX_AGE_S = 600

_ANYBODY = {"Access-Control-Allow-Origin": "*"}


class Directory(Protocol):
    """What the documents are made of; whoever wires the service has it."""

    @property
    def identity(self) -> InstanceIdentity: ...

    async def channel(self, name: str) -> Channel | None:
        """The channel of this name, when it has a video that others may know of."""

    async def video_count(self) -> int:
        """How many public videos are ours."""


def plain_page(request: web.Request, kind: ActorKind, document: Document) -> web.Response:
    """A small page without script, style or picture."""
    name = html.escape(str(document["name"]))
    handle = html.escape(f"@{document['preferredUsername']}@{authority(document['id'])}")
    summary = html.escape(str(document.get("summary") or ""))
    text = (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{name}</title>\n<h1>{name}</h1>\n'
        f"<p>{handle}</p>\n<p>{summary}</p>\n"
        "<p>This is an address of the fediverse: follow it from an instance that shows videos.</p>\n</html>\n"
    )
    headers = {"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff"}
    return web.Response(text=text, content_type="text/html", headers=headers)


class IdentityRoutes:
    """``page`` makes pages for browsers; ``require_signature`` guards every document but the instance actor's.

    Strangers must be able to read the instance actor, or nobody could check the signature of our own requests.
    """

    def __init__(
        self,
        directory: Directory,
        offers: Offers,
        *,
        page: Page = plain_page,
        require_signature: SignatureGuard | None = None,
    ) -> None:
        self._directory = directory
        self._offers = offers
        self._page = page
        self._require_signature = require_signature

    def setup(self, router: web.UrlDispatcher) -> None:
        router.add_get("/.well-known/webfinger", self.webfinger)
        router.add_get("/.well-known/host-meta", self.host_meta)
        router.add_get("/.well-known/nodeinfo", self.nodeinfo_index)
        router.add_get("/nodeinfo/{version}", self.nodeinfo)
        router.add_get("/accounts/{name}", self.account)
        router.add_get("/video-channels/{name}", self.channel)

    async def actor_document(self, kind: ActorKind, name: str) -> Document | None:
        """The document (without ``@context``) of an actor of ours; None when there is no such actor."""
        identity = self._directory.identity
        if kind is ActorKind.CHANNEL:
            channel = await self._directory.channel(name) if is_actor_name(name) else None
            return None if channel is None else channel_actor(identity, channel)
        if identity.account(name) is not kind:
            return None
        return instance_actor(identity) if kind is ActorKind.INSTANCE else owner_actor(identity)

    async def account(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        return await self._actor(request, self._directory.identity.account(name), name)

    async def channel(self, request: web.Request) -> web.StreamResponse:
        return await self._actor(request, ActorKind.CHANNEL, request.match_info["name"])

    async def _actor(self, request: web.Request, kind: ActorKind | None, name: str) -> web.StreamResponse:
        document = None if kind is None else await self.actor_document(kind, name)
        if kind is None or document is None:
            return problems.problem(404, "There is no such actor here.", headers={"Vary": "Accept"})
        if prefers_html(request.headers.get("Accept")):
            page = self._page(request, kind, document)
            page.headers["Vary"] = "Accept"
            return page
        guard = None if kind is ActorKind.INSTANCE else self._require_signature
        if guard is not None:
            refusal = await guard(request)
            if refusal is not None:
                return problems.refused(refusal)
        caching = f"public, max-age={ACTOR_MAX_AGE_S}" if guard is None else "private, no-store"
        return web.Response(
            body=encode(document),
            headers={"Content-Type": CONTENT_TYPE, "Vary": "Accept", "Cache-Control": caching},
        )

    async def webfinger(self, request: web.Request) -> web.Response:
        resource = request.query.get("resource")
        if not resource:
            return problems.problem(400, "The parameter resource is missing.", headers=_ANYBODY)
        identity = self._directory.identity
        found = discovery.find_resource(identity, resource)
        if found is None or await self.actor_document(*found) is None:
            return problems.problem(404, "There is no such resource here.", headers=_ANYBODY)
        return _discovered(msgspec.json.encode(discovery.webfinger(identity, *found)), "application/jrd+json")

    async def host_meta(self, request: web.Request) -> web.Response:
        return _discovered(discovery.host_meta(self._directory.identity).encode(), "application/xrd+xml")

    async def nodeinfo_index(self, request: web.Request) -> web.Response:
        return _discovered(msgspec.json.encode(discovery.nodeinfo_index(self._directory.identity)), "application/json")

    async def nodeinfo(self, request: web.Request) -> web.Response:
        version = request.match_info["version"].removesuffix(".json")
        if version not in NODEINFO_VERSIONS:
            return problems.problem(404, "NodeInfo is here in versions 2.0 and 2.1.", headers=_ANYBODY)
        document = discovery.nodeinfo(
            self._directory.identity, version, offers=self._offers, videos=await self._directory.video_count()
        )
        content_type = f'application/json; profile="{SCHEMA}{version}#"'
        return _discovered(msgspec.json.encode(document), content_type)


def _discovered(body: bytes, content_type: str) -> web.Response:
    headers = {**_ANYBODY, "Content-Type": content_type, "Cache-Control": f"public, max-age={DISCOVERY_MAX_AGE_S}"}
    return web.Response(body=body, headers=headers)


def setup_routes(
    router: web.UrlDispatcher,
    directory: Directory,
    offers: Offers,
    *,
    page: Page = plain_page,
    require_signature: SignatureGuard | None = None,
) -> IdentityRoutes:
    """Register the routes; the returned object also gives the documents to whoever needs one."""
    routes = IdentityRoutes(directory, offers, page=page, require_signature=require_signature)
    routes.setup(router)
    return routes
