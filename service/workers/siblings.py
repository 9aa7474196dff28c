"""How the workers of one machine reach each other: a Unix socket each, in a directory that nobody else may enter."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web

from foundation.ending import end
from foundation.metrics import Metrics
from service.workers.exposition import merge

DIRECTORY = "workers"
ANSWER_WITHIN_S = 2.0
PASSED_ON = frozenset({"accept", "content-type", "origin", "user-agent", "cookie"})
PASSED_BACK = frozenset(
    {"content-type", "access-control-allow-origin", "access-control-allow-methods", "access-control-allow-headers"}
)


@dataclass(frozen=True, slots=True)
class Worker:
    """One of ``count`` processes that serve an instance on this machine, beginning with 0, on one port."""

    index: int
    count: int
    port: int


async def _nothing() -> None:
    return None


class Siblings:
    """``inner`` is what this worker answers to the others; whoever has something to say to them adds routes before
    ``start``. ``refresh`` brings this worker's gauges up to date."""

    def __init__(self, worker: Worker, directory: Path, metrics: Metrics) -> None:
        self.worker = worker
        self.inner = web.Application()
        self._directory = directory / DIRECTORY
        self._metrics = metrics
        self.refresh: Callable[[], Awaitable[None]] = _nothing
        self._runner: web.AppRunner | None = None
        self.inner.router.add_get("/metrics", self._own_metrics)

    async def start(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(self.worker.index)
        path.unlink(missing_ok=True)
        self._runner = web.AppRunner(self.inner, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.UnixSite(self._runner, str(path)).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
            self._path(self.worker.index).unlink(missing_ok=True)

    async def metrics(self) -> bytes:
        """Those of all workers that answer, each sample with its worker."""
        others = [index for index in range(self.worker.count) if index != self.worker.index]
        answers = await asyncio.gather(*(self.get(index, "/metrics") for index in others))
        pages = {str(self.worker.index): self._metrics.render().decode()}
        pages |= {str(index): text for index, text in zip(others, answers, strict=True) if text is not None}
        return merge(dict(sorted(pages.items()))).encode()

    async def get(self, index: int, path: str) -> str | None:
        """What another worker answers; None when it does not."""
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with self.session(index) as session, session.get(f"http://worker{path}") as response:
                return await response.text() if response.status == web.HTTPOk.status_code else None
        return None

    async def ask_others(
        self, method: str, path: str, query: Mapping[str, str] | None = None, timeout_s: float = ANSWER_WITHIN_S
    ) -> list[bytes]:
        """What those of the other workers answer that do, in no order."""
        others = [index for index in range(self.worker.count) if index != self.worker.index]
        answers = await asyncio.gather(*(self._ask(index, method, path, query, timeout_s) for index in others))
        return [answer for answer in answers if answer is not None]

    async def _ask(
        self, index: int, method: str, path: str, query: Mapping[str, str] | None, timeout_s: float
    ) -> bytes | None:
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with (
                self.session(index, timeout_s) as session,
                session.request(method, f"http://worker{path}", params=query) as response,
            ):
                return await response.read() if response.status == web.HTTPOk.status_code else None
        return None

    async def forward(self, request: web.Request, index: int, timeout_s: float) -> web.StreamResponse | None:
        """Have another worker answer (its ``inner`` has the same path); None when it is not there.

        What matters of a request besides its body goes along: the address of its client as the last word of
        ``X-Forwarded-For``.
        """
        headers = {name: value for name, value in request.headers.items() if name.lower() in PASSED_ON}
        headers["X-Forwarded-For"] = ", ".join([*request.headers.getall("X-Forwarded-For", ()), request.remote or ""])
        url = f"http://worker{request.rel_url.raw_path_qs}"
        try:
            async with self.session(index, timeout_s) as session:
                if request.headers.get("Upgrade", "").lower() == "websocket":
                    async with session.ws_connect(url, headers=headers) as there:
                        return await _between(request, there)
                body = await request.read()
                async with session.request(request.method, url, data=body, headers=headers) as answer:
                    passed = {name: value for name, value in answer.headers.items() if name.lower() in PASSED_BACK}
                    return web.Response(status=answer.status, body=await answer.read(), headers=passed)
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None

    def session(self, index: int, timeout_s: float = ANSWER_WITHIN_S) -> aiohttp.ClientSession:
        """For requests to another worker's ``inner``; the host of their URLs means nothing."""
        connector = aiohttp.UnixConnector(str(self._path(index)))
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        return aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False)

    def _path(self, index: int) -> Path:
        return self._directory / f"{index}.sock"

    async def _own_metrics(self, _: web.Request) -> web.Response:
        await self.refresh()
        return web.Response(body=self._metrics.render(), headers={"Content-Type": Metrics.CONTENT_TYPE})


async def _between(request: web.Request, there: aiohttp.ClientWebSocketResponse) -> web.WebSocketResponse:
    """Carry messages both ways until one side ends."""
    here = web.WebSocketResponse()
    await here.prepare(request)

    async def carry(source: _Side, to: _Side) -> None:
        async for message in source:
            if message.type is aiohttp.WSMsgType.TEXT:
                await to.send_str(message.data)
            elif message.type is aiohttp.WSMsgType.BINARY:
                await to.send_bytes(message.data)

    ways = [asyncio.create_task(carry(here, there)), asyncio.create_task(carry(there, here))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(*ways)
        with contextlib.suppress(ConnectionError, RuntimeError):
            await here.close()
    return here


_Side = web.WebSocketResponse | aiohttp.ClientWebSocketResponse
