"""From what an administrator writes (a host, a handle, a URL) to the actor that stands for an instance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from federation.actors import CONTENT_TYPES, ActorDocument
from federation.peers import instance_actor_url
from foundation.errors import FetchFailed, Refused
from foundation.urls import authority, is_web_url, parse_host, parse_url
from outbox.inboxes import ActorSource
from outbox.probe import HttpGetter, ask_json

INSTANCE_ACTOR = "peertube"
"""The name under which PeerTube's instance actor is found by webfinger (acct:peertube@host)."""


@dataclass(frozen=True, slots=True)
class Target:
    """An actor to follow, and the authority that it speaks for."""

    host: str
    actor: ActorDocument


class Discovery:
    """``schemes`` are tried in order: ``("https",)``, or ``("https", "http")`` where plain HTTP is allowed."""

    def __init__(self, http: HttpGetter, actors: ActorSource, schemes: Sequence[str] = ("https",)) -> None:
        self._http = http
        self._actors = actors
        self._schemes = tuple(schemes)

    async def find(self, text: str) -> Target | Refused:
        """Refused: ``bad_host`` (400), ``no_instance_actor`` (404) of a host that answers, why a host does not answer
        (as `foundation.http` says it, 502), or why the actor's document was not believed."""
        text = text.strip()
        name = INSTANCE_ACTOR
        if "://" in text:
            url = parse_url(text)
            if isinstance(url, Refused):
                return Refused("bad_host", url.detail, 400)
            if url.target != "/":
                return await self._actor(url.text, url.authority)
            schemes: Sequence[str] = (url.scheme,)
            host_text = url.authority
        else:
            schemes = self._schemes
            first, _, host_text = text.removeprefix("acct:").removeprefix("@").rpartition("@")
            name = first or INSTANCE_ACTOR
        silent: FetchFailed | None = None
        answered = False
        for scheme in schemes:
            try:
                host = parse_host(host_text, scheme=scheme)
            except ValueError as error:
                return Refused("bad_host", str(error), 400)
            try:
                actor_url = await self._locate(scheme, host, name)
            except FetchFailed as problem:
                silent = silent or problem
                continue
            answered = True
            if actor_url is not None:
                return await self._actor(actor_url, host)
        if silent is not None and not answered:
            return Refused(silent.reason, f"the host cannot be asked: {silent.detail or silent.reason}", 502)
        detail = "the host answers, but names no instance actor: it speaks no ActivityPub, or this is not its name"
        return Refused("no_instance_actor", detail, 404)

    async def _locate(self, scheme: str, host: str, name: str) -> str | None:
        """Raises FetchFailed where the host does not answer."""
        base = f"{scheme}://{host}/.well-known"
        silent: FetchFailed | None = None
        if name == INSTANCE_ACTOR:
            try:
                found = instance_actor_url(await ask_json(self._http, f"{base}/nodeinfo"), host)
            except FetchFailed as problem:
                found, silent = None, problem
            if found is not None:
                return found
        resource = quote(f"acct:{name}@{host}", safe="")
        try:
            return _self_link(await ask_json(self._http, f"{base}/webfinger?resource={resource}"), host)
        except FetchFailed as problem:
            raise silent or problem from None

    async def _actor(self, url: str, host: str) -> Target | Refused:
        actor = await self._actors.fetch_actor(url)
        if isinstance(actor, Refused):
            return actor
        if authority(actor.id) != host:
            return Refused("no_instance_actor", "the actor lies on another host", 404)
        return Target(host, actor)


def _self_link(document: Any, host: str) -> str | None:
    """The ``self`` link of a webfinger answer (RFC 7033), on the host that gave it."""
    links = document.get("links") if isinstance(document, dict) else None
    for link in links[:32] if isinstance(links, list) else ():
        if not isinstance(link, dict) or link.get("rel") != "self":
            continue
        media_type, href = link.get("type"), link.get("href")
        usable = isinstance(media_type, str) and media_type.partition(";")[0].strip().lower() in CONTENT_TYPES
        if usable and is_web_url(href) and authority(href) == host:
            return str(href)
    return None
