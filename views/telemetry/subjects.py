"""Whom and what telemetry speaks about, in the words of LiveKit: rooms, participants, tracks, egress and ingress."""

from __future__ import annotations

import enum
from typing import Any

import msgspec

from views.model import Video


class Room(msgspec.Struct, frozen=True, gc=False):
    """A video or live stream. ``started_ms``: since when it is watched (a live stream: is live); 0 is unknown.

    ``name`` is what another system calls it (a LiveKit room), "" where nobody else has a name.
    """

    video: Video
    started_ms: int = 0
    name: str = ""

    @property
    def sid(self) -> str:
        return self.video.uuid


class Participant(msgspec.Struct, frozen=True, gc=False):
    """One viewer at one video. ``sid`` (``VS_…``) names it there, ``identity`` (``VI_…``) at every video for one UTC
    day; neither can be traced back. Make both with ``names.SessionNames``, whatever the viewer is called elsewhere.

    ``active``: whoever says this knows that it has played, though this process may not. ``joined_ms``: since when it is
    here, as far as whoever says this knows; 0 is unknown.
    """

    sid: str
    identity: str
    joined_ms: int = 0
    active: bool = False


class TrackKind(enum.Enum):
    AUDIO = "audio"
    VIDEO = "video"
    DATA = "data"


class Track(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A rendition that somebody plays, or publishes. ``sid`` is unique within the participant: ``720p``, ``audio``, or
    what a media server calls it. ``height`` is in pixels, 0 where there is no picture."""

    sid: str
    kind: TrackKind = TrackKind.VIDEO
    mime: str = ""
    height: int = 0
    muted: bool = False


class Client(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What a player says of itself; never an address."""

    name: str | None = None
    operating_system: str | None = None
    device: str | None = None


class EgressInfo(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A recording or stream out of a room. ``status`` and ``error`` are the media server's words."""

    egress_id: str
    room: str = ""
    status: str = ""
    error: str = ""
    started_ms: int = 0
    ended_ms: int = 0


class IngressInfo(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A stream into a room."""

    ingress_id: str
    room: str = ""
    status: str = ""
    error: str = ""
    started_ms: int = 0
    ended_ms: int = 0


class RtpStats(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Summary of a track when it ends; milliseconds, bytes, packets (or segments)."""

    start_ms: int = 0
    end_ms: int = 0
    packets: int = 0
    packets_lost: int = 0
    bytes: int = 0
    rtt_max_ms: int = 0
    jitter_max_ms: int = 0


class RoomState(msgspec.Struct, frozen=True, gc=False):
    """How many of this process's viewers watch one video."""

    room: str
    participants: int
    active: int


class NodeRooms(msgspec.Struct, frozen=True, gc=False):
    """Snapshot of what one process (``node``) holds; ``sequence`` grows by one with each."""

    node: str
    sequence: int
    at_ms: int
    rooms: tuple[RoomState, ...]


class ReportInfo(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What a viewer reports of trouble: a word (``kind``) and the numbers that belong to it."""

    kind: str
    room: str = ""
    participant: str = ""
    numbers: dict[str, int] = {}


class ApiCallInfo(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One call of a host application or administrator. ``route`` is the path's pattern, ``caller`` the token's name."""

    method: str
    route: str
    status: int
    duration_ms: int
    caller: str = ""


class WebhookInfo(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What became of one webhook. ``host`` is the receiver's, without path or secret; ``outcome`` a word."""

    event: str
    event_id: str
    resource: str
    host: str
    outcome: str
    queued_ms: int = 0
    queue_time_ms: int = 0
    sent_ms: int = 0
    send_time_ms: int = 0
    attempts: int = 0
    status: int = 0
    reason: str = ""


def plain(value: Any) -> Any:
    """Built-in types of any of these, for sinks that write them down."""
    return msgspec.to_builtins(value)
