"""Admin REST about peers, the inbox and deliveries: who is known, who may speak, what was not taken and why."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from foundation import problems
from foundation.decisions import by_request
from foundation.errors import Refused
from foundation.tokens import TokenBook
from foundation.web import read_body
from service.admin.for_admins import for_admins
from service.admin.peer_desk import PeerDesk, Verdict
from views.telemetry.calls import ApiCalls

MAX_BODY = 10_000

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def setup_routes(router: web.UrlDispatcher, *, tokens: TokenBook, desk: PeerDesk, calls: ApiCalls) -> None:
    guard = for_admins(tokens, calls)

    async def list_peers(_: web.Request) -> web.Response:
        return web.json_response(await desk.list_peers())

    async def judge(request: web.Request) -> web.Response:
        match = request.match_info
        refusal = await desk.judge(match["host"], Verdict(match["verdict"]), by_request(request, tokens))
        return web.Response(status=204) if refusal is None else problems.refused(refusal)

    async def list_refusals(request: web.Request) -> web.Response:
        return web.json_response(await desk.quarantine.newest(request.query.get("host")))

    async def replay_refusals(request: web.Request) -> web.Response:
        refusal = await _body_refusal(request)
        if refusal is not None:
            return problems.refused(refusal)
        query = request.query
        by = by_request(request, tokens)
        return web.json_response(await desk.replay(query.get("host"), query.get("reason"), by))

    async def drop_refusals(request: web.Request) -> web.Response:
        query = request.query
        by = by_request(request, tokens)
        return web.json_response(await desk.forget(query.get("host"), query.get("reason"), by))

    async def list_undelivered(request: web.Request) -> web.Response:
        return web.json_response(await desk.list_undelivered(request.query.get("host")))

    async def judge_undelivered(request: web.Request) -> web.Response:
        match, activity_id = request.match_info, request.query.get("id")
        retry, by = match["verdict"] == "retry", by_request(request, tokens)
        changed = await desk.judge_undelivered(match["host"], activity_id, by, retry=retry)
        return problems.refused(changed) if isinstance(changed, Refused) else web.json_response(changed)

    router.add_get("/api/v1/server/peers", guard(list_peers))
    router.add_post("/api/v1/server/peers/{host}/{verdict:block|unblock|allow|disallow}", guard(judge))
    router.add_get("/api/v1/server/quarantine", guard(list_refusals))
    router.add_delete("/api/v1/server/quarantine", guard(drop_refusals))
    router.add_post("/api/v1/server/quarantine/replay", guard(replay_refusals))
    router.add_get("/api/v1/server/undelivered", guard(list_undelivered))
    router.add_post("/api/v1/server/peers/{host}/undelivered/{verdict:retry|drop}", guard(judge_undelivered))


async def _body_refusal(request: web.Request) -> Refused | None:
    """Why the body is not the empty one, or the empty object, that says nothing beside the query."""
    body = await read_body(request, MAX_BODY)
    if isinstance(body, Refused):
        return body
    if not body:
        return None
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Refused("bad_body", "the body is no JSON; send none", 400)
    if said == {} and isinstance(said, dict):
        return None
    return Refused("bad_body", "the query chooses (host, reason): send no body, or {}", 400)
