"""Somebody's web site on an origin of its own, whose pages load the scripts of a real service."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from playwright.async_api import BrowserContext, Page, Request, Response

from foundation.principal import Role
from service.app import Service
from service.commands.demo import free_port
from service.config import (
    Config,
    Instance,
    Listen,
    Pages,
    Site,
    Storage,
    Token,
    Views,
    WatchingInterval,
)
from service.config.model import Telemetry
from service.config.values import Secret, parse_origin

VIDEO_S = 6
READER = "a-readers-token"


@dataclass
class Heard:
    """What a tab has sent to the service: method, path, body."""

    requests: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)
    """The last status by path."""
    answered_paths: list[str] = field(default_factory=list)

    def note(self, request: Request) -> None:
        if request.method == "POST":
            path = request.url.split("/", 3)[3]
            self.requests.append((request.method, path, request.post_data_json or {}))

    def answer(self, response: Response) -> None:
        if response.request.method == "POST":
            path = response.url.split("/", 3)[3]
            self.answers[path] = response.status
            self.answered_paths.append(path)

    def to(self, end: str) -> list[dict[str, Any]]:
        return [body for _, path, body in self.requests if path.endswith(end)]

    def answered(self, end: str) -> int:
        """How many the service has answered, and so applied."""
        return sum(path.endswith(end) for path in self.answered_paths)


@dataclass
class SomeSite:
    service: Service
    url: str
    host: str

    async def ask(self, path: str) -> dict[str, Any]:
        """What the service says to who may read statistics."""
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {READER}"}) as http,
            http.get(f"{self.service.url}/api/v1/{path}") as answer,
        ):
            body = await answer.json(content_type=None)
        assert isinstance(body, dict)
        return body

    async def stats(self) -> dict[str, Any]:
        return await self.ask(f"pages/stats?site={self.host}")

    async def active(self) -> dict[str, int]:
        stats = await self.stats()
        return {each["path"]: each["count"] for each in stats["activeByPath"]}

    async def tab(self, context: BrowserContext, path: str | None, *, init: str = "") -> tuple[Page, Heard]:
        page, heard = await context.new_page(), Heard()
        page.on("request", heard.note)
        page.on("response", heard.answer)
        page.on("pageerror", lambda error: heard.said.append(str(error)))
        if init:
            await page.add_init_script(init)
        if path is not None:
            await page.goto(self.url + path)
        return page, heard


async def until(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """The first true value; asks again and again, for a bounded time."""
    async with asyncio.timeout(seconds):
        while True:
            value = condition()
            if asyncio.iscoroutine(value):
                value = await value
            if value:
                return value
            await asyncio.sleep(0.05)


def silence() -> bytes:
    """Some seconds that any browser plays and seeks in."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(1)
        out.setframerate(8_000)
        out.writeframes(b"\x80" * 8_000 * VIDEO_S)
    return file.getvalue()


@asynccontextmanager
async def some_site(
    directory: Path,
    pages: dict[str, Callable[[str], str]],
    *,
    telemetry: Telemetry | None = None,
    routes: Iterable[web.AbstractRouteDef] = (),
) -> AsyncIterator[SomeSite]:
    """``pages`` make their HTML from the URL of the service; ``routes`` are what else the site has."""
    port, site_port = free_port(), free_port()
    host = f"127.0.0.1:{site_port}"
    service = await Service.create(
        Config(
            instance=Instance(url=parse_origin(f"http://127.0.0.1:{port}")),
            listen=Listen(port=port, shutdown_grace_ms=0),
            storage=Storage(directory=directory / "data"),
            views=Views(
                rate_limit=None,
                count_view_after_ms=1_000,
                watching_interval=WatchingInterval(500, 500),
                ignore_bots=False,
            ),
            telemetry=telemetry or Telemetry(),
            tokens=(Token(name="reader", role=Role.STATS, value=Secret(READER)),),
            pages=Pages(sites=(Site(host=host, origins=(parse_origin(f"http://{host}"),)),)),
        )
    )
    await service.start()
    (directory / "silence.wav").write_bytes(silence())
    app = web.Application()

    async def page(request: web.Request) -> web.Response:
        make = pages.get(request.path) or pages["/"]
        return web.Response(text=make(service.url), content_type="text/html")

    async def sound(_: web.Request) -> web.FileResponse:
        return web.FileResponse(directory / "silence.wav")

    app.router.add_get("/silence.wav", sound)
    app.router.add_routes(routes)
    app.router.add_get("/{rest:.*}", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", site_port).start()
    try:
        yield SomeSite(service, f"http://{host}", host)
    finally:
        await runner.cleanup()
        await service.stop()
