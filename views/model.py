"""The nouns of the domain."""

from __future__ import annotations

import enum
from dataclasses import dataclass

LOCAL = ""
UNVERIFIED = "?"
"""What the source of a peer's viewers begins with who came beyond its quotas; no host begins so."""
"""The source of viewers of ours, where a peer's host would stand."""


class Privacy(enum.Enum):
    """PUBLIC and UNLISTED take part in federation (UNLISTED is not announced); PRIVATE never leaves the house."""

    PUBLIC = "public"
    UNLISTED = "unlisted"
    PRIVATE = "private"


@dataclass(frozen=True, slots=True)
class Video:
    """One video or live stream, ours or a remote instance's.

    ``number`` is the integer id clients use (sockets too), never reused. ``url`` is the global id and ``origin`` its
    authority (host with port); ``local`` says that we are that origin. ``owner`` names who is told about viewers of a
    remote video; it means nothing here. ``views`` is the counted total as last committed (a remote video's is what its
    origin last said).
    """

    number: int
    uuid: str
    url: str
    origin: str
    local: bool
    name: str
    duration_s: int
    is_live: bool
    channel: str
    privacy: Privacy
    published_ms: int
    updated_ms: int
    views: int = 0
    owner: str = ""
    page_url: str | None = None
    description: str | None = None

    @property
    def federated(self) -> bool:
        """May anything about it be told to other instances?"""
        return self.privacy is not Privacy.PRIVATE


@dataclass(frozen=True, slots=True)
class VideoDraft:
    """What a host application (or config.yaml) says about a video of ours."""

    uuid: str
    name: str
    duration_s: int
    is_live: bool = False
    channel: str = "main"
    privacy: Privacy = Privacy.PUBLIC
    published_ms: int | None = None
    page_url: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class RemoteVideo:
    """What a remote origin's document says about its video, already judged by whoever fetched it."""

    uuid: str
    url: str
    origin: str
    name: str
    duration_s: int
    is_live: bool
    channel: str
    owner: str
    privacy: Privacy
    published_ms: int
    updated_ms: int
    views: int
    page_url: str | None = None
    description: str | None = None
