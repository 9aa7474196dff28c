"""How activities become bodies of requests: one each, or many in a Collection where the peer takes one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from federation.vocabulary.build import collection
from federation.vocabulary.contexts import ALL, merged
from outbox.batching import Batch

MAX_BODY_BYTES = 90_000
"""PeerTube's nginx takes 100 kB; room is left for what stands around the items."""
MAX_ITEMS = 200
"""Of whoever does not say how many it takes."""

MAX_OFFERED_BYTES = 400_000
MAX_OFFERED_ITEMS = 500
"""Of whoever offers as much: more would only make a lost request dearer."""

ENVELOPE_BYTES = 2_000
"""What stands around the items, at most."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Outgoing(Generic[Item]):
    """One activity to be sent: ``body`` is complete JSON. ``item`` is whatever the caller wants back with its fate.

    ``alike`` says what a peer has to take together for this activity to be among it.
    """

    actor: str
    inbox: str
    body: bytes
    item: Item
    alike: Batch = Batch.VIEWS


@dataclass(frozen=True, slots=True)
class Parcel(Generic[Item]):
    """One request: who signs it, where it goes, and what it delivers."""

    actor: str
    inbox: str
    body: bytes
    items: tuple[Item, ...]


def bodies(
    activities: Sequence[Outgoing[Item]],
    *,
    batch: Batch,
    serial: str,
    max_items: int = MAX_ITEMS,
    max_bytes: int = MAX_BODY_BYTES,
) -> list[Parcel[Item]]:
    """The requests that deliver these activities, in their order.

    Neighbours of the same actor and inbox that ``batch`` lets travel together share one, up to ``max_items`` of
    ``max_bytes`` together; ``serial`` makes the ids of their Collections new.
    """
    parcels: list[Parcel[Item]] = []
    group: list[Outgoing[Item]] = []
    size = 0
    for one in activities:
        bare = len(one.body) if batch is Batch.NOTHING else len(_bare(one.body))
        full = size + bare > max_bytes or len(group) >= max_items
        if group and (full or not _together(batch, group[0], one)):
            parcels.append(_parcel(group, f"{serial}-{len(parcels)}"))
            group, size = [], 0
        group.append(one)
        size += bare
    if group:
        parcels.append(_parcel(group, f"{serial}-{len(parcels)}"))
    return parcels


def _together(batch: Batch, first: Outgoing[Item], other: Outgoing[Item]) -> bool:
    if (first.actor, first.inbox) != (other.actor, other.inbox) or Batch.NOTHING in (first.alike, other.alike):
        return False
    if batch is Batch.VIEWS:
        return first.alike is other.alike is Batch.VIEWS
    return batch is Batch.EVERYTHING


def _parcel(group: Sequence[Outgoing[Item]], serial: str) -> Parcel[Item]:
    first = group[0]
    if len(group) == 1:
        return Parcel(first.actor, first.inbox, first.body, (first.item,))
    items = [msgspec.Raw(_bare(one.body)) for one in group]
    whole = collection(actor=first.actor, id_=f"{first.actor}/collections/{serial}", items=items)
    found = [context for context, beginning in _BEGINNINGS if any(one.body.startswith(beginning) for one in group)]
    body = msgspec.json.encode({"@context": merged(found), **whole})
    return Parcel(first.actor, first.inbox, body, tuple(one.item for one in group))


_BEGINNINGS = tuple((context, b'{"@context":%b,' % msgspec.json.encode(context)) for context in ALL)
"""Of the bodies that we encode."""


def _bare(body: bytes) -> bytes:
    """Without its ``@context``: that of the Collection is enough."""
    for _, beginning in _BEGINNINGS:
        if body.startswith(beginning):
            return b"{" + body[len(beginning) :]
    members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    members.pop("@context", None)
    return msgspec.json.encode(members)
