"""The four cases: what to do with a sign of life or a counted view. Pure.

|                     | our video                  | a remote instance's video                               |
|---------------------|----------------------------|---------------------------------------------------------|
| a viewer of ours    | A. add the viewer          | B. add the viewer, tell the origin                      |
| a peer, `expires`   | C. add that peer's viewer  | D. its origin: the total, or (protocol v1) one viewer   |

PeerTube 6.3 differs in D: it believes a total from anybody and throws away every viewer it knew of that video.
"""

from __future__ import annotations

import enum

import msgspec

from foundation.errors import Refused
from views.model import LOCAL

NOT_ORIGIN = Refused("not_origin", "only the origin of a video speaks about its viewers and views", 403)
UNKNOWN_VIDEO = Refused("unknown_video", "no such video here", 404)


class OurViewer(msgspec.Struct, frozen=True, gc=False):
    """Somebody on our player, a host application, or our outbox speaks."""


class Peer(msgspec.Struct, frozen=True, gc=False):
    """Another instance speaks; ``is_origin``: for the video's origin (its authority, or who it names)."""

    host: str
    is_origin: bool


class SignOfLife(msgspec.Struct, frozen=True, gc=False):
    """A viewer, or a total when ``counter`` is given: validated, an integer within the configured ceiling."""

    counter: int | None = None


class CountedView(msgspec.Struct, frozen=True, gc=False):
    """A View without ``expires``: somebody watched long enough."""


class Event(msgspec.Struct, frozen=True, gc=False):
    """``video_federated`` is False for a private video: to peers it does not exist."""

    video_local: bool
    speaker: OurViewer | Peer
    what: SignOfLife | CountedView
    video_federated: bool = True


class Audience(enum.Enum):
    """Who hears of a counted view."""

    ORIGIN = "origin"
    FOLLOWERS = "followers"
    NOBODY = "nobody"


class AddViewer(msgspec.Struct, frozen=True, gc=False):
    """Add or extend one viewer of ``source`` (``model.LOCAL`` or a host)."""

    source: str
    tell_origin: bool


class PutTotal(msgspec.Struct, frozen=True, gc=False):
    """The origin says how many watch; our own viewers stay."""

    count: int


class CountView(msgspec.Struct, frozen=True, gc=False):
    """Add to the hourly bucket, and to the video's ``views`` when ``in_total`` (a remote video's is its origin's)."""

    in_total: bool
    announce: Audience


class Drop(msgspec.Struct, frozen=True, gc=False):
    """Nothing happens, for this reason."""

    refused: Refused


Decision = AddViewer | PutTotal | CountView | Drop


def route(event: Event) -> Decision:
    """What to do. Refusals: ``not_origin``, and ``unknown_video`` for a peer that speaks about a private video."""
    speaker = event.speaker
    if isinstance(speaker, OurViewer):
        return _ours(event)
    if not event.video_federated:
        return Drop(UNKNOWN_VIDEO)
    if event.video_local:
        return _about_ours(speaker, event.what)
    if not speaker.is_origin:
        return Drop(NOT_ORIGIN)
    return _from_origin(speaker, event.what)


def _ours(event: Event) -> Decision:
    if isinstance(event.what, SignOfLife):
        return AddViewer(LOCAL, tell_origin=event.video_federated and not event.video_local)
    if not event.video_federated:
        return CountView(in_total=event.video_local, announce=Audience.NOBODY)
    return CountView(event.video_local, Audience.FOLLOWERS if event.video_local else Audience.ORIGIN)


def _about_ours(peer: Peer, what: SignOfLife | CountedView) -> Decision:
    if isinstance(what, SignOfLife):
        return AddViewer(peer.host, tell_origin=False)
    return CountView(in_total=True, announce=Audience.NOBODY)


def _from_origin(origin: Peer, what: SignOfLife | CountedView) -> Decision:
    if isinstance(what, CountedView):
        return CountView(in_total=False, announce=Audience.NOBODY)
    if what.counter is None:
        return AddViewer(origin.host, tell_origin=False)
    return PutTotal(what.counter)
