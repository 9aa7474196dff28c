"""From the bytes of an inbox POST to an activity, or to the reason why not. Plain JSON; never JSON-LD."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from federation.vocabulary.activities import (
    Accept,
    Activity,
    Announce,
    Collection,
    Create,
    Delete,
    Follow,
    Reject,
    Single,
    Undo,
    UnknownActivity,
    Update,
    View,
)
from federation.vocabulary.fast import read_fast
from federation.vocabulary.objects import read_object, read_reference
from federation.vocabulary.strict import read_json
from federation.vocabulary.view import ABSENT, BAD_ACTOR, BAD_ID, MAX_COUNTER, judge_view
from foundation.errors import Refused
from foundation.urls import is_web_url

_COLLECTIONS = {
    "Collection": ("items", "orderedItems"),
    "CollectionPage": ("items", "orderedItems"),
    "OrderedCollection": ("orderedItems", "items"),
    "OrderedCollectionPage": ("orderedItems", "items"),
}

_BAD_OBJECT = Refused("bad_object", "object must be an http(s) URL or an object with an id")


def parse_activity(body: bytes, *, max_items: int, max_count: int = MAX_COUNTER) -> Activity | Refused:
    """Read the body of an inbox request.

    ``max_items`` bounds the activities of a Collection, ``max_count`` what a result may state. A Collection's items
    are judged one by one: its ``items`` hold activities and refusals in their order.

    Refused with 400 unless said: ``bad_json``, ``bad_number``, ``too_deep``, ``duplicate_key``, ``bad_shape`` (not an
    object, or no type), ``bad_id``, ``bad_actor``, ``bad_object``, ``bad_video``, ``bad_watch_action``,
    ``bad_expires`` (202: dropped), ``no_expires``, ``bad_counter``; in a Collection also ``nested_collection``.
    """
    quick = read_fast(body, max_items, max_count)
    return parse_strictly(body, max_items=max_items, max_count=max_count) if quick is None else quick


def parse_strictly(body: bytes, *, max_items: int, max_count: int = MAX_COUNTER) -> Activity | Refused:
    """What ``parse_activity`` says, without its short cut."""
    root = read_json(body)
    if isinstance(root, Refused):
        return root
    if isinstance(root, dict) and isinstance(root.get("type"), str) and root["type"] in _COLLECTIONS:
        return _collection(root, max_items, max_count)
    return _single(root, max_count)


def _collection(root: Mapping[str, Any], max_items: int, max_count: int) -> Collection | Refused:
    """Several activities in one POST, as PeerTube takes them; its page types may come without an id."""
    if not is_web_url(root.get("actor")):
        return BAD_ACTOR
    if root.get("id") is not None and not is_web_url(root["id"]):
        return BAD_ID
    first, second = _COLLECTIONS[root["type"]]
    items = root.get(first) or root.get(second) or []
    if not isinstance(items, list):
        return Refused("bad_shape", "items must be an array")
    kept = tuple(_single(item, max_count) for item in items[:max_items])
    return Collection(root.get("id") or "", root["actor"], kept, len(items) - len(kept))


def _single(value: Any, max_count: int) -> Single | Refused:
    if not isinstance(value, dict):
        return Refused("bad_shape", "an activity must be an object")
    kind = value.get("type")
    if not isinstance(kind, str) or not kind:
        return Refused("bad_shape", "type must be one word")
    if kind in _COLLECTIONS:
        return Refused("nested_collection", "a collection inside a collection")
    if kind == "View":
        return _view(value, max_count)
    id_, actor = value.get("id"), value.get("actor")
    if not is_web_url(id_):
        return BAD_ID
    if not is_web_url(actor):
        return BAD_ACTOR
    reader = _READERS.get(kind)
    return UnknownActivity(id_, actor, kind[:100]) if reader is None else reader(id_, actor, value.get("object"))


def _view(value: Mapping[str, Any], max_count: int) -> View | Refused:
    # PeerTube up to 7.x reads ``expiration`` too: a View that went through JSON-LD compaction there comes out with it.
    expires = value["expires"] if "expires" in value else value.get("expiration", ABSENT)
    result = None
    if "result" in value:
        stated = value["result"]
        if not isinstance(stated, dict):
            stated = {}
        result = (
            stated.get("type"),
            stated.get("interactionType"),
            stated.get("userInteractionCount"),
            stated.get("yours", ABSENT),
        )
    return judge_view(
        value.get("id"),
        value.get("actor"),
        value.get("object"),
        expires=expires,
        published=value.get("published"),
        result=result,
        max_count=max_count,
    )


def _quoted_follow(value: Any) -> Follow | str | None:
    """The Follow an answer is about: its id, or the Follow itself, which some quote without an id."""
    if is_web_url(value):
        return value
    if not isinstance(value, dict) or value.get("type") != "Follow":
        return None
    id_, actor, object_ = value.get("id"), value.get("actor"), read_reference(value.get("object"))
    if object_ is None or not is_web_url(actor) or not (id_ is None or is_web_url(id_)):
        return None
    return Follow(id_ or "", actor, object_)


def _reads_reference(
    make: Callable[[str, str, str], Single],
) -> Callable[[str, str, Any], Single | Refused]:
    def read(id_: str, actor: str, value: Any) -> Single | Refused:
        object_ = read_reference(value)
        return _BAD_OBJECT if object_ is None else make(id_, actor, object_)

    return read


def _reads_answer(
    make: Callable[[str, str, Follow | str], Single], kind: str
) -> Callable[[str, str, Any], Single | Refused]:
    def read(id_: str, actor: str, value: Any) -> Single | Refused:
        if isinstance(value, dict) and isinstance(value.get("type"), str) and value["type"] != "Follow":
            return UnknownActivity(id_, actor, kind)
        object_ = _quoted_follow(value)
        return _BAD_OBJECT if object_ is None else make(id_, actor, object_)

    return read


def _undo(id_: str, actor: str, value: Any) -> Undo | Refused:
    if is_web_url(value):
        return Undo(id_, actor, value)
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        return _BAD_OBJECT
    kind = value["type"]
    if kind == "Follow":
        follow = _quoted_follow(value)
        return _BAD_OBJECT if follow is None else Undo(id_, actor, follow)
    inner, owner = value.get("id"), value.get("actor", actor)
    if not is_web_url(inner) or not is_web_url(owner):
        return _BAD_OBJECT
    shared = read_reference(value.get("object")) if kind == "Announce" else None
    if shared is not None:
        return Undo(id_, actor, Announce(inner, owner, shared))
    return Undo(id_, actor, UnknownActivity(inner, owner, kind[:100]))


def _create(id_: str, actor: str, value: Any) -> Create | Refused:
    object_ = read_object(value)
    return object_ if isinstance(object_, Refused) else Create(id_, actor, object_)


def _update(id_: str, actor: str, value: Any) -> Update | Refused:
    object_ = read_object(value)
    return object_ if isinstance(object_, Refused) else Update(id_, actor, object_)


_READERS: dict[str, Callable[[str, str, Any], Single | Refused]] = {
    "Follow": _reads_reference(Follow),
    "Announce": _reads_reference(Announce),
    "Delete": _reads_reference(Delete),
    "Accept": _reads_answer(Accept, "Accept"),
    "Reject": _reads_answer(Reject, "Reject"),
    "Undo": _undo,
    "Create": _create,
    "Update": _update,
}
