"""Admin REST about the instance itself: what happens now, the inbox's verdicts, the configuration in force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from foundation import problems
from foundation.errors import Refused
from foundation.principal import Role
from foundation.tokens import TokenBook
from foundation.web import bearer_token
from outbox.waiting import Handler, available
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

    def for_admins(handler: Handler) -> Handler:
        handler = available(handler)

        async def guarded(request: web.Request) -> web.StreamResponse:
            begun_ms = calls.begun_ms()
            principal = tokens.require(bearer_token(request), Role.ADMIN)
            if isinstance(principal, Refused):
                return problems.refused(principal)
            response = await handler(request)
            calls.answered(request, principal, response.status, begun_ms)
            return response

        return guarded

    async def now(_: web.Request) -> web.Response:
        return web.json_response(await overview.now())

    async def inbox(_: web.Request) -> web.Response:
        return web.json_response(await overview.inbox())

    async def configured(_: web.Request) -> web.Response:
        return web.json_response(configuration(config()))

    router.add_get("/api/v1/server/now", for_admins(now))
    router.add_get("/api/v1/server/inbox", for_admins(inbox))
    router.add_get("/api/v1/server/configuration", for_admins(configured))
