"""How activities become bodies of requests: one each, or many in a Collection where the peer takes one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from federation.vocabulary.build import Document, collection, encode
from outbox.batching import Batch

MAX_BODY_BYTES = 90_000
"""PeerTube's nginx takes 100 kB; room is left for what stands around the items."""
MAX_ITEMS = 200

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


def bodies(activities: Sequence[Outgoing[Item]], *, batch: Batch, serial: str) -> list[Parcel[Item]]:
    """The requests that deliver these activities, in their order.

    Neighbours of the same actor and inbox that ``batch`` lets travel together share one, within `MAX_BODY_BYTES` and
    `MAX_ITEMS`; ``serial`` makes the ids of their Collections new.
    """
    parcels: list[Parcel[Item]] = []
    group: list[Outgoing[Item]] = []
    size = 0
    for one in activities:
        bare = len(one.body) if batch is Batch.NOTHING else _bare_size(one.body)
        full = size + bare > MAX_BODY_BYTES or len(group) >= MAX_ITEMS
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
    # The first one's members decide about the @context, those of the others are copied as they are.
    items = [_bare(msgspec.json.decode(first.body)), *(_bare(_members(one.body)) for one in group[1:])]
    body = encode(collection(actor=first.actor, id_=f"{first.actor}/collections/{serial}", items=items))
    return Parcel(first.actor, first.inbox, body, tuple(one.item for one in group))


def _members(body: bytes) -> dict[str, msgspec.Raw]:
    return msgspec.json.decode(body, type=dict[str, msgspec.Raw])


def _bare(document: Document) -> Document:
    document.pop("@context", None)
    return document


def _bare_size(body: bytes) -> int:
    return len(body) - len(bytes(_members(body).get("@context", b"")))
