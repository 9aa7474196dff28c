"""A real service on loopback with its limits out of the way, and bare handlers beside it in the same process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from aiohttp import web

from service.app import Service
from service.commands.demo import free_port
from service.config import Config, Federation, Instance, Listen, Pages, Storage, Views
from service.config.values import Rate, parse_origin
from service.garbage import look_rarely

MANY = Rate(1_000_000_000, 10_000)


@asynccontextmanager
async def running_service(
    views: Views | None = None, listen: Listen | None = None, pages: Pages | None = None
) -> AsyncIterator[Service]:
    """Everything on, as configured by default; only the rate limits (still asked each time) are never reached. For a
    process that serves nothing else."""
    with TemporaryDirectory() as directory:
        listen = listen or Listen(port=free_port())
        port = listen.port
        service = await Service.create(
            Config(
                instance=Instance(url=parse_origin(f"http://127.0.0.1:{port}"), name="Benchmark"),
                listen=listen,
                storage=Storage(directory=Path(directory)),
                views=views or Views(rate_limit=MANY),
                pages=pages or Pages(),
                federation=Federation(allow_http=True, allow_private_addresses=True, peer_requests=MANY),
            )
        )
        await service.start()
        look_rarely()
        try:
            yield service
        finally:
            await service.stop()


@asynccontextmanager
async def listening(app: web.Application) -> AsyncIterator[int]:
    """An application of its own on loopback; its port."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
