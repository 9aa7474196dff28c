"""Public keys of others in memory: each is fetched when it is needed, and at most once at a time.

Import these names from :mod:`federation.keys`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from federation.actors import ActorDocument
from federation.held_keys import HeldKey, HeldKeys
from federation.kept_keys import KeptKeys
from federation.key_failures import Failure, KeyFailures, is_final, is_passing
from federation.key_fetches import KeyFetches
from federation.key_policy import KeyPolicy, key_id_refusal
from federation.origins import Origins
from federation.remote_key import RemoteKey, key_of
from federation.signatures.cavage import without_fragment
from federation.signatures.reasons import SignatureReason
from federation.signatures.verifier import Inspected, Verdict, Verified, check
from foundation.addresses import network_key
from foundation.clock import Clock
from foundation.errors import FetchFailed, Refused
from foundation.metrics import Metrics
from foundation.ratelimit import WindowLimiter
from foundation.urls import authority


class ActorFetcher(Protocol):
    """Where the documents behind keyIds come from; see :class:`federation.actors.ActorClient`."""

    async def fetch_key_owner(self, url: str, onward: Callable[[str], None]) -> ActorDocument | Refused: ...


class KeyCache:
    """The keys of others by keyId, fragment aside (PeerTube 6.3 signs with the actor's bare URL).

    Whoever asks first for an unknown key fetches it, everybody else waits for that fetch. What came to nothing is
    remembered too, and one host can make us fetch only so often. ``may_fetch`` is the peers' policy, asked with the
    authority before any fetch; a key in the cache is served without asking. ``is_known`` says of an actor's URL whether
    it follows us or we follow it: its key, and those that signed something before, are fetched from a reserve. Those
    are ``kept`` besides, where that is given, and serve as long as they would have from memory.
    """

    def __init__(
        self,
        clock: Clock,
        fetcher: ActorFetcher,
        metrics: Metrics,
        policy: KeyPolicy | None = None,
        may_fetch: Callable[[str], Refused | None] = lambda authority: None,
        is_known: Callable[[str], bool] = lambda actor: False,
        kept: KeptKeys | None = None,
        origins: Origins | None = None,
    ) -> None:
        self._kept = kept
        self._clock = clock
        self._fetcher = fetcher
        self._policy = policy or KeyPolicy()
        self._may_fetch = may_fetch
        self._is_known = is_known
        self._held = HeldKeys(clock, self._policy, kept)
        self._moved: Callable[[str, int], None] = lambda name, until_ms: None
        self._failures = KeyFailures(clock, self._policy)
        self._in_flight: dict[str, asyncio.Future[RemoteKey | Refused | None]] = {}
        self._fetches = KeyFetches(clock, metrics, self._policy, origins)
        self._asked_again: WindowLimiter[tuple[str, str]] = WindowLimiter(
            clock, 1, self._policy.refetch_interval_ms, 10_000
        )
        self._fetched = metrics.counter("fediviews_key_fetches_total", "Actor documents fetched for keys.", ["outcome"])
        metrics.gauge_from("fediviews_keys_cached", "Public keys of others in memory.", lambda: len(self._held))

    async def verify(self, inspected: Inspected, address: str | None = None) -> Verdict:
        """The verdict on a request by the key from here; a wrong signature has the key looked up once more.

        ``address`` is the client's, whose network fetches are charged to; both are in memory alone, for minutes.
        """
        name = without_fragment(inspected.key_id)
        known = await self._held.find(name)
        key = await self.get(inspected.key_id, address)
        if isinstance(key, Refused):
            return key
        verdict = check(inspected, key.named(inspected.key_id) if key.others else key)
        if isinstance(verdict, Verified):
            if known is None or not known.proven:
                self._prove(name, key, address)
            elif self._kept is not None:
                self._kept.spoke(name, key)
            return verdict
        if not _may_be_newer(verdict, inspected.key_id, key):
            return verdict
        if known is None or known.key is not key:
            # It was fetched for this very request: it cannot have been rotated since.
            return verdict
        newer = await self.refetch(inspected.key_id, address)
        if isinstance(newer, Refused) or newer is key:
            return verdict
        verdict = check(inspected, newer.named(inspected.key_id))
        if isinstance(verdict, Verified):
            self._prove(name, newer, address)
        return verdict

    async def get(self, key_id: str, address: str | None = None) -> RemoteKey | Refused:
        """The key behind a keyId: remembered, or fetched within the bounds."""
        name = without_fragment(key_id)
        await self._held.find(name)
        key = self._held.in_time(name)
        if key is not None:
            return key
        refusal = self._failures.answer(name, address)
        if refusal is not None and not await self._may_try_anew(name, address):
            return refusal
        return await self._fetched_once(name, address)

    async def refetch(self, key_id: str, address: str | None = None) -> RemoteKey | Refused:
        """The key as its owner publishes it now, after a signature that the remembered one did not make (rotation).

        At most once per ``refetch_interval_ms`` for one client address and ``refetch_pause_ms`` in all: within it the
        remembered key is the answer. A failed fetch leaves the remembered key in place, and is the answer.
        """
        name = without_fragment(key_id)
        entry = await self._held.find(name)
        if entry is None:
            return await self.get(key_id, address)
        if name not in self._in_flight:
            now_ms = self._clock.monotonic_ms()
            if now_ms < entry.next_refetch_ms:
                return entry.key
            if self._asked_again.hit((name, network_key(address or ""))) is not None:
                return entry.key
            entry.next_refetch_ms = now_ms + self._policy.refetch_pause_ms
        return await self._fetched_once(name, address)

    async def forget(self, key_id: str) -> None:
        """Drop what is known of a keyId: its actor was deleted. Raises StorageUnavailable."""
        name = without_fragment(key_id)
        self._failures.forget(name)
        gone_ms = self._held.drop(name)
        self._moved(name, gone_ms)
        if self._kept is not None:
            await self._kept.forget(name, gone_ms)

    def moved_here(self, tell: Callable[[str, int], None]) -> None:
        """Whom to tell that what was fetched of a key until then (wall time) is gone or replaced."""
        self._moved = tell

    def moved_elsewhere(self, name: str, until_ms: int) -> None:
        """Another process says so."""
        self._held.moved_elsewhere(name, until_ms)

    def __len__(self) -> int:
        return len(self._held)

    async def _fetched_once(self, name: str, address: str | None) -> RemoteKey | Refused:
        host = authority(name)
        before = (self._held.get(name), self._failures.get(name))
        joined = 0
        while True:
            while (waiting := self._in_flight.get(name)) is not None:
                result = await asyncio.shield(waiting)
                joined += 1
                if isinstance(result, Refused) and is_passing(result) and joined == 1:
                    result = self._since(name, before, address) or self._unless_anothers(name, result)
                if result is not None:
                    return result
                # The one who fetched was cancelled, or has no part in this: somebody who still wants the key goes on.
            refusal = key_id_refusal(name, host, self._policy)
            if refusal is not None or host is None:
                return refusal or Refused(SignatureReason.BAD_KEY_ID, status=401)
            refusal = self._may_fetch(host)
            if refusal is not None:
                return refusal
            known = self._is_acquainted(name)
            direct = not known and await self._fetches.is_direct(host, address)
            place = await self._fetches.place(host, address, known=known, direct=direct)
            if isinstance(place, Refused):
                return self._held.stale(name) or place
            with place:
                if name in self._in_flight:
                    continue
                # Somebody else may have had it fetched while this one waited for a place.
                found = self._since(name, before, address)
                if found is not None:
                    return found
                refusal = self._fetches.charge(host, address, known=known, direct=direct)
                if refusal is not None:
                    return self._held.stale(name) or refusal
                return await self._fetched_now(name, host, address)

    async def _fetched_now(self, name: str, host: str, address: str | None) -> RemoteKey | Refused:
        future: asyncio.Future[RemoteKey | Refused | None] = asyncio.get_running_loop().create_future()
        self._in_flight[name] = future
        outcome: RemoteKey | Refused | None = None
        try:
            began_ms = self._clock.monotonic_ms()
            fetched = await self._fetch(name)
            answered = not isinstance(fetched, Refused) or fetched.reason != SignatureReason.KEY_UNAVAILABLE
            self._fetches.took(host, address, self._clock.monotonic_ms() - began_ms, answered=answered)
            outcome = self._remembered(name, fetched, address)
        finally:
            del self._in_flight[name]
            future.set_result(outcome)
        return outcome

    async def _fetch(self, name: str) -> RemoteKey | Refused:
        # What it says is no newer than the question: another process may be told otherwise meanwhile.
        asked_ms = self._clock.now_ms()
        document = await self._fetcher.fetch_key_owner(name, self._may_go_on)
        if isinstance(document, Refused):
            return document
        return key_of(document, name, minimum_bits=self._policy.minimum_key_bits, now_ms=asked_ms)

    def _may_go_on(self, host: str) -> None:
        """Whether a redirect may lead to this host: it is asked in our name, whoever sent us there."""
        refusal = self._may_fetch(host) or self._fetches.charge_hop(host)
        if refusal is not None:
            raise FetchFailed("redirect_refused", refusal.reason)

    def _since(
        self, name: str, before: tuple[HeldKey | None, Failure | None], address: str | None
    ) -> RemoteKey | Refused | None:
        entry, failure = self._held.get(name), self._failures.get(name)
        if entry is not None and entry is not before[0]:
            return entry.key
        return None if failure is before[1] else self._failures.answer(name, address)

    def _unless_anothers(self, name: str, result: Refused) -> Refused | None:
        """None: it was noted of whoever had it tried, and may be tried anew."""
        return None if self._failures.get(name) is not None else result

    async def _may_try_anew(self, name: str, address: str | None) -> bool:
        """Whether the key's own host asks, in whose name others asked in vain."""
        host = authority(name)
        if host is None or self._failures.has_asked(name, address):
            return False
        return await self._fetches.is_home(host, address)

    def _is_acquainted(self, name: str) -> bool:
        return self._is_known(name) or self._held.has_proof(name)

    def _prove(self, name: str, key: RemoteKey, address: str | None) -> None:
        entry = self._held.get(name)
        if entry is None or entry.key is not key or entry.proven:
            return
        entry.proven = True
        self._fetches.was_worth_it(key.authority, address)
        self._held.remember_proof(name, self._clock.monotonic_ms() + 2 * self._policy.ttl_ms)
        if self._kept is not None:
            self._kept.keep(name, key, known=self._is_known(key.actor))

    def _remembered(self, name: str, outcome: RemoteKey | Refused, address: str | None) -> RemoteKey | Refused:
        """What a fetch means for those who asked, kept for those who will. What its host says of a key replaces what
        we had, at once; that its host could not be heard changes nothing as long as the key has time left."""
        now_ms = self._clock.monotonic_ms()
        if isinstance(outcome, RemoteKey):
            self._fetched.labels("ok").inc()
            self._failures.forget(name)
            known = self._held.get(name)
            next_refetch_ms = now_ms if known is None else known.next_refetch_ms
            ttl_ms = self._policy.ttl_ms
            self._held.put(name, HeldKey(outcome, now_ms + ttl_ms, now_ms + 2 * ttl_ms, next_refetch_ms))
            if self._kept is not None and name in self._kept:
                # What it replaces must not come back with the next start.
                self._kept.keep(name, outcome)
            if known is not None and replace(outcome, fetched_ms=known.key.fetched_ms) != known.key:
                self._moved(name, outcome.fetched_ms - 1)
            return outcome
        self._fetched.labels(outcome.reason).inc()
        if is_final(outcome):
            had = self._held.get(name) is not None
            gone_ms = self._held.drop(name)
            if had:
                self._moved(name, gone_ms)
        else:
            entry = self._held.get(name)
            if entry is not None and now_ms < entry.until_ms:
                return outcome
            stale = self._held.stale(name)
            if stale is not None:
                return stale
        self._failures.note(name, address, outcome)
        return outcome


def _may_be_newer(verdict: Refused, key_id: str, key: RemoteKey) -> bool:
    """Whether the owner may have published another key by now: a rotated one, or one of another type."""
    if verdict.reason == SignatureReason.ALGORITHM:
        return key.named(key_id).key_id != key_id
    return verdict.reason == SignatureReason.WRONG_SIGNATURE
