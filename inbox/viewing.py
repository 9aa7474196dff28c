"""A View of another instance: its instants turned into ours, routed by the four cases, applied."""

from __future__ import annotations

import hashlib

from federation.peers import Peers
from federation.ports import NULL_ACTIVITY, Activity
from federation.signatures.model import DEFAULT_CLOCK_SKEW_MS
from federation.vocabulary import View
from foundation.clock import Clock
from foundation.errors import Refused
from inbox.peer_quotas import PeerQuotas
from inbox.reasons import ACCEPTED_AND_DROPPED, InboxReason, drop
from inbox.sender import Sender
from inbox.unknown import UnknownVideos
from views.catalog.catalog import Catalog
from views.counters.base import TotalMark
from views.counting import ViewCounter
from views.model import Video
from views.routing import AddViewer, CountedView, CountView, Decision, Drop, Event, Peer, PutTotal, SignOfLife, route
from views.viewers import Viewers

MAX_PUBLISHED_AHEAD_MS = 10_000
"""How far ``published`` of a total may lie after its signature: a Date has whole seconds, and a host may be several
machines. Beyond, it would stand in the way of every correct total until then."""


class ViewHandler:
    """Callable: applies one View of a proven sender.

    ``max_expires_ms`` is the longest life granted to a remote viewer or total, from the moment it was signed.
    ``clock_skew_ms`` is for how long after its signature a message is believed to be fresh.
    Without ``unknown`` no View makes us fetch anything.
    """

    def __init__(
        self,
        *,
        peers: Peers,
        catalog: Catalog,
        viewers: Viewers,
        counter: ViewCounter,
        clock: Clock,
        max_expires_ms: int,
        clock_skew_ms: int = DEFAULT_CLOCK_SKEW_MS,
        unknown: UnknownVideos | None = None,
        quotas: PeerQuotas | None = None,
        activity: Activity = NULL_ACTIVITY,
    ) -> None:
        self._quotas = quotas
        self._activity = activity
        self._peers = peers
        self._catalog = catalog
        self._viewers = viewers
        self._counter = counter
        self._unknown = unknown
        self._clock = clock
        self._max_expires_ms = max_expires_ms
        self._clock_skew_ms = clock_skew_ms

    async def __call__(self, view: View, sender: Sender) -> Refused | None:
        video = self._catalog.peek_url(view.object) or await self._catalog.by_url(view.object)
        if video is None and self._unknown is not None:
            video = await self._unknown.bring_in(view.object, sender)
        if video is None:
            return drop(InboxReason.UNKNOWN_VIDEO, "no such video here")
        what = CountedView() if view.expires_ms is None else SignOfLife(view.counter)
        peer = Peer(sender.host, is_origin=speaks_for(video, sender))
        decision = route(Event(video.local, peer, what, video.federated))
        if isinstance(decision, Drop):
            return Refused(decision.refused.reason, decision.refused.detail, ACCEPTED_AND_DROPPED)
        kind = _kind(decision)
        if not self._peers.accepts(sender.host, kind):
            return drop(InboxReason.NOT_ACCEPTED, kind)
        if isinstance(decision, CountView):
            return await self._count(video, view, sender)
        return await self._sign_of_life(video, view, sender, decision)

    async def _count(self, video: Video, view: View, sender: Sender) -> Refused | None:
        quotas, host = self._quotas, sender.host
        if quotas is not None and not quotas.counts_view(host, video.number):
            return drop(InboxReason.TOO_MANY_VIEWS, "more views of one video within an hour than this host's quota")
        if not await self._counter.count_remote(video, view.id, view.actor, host):
            return drop(InboxReason.DUPLICATE, "this view was counted before")
        if quotas is not None:
            quotas.counted(host, video.number)
        self._activity.saw_view(host)
        return None

    async def _viewer(self, video: Video, host: str, viewer: bytes, expires_ms: int) -> Refused | None:
        quotas = self._quotas
        doubted = quotas is not None and not quotas.believes(host, video.number)
        # Who was here before the quota was reached is extended: it takes no new place.
        if quotas is not None and doubted and not await self._viewers.stays(video, host, viewer):
            if not quotas.notes_unverified(host):
                return drop(InboxReason.TOO_MANY_VIEWERS, "far more new viewers than this host's quota")
            await self._viewers.remote_viewer(video, host, viewer, expires_ms, verified=False)
            return None
        if await self._viewers.remote_viewer(video, host, viewer, expires_ms):
            if quotas is not None and quotas.came(host):
                await self._viewers.verified(video, host, viewer)
            self._activity.saw_viewer(host)
        return None

    async def _sign_of_life(
        self, video: Video, view: View, sender: Sender, decision: AddViewer | PutTotal
    ) -> Refused | None:
        assert view.expires_ms is not None
        offset_ms = self._peers.clock_offset_ms(sender.host)
        expires_ms = min(view.expires_ms, sender.signed_ms + self._max_expires_ms) + offset_ms
        now_ms = self._clock.now_ms()
        if expires_ms <= now_ms:
            return drop(InboxReason.EXPIRED, "its life was over when it arrived")
        if isinstance(decision, AddViewer):
            return await self._viewer(video, sender.host, viewer_key(view.id), expires_ms)
        signed_ms = sender.signed_ms + offset_ms
        kept = await self._viewers.remote_total(
            video,
            sender.host,
            decision.count,
            expires_ms,
            order_of(view, sender),
            signed_ms,
            view.yours,
            granted_ms=expires_ms - min(signed_ms, now_ms),
            mark=TotalMark(sender.signed_ms + self._clock_skew_ms + 1, fingerprint(view)),
        )
        return None if kept else drop(InboxReason.REPLACED, "a newer total is known")


def order_of(view: View, sender: Sender) -> int:
    """Where a total stands among others of its video, by the sender's clock."""
    if view.published_ms is None:
        return sender.signed_ms
    return min(view.published_ms, sender.signed_ms + MAX_PUBLISHED_AHEAD_MS)


def fingerprint(view: View) -> str:
    """The same for the same total said again; 16 hexadecimal digits."""
    said = f"{view.id}\n{view.counter}\n{view.expires_ms}\n{view.published_ms}\n{view.yours}"
    return hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def viewer_key(activity_id: str) -> bytes:
    """The 16-byte key of a remote viewer: the same id is the same viewer."""
    return hashlib.blake2b(activity_id.encode(), digest_size=16).digest()


def speaks_for(video: Video, sender: Sender) -> bool:
    """The origin of a video is the host of its id; elsewhere only the account its own document names may speak."""
    return sender.host == video.origin or (video.owner != "" and sender.actor == video.owner)


def _kind(decision: Decision) -> str:
    """Which of ``peers[].accept`` this is."""
    match decision:
        case PutTotal():
            return "totals"
        case CountView():
            return "views"
        case _:
            return "viewers"
