"""A server on loopback that shows, says and hears what PeerTube 6.3 did in the recorded traffic.

``from integration.peertube import PeerTube``. Its documents are the recorded ones with another address and key.
"""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from hostile.peer import FakePeer, public_pem
from integration.house import Reply
from support.recorded import load_exchange
from support.wire import Answer

from federation.signatures.digest import sha256_digest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from httpsig.verify import HeaderVerifier

RECORDED_HOST = "127.0.0.1:9001"
VIDEO = "769a1aec-66f1-420f-a6ba-66e89a533026"
PUBLIC = "https://www.w3.org/ns/activitystreams#Public"
_DOCUMENTS = ("01", "02", "03", "04", "08", "15", "16", "17", "19", "20", "27")
_SIGNED = ["(request-target)", "host", "date", "digest"]

Trouble = Callable[[], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Heard:
    """One request that reached the peer; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def activity(self) -> dict[str, Any]:
        activity: dict[str, Any] = json.loads(self.body)
        return activity

    @property
    def activities(self) -> list[dict[str, Any]]:
        """The activity, or those of a Collection."""
        activity = self.activity
        items: list[dict[str, Any]] = activity["items"] if activity["type"] == "Collection" else [activity]
        return items

    def is_signed_by(self, pem: str, *, required: list[str] | None = None) -> bool:
        """Whether the stock library finds a good signature of this key, and the digest is the body's."""
        names = required or (_SIGNED if self.method == "POST" else _SIGNED[:3])
        verifier = HeaderVerifier(
            self.headers, pem, names, self.method, self.target, self.headers["host"], sign_header="signature"
        )
        right_digest = self.method != "POST" or self.headers["digest"] == sha256_digest(self.body)
        return bool(verifier.verify()) and right_digest


class PeerTube(FakePeer):
    """``heard`` are the POSTs it took, in order; ``turned_away`` counts those that met ``trouble``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.heard: list[Heard] = []
        self.gets: list[Heard] = []
        self.turned_away = 0
        self.trouble: Trouble | None = None
        self._port = 0

    async def __aenter__(self) -> PeerTube:
        await super().__aenter__()
        self._port = self.port
        for number in _DOCUMENTS:
            exchange = load_exchange(number)
            document = json.loads(exchange.response_body.replace(RECORDED_HOST.encode(), self.host.encode()))
            if "publicKey" in document:
                document["publicKey"]["publicKeyPem"] = public_pem(self.key)
            self.documents[exchange.path.partition("?")[0]] = document
        return self

    async def close(self) -> None:
        """Nobody listens any more: connections are refused."""
        assert self._runner is not None
        await self._runner.cleanup()

    async def open(self) -> None:
        """Listen again, at the same address."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True).start()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        heard = Heard(request.method, request.path_qs, headers, await request.read())
        if request.method != "POST":
            self.gets.append(heard)
        elif self.trouble is not None:
            self.turned_away += 1
            return await self.trouble()
        else:
            self.heard.append(heard)
        return await super()._serve(request)

    # What it heard

    @property
    def activities(self) -> list[dict[str, Any]]:
        return [activity for heard in self.heard for activity in heard.activities]

    def of_type(self, type_: str) -> list[dict[str, Any]]:
        return [activity for activity in self.activities if activity["type"] == type_]

    def totals(self, video: str) -> list[int]:
        """The totals it was told of a video, in order."""
        return [
            view["result"]["userInteractionCount"]
            for view in self.of_type("View")
            if view["object"] == video and "result" in view
        ]

    def counted(self, video: str) -> list[str]:
        """The ids of the counted views it was told."""
        return [view["id"] for view in self.of_type("View") if view["object"] == video and "expires" not in view]

    # What it asks and says

    async def get(self, url: str) -> Reply:
        """A signed GET, as PeerTube asks for documents."""
        parts = urlsplit(url)
        raw = self.request(
            url,
            b"",
            method="GET",
            names=("(request-target)", "host", "date"),
            headers={"Accept": 'application/ld+json; profile="https://www.w3.org/ns/activitystreams"'},
        )
        headers = dict(_header(line) for line in raw.split(b"\r\n\r\n")[0].split(b"\r\n")[1:])
        async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as answer:
            assert parts.hostname
            return Reply(answer.status, await answer.json(content_type=None), dict(answer.headers))

    async def follow(self, url: str) -> None:
        """Follow the instance at ``url``, in the order in which PeerTube 6.3 was seen to do it."""
        links = (await self.get(f"{url}/.well-known/nodeinfo")).body["links"]
        actor_url = next(one["href"] for one in links if one["rel"].endswith("#Application"))
        actor = (await self.get(actor_url)).body
        for name in ("followers", "following"):
            assert isinstance((await self.get(actor[name])).body["totalItems"], int)
        follow = self.recorded("06", "127.0.0.1:9002", {actor["id"]: "http://127.0.0.1:9001/accounts/peertube"})
        answer = await self.post(actor["inbox"], follow)
        assert answer.status in (202, 204), answer

    def recorded(self, number: str, sender: str, replaced: dict[str, str] | None = None) -> dict[str, Any]:
        """A recorded activity of ``sender``, said by this peer; ``replaced`` maps what to say to what stood there."""
        text = load_exchange(number).body.decode()
        for new, old in (replaced or {}).items():
            text = text.replace(old, new)
        activity: dict[str, Any] = json.loads(text.replace(sender, self.host))
        return activity

    async def deliver(self, url: str, activity: object, **how: Any) -> Answer:
        """Post, and expect that it was taken (204), not only received (202)."""
        answer = await self.post(url, activity, **how)
        assert answer.status == 204, (answer.status, answer.reason, answer.body)
        return answer


def _header(line: bytes) -> tuple[str, str]:
    name, _, value = line.decode().partition(": ")
    return name, value


async def hangs() -> web.StreamResponse:
    """An answer that never comes."""
    await asyncio.Event().wait()
    return web.Response()


async def breaks() -> web.StreamResponse:
    return web.Response(status=500)


async def is_busy() -> web.StreamResponse:
    return web.Response(status=429, headers={"Retry-After": "1"})


async def refuses() -> web.StreamResponse:
    """It understood, and does not want this."""
    return web.Response(status=422)


async def talks_nonsense() -> web.StreamResponse:
    """A status that no server gives, and a body that ends before its end."""
    return web.Response(status=599, headers={"Date": "yesterday", "Retry-After": "soon"}, body=b"\xff\x00<html>")


async def is_closed_to_us() -> web.StreamResponse:
    return web.Response(status=403)


async def is_gone() -> web.StreamResponse:
    return web.Response(status=410)
