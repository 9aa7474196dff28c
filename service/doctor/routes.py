"""``GET /api/v1/server/doctor``: the same checks from inside a running service, for administrators."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web

from foundation import problems
from foundation.errors import Refused
from foundation.principal import Role
from foundation.tokens import TokenBook
from foundation.web import bearer_token
from service.doctor.command import report
from service.doctor.examination import examine
from service.doctor.model import Surroundings


class Examiner:
    """One examination at a time: whoever asks meanwhile gets the next one."""

    def __init__(self, around: Callable[[], Surroundings]) -> None:
        self._around = around
        self._alone = asyncio.Lock()

    async def __call__(self) -> dict[str, Any]:
        async with self._alone:
            return report(await examine(self._around()))


def setup_routes(router: web.UrlDispatcher, *, tokens: TokenBook, examiner: Examiner) -> None:
    async def examined(request: web.Request) -> web.Response:
        principal = tokens.require(bearer_token(request), Role.ADMIN)
        if isinstance(principal, Refused):
            return problems.refused(principal)
        return web.json_response(await examiner())

    router.add_get("/api/v1/server/doctor", examined)
