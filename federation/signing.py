"""Signing what we send in the way its receiver takes, found out by knocking twice at most once an hour."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from federation.own_keys import KeyRing, OwnKey
from federation.peers.signing import REFUSALS, Way
from federation.signatures.message_signer import MessageSigner
from federation.signatures.signer import Sign, Signer
from foundation.clock import Clock
from foundation.metrics import Metrics
from foundation.urls import authority

MAX_SIGNERS = 64
"""Actors of ours times ways to sign; more are made again when they are wanted."""


class RequestSigner(Protocol):
    """One key, one scheme; see `federation.signatures.signer.Signer`."""

    def sign_headers(self, method: str, url: str, body: bytes, now_ms: int) -> dict[str, str]: ...

    def at(self, clock: Clock) -> Sign: ...


class Answered(Protocol):
    """Whatever came of an attempt; no ``status`` when no answer came."""

    @property
    def status(self) -> int | None: ...


class WayBook(Protocol):
    """What is known of hosts; see `federation.peers.Peers`."""

    def way(self, host: str) -> Way: ...

    def other_ways(
        self, host: str, used: Way, status: int | None, *, old_key: bool, rotated_ms: int
    ) -> tuple[Way, ...]: ...

    def learn_way(self, host: str, way: Way | None) -> None: ...


_Answer = TypeVar("_Answer", bound=Answered)


class Signing:
    """Signers of our actors, by the keys as they stand. ``actor`` is the one that asks for documents."""

    def __init__(self, ring: KeyRing, book: WayBook, clock: Clock, metrics: Metrics, *, actor: str) -> None:
        self._ring = ring
        self._book = book
        self._clock = clock
        self._actor = actor
        self._signers: dict[tuple[str, Way], tuple[OwnKey, RequestSigner]] = {}
        knocks = metrics.counter(
            "fediviews_signature_knocks_total",
            "Requests signed in another way after a refusal, by way and by whether they were taken",
            ["way", "outcome"],
        )
        self._knocks = {
            (way, taken): knocks.labels(way.value, "taken" if taken else "refused")
            for way in Way
            for taken in (True, False)
        }

    def signer(self, actor: str, way: Way) -> RequestSigner:
        """Who signs for an actor of ours in this way; by the current RSA key when there is none of the way's own."""
        keys = self._ring.keys
        key = keys.current
        if way is Way.OLD_KEY:
            key = keys.previous or key
        elif way is Way.ED25519 and keys.ed25519:
            key = keys.ed25519[0]
        known = self._signers.get((actor, way))
        if known is not None and known[0] is key:
            return known[1]
        signer = _signer(f"{actor}#{key.fragment}", key, way)
        if len(self._signers) >= MAX_SIGNERS:
            self._signers.clear()
        self._signers[actor, way] = (key, signer)
        return signer

    async def send(self, host: str, actor: str, attempt: Callable[[RequestSigner], Awaitable[_Answer]]) -> _Answer:
        """What came of a request to ``host``, signed for ``actor``.

        Whatever was not refused for its signature is never sent again: only 400, 401 and 403 are answered by another
        way, each tried once, and after a way that works that one is used.
        """
        way = self._book.way(host)
        answer = await attempt(self.signer(actor, way))
        if answer.status not in REFUSALS:
            return answer
        keys = self._ring.keys
        others = self._book.other_ways(
            host, way, answer.status, old_key=keys.previous is not None, rotated_ms=keys.since_ms
        )
        for other in others:
            again = await attempt(self.signer(actor, other))
            taken = again.status is not None and again.status < 300
            self._knocks[other, taken].inc()
            if taken:
                self._book.learn_way(host, other)
            if again.status not in REFUSALS:
                return again
        if others:
            self._book.learn_way(host, None)
        return answer

    async def ask(self, url: str, attempt: Callable[[Sign], Awaitable[_Answer]]) -> _Answer:
        """As :meth:`send`, for a document at ``url`` that the instance actor asks for."""
        return await self.send(authority(url) or "", self._actor, lambda signer: attempt(signer.at(self._clock)))


def _signer(key_id: str, key: OwnKey, way: Way) -> RequestSigner:
    if way in (Way.RFC9421, Way.ED25519):
        return MessageSigner(key_id, key.private_key)
    return Signer(key_id, key.rsa)
