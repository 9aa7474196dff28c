"""Admin REST about the instance itself: what happens now, the inbox's verdicts, the configuration in force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from foundation.tokens import TokenBook
from service.admin.for_admins import for_admins
from service.admin.overview import Overview
from service.config import Config
from service.config.printed import printed
from views.telemetry.calls import ApiCalls


def configuration(config: Config) -> dict[str, Any]:
    """As ``GET /api/v1/server/configuration`` answers."""
    data = [asdict(line) for line in printed(config)]
    source = None if config.source_path is None else str(config.source_path)
    return {"source": source, "total": len(data), "data": data}


def setup_routes(
    router: web.UrlDispatcher,
    *,
    tokens: TokenBook,
    overview: Overview,
    config: Callable[[], Config],
    calls: ApiCalls,
) -> None:
    """``config`` is what is in force when it is asked for."""

    guard = for_admins(tokens, calls)

    async def now(_: web.Request) -> web.Response:
        return web.json_response(await overview.now())

    async def inbox(_: web.Request) -> web.Response:
        return web.json_response(await overview.inbox())

    async def configured(_: web.Request) -> web.Response:
        return web.json_response(configuration(config()))

    router.add_get("/api/v1/server/now", guard(now))
    router.add_get("/api/v1/server/inbox", guard(inbox))
    router.add_get("/api/v1/server/configuration", guard(configured))
