"""How the workers of one machine reach each other: a Unix socket each, in a directory that nobody else may enter."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web

from foundation.metrics import Metrics
from service.workers.exposition import merge

DIRECTORY = "workers"
ANSWER_WITHIN_S = 2.0


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

    def session(self, index: int) -> aiohttp.ClientSession:
        """For requests to another worker's ``inner``; the host of their URLs means nothing."""
        connector = aiohttp.UnixConnector(str(self._path(index)))
        timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN_S)
        return aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False)

    def _path(self, index: int) -> Path:
        return self._directory / f"{index}.sock"

    async def _own_metrics(self, _: web.Request) -> web.Response:
        await self.refresh()
        return web.Response(body=self._metrics.render(), headers={"Content-Type": Metrics.CONTENT_TYPE})
