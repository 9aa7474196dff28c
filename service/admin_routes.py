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
from outbox.events import OutboxEvents
from outbox.following import Following
from outbox.report import Delivery, DeliveryReports
from outbox.waiting import available

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
    reports: DeliveryReports,
) -> None:
    def for_admins(handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            principal = tokens.require(bearer_token(request), Role.ADMIN)
            return problems.refused(principal) if isinstance(principal, Refused) else await handler(request)

        return guarded

    async def list_peers(_: web.Request) -> web.Response:
        delivery_to = await reports.read()
        data = [_peer(view, delivery_to(view.host)) for view in peers.list_peers()]
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

    router.add_get("/api/v1/server/peers", for_admins(available(list_peers)))
    router.add_post("/api/v1/server/peers/{host}/{verdict:block|allow}", for_admins(judge))
    router.add_get("/api/v1/server/quarantine", for_admins(list_refusals))


def _peer(view: PeerView, delivery: Delivery) -> dict[str, object]:
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
    }


def _instant(at_ms: int | None) -> str | None:
    return None if at_ms is None else iso_ms(at_ms)


def _entry(entry: Entry) -> dict[str, object]:
    fields = asdict(entry)
    fields["at"] = iso_ms(fields.pop("at_ms"))
    return fields
