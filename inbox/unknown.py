"""A View about a video that we do not know: whether that alone makes us fetch it."""

from __future__ import annotations

import enum

from federation.peers import Peers
from foundation.clock import Clock
from foundation.errors import Refused
from foundation.ratelimit import WindowLimiter
from foundation.urls import authority
from inbox.importer import Importer
from inbox.sender import Sender
from views.model import Video

IMPORTS_PER_MINUTE = 30
"""Videos that the Views of one host may make us ask for, known or not."""


class ImportPolicy(enum.Enum):
    """``federation.import_unknown_videos``: whose Views about its own videos may make us fetch them."""

    NEVER = "never"
    FOLLOWED = "followed"
    OPEN = "open"


class UnknownVideos:
    """Brings in what a View is about, as far as the policy goes.

    Whatever the policy, only the video's own host can make us fetch it: else anybody could send us to anybody.
    """

    def __init__(self, policy: ImportPolicy, peers: Peers, importer: Importer, clock: Clock) -> None:
        self._policy = policy
        self._peers = peers
        self._importer = importer
        self._limiter: WindowLimiter[str] = WindowLimiter(clock, IMPORTS_PER_MINUTE, 60_000, 10_000)

    async def bring_in(self, url: str, sender: Sender) -> Video | None:
        """The video whose id is ``url``, imported for this sender; None when it may not be, or could not be in time."""
        if not self._may(url, sender.host) or self._limiter.hit(sender.host) is not None:
            return None
        video = await self._importer.import_for(url, sender.received_ms)
        # A page's address leads to its video as well, but no View is about a page.
        return None if video is None or isinstance(video, Refused) or video.url != url else video

    def _may(self, url: str, host: str) -> bool:
        if self._policy is ImportPolicy.NEVER or authority(url) != host:
            return False
        if self._policy is ImportPolicy.FOLLOWED and not self._peers.follows(host):
            return False
        return self._peers.accepts(host, "announces")
