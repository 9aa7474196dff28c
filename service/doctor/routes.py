"""``GET /api/v1/server/doctor``: the same checks from inside a running service, for administrators."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from foundation import problems
from foundation.errors import Refused
from foundation.principal import Role
from foundation.tokens import TokenBook
from foundation.web import bearer_token
from service.doctor.command import report
from service.doctor.examination import examine
from service.doctor.model import Surroundings


def setup_routes(router: web.UrlDispatcher, *, tokens: TokenBook, around: Callable[[], Surroundings]) -> None:
    """One examination at a time: whoever asks meanwhile gets the next one."""
    alone = asyncio.Lock()

    async def examined(request: web.Request) -> web.Response:
        principal = tokens.require(bearer_token(request), Role.ADMIN)
        if isinstance(principal, Refused):
            return problems.refused(principal)
        async with alone:
            return web.json_response(report(await examine(around())))

    router.add_get("/api/v1/server/doctor", examined)
