"""What hosts run, and what follows from it: whether they count views, take several at once, how they count."""

from __future__ import annotations

from federation.peers.known import KnownPeers
from federation.peers.model import PeerKind, Software, Switch
from federation.peers.policies import Policies
from federation.peers.software import appends_viewers, kind_of, read_nodeinfo
from foundation.clock import Clock

NODEINFO_RETRY_MS = 3_600_000
NODEINFO_PATIENCE_MS = 1_800_000
"""A host that has not said for so long what it runs is taken for one that does not count views."""


class SoftwareBook:
    """Over what is known of hosts: their NodeInfo is read again each ``software_ttl_ms``."""

    def __init__(self, policies: Policies, known: KnownPeers, clock: Clock, software_ttl_ms: int) -> None:
        self._policies = policies
        self._known = known
        self._clock = clock
        self._software_ttl_ms = software_ttl_ms

    def of(self, host: str) -> Software | None:
        """None: it did not say."""
        return self._known.software(host)

    def kind(self, host: str) -> PeerKind:
        return kind_of(self._known.software(host))

    def learn(self, host: str, document: object, now_ms: int) -> Software | None:
        """Take a host's decoded NodeInfo document; None for ``document`` notes that it could not be had."""
        software = read_nodeinfo(document)
        self._known.learn_software(host, software, now_ms)
        return software

    def nodeinfo_due(self, host: str, now_ms: int) -> bool:
        """Whether to read a host's NodeInfo (again): each ``software_ttl_ms``, and hourly while it is unknown."""
        checked_ms = self._known.nodeinfo_checked_ms(host)
        known = self._known.software(host) is not None
        life_ms = self._software_ttl_ms if known else min(NODEINFO_RETRY_MS, self._software_ttl_ms)
        return checked_ms is None or not 0 <= now_ms - checked_ms < life_ms

    def understands_views(self, host: str) -> bool | None:
        """Whether its software counts views (PeerTube, Fediviews); None while its NodeInfo is awaited."""
        kind = self.kind(host)
        if kind is not PeerKind.UNKNOWN:
            return kind is not PeerKind.OTHER
        since_ms = self._known.silent_since_ms(host)
        # Whatever else is for it waits behind the first view until this is decided.
        return False if since_ms is not None and self._clock.now_ms() - since_ms >= NODEINFO_PATIENCE_MS else None

    def wants_totals(self, host: str) -> bool | None:
        """Whether totals go to this follower: as configured, else as its software understands; None: not known yet."""
        switch = self._policies.policy(host).totals
        return self.understands_views(host) if switch is Switch.AUTO else switch is Switch.ON

    def takes_batches(self, host: str) -> bool:
        """Whether several Views go to it in one Collection: as configured, else PeerTube, or Fediviews offering it."""
        switch = self._policies.policy(host).batch
        if switch is not Switch.AUTO:
            return switch is Switch.ON
        software = self._known.software(host)
        return software is not None and (software.batch or software.name == "peertube")

    def appends_viewers(self, host: str) -> bool:
        """Whether a viewer told again counts twice there for a while (PeerTube before 7.1)."""
        return appends_viewers(self._known.software(host))

    def says_yours(self, host: str) -> bool:
        """Whether its totals say how many of the counted viewers are ours, and it wants to hear the same of us."""
        software = self._known.software(host)
        return software is not None and software.yours
