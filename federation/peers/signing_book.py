"""How each host wants to be spoken to, kept with what else is known of it."""

from __future__ import annotations

from federation.peers.known import KnownPeers
from federation.peers.policies import Policies
from federation.peers.signing import Found, Way, first_way, other_ways
from foundation.clock import Clock


class SigningBook:
    """Implements ``federation.signing.WayBook``; several processes learn each for itself, and keep what they learnt."""

    def __init__(self, policies: Policies, known: KnownPeers, clock: Clock) -> None:
        self._policies = policies
        self._known = known
        self._clock = clock

    def way(self, host: str) -> Way:
        """How the next request to a host is signed."""
        return first_way(self._policies.policy(host).signatures, self._known.signing(host), self._clock.now_ms())

    def other_ways(
        self, host: str, used: Way, status: int | None, *, old_key: bool, rotated_ms: int = 0
    ) -> tuple[Way, ...]:
        """What to try after ``status`` came back for a request that was signed as ``used``."""
        mode, found = self._policies.policy(host).signatures, self._known.signing(host)
        return other_ways(mode, used, status, found, self._clock.now_ms(), old_key=old_key, rotated_ms=rotated_ms)

    def learn_way(self, host: str, way: Way | None) -> None:
        """A second way worked; None: no way did."""
        self._known.learn_signing(host, Found(way, self._clock.now_ms()))
