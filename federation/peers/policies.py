"""What may come from whom: the configured policies and the verdicts given at run time. Pure; asked on every request."""

from __future__ import annotations

from collections.abc import Iterable

from federation.peers.model import DecidedBy, PeerPolicy
from foundation.errors import Refused

BLOCKED, ALLOWED = "blocked", "allowed"

_BLOCKED = Refused("blocked", "this instance does not talk to yours", 403)
_NOT_LISTED = Refused("not_listed", "this instance talks to listed peers only", 403)
OWN_HOST = Refused("own_host", "this is our own host", 401)


class Policies:
    """Configuration first: where it says ``block``, that holds. Verdicts (``blocked``, ``allowed``) are the rest."""

    def __init__(self, policies: Iterable[PeerPolicy], *, open_federation: bool, own_host: str) -> None:
        self._listed = {policy.host: policy for policy in policies}
        self._open = open_federation
        self._own_host = own_host
        self.verdicts: dict[str, str] = {}

    def reload(self, policies: Iterable[PeerPolicy], *, open_federation: bool) -> None:
        self._listed = {policy.host: policy for policy in policies}
        self._open = open_federation

    def policy(self, host: str) -> PeerPolicy:
        """The host's own policy, or the default one."""
        return self._listed.get(host) or PeerPolicy(host)

    def listed(self) -> tuple[PeerPolicy, ...]:
        return tuple(self._listed.values())

    def is_listed(self, host: str) -> bool:
        return host in self._listed

    def is_named(self, host: str) -> bool:
        """Whether the configuration lists it, or an administrator allowed it."""
        return host in self._listed or self.verdicts.get(host) == ALLOWED

    def is_blocked(self, host: str) -> bool:
        policy = self._listed.get(host)
        if policy is not None and policy.blocked is not None:
            return policy.blocked
        return self.verdicts.get(host) == BLOCKED

    def decided(self, host: str) -> bool | None:
        """What the configuration says about blocking this host, for or against; None: nothing."""
        policy = self._listed.get(host)
        return None if policy is None else policy.blocked

    def verdict(self, host: str) -> tuple[str, DecidedBy] | None:
        """``blocked`` or ``allowed``, and who said so; None: nobody decided anything of this host."""
        decided = self.decided(host)
        if decided is not None:
            return BLOCKED if decided else ALLOWED, DecidedBy.CONFIGURATION
        verdict = self.verdicts.get(host)
        return None if verdict is None else (verdict, DecidedBy.HAND)

    def is_own(self, host: str) -> bool:
        return host == self._own_host

    def may_speak(self, host: str) -> Refused | None:
        """None, or ``blocked`` (403), ``not_listed`` (403), ``own_host`` (401)."""
        if self.is_blocked(host):
            return _BLOCKED
        if host == self._own_host:
            return OWN_HOST
        if self._open or self.is_named(host):
            return None
        return _NOT_LISTED

    def accepts(self, host: str, kind: str) -> bool:
        policy = self._listed.get(host)
        return policy is None or kind in policy.accept

    def blocked_hosts(self) -> frozenset[str]:
        hosts = {policy.host for policy in self._listed.values()} | self.verdicts.keys()
        return frozenset(host for host in hosts if self.is_blocked(host))
