"""Members of the instance actor's collections: what it said lately, who follows it, whom it follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from federation.documents import InstanceIdentity
from federation.peers import FollowState, Peers
from federation.vocabulary.build import Document, view_total
from foundation.clock import Clock
from foundation.errors import Refused
from outbox.announcer import announce_of
from outbox.names import audience
from outbox.soft_lanes import Numbers, VideoOf
from outbox.totals import Board
from views.catalog.listing import VideoFilter, VideoPage
from views.model import Privacy, Video

PER_PAGE = 20
MAX_TOTALS = 50
"""Totals shown, on the outbox's first page."""


class VideoPages(Protocol):
    """The part of `views.catalog.Catalog` that is needed here."""

    async def list_videos(
        self, start: int = 0, count: int = 15, sort: str = "-publishedAt", filters: VideoFilter | None = None
    ) -> VideoPage | Refused: ...


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a collection; ``labels`` are the same members for people, as (text, link)."""

    total: int
    items: Sequence[Document | str]
    labels: Sequence[tuple[str, str]]
    more: bool


class Collections:
    """Pages count from 1. Only public videos appear."""

    def __init__(
        self,
        *,
        identity: InstanceIdentity,
        catalog: VideoPages,
        peers: Peers,
        board: Board,
        numbers: Numbers,
        video_of: VideoOf,
        clock: Clock,
    ) -> None:
        self._identity = identity
        self._catalog = catalog
        self._peers = peers
        self._board = board
        self._numbers = numbers
        self._video_of = video_of
        self._clock = clock

    async def page(self, what: str, number: int) -> Page:
        """``outbox``, ``followers`` or ``following``."""
        if what == "outbox":
            return await self._outbox(number)
        start = (number - 1) * PER_PAGE
        if what == "followers":
            records, total = self._peers.list_followers(start, PER_PAGE)
        else:
            accepted = self._peers.following(FollowState.ACCEPTED)
            records, total = list(accepted[start : start + PER_PAGE]), len(accepted)
        actors = [record.actor for record in records]
        return Page(total, actors, [(actor, actor) for actor in actors], start + PER_PAGE < total)

    async def _outbox(self, number: int) -> Page:
        totals = await self._totals()
        start = (number - 1) * PER_PAGE
        listed = await self._catalog.list_videos(start, PER_PAGE, "-publishedAt", VideoFilter(local=True))
        videos, count = ((), 0) if isinstance(listed, Refused) else (listed.videos, listed.total)
        announces = [announce_of(self._identity, video) for video in videos]
        items = [*(totals if number == 1 else ()), *announces]
        labels = [(video.name, video.url) for video in videos]
        return Page(count + len(totals), items, labels, start + PER_PAGE < count)

    async def _totals(self) -> list[Document]:
        """How many watch now, as a follower would be told."""
        videos: list[Video] = []
        for number in self._board.watched(MAX_TOTALS):
            video = await self._video_of(number)
            if video is not None and video.local and video.privacy is Privacy.PUBLIC:
                videos.append(video)
        shown = await self._numbers(videos) if videos else ()
        now_ms = self._clock.now_ms()
        return [
            view_total(
                actor=self._identity.actor_url,
                number=video.number,
                video_uuid=video.uuid,
                video=video.url,
                to=audience(self._identity, video)[0],
                total=number.viewers,
                expires_ms=now_ms + self._board.policy.expires_after_ms,
                published_ms=now_ms,
            )
            for video, number in zip(videos, shown, strict=True)
        ]
