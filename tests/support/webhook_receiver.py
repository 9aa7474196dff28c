"""A receiver of webhooks that listens on loopback and believes only what LiveKit's own package verifies."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web
from livekit.api import TokenVerifier, WebhookReceiver

KEY = "fediviews"
SECRET = "the-newest-secret-has-thirty-two-characters"
OLD_SECRET = "the-previous-secret-has-thirty-two-chars"

Answer = Callable[[dict[str, Any]], int | web.Response]


class Receiver:
    """``heard`` in order; ``answer`` decides the status by the decoded body; ``secret`` is the one it knows."""

    def __init__(self, secret: str = SECRET) -> None:
        self.secret = secret
        self.heard: list[dict[str, Any]] = []
        self.asked = 0
        self.tokens: list[str] = []
        self.answer: Answer = lambda _: 200
        self.url = ""

    async def start(self, aiohttp_server: Any) -> Receiver:
        app = web.Application()
        app.router.add_post("/hooks", self._receive)
        server = await aiohttp_server(app)
        self.url = f"http://127.0.0.1:{server.port}/hooks"
        return self

    async def _receive(self, request: web.Request) -> web.Response:
        self.asked += 1
        body, token = await request.text(), request.headers["Authorization"]
        assert request.content_type == "application/webhook+json"
        try:
            event = WebhookReceiver(TokenVerifier(KEY, self.secret)).receive(body, token)
        except Exception:
            return web.Response(status=401)
        self.tokens.append(token)
        said = json.loads(body)
        assert (event.event, event.id) == (said["event"], said["id"])
        verdict = self.answer(said)
        if isinstance(verdict, web.Response):
            return verdict
        if verdict < 300:
            self.heard.append(said)
        return web.Response(status=verdict)

    def events(self, *of: str) -> list[dict[str, Any]]:
        return [said for said in self.heard if not of or said["event"] in of]
