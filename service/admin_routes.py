"""Admin REST about peers and the inbox: who is known, who may speak, what was not taken and why."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict

from aiohttp import web

from federation.peers import Peers, PeerView
from federation.peers.unusual import Unusual
from foundation import problems
from foundation.clock import iso_ms
from foundation.errors import Refused
from foundation.principal import Role
from foundation.tokens import TokenBook
from foundation.urls import parse_host
from foundation.web import bearer_token
from inbox.quarantine import Entry, Quarantine
from inbox.replay import QuarantineReplay
from outbox.events import OutboxEvents
from outbox.following import Following
from outbox.report import Delivery, DeliveryReports
from outbox.waiting import available
from views.telemetry.calls import ApiCalls

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
    replay: QuarantineReplay,
    reports: DeliveryReports,
    unusual: Callable[[str], Unusual | None],
    calls: ApiCalls,
) -> None:
    """``unusual`` tells what is out of the ordinary with a host."""

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

    async def list_peers(_: web.Request) -> web.Response:
        delivery_to = await reports.read()
        data = [_peer(view, delivery_to(view.host), unusual(view.host)) for view in peers.list_peers()]
        return web.json_response({"total": len(data), "data": data})

    async def judge(request: web.Request) -> web.Response:
        try:
            host = parse_host(request.match_info["host"])
        except ValueError as problem:
            return problems.problem(400, str(problem))
        blocking = request.match_info["verdict"] == "block"
        refusal = peers.contradicts(host, block=blocking)
        if refusal is not None:
            return problems.refused(refusal)
        if blocking:
            await following.reject_all(host)
            await peers.block(host)
        else:
            await peers.allow(host)
            await events.catch_up()
        return web.Response(status=204)

    async def list_refusals(request: web.Request) -> web.Response:
        entries = quarantine.newest(MAX_LISTED, host=request.query.get("host"))
        data = [_entry(entry, quarantine.holds(entry.number)) for entry in entries]
        return web.json_response({"total": len(data), "data": data})

    async def replay_refusals(request: web.Request) -> web.Response:
        query = request.query
        return web.json_response(asdict(await replay(host=query.get("host"), reason=query.get("reason"))))

    async def drop_refusals(request: web.Request) -> web.Response:
        query = request.query
        return web.json_response({"dropped": quarantine.drop(host=query.get("host"), reason=query.get("reason"))})

    router.add_get("/api/v1/server/peers", for_admins(list_peers))
    router.add_post("/api/v1/server/peers/{host}/{verdict:block|allow}", for_admins(judge))
    router.add_get("/api/v1/server/quarantine", for_admins(list_refusals))
    router.add_delete("/api/v1/server/quarantine", for_admins(drop_refusals))
    router.add_post("/api/v1/server/quarantine/replay", for_admins(replay_refusals))


def _peer(view: PeerView, delivery: Delivery, unusual: Unusual | None) -> dict[str, object]:
    software = None if view.software is None else f"{view.software.name} {view.software.version}"
    health = delivery.health
    return {
        "host": view.host,
        "kind": view.kind.value,
        "software": software,
        "clockOffsetMs": view.clock_offset_ms,
        "lastSeen": _instant(view.last_seen_ms),
        "blocked": view.blocked,
        "listed": view.listed,
        "follower": view.follower,
        "following": None if view.following is None else view.following.value,
        "trouble": health.error if health.failures else None,
        "breaker": health.breaker.value,
        "failures": health.failures,
        "failureDays": health.days,
        "delivery": {
            "waiting": delivery.queue.waiting,
            "oldest": _instant(delivery.queue.oldest_ms),
            "setAside": delivery.queue.set_aside,
            "totals": delivery.totals,
            "viewers": delivery.viewers,
            "lastSuccess": _instant(health.arrived_ms),
            "lastError": health.error or None,
            "lastErrorAt": _instant(health.error_ms),
            "nextTry": _instant(delivery.next_try_ms),
            "batch": delivery.batch.value,
            "batchReason": delivery.batch_reason.value,
            "singlesUntil": _instant(health.singles_until_ms or None),
            "postsPerHour": health.posts,
            "bytesPerHour": health.bytes,
        },
        "unusual": None if unusual is None else _unusual(unusual),
    }


def _instant(at_ms: int | None) -> str | None:
    return None if at_ms is None else iso_ms(at_ms)


def _unusual(unusual: Unusual) -> dict[str, object]:
    return {
        "what": unusual.what,
        "since": iso_ms(unusual.hour_ms),
        "count": unusual.count,
        "usual": unusual.usual,
        "score": unusual.score,
    }


def _entry(entry: Entry, replayable: bool) -> dict[str, object]:
    fields = asdict(entry)
    fields["replayable"] = replayable
    fields["at"] = iso_ms(fields.pop("at_ms"))
    return fields
