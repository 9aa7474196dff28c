"""Reading NodeInfo (schema 2.0 and 2.1, FEP-2677) of a peer, and what its software can do. Pure; believes little."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from federation.peers.model import PeerKind, Software
from foundation.urls import authority, is_web_url

SCHEMA = "http://nodeinfo.diaspora.software/ns/schema/"
APPLICATION_REL = "https://www.w3.org/ns/activitystreams#Application"
"""Link relation of the instance actor in the NodeInfo index (FEP-2677); PeerTube follows a bare host through it."""

MAX_LINKS = 32
MAX_TEXT = 100
MAX_WHOLE = 1_000_000_000

_VERSION = re.compile(r"v?(\d{1,5})\.(\d{1,5})", re.ASCII)


def _links(index: object) -> list[Mapping[str, Any]]:
    links = index.get("links") if isinstance(index, Mapping) else None
    return [link for link in links[:MAX_LINKS] if isinstance(link, Mapping)] if isinstance(links, list) else []


def _link(index: object, host: str, rel: str) -> str | None:
    for link in _links(index):
        href = link.get("href")
        # The index is the peer's own word about itself: it may not send us to anybody else.
        if link.get("rel") == rel and is_web_url(href) and authority(href) == host:
            return str(href)
    return None


def nodeinfo_url(index: object, host: str) -> str | None:
    """Where the NodeInfo document of ``host`` is, by its decoded ``/.well-known/nodeinfo``; on that host only."""
    return _link(index, host, SCHEMA + "2.1") or _link(index, host, SCHEMA + "2.0")


def instance_actor_url(index: object, host: str) -> str | None:
    """The actor to follow for all of ``host``, by its decoded ``/.well-known/nodeinfo``; on that host only."""
    return _link(index, host, APPLICATION_REL)


def read_nodeinfo(document: object) -> Software | None:
    """The software a decoded NodeInfo document names; None when it names none."""
    software = document.get("software") if isinstance(document, Mapping) else None
    name = software.get("name") if isinstance(software, Mapping) else None
    if not isinstance(document, Mapping) or not isinstance(software, Mapping) or not isinstance(name, str) or not name:
        return None
    version = software.get("version")
    metadata = document.get("metadata")
    offers = metadata.get("fediviews") if isinstance(metadata, Mapping) else None
    if not isinstance(offers, Mapping) or name.lower() != "fediviews":
        offers = {}
    return Software(
        name=name[:MAX_TEXT].lower(),
        version=version[:MAX_TEXT] if isinstance(version, str) else "",
        yours=offers.get("yours") is True,
        batch=offers.get("batch") is True,
        batch_items=_whole(offers.get("batchItems")),
        max_body_bytes=_whole(offers.get("maxBody")),
    )


def _whole(value: object) -> int:
    """A number that somebody may well mean; else 0."""
    return value if type(value) is int and 0 < value <= MAX_WHOLE else 0


def kind_of(software: Software | None) -> PeerKind:
    if software is None:
        return PeerKind.UNKNOWN
    if software.name == "peertube":
        return PeerKind.PEERTUBE
    return PeerKind.FEDIVIEWS if software.name == "fediviews" else PeerKind.OTHER


def appends_viewers(software: Software | None) -> bool:
    """Whether a viewer that is told again counts twice there until its first telling expires (PeerTube before 7.1).

    A PeerTube that does not say its version is taken for an old one: telling late is the smaller error.
    """
    if software is None or software.name != "peertube":
        return False
    version = _VERSION.match(software.version)
    return version is None or (int(version[1]), int(version[2])) < (7, 1)
