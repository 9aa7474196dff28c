"""What happens here that others may want to be told, one small struct per event. Nothing in them names a person.

``viewer`` is a pseudonym of one UTC day, ``session`` one of a viewer at one video; neither leads back to an address or
to what a player calls itself. ``resource`` is what notices are in order about: a video's uuid, or a peer's host.
"""

from __future__ import annotations

from typing import ClassVar, TypeAlias

import msgspec

from views.model import Video


class _OfVideo(msgspec.Struct, frozen=True, gc=False):
    """Every instant is Unix milliseconds."""

    video: Video
    at_ms: int

    @property
    def resource(self) -> str:
        return self.video.uuid


class VideoStarted(_OfVideo, frozen=True, gc=False):
    """The first viewer of ours came to a video, or a live stream's room opened."""

    event: ClassVar = "video_started"


class VideoFinished(_OfVideo, frozen=True, gc=False):
    """Its last viewer of ours is gone."""

    event: ClassVar = "video_finished"
    started_ms: int = 0


class _OfViewer(_OfVideo, frozen=True, gc=False):
    viewer: str = ""
    session: str = ""


class ViewerJoined(_OfViewer, frozen=True, gc=False):
    """A viewer of ours has begun to play: its position moved, or somebody trusted says so."""

    event: ClassVar = "viewer_joined"


class ViewerLeft(_OfViewer, frozen=True, gc=False):
    event: ClassVar = "viewer_left"
    joined_ms: int = 0


class ViewerAborted(_OfViewer, frozen=True, gc=False):
    """It came and went without ever playing; no ``viewer_joined`` was said."""

    event: ClassVar = "viewer_aborted"
    joined_ms: int = 0


class ViewersPeak(_OfVideo, frozen=True, gc=False):
    """More viewers than ever before while this video was watched without a break."""

    event: ClassVar = "viewers_peak"
    viewers: int = 0


class ViewCounted(_OfVideo, frozen=True, gc=False):
    """``source``: "" for a viewer of ours, else the host that told of it. ``views`` is the committed total, as far as
    known."""

    event: ClassVar = "view_counted"
    source: str = ""
    views: int = 0


class TotalReceived(_OfVideo, frozen=True, gc=False):
    """The origin of a remote video said how many watch it."""

    event: ClassVar = "total_received"
    host: str = ""
    viewers: int = 0


class _OfPeer(msgspec.Struct, frozen=True, gc=False):
    host: str
    at_ms: int

    @property
    def resource(self) -> str:
        return self.host


class PeerDown(_OfPeer, frozen=True, gc=False):
    """A peer does not answer any more; ``reason`` is the word of its last failure."""

    event: ClassVar = "peer_down"
    reason: str = ""


class PeerUp(_OfPeer, frozen=True, gc=False):
    """It answers again."""

    event: ClassVar = "peer_up"


Notice: TypeAlias = (
    VideoStarted
    | VideoFinished
    | ViewerJoined
    | ViewerLeft
    | ViewerAborted
    | ViewersPeak
    | ViewCounted
    | TotalReceived
    | PeerDown
    | PeerUp
)

NOTICES: tuple[type[Notice], ...] = (
    VideoStarted,
    VideoFinished,
    ViewerJoined,
    ViewerLeft,
    ViewerAborted,
    ViewersPeak,
    ViewCounted,
    TotalReceived,
    PeerDown,
    PeerUp,
)
"""All of them; their ``event`` is the word that ``webhooks`` of the configuration include and exclude."""
