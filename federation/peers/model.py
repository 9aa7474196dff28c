"""The nouns of the peer registry. A *host* is always an authority as ``foundation.urls.authority`` spells it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from federation.peers.signing import SignatureMode


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
    """What the configuration says of one host. Quotas that are None: the default ones. ``blocked`` None: it says
    nothing about that, and what was decided at run time holds."""

    host: str
    follow: bool = False
    accept: frozenset[str] = EVERYTHING
    totals: Switch = Switch.AUTO
    batch: Switch = Switch.AUTO
    blocked: bool | None = None
    max_viewers_per_video: int | None = None
    signatures: SignatureMode = SignatureMode.AUTO
    max_new_viewers_per_minute: int | None = None
    max_videos: int | None = None
    max_views_per_hour: int | None = None


@dataclass(frozen=True, slots=True)
class PeerLimits:
    """How much of one host is believed. Viewers above are unverified, counted views above wait in the quarantine.

    ``viewers_per_video`` at once, ``new_viewers_per_minute`` on all videos together, ``videos`` with viewers at once,
    counted ``views_per_hour`` of one video.
    """

    viewers_per_video: int = 100_000
    new_viewers_per_minute: int = 20_000
    videos: int = 2_000
    views_per_hour: int = 20_000


@dataclass(frozen=True, slots=True)
class Software:
    """What a peer's NodeInfo says it runs. The rest are offers of Fediviews peers only; ``batch_items`` and
    ``max_body_bytes`` are how much of a batch it takes, 0 where it does not say."""

    name: str
    version: str
    yours: bool = False
    batch: bool = False
    batch_items: int = 0
    max_body_bytes: int = 0


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


class DecidedBy(enum.Enum):
    """Whose verdict of a host holds: that of ``config.yaml``, or one an administrator gave at run time."""

    CONFIGURATION = "configuration"
    HAND = "hand"


@dataclass(frozen=True, slots=True)
class PeerView:
    """Everything known of a host, for the dashboard and ``fediviews peers``. ``verdict``: ``blocked``, ``allowed`` or
    None, with ``decided_by``."""

    host: str
    kind: PeerKind
    software: Software | None
    clock_offset_ms: int
    last_seen_ms: int | None
    blocked: bool
    verdict: str | None
    decided_by: DecidedBy | None
    listed: bool
    follower: bool
    following: FollowState | None
