"""What the domain asks of the outside, as protocols it owns. The doors implement them, ``service`` joins.

A method that takes ``tx`` is called inside an open transaction and must write through it alone, so that what is told
to others and what it tells about are committed together or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from foundation.database import Transaction
from foundation.errors import Refused
from views.model import Video
from views.notices import Notice, ViewCounted
from views.stats.model import Stay


@dataclass(frozen=True, slots=True)
class OriginTraits:
    """How a remote origin treats the viewers we tell it about.

    ``resend_after`` is the share of a told life after which a viewer still here is told again: 0.75, or 0.95 towards
    an origin that ``appends`` a re-sent viewer instead of extending it (PeerTube before 7.1). ``says_yours`` marks an
    origin whose totals tell how many of the counted viewers are ours.
    """

    resend_after: float = 0.75
    appends: bool = False
    says_yours: bool = False


@dataclass(frozen=True, slots=True)
class Tell:
    """One viewer of ours that a remote origin should know: ``wire_id`` is its name there, ``expires_ms`` its life here.

    ``since_ms`` is the beginning of its stay; it comes back with the acknowledgement and means nothing in between.
    """

    video: Video
    viewer: bytes
    wire_id: str
    expires_ms: int
    since_ms: int = 0


class Announcer(Protocol):
    """Where domain events leave the house."""

    def origin_traits(self, origin: str) -> OriginTraits: ...

    def tell_origin(self, tell: Tell) -> None:
        """Soft and non-blocking: one slot per viewer, the newest wins, forgotten at its ``expires_ms``.

        Delivered tells come back through ``Viewers.told(tell, acked_ms)``.
        """

    def number_moved(self, video: Video) -> None:
        """The number shown of a video of ours may have moved. Called often; must be O(1)."""

    async def view_counted(self, tx: Transaction, video: Video, view_id: str, at_ms: int) -> None:
        """One counted view of a viewer of ours; ``view_id`` is a fresh UUID."""

    async def views_moved(self, tx: Transaction, video: Video) -> None:
        """The counted total of a video of ours moved; ``video.views`` and ``video.updated_ms`` are the new ones."""

    async def watched(self, tx: Transaction, video: Video, stay: Stay) -> None:
        """The finished stay of a viewer of ours at a remote video, whose origin is told; ``stay.url`` names it."""

    async def video_published(self, tx: Transaction, video: Video) -> None: ...

    async def video_updated(self, tx: Transaction, video: Video) -> None: ...

    async def video_deleted(self, tx: Transaction, video: Video) -> None: ...

    def committed(self) -> None:
        """Something durable was committed: look at the log."""


class Notifier(Protocol):
    """Where domain events leave for whoever wants to be told (webhooks)."""

    def notify(self, notice: Notice) -> None:
        """Called from hot places: O(1), neither blocks nor raises. Notices of one ``resource`` stay in their order."""


class CountedViews(Protocol):
    """Where counted views are told of in the transaction that counts them, so that none of them is lost."""

    async def views_counted(self, tx: Transaction, views: Sequence[ViewCounted]) -> None: ...

    def committed(self) -> None:
        """Those of some transaction are durable."""


class VideoImporter(Protocol):
    """Brings in a remote instance's video."""

    async def import_video(self, url: str) -> Video | Refused:
        """Fetch the document at ``url``, judge it, keep it in the catalog."""


Listener = Callable[[Video, int], None]
"""Told the video and its new number, for live push; must not block."""


class NullAnnouncer:
    """Tells nobody: for a house without federation, and for tests."""

    def origin_traits(self, origin: str) -> OriginTraits:
        return OriginTraits()

    def tell_origin(self, tell: Tell) -> None:
        return None

    def number_moved(self, video: Video) -> None:
        return None

    async def view_counted(self, tx: Transaction, video: Video, view_id: str, at_ms: int) -> None:
        return None

    async def views_moved(self, tx: Transaction, video: Video) -> None:
        return None

    async def watched(self, tx: Transaction, video: Video, stay: Stay) -> None:
        return None

    async def video_published(self, tx: Transaction, video: Video) -> None:
        return None

    async def video_updated(self, tx: Transaction, video: Video) -> None:
        return None

    async def video_deleted(self, tx: Transaction, video: Video) -> None:
        return None

    def committed(self) -> None:
        return None


class NullNotifier:
    """Tells nobody."""

    def notify(self, notice: Notice) -> None:
        return None

    async def views_counted(self, tx: Transaction, views: Sequence[ViewCounted]) -> None:
        return None

    def committed(self) -> None:
        return None
