"""The number shown. Pure.

Our video: our viewers + each peer's viewers within its quota. A remote video: ``L + max(0, T - Y)``, where L are our
viewers now, T what the origin last said, and Y how many of ours are in T. PeerTube shows T and adds to it whoever of
its own it hears next, which counts most of them twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from views.counters.base import Reading, Told
from views.model import UNVERIFIED
from views.ports import OriginTraits

ACK_MARGIN_MS = 2_000
"""A tell acknowledged this long before a total was signed is surely in it: inboxes work asynchronously."""


@dataclass(frozen=True, slots=True)
class Shown:
    """``viewers`` is the number; the rest explains it.

    ``local`` viewers of ours, ``peers`` viewers per host that were counted, ``unverified`` viewers above the quotas
    (not in ``viewers``). Of a remote video with a fresh total: ``remote_total`` is T, ``ours`` is Y.
    """

    viewers: int
    local: int
    peers: dict[str, int] = field(default_factory=dict)
    unverified: int = 0
    remote_total: int | None = None
    ours: int = 0

    @property
    def remote(self) -> int:
        """Viewers elsewhere."""
        return self.viewers - self.local


Believed = Callable[[dict[str, int]], dict[str, int]]
"""Of viewers by host: those that all hosts of one owner together are believed."""


def everybody(viewers: dict[str, int]) -> dict[str, int]:
    """Each host is judged by itself alone."""
    return viewers


def shown(
    video_is_local: bool,
    reading: Reading,
    quota_of: Callable[[str], int],
    now_ms: int,
    believed_together: Believed = everybody,
) -> Shown:
    """``quota_of(host)`` is how many viewers of one video that host is believed."""
    total = reading.total
    if not video_is_local and total is not None and now_ms < total.fresh_until_ms:
        return Shown(
            reading.local + max(0, total.count - total.ours),
            reading.local,
            remote_total=total.count,
            ours=total.ours,
        )
    peers = {
        host: min(count, max(0, quota_of(host)))
        for host, count in reading.peers.items()
        if not host.startswith(UNVERIFIED)
    }
    peers = believed_together(peers)
    believed = sum(peers.values())
    return Shown(
        reading.local + believed,
        reading.local,
        peers,
        unverified=sum(reading.peers.values()) - believed,
    )


def count_ours(told: Iterable[Told], signed_ms: int, traits: OriginTraits) -> int:
    """Y: how many of our viewers a total signed at ``signed_ms`` (our clock, never after its arrival) contains.

    Those whose tell the origin had acknowledged ``ACK_MARGIN_MS`` before and whose told life went on. An origin that
    ``appends`` (PeerTube before 7.1) counts every tell, others every viewer once.
    """
    known = [
        tell for tell in told if 0 < tell.acked_ms <= signed_ms - ACK_MARGIN_MS and tell.told_expires_ms > signed_ms
    ]
    return len(known) if traits.appends else len({tell.viewer for tell in known})
