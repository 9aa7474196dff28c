"""From a signed POST to a verdict: ordered stages, the cheap ones first, nothing fetched before policy allows it.

size and content type → address quota → overload → signature header, freshness, digest → peer policy → key → signature
→ host quota → parse → signer is the actor, id on the actor's host → handler. Any stage may answer ``Refused``; whatever
is answered 2xx was applied (or deliberately dropped) before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web
from prometheus_client import Counter

from federation.keys import KeyCache
from federation.peers import Peers
from federation.signatures.reasons import SignatureReason
from federation.signatures.verifier import Profile, SignedRequest, inspect
from federation.vocabulary import Activity, Collection, Delete, parse_activity
from foundation import problems
from foundation.answers import EmptyAnswers
from foundation.clock import Clock
from foundation.errors import Refused, StorageUnavailable
from foundation.metrics import Metrics
from foundation.urls import authority, authority_of_known
from foundation.web import read_body
from inbox.quarantine import UNKNOWN_HOST, Quarantine
from inbox.quotas import Quotas
from inbox.reasons import InboxReason, drop
from inbox.sender import Sender

CONTENT_TYPES = frozenset({"application/activity+json", "application/ld+json", "application/json"})
"""What PeerTube 6.3 takes at its inbox, and sends."""

RETRY_AFTER_STORAGE_S = 5


class Handler(Protocol):
    """Applies one activity, already bound to its sender; see :class:`inbox.handlers.Handlers`."""

    async def __call__(self, activity: Activity, sender: Sender) -> Refused | None: ...


class Shedding(Protocol):
    """What is turned away under overload; see :class:`inbox.shedding.InboxShedding`."""

    @property
    def busy(self) -> bool: ...

    def at_the_door(self) -> Refused | None: ...

    async def unproven(self, body: bytes) -> Refused | None: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """``max_items`` of one Collection are taken; ``max_body_bytes`` and ``body_timeout_ms`` bound the body."""

    max_body_bytes: int
    body_timeout_ms: int
    max_items: int
    max_count: int


class Pipeline:
    """One per service; :meth:`receive` is the handler of every inbox route."""

    def __init__(
        self,
        *,
        profile: Profile,
        keys: KeyCache,
        peers: Peers,
        handle: Handler,
        quotas: Quotas,
        quarantine: Quarantine,
        limits: Limits,
        address_of: Callable[[web.Request], str],
        spoke: Callable[[str], None],
        clock: Clock,
        metrics: Metrics,
        shedding: Shedding | None = None,
    ) -> None:
        self._shedding = shedding
        self._profile = profile
        self._keys = keys
        self._peers = peers
        self._handle = handle
        self._quotas = quotas
        self._quarantine = quarantine
        self._limits = limits
        self._address_of = address_of
        self._spoke = spoke
        self._clock = clock
        self._applied = EmptyAnswers()
        self._accepted: Counter = metrics.counter("fediviews_inbox_accepted_total", "Activities that were applied")

    async def receive(self, request: web.Request) -> web.Response:
        """204 applied · 202 dropped on purpose · 4xx refused with a reason · 503 a store is gone, try again."""
        try:
            refusal = await self._receive(request)
        except StorageUnavailable:
            refusal = Refused("storage_unavailable", "try again later", 503, RETRY_AFTER_STORAGE_S)
            self._quarantine.add(refusal)
        if refusal is None:
            return self._applied()
        if refusal.status < 300:
            return web.Response(status=refusal.status, headers={"X-Reason": refusal.reason})
        return problems.refused(refusal)

    async def _receive(self, request: web.Request) -> Refused | None:
        address = self._address_of(request)
        refusal = self._quotas.address(address)
        if refusal is None and request.content_type not in CONTENT_TYPES:
            refusal = Refused(InboxReason.CONTENT_TYPE, "send application/activity+json", 415)
        if refusal is not None:
            self._quarantine.add(refusal, address=address)
            return refusal
        shedding = self._shedding if self._shedding is not None and self._shedding.busy else None
        refusal = None if shedding is None else shedding.at_the_door()
        if refusal is not None:
            return refusal
        body = await read_body(request, self._limits.max_body_bytes, deadline_ms=self._limits.body_timeout_ms)
        if isinstance(body, Refused):
            self._quarantine.add(body, address=address)
            return body
        refusal = None if shedding is None else await shedding.unproven(body)
        if refusal is not None:
            return refusal
        proof = await self._prove(request, body, address)
        if isinstance(proof, Refused):
            return proof
        activity = parse_activity(body, max_items=self._limits.max_items, max_count=self._limits.max_count)
        if isinstance(activity, Refused):
            self._quarantine.add(activity, host=proof.host, verified=True)
            return activity
        return await self.apply(activity, proof)

    async def _prove(self, request: web.Request, body: bytes, address: str) -> Sender | Refused:
        received_ms = self._clock.now_ms()
        signed = SignedRequest(request.method, request.raw_path, tuple(request.headers.items()), body)
        inspected = inspect(signed, self._profile, received_ms)
        if isinstance(inspected, Refused):
            self._quarantine.add(inspected, address=address)
            return inspected
        claimed = authority_of_known(inspected.key_id) or UNKNOWN_HOST
        refusal = self._peers.may_speak(claimed) if claimed else None
        if refusal is not None:
            self._quarantine.add(refusal, host=claimed, address=address)
            return refusal
        verdict = await self._keys.verify(inspected, address)
        if isinstance(verdict, Refused):
            refusal = self._judge_farewell(verdict, body)
            self._quarantine.add(refusal, host=claimed, address=address)
            return refusal
        host = authority_of_known(verdict.actor) or claimed
        refusal = self._quotas.host(host) or self._peers.may_speak(host)
        if refusal is not None:
            self._quarantine.add(refusal, host=host, verified=True)
            return refusal
        self._peers.observe_signed(host, verdict.signed_date_ms, received_ms)
        self._spoke(host)
        return Sender(verdict.actor, host, verdict.signed_date_ms, received_ms)

    def _judge_farewell(self, refusal: Refused, body: bytes) -> Refused:
        """An actor that is gone cannot prove its own Delete any more: taken without a word, it changes nothing."""
        if refusal.reason != SignatureReason.ACTOR_GONE:
            return refusal
        activity = parse_activity(body, max_items=1)
        if isinstance(activity, Delete) and activity.actor == activity.object:
            return drop(InboxReason.UNKNOWN_OBJECT, "it was gone already")
        return refusal

    async def apply(self, activity: Activity, sender: Sender) -> Refused | None:
        """What a proven sender said; for a Collection, each of its items by itself. Raises StorageUnavailable."""
        if not isinstance(activity, Collection):
            return await self._apply_one(activity, sender)
        if activity.actor != sender.actor:
            return self._dropped(drop(InboxReason.FORWARDED, "the collection is another actor's"), sender, "Collection")
        for item in activity.items:
            if isinstance(item, Refused):
                self._dropped(item, sender, "item")
            else:
                await self._apply_one(item, sender)
        if activity.dropped:
            self._dropped(drop(InboxReason.TOO_MANY_ITEMS, f"{activity.dropped} left out"), sender, "Collection")
        return None

    async def judge_again(self, activity: Activity, sender: Sender, number: int) -> Refused | None:
        """What the quarantine held under a number, by the rules of now. Raises StorageUnavailable."""
        return await self._handled(activity, sender, number)

    async def _apply_one(self, activity: Activity, sender: Sender) -> Refused | None:
        kind = type(activity).__name__
        if activity.actor != sender.actor:
            return self._dropped(drop(InboxReason.FORWARDED, "signed by somebody else than its actor"), sender, kind)
        if authority(activity.id) != sender.host:
            return self._dropped(drop(InboxReason.FOREIGN_ID, "the id lies on another host"), sender, kind)
        return await self._handled(activity, sender)

    async def _handled(self, activity: Activity, sender: Sender, number: int | None = None) -> Refused | None:
        refusal = await self._handle(activity, sender)
        if refusal is None:
            self._accepted.inc()
            return None
        self._quarantine.hold(refusal, activity, sender, instead_of=number)
        return refusal

    def _dropped(self, refusal: Refused, sender: Sender, kind: str) -> Refused:
        self._quarantine.add(refusal, host=sender.host, verified=True, kind=kind)
        return refusal
