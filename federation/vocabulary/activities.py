"""What instances say to each other, as frozen values. Names are ActivityStreams 2.0's; shapes are PeerTube 6.3's.

Instants are Unix milliseconds. Every ``id`` and ``actor`` is an absolute http(s) URL that was checked for form only:
whose authority it is, and whether the signer may say it, is for the reader to judge.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from foundation.errors import Refused


class View(msgspec.Struct, frozen=True, gc=False):
    """Somebody watches, or watched, the video ``object``.

    Without ``expires_ms`` it is a counted view. With it, it is a viewer or, with ``counter``, the number of viewers an
    origin (or, about somebody else's video, a watcher's instance: always 1) states until then. ``yours`` is our
    extension: how many of ``counter`` are the receiving peer's own viewers. ``published_ms`` orders totals.
    """

    id: str
    actor: str
    object: str
    expires_ms: int | None = None
    published_ms: int | None = None
    counter: int | None = None
    yours: int | None = None


class Follow(msgspec.Struct, frozen=True, gc=False):
    """``actor`` wants to hear what ``object`` (an actor) says. ``id`` is empty when an answer quoted it without one."""

    id: str
    actor: str
    object: str


class Announce(msgspec.Struct, frozen=True, gc=False):
    """``actor`` shares the video whose id is ``object``."""

    id: str
    actor: str
    object: str


class Delete(msgspec.Struct, frozen=True, gc=False):
    """``object`` (a video, or ``actor`` itself) is gone."""

    id: str
    actor: str
    object: str


class UnknownActivity(msgspec.Struct, frozen=True, gc=False):
    """A well-formed activity of a type we do not speak; to be dropped politely."""

    id: str
    actor: str
    type: str


class Accept(msgspec.Struct, frozen=True):
    """Our Follow was taken; ``object`` is the Follow quoted, or its id alone."""

    id: str
    actor: str
    object: Follow | str


class Reject(msgspec.Struct, frozen=True):
    """Our Follow was refused, now or later; ``object`` is the Follow quoted, or its id alone."""

    id: str
    actor: str
    object: Follow | str


class Undo(msgspec.Struct, frozen=True):
    """``actor`` takes back what it said before; ``object`` is that activity, or its id alone."""

    id: str
    actor: str
    object: Follow | Announce | UnknownActivity | str


class Attribution(msgspec.Struct, frozen=True, gc=False):
    """One entry of ``attributedTo``; ``type`` is empty when only the id was given (PeerTube 7.3 and later)."""

    id: str
    type: str = ""


class VideoObject(msgspec.Struct, frozen=True):
    """A video's document, as far as views need it.

    ``public`` and ``unlisted`` say where the Public collection stood (``to`` | ``cc``); neither means private.
    ``views`` is None when the document does not count. ``uuid`` is None when it names none (not made by PeerTube).
    """

    id: str
    name: str
    duration_s: int
    attributed_to: tuple[Attribution, ...]
    uuid: str | None = None
    is_live: bool = False
    views: int | None = None
    published_ms: int | None = None
    updated_ms: int | None = None
    public: bool = False
    unlisted: bool = False
    page_url: str | None = None
    description: str | None = None


class Section(msgspec.Struct, frozen=True, gc=False):
    """A stretch of the video that was watched, seconds from its start."""

    start_s: float
    end_s: float


class WatchActionObject(msgspec.Struct, frozen=True):
    """What one viewer watched of ``video``, told when it left (PeerTube's WatchAction).

    Sections are as sent, within the parser's bound and not negative; order, overlap and plausibility are the reader's.
    """

    id: str
    uuid: str
    video: str
    duration_s: int
    start_ms: int
    end_ms: int
    completed: bool
    sections: tuple[Section, ...]
    country: str | None = None
    subdivision: str | None = None


class OtherObject(msgspec.Struct, frozen=True, gc=False):
    """An object of a kind we keep nothing of; ``id`` may be empty."""

    id: str
    type: str


AnyObject: TypeAlias = VideoObject | WatchActionObject | OtherObject | str


class Create(msgspec.Struct, frozen=True):
    """``object`` is new; given inline, or as an id to be fetched."""

    id: str
    actor: str
    object: AnyObject


class Update(msgspec.Struct, frozen=True):
    """``object`` changed; given inline, or as an id to be fetched."""

    id: str
    actor: str
    object: AnyObject


Single: TypeAlias = View | Follow | Accept | Reject | Undo | Announce | Create | Update | Delete | UnknownActivity


class Collection(msgspec.Struct, frozen=True):
    """Several activities of ``actor`` in one request, judged one by one and kept in order.

    ``dropped`` counts the items beyond the bound: they were not looked at. ``id`` may be empty.
    """

    id: str
    actor: str
    items: tuple[Single | Refused, ...]
    dropped: int = 0


Activity: TypeAlias = Single | Collection
