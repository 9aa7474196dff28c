"""Admin REST about peers and the inbox: who is known, who may speak, what was not taken and why."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict

from aiohttp import web

from federation.peers import Peers, PeerView
from foundation import problems
from foundation.clock import iso_ms
from foundation.errors import Refused
from foundation.principal import Role
from foundation.tokens import TokenBook
from foundation.urls import parse_host
from foundation.web import bearer_token
from inbox.quarantine import Entry, Quarantine
from outbox.breaker import BreakerState
from outbox.events import OutboxEvents
from outbox.following import Following
from outbox.standing import Standing

MAX_LISTED = 1_000
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def setup_routes(
    router: web.UrlDispatcher,
    *,
    tokens: TokenBook,
    peers: Peers,
    following: Following,
    events: OutboxEvents,
    quarantine: Quarantine,
    standing: Callable[[str], Standing | None],
) -> None:
    """``standing`` tells where a host stands with deliveries."""

    def for_admins(handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            principal = tokens.require(bearer_token(request), Role.ADMIN)
            return problems.refused(principal) if isinstance(principal, Refused) else await handler(request)

        return guarded

    async def list_peers(_: web.Request) -> web.Response:
        data = [_peer(view, standing(view.host)) for view in peers.list_peers()]
        return web.json_response({"total": len(data), "data": data})

    async def judge(request: web.Request) -> web.Response:
        try:
            host = parse_host(request.match_info["host"])
        except ValueError as problem:
            return problems.problem(400, str(problem))
        if request.match_info["verdict"] == "block":
            await following.reject_all(host)
            await peers.block(host)
        else:
            await peers.allow(host)
            await events.catch_up()
        return web.Response(status=204)

    async def list_refusals(request: web.Request) -> web.Response:
        entries = quarantine.newest(MAX_LISTED, host=request.query.get("host"))
        return web.json_response({"total": len(entries), "data": [_entry(entry) for entry in entries]})

    router.add_get("/api/v1/server/peers", for_admins(list_peers))
    router.add_post("/api/v1/server/peers/{host}/{verdict:block|allow}", for_admins(judge))
    router.add_get("/api/v1/server/quarantine", for_admins(list_refusals))


def _peer(view: PeerView, standing: Standing | None) -> dict[str, object]:
    software = None if view.software is None else f"{view.software.name} {view.software.version}"
    return {
        "host": view.host,
        "kind": view.kind.value,
        "software": software,
        "clockOffsetMs": view.clock_offset_ms,
        "lastSeen": None if view.last_seen_ms is None else iso_ms(view.last_seen_ms),
        "blocked": view.blocked,
        "listed": view.listed,
        "follower": view.follower,
        "following": None if view.following is None else view.following.value,
        "trouble": standing.last_error if standing is not None and standing.failures else None,
        "breaker": (BreakerState.CLOSED if standing is None else standing.breaker.state).value,
        "failures": 0 if standing is None else standing.failures,
        "failureDays": 0 if standing is None else standing.breaker.days,
    }


def _entry(entry: Entry) -> dict[str, object]:
    fields = asdict(entry)
    fields["at"] = iso_ms(fields.pop("at_ms"))
    return fields
