"""What administrators see and decide about peers, the inbox and what is not delivered: for REST and for the dashboard.

Answers are as REST says them; refusals are values.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from federation.peers import Peers, PeerView
from federation.peers.policies import ALLOWED, BLOCKED
from federation.peers.unusual import Unusual
from foundation.clock import iso_ms
from foundation.decisions import By, decided
from foundation.errors import Refused
from foundation.urls import parse_host
from outbox.events import OutboxEvents
from outbox.following import Following
from outbox.queues import Queues, Undelivered
from outbox.report import Delivery, DeliveryReports
from service.admin.peers_elsewhere import PeersElsewhere
from service.admin.quarantines import Quarantines

MAX_LISTED = 1_000
NO_FOLLOW = Refused("no_follow", "We do not follow that host.", 404)
UNKNOWN_HOST = Refused("unknown_host", "no peer of this name is known", 404)


class Verdict(enum.Enum):
    """What an administrator may decide of a host: block it, let it speak whatever the rules are, and to take either
    back, after which the rules for everybody hold."""

    BLOCK = "block"
    UNBLOCK = "unblock"
    ALLOW = "allow"
    DISALLOW = "disallow"


@dataclass(frozen=True, slots=True)
class PeerDesk:
    """``unusual`` tells what is out of the ordinary with a host; ``hurry`` is told of a host whose activities are to be
    tried now. Everything that reads or writes the database raises StorageUnavailable."""

    peers: Peers
    following: Following
    events: OutboxEvents
    quarantine: Quarantines
    reports: DeliveryReports
    queues: Queues
    unusual: Callable[[str], Unusual | None]
    hurry: Callable[[str], None]
    elsewhere: PeersElsewhere

    async def list_peers(self) -> dict[str, Any]:
        """As all processes of this machine know them."""
        data = await self.elsewhere.added(await self.own_peers())
        return {"total": len(data), "data": data}

    async def own_peers(self) -> list[dict[str, Any]]:
        """As this process knows them."""
        delivery_to = await self.reports.read()
        return [_peer(view, delivery_to(view.host), self.unusual(view.host)) for view in self.peers.list_peers()]

    async def knows(self, text: str) -> bool:
        """Whether any process has heard of this host, or anything was configured or decided about it."""
        host = _host(text)
        return any(peer["host"] == host for peer in (await self.list_peers())["data"])

    async def follow(self, text: str, by: By) -> Refused | None:
        """Ask to follow an instance. Refused: as `outbox.following.Following.follow_host`."""
        asked = await self.following.follow_host(text)
        if isinstance(asked, Refused):
            return asked
        decided(by, "follow", text.strip())
        return None

    async def unfollow(self, text: str, by: By) -> Refused | None:
        """Refused: ``no_follow`` (404)."""
        if not await self.following.unfollow(text):
            return NO_FOLLOW
        decided(by, "unfollow", text.strip())
        return None

    async def judge(self, text: str, verdict: Verdict, by: By) -> Refused | None:
        """Refused: ``bad_host`` (400), ``config_decides`` (409)."""
        host = _host(text)
        if isinstance(host, Refused):
            return host
        refusal = await self._judge(host, verdict)
        if refusal is None:
            decided(by, verdict.value, host)
        return refusal

    async def _judge(self, host: str, verdict: Verdict) -> Refused | None:
        verdicts = self.peers.verdicts
        refusal = verdicts.contradicts(host, block=verdict is Verdict.BLOCK)
        if refusal is not None:
            return refusal
        match verdict:
            case Verdict.BLOCK:
                await self.following.part(host)
                return await verdicts.block(host)
            case Verdict.ALLOW:
                refusal = await verdicts.allow(host)
            case Verdict.UNBLOCK:
                refusal = await verdicts.take_back(host, BLOCKED)
            case Verdict.DISALLOW:
                refusal = await verdicts.take_back(host, ALLOWED)
        await self.events.catch_up()
        return refusal

    async def replay(self, host: str | None, reason: str | None, by: By) -> dict[str, int]:
        """Judge what was not taken again; of one host, for one reason, where given."""
        replayed = await self.quarantine.replay(host, reason)
        decided(by, "replay", _chosen(host, reason), f"{replayed['applied']} applied")
        return replayed

    async def forget(self, host: str | None, reason: str | None, by: By) -> dict[str, int]:
        """Forget what was not taken; of one host, for one reason, where given."""
        dropped = await self.quarantine.drop(host, reason)
        decided(by, "forget", _chosen(host, reason), f"{dropped['dropped']} forgotten")
        return dropped

    async def list_undelivered(self, host: str | None) -> dict[str, Any]:
        found = await self.queues.undelivered(MAX_LISTED, host)
        return {"total": len(found), "data": [_undelivered(one) for one in found]}

    async def judge_undelivered(
        self, text: str, activity_id: str | None, by: By, *, retry: bool
    ) -> dict[str, int] | Refused:
        """Try it again now, or give it up; all of the host's where no id is given. Refused: ``bad_host`` (400),
        ``unknown_host`` (404)."""
        host = _host(text)
        if isinstance(host, Refused):
            return host
        changed = await (self.queues.retry if retry else self.queues.drop)(host, activity_id)
        if not changed and not await self.knows(host):
            return UNKNOWN_HOST
        if retry:
            self.hurry(host)
        about = host if activity_id is None else f"{host} {activity_id}"
        decided(by, "retry" if retry else "drop", about, f"{changed} activities")
        return {"changed": changed}


def _host(text: str) -> str | Refused:
    try:
        return parse_host(text)
    except ValueError as problem:
        return Refused("bad_host", str(problem))


def _chosen(host: str | None, reason: str | None) -> str:
    return f"the quarantine of {host or 'every host'}" + (f" for {reason}" if reason else "")


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
        "verdict": view.verdict,
        "verdictBy": None if view.decided_by is None else view.decided_by.value,
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


def _undelivered(one: Undelivered) -> dict[str, object]:
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
