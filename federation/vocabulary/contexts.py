"""The ``@context`` members PeerTube 6.3 writes, term for term. For readers who do JSON-LD; we never do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

ACTIVITYSTREAMS = "https://www.w3.org/ns/activitystreams"
SECURITY = "https://w3id.org/security/v1"
MULTIKEY = ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"]
"""For ``assertionMethod`` (FEP-521a)."""
PUBLIC = "https://www.w3.org/ns/activitystreams#Public"
"""The special collection of everybody (ActivityPub section 5.6)."""

CONTENT_TYPE = "application/activity+json"

_SPACES = {"pt": "https://joinpeertube.org/ns#", "sc": "http://schema.org/"}


def _typed(kind: str, name: str) -> dict[str, str]:
    return {"@type": kind, "@id": name}


BASE: list[Any] = [
    ACTIVITYSTREAMS,
    SECURITY,
    {"RsaSignature2017": "https://w3id.org/security#RsaSignature2017"},
]

VIEW: list[Any] = [
    *BASE,
    {
        **_SPACES,
        "WatchAction": "sc:WatchAction",
        "InteractionCounter": "sc:InteractionCounter",
        "interactionType": "sc:interactionType",
        "userInteractionCount": "sc:userInteractionCount",
    },
]

WATCH_ACTION: list[Any] = [
    *BASE,
    {
        **_SPACES,
        "WatchAction": "sc:WatchAction",
        "startTimestamp": _typed("sc:Number", "pt:startTimestamp"),
        "endTimestamp": _typed("sc:Number", "pt:endTimestamp"),
        "uuid": _typed("sc:identifier", "pt:uuid"),
        "actionStatus": "sc:actionStatus",
        "watchSections": _typed("@id", "pt:watchSections"),
        "addressRegion": "sc:addressRegion",
        "addressCountry": "sc:addressCountry",
    },
]

ACTOR: list[Any] = [*BASE, {**_SPACES, "support": _typed("sc:Text", "pt:support")}]

VIDEO: list[Any] = [
    *BASE,
    {
        **_SPACES,
        "Hashtag": "as:Hashtag",
        "sensitive": "as:sensitive",
        "language": "sc:inLanguage",
        "identifier": "sc:identifier",
        "isLiveBroadcast": "sc:isLiveBroadcast",
        "liveSaveReplay": _typed("sc:Boolean", "pt:liveSaveReplay"),
        "permanentLive": _typed("sc:Boolean", "pt:permanentLive"),
        "latencyMode": _typed("sc:Number", "pt:latencyMode"),
        "uuid": _typed("sc:identifier", "pt:uuid"),
        "originallyPublishedAt": "sc:datePublished",
        "views": _typed("sc:Number", "pt:views"),
        "state": _typed("sc:Number", "pt:state"),
        "commentsEnabled": _typed("sc:Boolean", "pt:commentsEnabled"),
        "commentsPolicy": _typed("sc:Number", "pt:commentsPolicy"),
        "downloadEnabled": _typed("sc:Boolean", "pt:downloadEnabled"),
        "waitTranscoding": _typed("sc:Boolean", "pt:waitTranscoding"),
        "support": _typed("sc:Text", "pt:support"),
        "likes": _typed("@id", "as:likes"),
        "dislikes": _typed("@id", "as:dislikes"),
        "shares": _typed("@id", "as:shares"),
        "comments": _typed("@id", "as:comments"),
    },
]
"""Only the terms our own Video documents use."""

_CONTEXTS: dict[str, list[Any]] = {
    "View": VIEW,
    "WatchAction": WATCH_ACTION,
    "Video": VIDEO,
    "Application": ACTOR,
    "Person": ACTOR,
    "Group": ACTOR,
}


ALL: tuple[list[Any], ...] = (VIEW, WATCH_ACTION, VIDEO, ACTOR, BASE)
"""Every context that ``context_for`` gives."""


def merged(contexts: Sequence[list[Any]]) -> list[Any]:
    """One context for documents of several: ours give a term the same meaning wherever they have it."""
    if len(contexts) == 1:
        return contexts[0]
    terms = {name: meaning for context in contexts for name, meaning in context[-1].items()}
    return [*BASE, terms] if contexts else BASE


def context_for(document: dict[str, Any]) -> list[Any]:
    """The context that fits a document: its own type's, its object's, or its first item's."""
    if "assertionMethod" in document:
        return [*BASE, *MULTIKEY, *ACTOR[len(BASE) :]]
    found = _CONTEXTS.get(document["type"])
    if found is not None:
        return found
    inner = document.get("object")
    if inner is None:
        items = document.get("items") or document.get("orderedItems") or [None]
        inner = items[0]
    return context_for(inner) if isinstance(inner, dict) and "type" in inner else BASE
