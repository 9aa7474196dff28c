"""What the door out has to know of a peer, as one value per look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from outbox.totals import Cadence


@dataclass(frozen=True, slots=True)
class Route:
    """How to talk to a host now.

    ``inboxes`` are those of its actors that follow us, shared ones once; empty for a host that does not follow.
    ``views`` says whether it understands Views: None until its software is known. ``batch``: it takes several
    activities in one Collection. ``yours``: its totals may say how many of the viewers are its own.
    """

    host: str
    inboxes: tuple[str, ...] = ()
    views: bool | None = None
    cadence: Cadence = Cadence.SLOW
    batch: bool = False
    yours: bool = False
    blocked: bool = False


class RouteBook(Protocol):
    """Routes of peers, read anew for every round: what an administrator changes holds at once."""

    def route(self, host: str) -> Route: ...

    def follower_hosts(self) -> Sequence[str]:
        """Hosts of accepted followers, each once."""
