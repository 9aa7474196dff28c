"""The usual View, and the usual batch of Views, in one typed decode and without a tree of dicts.

A typed decoder keeps the last of two members of one name, which another reader may not. Here no member is unknown and
there is no backslash, so every quotation mark of the body is one of a member's name or of a text that was kept: when
the body has exactly as many as the decoded shape explains, nothing was said twice. Whatever is unusual in any way is
left to the strict reader, which knows the reasons.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from federation.vocabulary import contexts
from federation.vocabulary.activities import Collection, View
from federation.vocabulary.view import ABSENT, judge_view
from foundation.errors import Refused
from foundation.urls import is_web_url


class _Signature(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: str
    creator: str
    created: str
    signatureValue: str  # noqa: N815


_SIGNATURE_TEXTS = 1 + 4 * 2


class _Result(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: str
    interactionType: str  # noqa: N815
    # Kept as written: a typed integer would also take 1.0 and -0.
    userInteractionCount: Raw  # noqa: N815
    yours: Raw | UnsetType = UNSET


class _View(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    id: str
    type: str
    actor: str
    object: str
    context: Raw | UnsetType = msgspec.field(default=UNSET, name="@context")
    to: list[str] | UnsetType = UNSET
    cc: list[str] | UnsetType = UNSET
    expires: str | UnsetType = UNSET
    published: str | UnsetType = UNSET
    result: _Result | UnsetType = UNSET
    signature: _Signature | UnsetType = UNSET


class _Batch(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    id: str
    type: str
    actor: str
    items: list[_View]
    context: Raw | UnsetType = msgspec.field(default=UNSET, name="@context")
    totalItems: str | UnsetType = UNSET  # noqa: N815
    to: list[str] | UnsetType = UNSET
    cc: list[str] | UnsetType = UNSET
    signature: _Signature | UnsetType = UNSET


_view_decoder = msgspec.json.Decoder(_View)
_batch_decoder = msgspec.json.Decoder(_Batch)


def _with_blanks(value: Any) -> bytes:
    return json.dumps(value).encode()


def _known_contexts() -> dict[bytes, int]:
    """The contexts we need not look into, as written with and without blanks, and how many texts each holds."""
    known = [contexts.VIEW, contexts.BASE, [contexts.ACTIVITYSTREAMS], contexts.ACTIVITYSTREAMS]
    written = [write(context) for context in known for write in (msgspec.json.encode, _with_blanks)]
    return {text: text.count(b'"') // 2 for text in written}


_CONTEXT_TEXTS = _known_contexts()
_UNUSUAL = -1_000_000


def _context_texts(context: Raw | UnsetType) -> int:
    return 0 if context is UNSET else 1 + _CONTEXT_TEXTS.get(bytes(context), _UNUSUAL)


def _list_texts(value: list[str] | UnsetType) -> int:
    return 0 if value is UNSET else 1 + len(value)


def _view_texts(shape: _View) -> int:
    """Member names and text values of a View, counted from what was kept."""
    texts = 8 + _context_texts(shape.context) + _list_texts(shape.to) + _list_texts(shape.cc)
    if shape.expires is not UNSET:
        texts += 2
    if shape.published is not UNSET:
        texts += 2
    if shape.signature is not UNSET:
        texts += _SIGNATURE_TEXTS
    if shape.result is not UNSET:
        texts += 6 if shape.result.yours is UNSET else 7
    return texts


def _batch_texts(shape: _Batch) -> int:
    texts = 7 + _context_texts(shape.context) + _list_texts(shape.to) + _list_texts(shape.cc)
    if shape.totalItems is not UNSET:
        texts += 2
    if shape.signature is not UNSET:
        texts += _SIGNATURE_TEXTS
    return texts + sum(map(_view_texts, shape.items))


def _count(written: Raw) -> int | None:
    """The integer, when it was written as plain digits; None sends the body to the strict reader."""
    text = bytes(written)
    return int(text) if text.isdigit() and len(text) <= 15 else None


def _judge(shape: _View, max_count: int) -> View | Refused | None:
    if shape.type != "View":
        return None
    result: tuple[Any, Any, Any, Any] | None = None
    if shape.result is not UNSET:
        stated = shape.result
        counter = _count(stated.userInteractionCount)
        yours = ABSENT if stated.yours is UNSET else _count(stated.yours)
        if counter is None or yours is None:
            return None
        result = (stated.type, stated.interactionType, counter, yours)
    return judge_view(
        shape.id,
        shape.actor,
        shape.object,
        expires=ABSENT if shape.expires is UNSET else shape.expires,
        published=None if shape.published is UNSET else shape.published,
        result=result,
        max_count=max_count,
    )


def _read_view(body: bytes, max_count: int) -> View | Refused | None:
    shape = _view_decoder.decode(body)
    if body.count(b'"') != 2 * _view_texts(shape):
        return None
    return _judge(shape, max_count)


def _read_batch(body: bytes, max_items: int, max_count: int) -> Collection | None:
    shape = _batch_decoder.decode(body)
    if body.count(b'"') != 2 * _batch_texts(shape) or shape.type != "Collection":
        return None
    if not is_web_url(shape.id) or not is_web_url(shape.actor):
        return None
    items: list[View | Refused] = []
    for item in shape.items[:max_items]:
        judged = _judge(item, max_count)
        if judged is None:
            return None
        items.append(judged)
    return Collection(shape.id, shape.actor, tuple(items), len(shape.items) - len(items))


def read_fast(body: bytes, max_items: int, max_count: int) -> View | Collection | Refused | None:
    """The verdict on a usual body; None when it is unusual and the strict reader has to look."""
    if b"\\" in body:
        return None
    try:
        if b'"items"' in body:
            return _read_batch(body, max_items, max_count)
        return _read_view(body, max_count)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
