"""Public keys of others in memory: each is fetched when it is needed, and at most once at a time.

Import these names from :mod:`federation.keys`.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from federation.actors import ActorDocument
from federation.multikey import decode_multikey
from federation.public_keys import load_public_key
from federation.signatures.cavage import without_fragment
from federation.signatures.reasons import SignatureReason, refuse
from federation.signatures.verifier import DEFAULT_MINIMUM_KEY_BITS, Inspected, PublicKey, Verdict, Verified, check
from foundation.clock import Clock
from foundation.errors import Refused
from foundation.metrics import Metrics
from foundation.ratelimit import WindowLimiter
from foundation.urls import authority


class ActorFetcher(Protocol):
    """Where the documents behind keyIds come from; see :class:`federation.actors.ActorClient`."""

    async def fetch_actor(self, url: str) -> ActorDocument | Refused: ...


@dataclass(frozen=True, slots=True)
class RemoteKey:
    """A public key, whose it is, and what else its actor's document said.

    ``authority`` is the actor's host. ``fetched_ms`` is wall time. A key that was configured and not fetched (a host
    application's) leaves the rest at its defaults. ``others`` are further keys of the same actor under ids of their
    own.
    """

    key_id: str
    actor: str
    authority: str
    public_key: PublicKey
    actor_type: str = ""
    inbox: str | None = None
    shared_inbox: str | None = None
    fetched_ms: int = 0
    others: tuple[RemoteKey, ...] = ()

    def named(self, key_id: str) -> RemoteKey:
        """The key of exactly this id among all of the actor's; else this one, whatever fragment a peer gives it."""
        for other in self.others:
            if other.key_id == key_id:
                return other
        return self


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """Bounds of a :class:`KeyCache`; durations in milliseconds.

    ``ttl_ms``: after this a key is fetched again (PeerTube 6.3 refreshes actors every two days); while its host cannot
    be asked it serves for as long again. ``negative_ttl_ms``: for so long a keyId that came to nothing is not tried
    again; ``gone_ttl_ms``: likewise, when its host says that there is no such actor. ``refetch_interval_ms``: a key is
    fetched again for a wrong signature at most this often.
    """

    own_authorities: frozenset[str] = frozenset()
    allow_http: bool = False
    minimum_key_bits: int = DEFAULT_MINIMUM_KEY_BITS
    max_keys: int = 10_000
    max_negative: int = 10_000
    ttl_ms: int = 2 * 86_400_000
    negative_ttl_ms: int = 60_000
    gone_ttl_ms: int = 600_000
    refetch_interval_ms: int = 300_000
    fetches_per_minute: int = 30
    max_in_flight: int = 64


@dataclass(slots=True)
class _Entry:
    """Monotonic instants: fetched again after ``until_ms``, of no use after ``stale_until_ms``."""

    key: RemoteKey
    until_ms: int
    stale_until_ms: int
    next_refetch_ms: int


class KeyCache:
    """The keys of others by keyId, fragment aside (PeerTube 6.3 signs with the actor's bare URL).

    Whoever asks first for an unknown key fetches it, everybody else waits for that fetch. What came to nothing is
    remembered too, and one host can make us fetch only so often. ``may_fetch`` is the peers' policy, asked with the
    authority before any fetch; a key in the cache is served without asking.
    """

    def __init__(
        self,
        clock: Clock,
        fetcher: ActorFetcher,
        metrics: Metrics,
        policy: KeyPolicy | None = None,
        may_fetch: Callable[[str], Refused | None] = lambda authority: None,
    ) -> None:
        self._clock = clock
        self._fetcher = fetcher
        self._policy = policy or KeyPolicy()
        self._may_fetch = may_fetch
        self._keys: OrderedDict[str, _Entry] = OrderedDict()
        self._negative: OrderedDict[str, tuple[int, Refused]] = OrderedDict()
        self._in_flight: dict[str, asyncio.Future[RemoteKey | Refused | None]] = {}
        self._limiter: WindowLimiter[str] = WindowLimiter(clock, self._policy.fetches_per_minute, 60_000, 10_000)
        self._fetched = metrics.counter("fediviews_key_fetches_total", "Actor documents fetched for keys.", ["outcome"])
        metrics.gauge_from("fediviews_keys_cached", "Public keys of others in memory.", lambda: len(self._keys))

    async def verify(self, inspected: Inspected) -> Verdict:
        """The verdict on a request by the key from here; a wrong signature has the key looked up once more."""
        known = self._keys.get(without_fragment(inspected.key_id))
        key = await self.get(inspected.key_id)
        if isinstance(key, Refused):
            return key
        verdict = check(inspected, key.named(inspected.key_id) if key.others else key)
        if isinstance(verdict, Verified) or not _may_be_newer(verdict, inspected.key_id, key):
            return verdict
        if known is None or known.key is not key:
            # It was fetched for this very request: it cannot have been rotated since.
            return verdict
        newer = await self.refetch(inspected.key_id)
        if isinstance(newer, Refused) or newer is key:
            return verdict
        return check(inspected, newer.named(inspected.key_id))

    async def get(self, key_id: str) -> RemoteKey | Refused:
        """The key behind a keyId: remembered, or fetched within the bounds."""
        name = without_fragment(key_id)
        entry = self._keys.get(name)
        if entry is not None and self._clock.monotonic_ms() < entry.until_ms:
            self._keys.move_to_end(name)
            return entry.key
        negative = self._negative.get(name)
        if negative is not None:
            if self._clock.monotonic_ms() < negative[0]:
                return negative[1]
            del self._negative[name]
        return await self._fetched_once(name)

    async def refetch(self, key_id: str) -> RemoteKey | Refused:
        """The key as its owner publishes it now, after a signature that the remembered one did not make (rotation).

        At most once per ``refetch_interval_ms``: within it the remembered key is the answer. A failed fetch leaves the
        remembered key in place, and is the answer.
        """
        name = without_fragment(key_id)
        entry = self._keys.get(name)
        if entry is None:
            return await self.get(key_id)
        now_ms = self._clock.monotonic_ms()
        if now_ms < entry.next_refetch_ms:
            return entry.key
        entry.next_refetch_ms = now_ms + self._policy.refetch_interval_ms
        return await self._fetched_once(name)

    def forget(self, key_id: str) -> None:
        """Drop what is known of a keyId: its actor was deleted or updated."""
        name = without_fragment(key_id)
        self._keys.pop(name, None)
        self._negative.pop(name, None)

    def __len__(self) -> int:
        return len(self._keys)

    async def _fetched_once(self, name: str) -> RemoteKey | Refused:
        while (waiting := self._in_flight.get(name)) is not None:
            result = await asyncio.shield(waiting)
            if result is not None:
                return result
            # The one who fetched was cancelled: somebody who still wants the key goes on.
        refusal = self._may_not_fetch(name)
        if refusal is not None:
            busy = refusal.reason == SignatureReason.TOO_MANY_FETCHES
            return (self._stale(name) if busy else None) or refusal
        future: asyncio.Future[RemoteKey | Refused | None] = asyncio.get_running_loop().create_future()
        self._in_flight[name] = future
        outcome: RemoteKey | Refused | None = None
        try:
            outcome = self._remembered(name, await self._fetch(name))
        finally:
            del self._in_flight[name]
            future.set_result(outcome)
        return outcome

    def _may_not_fetch(self, name: str) -> Refused | None:
        host = authority(name)
        refusal = key_id_refusal(name, host, self._policy)
        if refusal is not None or host is None:
            return refusal
        refusal = self._may_fetch(host)
        if refusal is not None:
            return refusal
        if len(self._in_flight) >= self._policy.max_in_flight:
            return Refused(SignatureReason.TOO_MANY_FETCHES, "too many keys are being fetched", 503, 5)
        wait_s = self._limiter.hit(host)
        if wait_s is not None:
            return Refused(SignatureReason.TOO_MANY_FETCHES, "too many unknown keys of this host", 429, wait_s)
        return None

    async def _fetch(self, name: str) -> RemoteKey | Refused:
        document = await self._fetcher.fetch_actor(name)
        if isinstance(document, Refused):
            return document
        if without_fragment(document.public_key_id) != name:
            return refuse(SignatureReason.KEY_OWNER, "the actor's key has another id than the keyId")
        host = authority(document.id)
        if host is None or host != authority(name):
            return refuse(SignatureReason.KEY_OWNER, "the key lies on another host than its owner")
        public_key = load_public_key(document.public_key_pem, self._policy.minimum_key_bits)
        if isinstance(public_key, Refused):
            return public_key
        key = RemoteKey(
            key_id=document.public_key_id,
            actor=document.id,
            authority=host,
            public_key=public_key,
            actor_type=document.type,
            inbox=document.inbox,
            shared_inbox=document.shared_inbox,
            fetched_ms=self._clock.now_ms(),
        )
        return replace(key, others=_multikeys(document, key, name)) if document.multikeys else key

    def _stale(self, name: str) -> RemoteKey | None:
        """A key past its time that serves on, because its host cannot be asked just now."""
        entry, now_ms = self._keys.get(name), self._clock.monotonic_ms()
        if entry is None or now_ms >= entry.stale_until_ms:
            return None
        entry.until_ms = max(entry.until_ms, now_ms + self._policy.negative_ttl_ms)
        return entry.key

    def _remembered(self, name: str, outcome: RemoteKey | Refused) -> RemoteKey | Refused:
        """What a fetch means for those who asked, kept for those who will."""
        now_ms = self._clock.monotonic_ms()
        if isinstance(outcome, RemoteKey):
            self._fetched.labels("ok").inc()
            self._negative.pop(name, None)
            known = self._keys.get(name)
            next_refetch_ms = now_ms if known is None else known.next_refetch_ms
            ttl_ms = self._policy.ttl_ms
            self._keys[name] = _Entry(outcome, now_ms + ttl_ms, now_ms + 2 * ttl_ms, next_refetch_ms)
            self._keys.move_to_end(name)
            if len(self._keys) > self._policy.max_keys:
                self._keys.popitem(last=False)
            return outcome
        self._fetched.labels(outcome.reason).inc()
        entry = self._keys.get(name)
        if entry is not None and now_ms < entry.until_ms:
            return outcome
        stale = self._stale(name) if outcome.reason == SignatureReason.KEY_UNAVAILABLE else None
        if stale is not None:
            return stale
        gone = outcome.reason == SignatureReason.ACTOR_GONE
        lifetime_ms = self._policy.gone_ttl_ms if gone else self._policy.negative_ttl_ms
        self._negative[name] = (now_ms + lifetime_ms, outcome)
        if len(self._negative) > self._policy.max_negative:
            self._negative.popitem(last=False)
        return outcome


def _may_be_newer(verdict: Refused, key_id: str, key: RemoteKey) -> bool:
    """Whether the owner may have published another key by now: a rotated one, or one of another type."""
    if verdict.reason == SignatureReason.ALGORITHM:
        return key.named(key_id).key_id != key_id
    return verdict.reason == SignatureReason.WRONG_SIGNATURE


def _multikeys(document: ActorDocument, key: RemoteKey, name: str) -> tuple[RemoteKey, ...]:
    """The Ed25519 keys that an actor's document lists beside ``publicKey``, under fragments of the actor's own URL."""
    found = []
    for key_id, text in document.multikeys:
        public_key = decode_multikey(text)
        if not isinstance(public_key, Refused) and without_fragment(key_id) == name and key_id != key.key_id:
            found.append(replace(key, key_id=key_id, public_key=public_key))
    return tuple(found)


def key_id_refusal(key_id: str, host: str | None, policy: KeyPolicy) -> Refused | None:
    """Why a keyId would never be fetched; ``host`` is its authority.

    ``acct:user@host`` is refused although PeerTube 6.3 takes it: nobody sends it, and it would cost a WebFinger look-up
    before a signature is believed.
    """
    if host is None:
        return refuse(SignatureReason.BAD_KEY_ID, "the keyId is no web URL that can be fetched")
    if not policy.allow_http and key_id[:8].lower() != "https://":
        return refuse(SignatureReason.BAD_KEY_ID, "the keyId is not https")
    if host in policy.own_authorities:
        return refuse(SignatureReason.OWN_KEY, "the keyId lies on our own host")
    return None
