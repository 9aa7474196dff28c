"""What the door out has to know of a peer, as one value per look."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from federation.peers import Follower, PeerKind, Peers, Switch
from outbox.batching import Batch
from outbox.bodies import ENVELOPE_BYTES, MAX_BODY_BYTES, MAX_ITEMS, MAX_OFFERED_BYTES, MAX_OFFERED_ITEMS
from outbox.cadence import Cadence


@dataclass(frozen=True, slots=True)
class Route:
    """How to talk to a host now.

    ``inbox`` is the one through which its followers hear us; None for a host that does not follow. ``views`` says
    whether it understands counted Views, ``totals`` whether it gets totals: None until its software is known.
    ``batch`` is what it takes several of in one Collection, at most ``batch_items`` of ``batch_bytes`` together.
    ``yours``: totals say how many viewers are its own. ``clock_ahead_ms``: add it to an instant of ours to say the same
    in the peer's own time.
    """

    host: str
    inbox: str | None = None
    views: bool | None = None
    totals: bool | None = None
    cadence: Cadence = Cadence.SLOW
    batch: Batch = Batch.NOTHING
    batch_items: int = MAX_ITEMS
    batch_bytes: int = MAX_BODY_BYTES
    yours: bool = False
    clock_ahead_ms: int = 0
    blocked: bool = False


class BatchReason(enum.Enum):
    """Why a peer gets several activities together, or one by one."""

    CONFIGURED = "configured"
    """``peers[].batch`` says so."""

    SOFTWARE = "software"
    """Its NodeInfo names software that is known to take Collections, or to take none."""

    OFFERED = "offered"
    """A Fediviews whose NodeInfo offers it, or does not."""

    REFUSED = "refused"
    """It refused one lately: one by one, for a while."""

    UNKNOWN = "unknown"
    """Its NodeInfo was not read yet: one by one."""


class RouteBook(Protocol):
    """Routes of peers, read anew for every round: what an administrator changes holds at once."""

    def route(self, host: str) -> Route: ...

    def follower_hosts(self) -> Sequence[str]:
        """Hosts of followers that may hear us, each once."""


class PeerRoutes:
    """The routes that the peer registry knows."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._followers: tuple[Follower, ...] = ()
        self._inboxes: dict[str, str] = {}
        self._hosts: tuple[str, ...] = ()

    def route(self, host: str) -> Route:
        self._refresh()
        peers = self._peers
        items, size = self._batch_limits(host)
        return Route(
            host,
            inbox=self._inboxes.get(host),
            views=peers.software.understands_views(host),
            totals=peers.software.wants_totals(host),
            cadence=Cadence.FAST if peers.software.kind(host) is PeerKind.FEDIVIEWS else Cadence.SLOW,
            batch=self._batch(host),
            batch_items=items,
            batch_bytes=size,
            yours=peers.software.says_yours(host),
            clock_ahead_ms=self._clock_ahead_ms(host),
            blocked=peers.policy(host).blocked or peers.may_speak(host) is not None,
        )

    def _batch(self, host: str) -> Batch:
        if not self._peers.software.takes_batches(host):
            return Batch.NOTHING
        return Batch.EVERYTHING if self._peers.software.kind(host) is PeerKind.FEDIVIEWS else Batch.VIEWS

    def _batch_limits(self, host: str) -> tuple[int, int]:
        """As its NodeInfo offers, within what we want to send at once; else what any server takes."""
        software = self._peers.software.of(host)
        if software is None or not software.batch_items or not software.max_body_bytes:
            return MAX_ITEMS, MAX_BODY_BYTES
        size = min(software.max_body_bytes - ENVELOPE_BYTES, MAX_OFFERED_BYTES)
        return min(software.batch_items, MAX_OFFERED_ITEMS), max(size, 1)

    def _clock_ahead_ms(self, host: str) -> int:
        """PeerTube holds what expires against its own clock; our own kind takes our clock out by itself."""
        return 0 if self._peers.software.kind(host) is PeerKind.FEDIVIEWS else -self._peers.clock_offset_ms(host)

    def batch_reason(self, host: str) -> BatchReason:
        """Where ``Route.batch`` comes from."""
        if self._peers.policy(host).batch is not Switch.AUTO:
            return BatchReason.CONFIGURED
        kind = self._peers.software.kind(host)
        if kind is PeerKind.UNKNOWN:
            return BatchReason.UNKNOWN
        return BatchReason.OFFERED if kind is PeerKind.FEDIVIEWS else BatchReason.SOFTWARE

    def follower_hosts(self) -> Sequence[str]:
        self._refresh()
        return self._hosts

    def _refresh(self) -> None:
        # The registry hands out the same tuple until something moved.
        followers = self._peers.followers()
        if followers is not self._followers:
            self._followers = followers
            self._inboxes = {follower.host: follower.inbox for follower in followers}
            self._hosts = tuple(self._inboxes)
