"""WatchActions: what one viewer of ours watched of a remote video, told to its origin and kept readable at its id.

The shape is PeerTube 6.3's, member for member. Client, device and operating system are not part of it and stay here.
"""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from federation.documents import InstanceIdentity
from federation.routes import SignatureGuard
from federation.vocabulary import CONTENT_TYPE
from federation.vocabulary.build import Document, encode
from foundation import problems
from foundation.clock import iso_ms
from outbox.waiting import available
from views.ids import canonical_uuid
from views.model import LOCAL, Video
from views.stats.model import Stay

MAX_TOLD = 100
"""Sections of one WatchAction: what PeerTube keeps of a viewer (MAX_LOCAL_VIEWER_WATCH_SECTIONS)."""


def watch_action(video: Video, stay: Stay) -> Document:
    """The WatchAction object, without ``@context`` and audience.

    The location is there when the country is known; its region is null when that is all.
    """
    document: Document = {
        "id": stay.url,
        "type": "WatchAction",
        "duration": f"PT{stay.watch_time_s}S",
        "startTime": iso_ms(stay.start_ms),
        "endTime": iso_ms(stay.end_ms),
        "object": video.url,
        "uuid": stay.uuid,
        "actionStatus": "CompletedActionStatus",
        "watchSections": [{"startTimestamp": start, "endTimestamp": end} for start, end in told_sections(stay)],
    }
    traits = stay.traits
    if traits.country is not None:
        document["location"] = {"addressCountry": traits.country, "addressRegion": traits.subdivision}
    return document


def told_sections(stay: Stay) -> list[tuple[int, int]]:
    """The stay's sections, and again from the first on what was watched more than once.

    Receivers believe a watch time up to the sum of the sections: PeerTube sends what was gone over twice twice, too.
    At most ``MAX_TOLD``; what does not fit is not told.
    """
    told = list(stay.sections)
    again_s = stay.watch_time_s - sum(end - start for start, end in told)
    while again_s > 0 and stay.sections and len(told) < MAX_TOLD:
        start, end = stay.sections[(len(told) - len(stay.sections)) % len(stay.sections)]
        told.append((start, min(end, start + again_s)))
        again_s -= told[-1][1] - start
    return told


def told_watch_action(video: Video, stay: Stay) -> Document:
    """The same, addressed to the account of the video: as it stands inside a Create."""
    return {"to": [video.owner], "cc": [], **watch_action(video, stay)}


class Stays(Protocol):
    """The part of the statistics that is needed here."""

    async def find(self, url: str) -> Stay | None:
        """The saved stay of this global id; None when there is none, or no longer."""


class VideosByNumber(Protocol):
    """The part of `views.catalog.Catalog` that is needed here."""

    async def by_number(self, number: int) -> Video | None: ...


class WatchActionRoutes:
    """Serves every WatchAction that was told, at the id it was told under (PeerTube 6.3 answers 400 there).

    A stay at a video of ours was told to nobody, so it is as unknown as any other.
    """

    def __init__(
        self,
        *,
        identity: InstanceIdentity,
        stays: Stays,
        videos: VideosByNumber,
        require_signature: SignatureGuard | None = None,
    ) -> None:
        self._identity = identity
        self._stays = stays
        self._videos = videos
        self._require_signature = require_signature

    def setup(self, router: web.UrlDispatcher) -> None:
        router.add_get("/videos/local-viewer/{uuid}", available(self.watch_action))

    async def watch_action(self, request: web.Request) -> web.StreamResponse:
        if self._require_signature is not None:
            refusal = await self._require_signature(request)
            if refusal is not None:
                return problems.refused(refusal)
        uuid = canonical_uuid(request.match_info["uuid"])
        stay = None if uuid is None else await self._stays.find(self._identity.watch_action_url(uuid))
        video = None if stay is None or stay.source != LOCAL else await self._videos.by_number(stay.video)
        if stay is None or video is None or video.local or not video.federated:
            return problems.problem(404, "There is no such thing here.")
        headers = {"Content-Type": CONTENT_TYPE, "Cache-Control": "no-cache"}
        return web.Response(body=encode(watch_action(video, stay)), headers=headers)
