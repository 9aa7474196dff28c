"""Admin REST about what peers do not take: see it, let it be tried again, or give it up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from foundation import problems
from foundation.clock import iso_ms
from foundation.errors import Refused
from foundation.principal import Role
from foundation.tokens import TokenBook
from foundation.urls import parse_host
from foundation.web import bearer_token
from outbox.queues import Queues, Undelivered
from outbox.waiting import available
from views.telemetry.calls import ApiCalls

MAX_LISTED = 1_000
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def setup_routes(
    router: web.UrlDispatcher, *, tokens: TokenBook, queues: Queues, hurry: Callable[[str], None], calls: ApiCalls
) -> None:
    """``hurry`` is told of a host whose activities are to be tried now."""

    def for_admins(handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            begun_ms = calls.begun_ms()
            principal = tokens.require(bearer_token(request), Role.ADMIN)
            if isinstance(principal, Refused):
                return problems.refused(principal)
            response = await handler(request)
            calls.answered(request, principal, response.status, begun_ms)
            return response

        return available(guarded)

    async def list_undelivered(request: web.Request) -> web.Response:
        found = await queues.undelivered(MAX_LISTED, request.query.get("host"))
        return web.json_response({"total": len(found), "data": [_shown(one) for one in found]})

    async def judge(request: web.Request) -> web.Response:
        try:
            host = parse_host(request.match_info["host"])
        except ValueError as problem:
            return problems.problem(400, str(problem))
        activity_id = request.query.get("id")
        if request.match_info["verdict"] == "retry":
            changed = await queues.retry(host, activity_id)
            hurry(host)
        else:
            changed = await queues.drop(host, activity_id)
        return web.json_response({"changed": changed})

    router.add_get("/api/v1/server/undelivered", for_admins(list_undelivered))
    router.add_post("/api/v1/server/peers/{host}/undelivered/{verdict:retry|drop}", for_admins(judge))


def _shown(one: Undelivered) -> dict[str, object]:
    return {
        "host": one.host,
        "id": one.activity_id,
        "type": one.kind.value,
        "object": one.subject,
        "reason": one.reason,
        "attempts": one.attempts,
        "createdAt": iso_ms(one.created_ms),
        "setAside": one.next_try_ms is None,
        "nextTry": None if one.next_try_ms is None else iso_ms(one.next_try_ms),
    }
