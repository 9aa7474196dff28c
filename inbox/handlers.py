"""What each kind of activity does, once its sender is proven. A refusal is a drop: 202 on the wire, a reason for us."""

from __future__ import annotations

from federation.keys import KeyCache
from federation.peers import Peers
from federation.vocabulary import (
    Accept,
    Activity,
    Announce,
    Create,
    Delete,
    Follow,
    OtherObject,
    Reject,
    Undo,
    Update,
    VideoObject,
    View,
    WatchActionObject,
)
from foundation.errors import Refused
from foundation.urls import authority
from inbox.follows import FollowHandler
from inbox.importer import Importer
from inbox.reasons import ACCEPTED_AND_DROPPED, InboxReason, drop
from inbox.sender import Sender
from inbox.viewing import ViewHandler, speaks_for
from inbox.watching import WatchActionHandler
from views.catalog.catalog import Catalog
from views.model import Video


class Handlers:
    """Callable as ``pipeline.Handler``: dispatches by the type of the activity.

    Without ``watched`` no WatchAction is taken.
    """

    def __init__(
        self,
        *,
        views: ViewHandler,
        peers: Peers,
        catalog: Catalog,
        importer: Importer,
        keys: KeyCache,
        follows: FollowHandler,
        watched: WatchActionHandler | None = None,
    ) -> None:
        self._view = views
        self._watched = watched
        self._peers = peers
        self._catalog = catalog
        self._importer = importer
        self._keys = keys
        self._follows = follows

    async def __call__(self, activity: Activity, sender: Sender) -> Refused | None:
        match activity:
            case View():
                return await self._view(activity, sender)
            case Follow():
                return await self._follows.follow(activity, sender)
            case Accept() | Reject():
                return await self._follows.answer(activity, sender)
            case Undo():
                return await self._follows.undo(activity, sender)
            case Announce():
                return await self._announce(activity.object, sender)
            case Create():
                return await self._create(activity, sender)
            case Update():
                return await self._update(activity, sender)
            case Delete():
                return await self._delete(activity, sender)
            case _:
                return drop(InboxReason.UNSUPPORTED_TYPE, getattr(activity, "type", ""))

    async def _announce(self, url: str, sender: Sender) -> Refused | None:
        if not self._peers.follows(sender.host):
            # Another process may have just heard that we do.
            await self._peers.refresh_host(sender.host)
        if not self._peers.follows(sender.host):
            return drop(InboxReason.NOT_FOLLOWED, "we do not follow this peer")
        if not self._peers.accepts(sender.host, "announces"):
            return drop(InboxReason.NOT_ACCEPTED, "announces")
        if authority(url) != sender.host:
            return drop(InboxReason.NOT_OWNER, "only a video's own host announces it to us")
        if await self._catalog.by_url(url) is not None:
            return None
        return _outcome(await self._importer.import_for(url, sender.received_ms))

    async def _create(self, create: Create, sender: Sender) -> Refused | None:
        thing = create.object
        if isinstance(thing, VideoObject):
            return await self._announce(thing.id, sender)
        if isinstance(thing, WatchActionObject) and self._watched is not None:
            return await self._watched(thing, sender)
        return drop(InboxReason.UNSUPPORTED_TYPE, "Create of " + (getattr(thing, "type", "") or type(thing).__name__))

    async def _update(self, update: Update, sender: Sender) -> Refused | None:
        thing = update.object
        if isinstance(thing, VideoObject):
            video = await self._catalog.by_url(thing.id)
            if video is None or video.local:
                return drop(InboxReason.UNKNOWN_VIDEO, "no such remote video here")
            if not speaks_for(video, sender):
                return drop(InboxReason.NOT_OWNER, "another host's video")
            kept = await self._importer.keep(thing)
            if isinstance(kept, Video) and thing.updated_ms is not None and thing.updated_ms < kept.updated_ms:
                return drop(InboxReason.REPLACED, "a newer Update is known")
            return _outcome(kept)
        if isinstance(thing, OtherObject) and thing.id == sender.actor:
            await self._keys.refetch(sender.actor)
            return None
        return drop(InboxReason.UNSUPPORTED_TYPE, "Update of something else than a Video or an actor")

    async def _delete(self, delete: Delete, sender: Sender) -> Refused | None:
        if delete.object == sender.actor:
            await self._peers.remove_actor(sender.actor)
            await self._keys.forget(sender.actor)
            return None
        video = await self._catalog.by_url(delete.object)
        if video is None or video.local:
            return drop(InboxReason.UNKNOWN_OBJECT, "nothing of the kind here")
        if not speaks_for(video, sender):
            return drop(InboxReason.NOT_OWNER, "another host's video")
        await self._catalog.remote_gone(video.url)
        return None


def _outcome(imported: Video | Refused | None) -> Refused | None:
    """What went wrong with an import is our business: the sender is told that its message arrived."""
    return _as_drop(imported) if isinstance(imported, Refused) else None


def _as_drop(refusal: Refused | None) -> Refused | None:
    return None if refusal is None else Refused(refusal.reason, refusal.detail, ACCEPTED_AND_DROPPED)
