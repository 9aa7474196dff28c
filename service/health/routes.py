"""Is it alive, is it ready, and what do its numbers say: for orchestrators and Prometheus."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from foundation import problems
from foundation.errors import Refused, StorageUnavailable
from foundation.metrics import Metrics
from foundation.principal import Principal, Role
from foundation.web import bearer_token, is_local

Check = Callable[[], Awaitable[None]]
"""Raises StorageUnavailable, saying what is wrong, when its part cannot work."""


def setup_routes(
    router: web.UrlDispatcher,
    *,
    render: Callable[[], Awaitable[bytes]],
    checks: Mapping[str, Check],
    principal_of: Callable[[str], Principal | None],
) -> None:
    """``render`` makes the page of metrics; ``checks`` decide readiness, by name of their part."""

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_: web.Request) -> web.Response:
        causes: dict[str, str] = {}
        for name, check in checks.items():
            try:
                await check()
            except StorageUnavailable as problem:
                causes[name] = str(problem)
        if causes:
            return web.json_response({"status": "unavailable", "causes": causes}, status=503)
        return web.json_response({"status": "ok"})

    async def scrape(request: web.Request) -> web.Response:
        token = bearer_token(request)
        principal = principal_of(token) if token else None
        if not (principal is not None and principal.may(Role.ADMIN)) and not is_local(request):
            says = "metrics are for loopback without a proxy, or an admin token"
            return problems.refused(Refused("unauthorized", says, 401))
        return web.Response(body=await render(), headers={"Content-Type": Metrics.CONTENT_TYPE})

    router.add_get("/healthz", healthz)
    router.add_get("/readyz", readyz)
    router.add_get("/metrics", scrape)
