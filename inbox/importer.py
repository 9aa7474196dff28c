"""Bringing in a remote instance's video: fetch its document from its own host, find its account, keep it.

Implements ``views.ports.VideoImporter``. Triggered by an admin, by announcements of peers we follow, and by Views only
as far as :mod:`inbox.unknown` lets them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from federation.actors import ActorDocument
from federation.signatures.reasons import SignatureReason
from federation.vocabulary import VideoObject, read_video
from foundation.clock import Clock
from foundation.ending import end
from foundation.errors import Refused
from foundation.metrics import Metrics
from foundation.urls import authority, canonical_url, is_web_url, same_origin_authority
from views.catalog.catalog import Catalog
from views.model import Privacy, RemoteVideo, Video

log = logging.getLogger("fediviews.importer")

MAX_IN_FLIGHT = 100
"""Imports under way at once; one more is refused with 503."""
MAX_ATTRIBUTION_FETCHES = 3
CLOCK_SKEW_MS = 1_800_000
"""How far ahead of us a remote clock may be: PeerTube's own tolerance."""
WAIT_MS = 5_000
"""How long the answer to one request waits for its imports, which go on without it (PeerTube 6.3 waits 7 s)."""


class Fetcher(Protocol):
    """Signed, bounded GETs of ActivityPub documents; see :class:`federation.actors.ActorClient`."""

    async def fetch_actor(self, url: str) -> ActorDocument | Refused: ...

    async def fetch_document(self, url: str) -> tuple[dict[str, Any], str] | Refused:
        """The members of the JSON object, and the canonical URL it came from in the end."""


class Importer:
    """One import per URL at a time, whoever asks; ``may_fetch`` is the peers' policy about a host."""

    def __init__(
        self,
        fetcher: Fetcher,
        catalog: Catalog,
        clock: Clock,
        metrics: Metrics,
        *,
        own_host: str,
        may_fetch: Callable[[str], Refused | None],
    ) -> None:
        self._fetcher = fetcher
        self._catalog = catalog
        self._clock = clock
        self._own_host = own_host
        self._may_fetch = may_fetch
        self._in_flight: dict[str, asyncio.Task[Video | Refused]] = {}
        self._imports = metrics.counter("fediviews_video_imports_total", "Remote videos fetched", ["outcome"])

    async def import_video(self, url: str) -> Video | Refused:
        """The video whose ActivityPub id, or page on the same host, is ``url``. Fetches even when it is known."""
        refusal = self._judge_url(url)
        if refusal is not None:
            return refusal
        url = canonical_url(url) or url
        task = self._in_flight.get(url)
        if task is None:
            if len(self._in_flight) >= MAX_IN_FLIGHT:
                return Refused("too_many_imports", "too many imports are under way", 503, 10)
            task = asyncio.create_task(self._import(url), name="import-video")
            self._in_flight[url] = task
            task.add_done_callback(lambda done: self._finished(url, done))
        # Whoever asked may go away; the others still wait for the same fetch.
        return await asyncio.shield(task)

    async def import_for(self, url: str, received_ms: int) -> Video | Refused | None:
        """Likewise, for a request that arrived at ``received_ms``: None once that was ``WAIT_MS`` ago.

        The import goes on by itself. However many imports one request asks for, its answer waits no longer.
        """
        left_ms = min(WAIT_MS, max(0, received_ms + WAIT_MS - self._clock.now_ms()))
        try:
            async with asyncio.timeout(left_ms / 1000):
                return await self.import_video(url)
        except TimeoutError:
            return None

    async def keep(self, video: VideoObject) -> Video | Refused:
        """Keep a video whose document is vouched for: fetched from its id, or signed by an actor of its host.

        One that is addressed to the public no longer is forgotten. Refused: ``bad_video`` (422), and what
        ``Catalog.put_remote`` refuses.
        """
        owner, channel = await self._people(video)
        if isinstance(owner, Refused):
            return owner
        if video.uuid is None or video.published_ms is None:
            return _bad_video("uuid or published is missing")
        known = await self._catalog.by_url(video.id)
        if not (video.public or video.unlisted):
            await self._catalog.remote_gone(video.id)
            return _bad_video("it is addressed to nobody we could show it to")
        now_ms = self._clock.now_ms()
        views = video.views if video.views is not None else known.views if known is not None else 0
        return await self._catalog.put_remote(
            RemoteVideo(
                uuid=video.uuid,
                url=video.id,
                origin=authority(video.id) or "",
                name=video.name,
                duration_s=video.duration_s,
                is_live=video.is_live,
                channel=channel,
                owner=owner,
                privacy=Privacy.PUBLIC if video.public else Privacy.UNLISTED,
                published_ms=video.published_ms,
                # From the future it would stand against every later word of its own origin.
                updated_ms=min(video.updated_ms or video.published_ms, now_ms + CLOCK_SKEW_MS),
                views=views,
                page_url=video.page_url,
                description=video.description,
            )
        )

    async def refresh(self, stale: Callable[[], Awaitable[list[Video]]]) -> int:
        """Fetch what was not refreshed for long; gone videos are forgotten, silent hosts try again later."""
        done = 0
        for video in await stale():
            outcome = await self.import_video(video.url)
            await self._catalog.touch_refreshed(video)
            done += not isinstance(outcome, Refused)
        return done

    async def stop(self) -> None:
        await end(*self._in_flight.values())

    def _judge_url(self, url: object) -> Refused | None:
        if not is_web_url(url):
            return Refused("bad_url", "url is not an http(s) URL", 400)
        host = authority(url) or ""
        if host == self._own_host:
            return Refused("own_video", "that is a video of this instance", 409)
        return self._may_fetch(host)

    def _finished(self, url: str, done: asyncio.Task[Video | Refused]) -> None:
        self._in_flight.pop(url, None)
        if not done.cancelled() and done.exception() is not None:
            # Whoever asked may be gone; nobody else would hear of it.
            log.warning("a video of %s was not imported: %s", authority(url), type(done.exception()).__name__)

    async def _import(self, url: str) -> Video | Refused:
        outcome = await self._fetch(url)
        self._imports.labels("refused" if isinstance(outcome, Refused) else "kept").inc()
        if isinstance(outcome, Refused):
            log.info("video of %s not imported: %s", authority(url), outcome.reason)
        return outcome

    async def _fetch(self, url: str) -> Video | Refused:
        fetched = await self._fetcher.fetch_document(url)
        if isinstance(fetched, Refused):
            return await self._not_fetched(url, fetched)
        members, final_url = fetched
        ident = members.get("id")
        # A redirect must not lead to a host that nobody asked about: it may be blocked, or not the announcer's.
        if not is_web_url(ident) or not same_origin_authority(ident, url) or not same_origin_authority(url, final_url):
            return _bad_video("its id lies on another host")
        if canonical_url(ident) != final_url:
            # A page's address or a short one: the document's own id has the last word, on the same host.
            fetched = await self._fetcher.fetch_document(ident)
            if isinstance(fetched, Refused):
                return _not_available(fetched)
            members, final_url = fetched
            if members.get("id") != ident or canonical_url(ident) != final_url:
                return _bad_video("its id is not its address")
        video = read_video(members)
        return _bad_video(video.detail) if isinstance(video, Refused) else await self.keep(video)

    async def _not_fetched(self, url: str, refusal: Refused) -> Refused:
        if refusal.reason == SignatureReason.ACTOR_GONE:
            await self._catalog.remote_gone(url)
            return Refused("video_gone", "there is no such video any more", 404)
        return _not_available(refusal)

    async def _people(self, video: VideoObject) -> tuple[str | Refused, str]:
        """The account (Person) that is told about viewers, and the channel (Group) above the video.

        PeerTube up to 7.2 names both with their types, later versions only URLs; the minimum is a Group, whose own
        document names its Person.
        """
        host = authority(video.id)
        entries = [entry for entry in video.attributed_to if authority(entry.id) == host]
        known = await self._catalog.by_url(video.id)
        if known is not None and known.owner and {known.owner, known.channel} & {entry.id for entry in entries}:
            return known.owner, known.channel
        channel = next((entry.id for entry in entries if entry.type == "Group"), "")
        owner = next((entry.id for entry in entries if entry.type == "Person"), "")
        queue = [channel] if channel else [entry.id for entry in entries if not entry.type]
        for _ in range(MAX_ATTRIBUTION_FETCHES):
            if owner or not queue:
                break
            actor = await self._fetcher.fetch_actor(queue.pop(0))
            if isinstance(actor, Refused):
                continue
            if actor.type == "Group":
                channel = channel or actor.id
                queue = [url for url in actor.attributed_to if authority(url) == host] + queue
            elif actor.type == "Person":
                owner = actor.id
        if not owner:
            return _bad_video("attributedTo leads to no account of its host"), channel
        return owner, channel


def _bad_video(detail: str) -> Refused:
    return Refused("bad_video", detail, 422)


def _not_available(refusal: Refused) -> Refused:
    return Refused("video_unavailable", refusal.detail, 502)
