"""What we say, in the shapes PeerTube 6.3 reads and writes: dicts without ``@context``, which ``encode`` adds.

``to`` and ``cc`` are always arrays of full URLs: PeerTube drops a View whose audience is anything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from federation.vocabulary.activities import Follow
from federation.vocabulary.contexts import PUBLIC, context_for
from foundation.clock import iso_ms

Document: TypeAlias = dict[str, Any]
"""A JSON object on its way out."""


def encode(document: Document) -> bytes:
    """The body to send or serve: the document under the ``@context`` that fits it, without blanks, UTF-8."""
    return msgspec.json.encode({"@context": context_for(document), **document})


def view_id(actor: str, number: int, identifier: str) -> str:
    """The id of a View: a counted view's fresh UUID, a viewer's wire id, or the video's own UUID for its totals.

    ``number`` is the video's integer id here. One id per video makes totals replace each other, one per viewer makes
    a re-sent viewer extend.
    """
    return f"{actor}/views/videos/{number}/{identifier}"


def view_counted(*, actor: str, number: int, view_uuid: str, video: str, to: Sequence[str]) -> Document:
    """A counted view of ``video`` (its ActivityPub id)."""
    return {
        "to": list(to),
        "cc": [],
        "id": view_id(actor, number, view_uuid),
        "type": "View",
        "actor": actor,
        "object": video,
    }


def view_viewer(
    *, actor: str, number: int, wire_id: str, video: str, to: Sequence[str], expires_ms: int, published_ms: int
) -> Document:
    """A viewer of ours on a remote ``video``, for its origin: here until ``expires_ms``."""
    view = view_counted(actor=actor, number=number, view_uuid=wire_id, video=video, to=to)
    return {**view, "expires": iso_ms(expires_ms), "published": iso_ms(published_ms), "result": _counter(1)}


def view_total(
    *,
    actor: str,
    number: int,
    video_uuid: str,
    video: str,
    to: Sequence[str],
    total: int,
    expires_ms: int,
    published_ms: int,
    yours: int | None = None,
) -> Document:
    """How many watch a video of ours, until ``expires_ms``; ``yours`` of them are the receiver's (Fediviews only)."""
    view = view_counted(actor=actor, number=number, view_uuid=video_uuid, video=video, to=to)
    result = _counter(total) if yours is None else {**_counter(total), "yours": yours}
    return {**view, "expires": iso_ms(expires_ms), "published": iso_ms(published_ms), "result": result}


def _counter(count: int) -> Document:
    return {"interactionType": "WatchAction", "type": "InteractionCounter", "userInteractionCount": count}


def collection(*, actor: str, id_: str, items: Sequence[Document] | Sequence[msgspec.Raw]) -> Document:
    """Several activities of ``actor``, encoded or not, in one POST. PeerTube 6.3 wants ``totalItems`` as a text."""
    return {"type": "Collection", "id": id_, "actor": actor, "totalItems": str(len(items)), "items": list(items)}


def follow(*, actor: str, number: int, object_: str) -> Document:
    """``actor`` (ours) asks to follow ``object_``."""
    return {"type": "Follow", "id": f"{actor}/follows/{number}", "actor": actor, "object": object_}


def _quoted(request: Follow) -> Document:
    quoted = {"type": "Follow", "id": request.id, "actor": request.actor, "object": request.object}
    if not request.id:
        del quoted["id"]
    return quoted


def accept(*, base_url: str, number: int, request: Follow) -> Document:
    """Yes to a Follow of an actor of ours; goes to the follower's own inbox, not the shared one."""
    id_ = f"{base_url}/accepts/follows/{number}"
    return {"type": "Accept", "id": id_, "actor": request.object, "object": _quoted(request)}


def reject(*, base_url: str, number: int, request: Follow) -> Document:
    """No to a Follow of an actor of ours; goes to the follower's own inbox."""
    id_ = f"{base_url}/rejects/follows/{number}"
    return {"type": "Reject", "id": id_, "actor": request.object, "object": _quoted(request)}


def undo_follow(request: Follow) -> Document:
    """Our Follow no longer holds; goes to the followed actor's own inbox."""
    return {
        "to": [PUBLIC],
        "cc": [f"{request.actor}/followers"],
        "type": "Undo",
        "id": f"{request.id}/undo",
        "actor": request.actor,
        "object": _quoted(request),
    }


def announce(*, actor: str, number: int, video: str, to: Sequence[str]) -> Document:
    """``actor`` shares a video of ours; by the followed Application actor this makes PeerTube import it."""
    return {
        "to": list(to),
        "cc": [],
        "type": "Announce",
        "id": f"{video}/announces/{number}",
        "actor": actor,
        "object": video,
    }


def update(*, actor: str, object_: Document, updated_ms: int, to: Sequence[str], cc: Sequence[str] = ()) -> Document:
    """``object_`` (a whole Video document without ``@context``) changed at ``updated_ms``; the id says when."""
    return {
        "to": list(to),
        "cc": list(cc),
        "type": "Update",
        "id": f"{object_['id']}/updates/{iso_ms(updated_ms)}",
        "actor": actor,
        "object": object_,
    }


def create(*, actor: str, object_: Document, to: Sequence[str], cc: Sequence[str] = ()) -> Document:
    """``object_`` is new: a WatchAction for a video's origin, or a Video."""
    return {
        "to": list(to),
        "cc": list(cc),
        "type": "Create",
        "id": f"{object_['id']}/activity",
        "actor": actor,
        "object": object_,
    }


def delete(*, actor: str, object_: str, to: Sequence[str]) -> Document:
    """``object_`` (the id of a video or actor of ours) is gone."""
    return {
        "to": list(to),
        "cc": [],
        "type": "Delete",
        "id": f"{object_}/delete",
        "actor": actor,
        "object": object_,
    }
