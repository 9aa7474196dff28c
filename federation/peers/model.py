"""The nouns of the peer registry. A *host* is always an authority as ``foundation.urls.authority`` spells it."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Switch(enum.Enum):
    """A setting that can be left to what is known of the peer."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class PeerKind(enum.Enum):
    """What software a peer runs, as far as it matters to us. UNKNOWN: its NodeInfo was not read yet."""

    PEERTUBE = "peertube"
    FEDIVIEWS = "fediviews"
    OTHER = "other"
    UNKNOWN = "unknown"


VIEWERS, VIEWS, TOTALS, ANNOUNCES = "viewers", "views", "totals", "announces"
EVERYTHING = frozenset({VIEWERS, VIEWS, TOTALS, ANNOUNCES})
"""What can be accepted from a peer: its viewers, its counted views, its totals, its videos."""


@dataclass(frozen=True, slots=True)
class PeerPolicy:
    """What the configuration says of one host. ``max_viewers_per_video`` None: the default quota."""

    host: str
    follow: bool = False
    accept: frozenset[str] = EVERYTHING
    totals: Switch = Switch.AUTO
    batch: Switch = Switch.AUTO
    blocked: bool = False
    max_viewers_per_video: int | None = None


@dataclass(frozen=True, slots=True)
class Software:
    """What a peer's NodeInfo says it runs. ``yours`` and ``batch`` are offers of Fediviews peers only."""

    name: str
    version: str
    yours: bool = False
    batch: bool = False


class Direction(enum.Enum):
    """IN: a remote actor follows one of ours. OUT: one of ours follows a remote actor."""

    IN = "in"
    OUT = "out"


class FollowState(enum.Enum):
    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class FollowRecord:
    """One follow relation. ``actor`` (with ``inbox``, ``shared_inbox``, on ``host``) is remote, ``object`` is ours."""

    id: int
    direction: Direction
    host: str
    actor: str
    inbox: str
    shared_inbox: str | None
    follow_id: str
    object: str
    state: FollowState
    created_ms: int
    updated_ms: int


@dataclass(frozen=True, slots=True)
class Follower:
    """A host that wants to hear us, and the one inbox through which all its followers do."""

    host: str
    inbox: str


@dataclass(frozen=True, slots=True)
class PeerView:
    """Everything known of a host, for the dashboard and ``fediviews peers``."""

    host: str
    kind: PeerKind
    software: Software | None
    clock_offset_ms: int
    last_seen_ms: int | None
    blocked: bool
    listed: bool
    follower: bool
    following: FollowState | None
