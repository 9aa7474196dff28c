"""Where a remote actor takes its mail: learnt from its document once, kept for a while, asked for once at a time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

from federation.actors import ActorDocument
from federation.signatures.reasons import SignatureReason
from foundation.clock import Clock
from foundation.errors import Refused

MAX_ACTORS = 10_000
LIFE_MS = 86_400_000
"""How long an inbox is believed."""
REFUSAL_LIFE_MS = 60_000
"""How long an actor whose document is gone or nonsense is not asked for again."""
SILENCE_LIFE_MS = 2_000
"""Likewise where its host did not answer: waiting longer is the business of whoever delivers to that host."""


BROKEN_OFF = "broken_off"
"""Reason for whoever waited for a question that another asked and gave up."""


class ActorSource(Protocol):
    """As of `federation.actors.ActorClient`."""

    async def fetch_actor(self, url: str) -> ActorDocument | Refused: ...


@dataclass(frozen=True, slots=True)
class _Known:
    inbox: str | Refused
    until_ms: int


class InboxDirectory:
    """The shared inbox (else the own inbox) of remote actors, by the actor's URL. Bounded; the oldest goes first."""

    def __init__(self, actors: ActorSource, clock: Clock, *, max_actors: int = MAX_ACTORS) -> None:
        self._actors = actors
        self._clock = clock
        self._max = max_actors
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._asking: dict[str, asyncio.Future[str | Refused]] = {}

    async def shared_inbox(self, actor: str) -> str | Refused:
        """Where to send what is for this actor; the refusal of `ActorClient` when its document cannot be had."""
        known = self._known.get(actor)
        if known is not None and known.until_ms > self._clock.monotonic_ms():
            self._known.move_to_end(actor)
            return known.inbox
        asking = self._asking.get(actor)
        if asking is not None:
            return await asyncio.shield(asking)
        answer: asyncio.Future[str | Refused] = asyncio.get_running_loop().create_future()
        self._asking[actor] = answer
        try:
            inbox = await self._ask(actor)
            answer.set_result(inbox)
            return inbox
        finally:
            del self._asking[actor]
            if not answer.done():
                answer.set_result(Refused(BROKEN_OFF, "the question was broken off", 503))

    def forget(self, actor: str) -> None:
        """The inbox turned out to be gone: ask anew."""
        self._known.pop(actor, None)

    async def _ask(self, actor: str) -> str | Refused:
        document = await self._actors.fetch_actor(actor)
        if isinstance(document, Refused):
            silent = document.reason == SignatureReason.KEY_UNAVAILABLE
            self._keep(actor, document, SILENCE_LIFE_MS if silent else REFUSAL_LIFE_MS)
            return document
        inbox = document.shared_inbox or document.inbox
        self._keep(actor, inbox, LIFE_MS)
        return inbox

    def _keep(self, actor: str, inbox: str | Refused, life_ms: int) -> None:
        self._known[actor] = _Known(inbox, self._clock.monotonic_ms() + life_ms)
        self._known.move_to_end(actor)
        while len(self._known) > self._max:
            self._known.popitem(last=False)
