"""What a round with one peer consists of: the durable activities, then viewers for their origin, then totals.

Each lane does a bounded amount, stops at the first sign of a peer in trouble, and says what it met.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from federation.signatures.reasons import SignatureReason
from foundation.clock import Clock
from foundation.errors import Refused
from foundation.metrics import Metrics
from outbox.batching import Batch, BatchMemory
from outbox.bodies import Item, Outgoing, Parcel, bodies
from outbox.inboxes import BROKEN_OFF
from outbox.posting import Outcome, Poster
from outbox.retry import Meaning, may_be_poison
from outbox.routing import Route


@dataclass(frozen=True, slots=True)
class Served:
    """How a lane ended: ``failure`` when the peer is in trouble, ``more`` when there is work left right now."""

    failure: Outcome | None = None
    more: bool = False
    sent: int = 0


def without_inbox(refusal: Refused) -> Outcome:
    """What it means that an actor's document cannot be had or believed: a host that does not answer is in trouble, an
    actor that is gone or nonsense is the trouble of what is for it alone."""
    passing = refusal.reason in (SignatureReason.KEY_UNAVAILABLE, BROKEN_OFF)
    return Outcome(Meaning.LATER if passing else Meaning.GONE, refusal.reason)


class Courier:
    """Posts parcels to a peer, and remembers who does not take Collections."""

    def __init__(self, poster: Poster, clock: Clock, metrics: Metrics, *, batches: BatchMemory | None = None) -> None:
        self._poster = poster
        self._clock = clock
        self._serial = 0
        self._batches = batches if batches is not None else BatchMemory()
        self.dropped = metrics.counter(
            "fediviews_undelivered_total", "Activities that were given up, by kind and reason", ["kind", "reason"]
        )

    def pack(self, route: Route, activities: Sequence[Outgoing[Item]]) -> list[Parcel[Item]]:
        self._serial += 1
        return bodies(
            activities,
            batch=self.batch(route),
            serial=f"{self._clock.now_ms()}-{self._serial}",
            max_items=route.batch_items,
            max_bytes=route.batch_bytes,
        )

    def batch(self, route: Route) -> Batch:
        """What goes to the peer together now: as its route says, unless it refused that lately."""
        may_try = self._batches.may_try(route.host, self._clock.monotonic_ms())
        return route.batch if may_try else Batch.NOTHING

    async def deliver(self, route: Route, parcel: Parcel[Item]) -> Outcome:
        """Post to the parcel's inbox; to the one of the host's followers when it names none."""
        inbox = parcel.inbox or route.inbox
        if inbox is None:
            return Outcome(Meaning.GONE, "no_inbox")
        outcome = await self._poster.post(route.host, parcel.actor, inbox, parcel.body)
        if len(parcel.items) > 1:
            if outcome.delivered:
                self._batches.taken(route.host)
            elif may_be_poison(outcome.status):
                self._batches.broke(route.host, self._clock.monotonic_ms())
        return outcome

    def one_by_one(self, host: str) -> None:
        """The peer refused a Collection."""
        self._batches.refused(host, self._clock.monotonic_ms())
