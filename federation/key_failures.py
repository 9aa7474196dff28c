"""Keys that could not be had lately: those who had them asked for are told so again, others may have it tried anew."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

from federation.key_policy import KeyPolicy
from federation.signatures.reasons import SignatureReason
from foundation.addresses import neighbourhood_key
from foundation.clock import Clock
from foundation.errors import Refused


@dataclass(frozen=True, slots=True)
class Failure:
    """``until_ms`` is monotonic; ``networks`` are those whose requests led to it."""

    until_ms: int
    refusal: Refused
    networks: frozenset[str]


class KeyFailures:
    """By keyId without fragment. A failure answers the networks that caused it, for as long as its kind is remembered.

    Anybody can name any key, in the moment when its host is restarted or when we have no place left: that must not
    speak against the host's own message. Another network may ask anew, ``networks_per_failure`` of them in all.
    """

    def __init__(self, clock: Clock, policy: KeyPolicy) -> None:
        self._clock = clock
        self._policy = policy
        self._found: OrderedDict[str, Failure] = OrderedDict()

    def get(self, name: str) -> Failure | None:
        """What is remembered, whoever asks."""
        failure = self._found.get(name)
        if failure is not None and self._clock.monotonic_ms() >= failure.until_ms:
            del self._found[name]
            return None
        return failure

    def answer(self, name: str, address: str | None) -> Refused | None:
        """What a client at this address is told; None: it may be tried (anew)."""
        failure = self.get(name)
        if failure is None:
            return None
        if _network(address) not in failure.networks and len(failure.networks) < self._policy.networks_per_failure:
            return None
        return self._told(failure)

    def has_asked(self, name: str, address: str | None) -> bool:
        """Whether this address's network had it tried, and it came to nothing."""
        failure = self.get(name)
        return failure is not None and _network(address) in failure.networks

    def note(self, name: str, address: str | None, refusal: Refused) -> None:
        before = self.get(name)
        networks = frozenset({_network(address)}) if before is None else before.networks | {_network(address)}
        until_ms = self._clock.monotonic_ms() + self._lifetime_ms(refusal)
        self._found[name] = Failure(until_ms, refusal, networks)
        self._found.move_to_end(name)
        if len(self._found) > self._policy.max_negative:
            self._found.popitem(last=False)

    def forget(self, name: str) -> None:
        self._found.pop(name, None)

    def _lifetime_ms(self, refusal: Refused) -> int:
        if is_passing(refusal):
            return self._policy.failed_ttl_ms
        gone = refusal.reason == SignatureReason.ACTOR_GONE
        return self._policy.gone_ttl_ms if gone else self._policy.negative_ttl_ms

    def _told(self, failure: Failure) -> Refused:
        if not is_passing(failure.refusal):
            return failure.refusal
        left_ms = failure.until_ms - self._clock.monotonic_ms()
        return replace(failure.refusal, retry_after_s=max(1, -(-left_ms // 1000)))


def is_passing(refusal: Refused) -> bool:
    """Nothing was said of the key: asked again soon, it may be there."""
    return refusal.status == 503


def is_final(refusal: Refused) -> bool:
    """The key's host was heard, and what it says gives no such key."""
    return not is_passing(refusal) and refusal.reason != SignatureReason.KEY_UNAVAILABLE


def _network(address: str | None) -> str:
    return neighbourhood_key(address) if address else ""
