"""What each kind of activity does, once its sender is proven. A refusal is a drop: 202 on the wire, a reason for us."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from federation.actors import ActorDocument
from federation.keys import KeyCache, RemoteKey
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
from foundation.clock import Clock
from foundation.database import Database, Transaction
from foundation.errors import Refused
from foundation.ratelimit import WindowLimiter
from foundation.urls import authority
from inbox.importer import Importer
from inbox.pipeline import Sender
from inbox.reasons import ACCEPTED_AND_DROPPED, InboxReason, drop
from inbox.viewing import ViewHandler, speaks_for
from inbox.watching import WatchActionHandler
from views.catalog import Catalog
from views.model import Video

RETRY_AFTER_S = 30
FETCHES_PER_MINUTE = 30
"""Actor documents that the Follows of one host may make us fetch; most need none."""


class FollowAnswers(Protocol):
    """The door out, as far as a Follow needs it: the answer joins the transaction of the follow it answers."""

    async def answer_follow(
        self, tx: Transaction, *, follow_id: str, actor: str, inbox: str, target: str, accepted: bool
    ) -> None: ...


class ActorSource(Protocol):
    async def fetch_actor(self, url: str) -> ActorDocument | Refused: ...


@dataclass(frozen=True, slots=True)
class _Inboxes:
    inbox: str
    shared_inbox: str | None


@dataclass(frozen=True, slots=True)
class OwnActors:
    """Which URLs are actors of ours that can be followed."""

    is_ours: Callable[[str], Awaitable[bool]]


class Handlers:
    """Callable as ``pipeline.Handler``: dispatches by the type of the activity.

    ``committed`` tells the door out that an answer waits in its log. Without ``watched`` no WatchAction is taken.
    """

    def __init__(
        self,
        *,
        views: ViewHandler,
        peers: Peers,
        catalog: Catalog,
        importer: Importer,
        actors: ActorSource,
        keys: KeyCache,
        answers: FollowAnswers,
        own: OwnActors,
        database: Database,
        clock: Clock,
        committed: Callable[[], None],
        watched: WatchActionHandler | None = None,
    ) -> None:
        self._view = views
        self._watched = watched
        self._peers = peers
        self._catalog = catalog
        self._importer = importer
        self._actors = actors
        self._keys = keys
        self._answers = answers
        self._own = own
        self._database = database
        self._committed = committed
        self._fetches: WindowLimiter[str] = WindowLimiter(clock, FETCHES_PER_MINUTE, 60_000, 10_000)

    async def __call__(self, activity: Activity, sender: Sender) -> Refused | None:
        match activity:
            case View():
                return await self._view(activity, sender)
            case Follow():
                return await self._follow(activity, sender)
            case Accept() | Reject():
                return await self._answer(activity, sender)
            case Undo():
                return await self._undo(activity, sender)
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

    async def _follow(self, follow: Follow, sender: Sender) -> Refused | None:
        if not await self._own.is_ours(follow.object):
            return drop(InboxReason.UNKNOWN_OBJECT, "no such actor to follow")
        follower = await self._follower(sender)
        if isinstance(follower, Refused):
            return follower
        refusal = self._peers.may_follow(sender.host, sender.actor, follow.object)

        async def work(tx: Transaction) -> Callable[[], None] | None:
            apply = None
            if refusal is None:
                apply = await self._peers.add_follower(
                    tx,
                    actor=sender.actor,
                    host=sender.host,
                    inbox=follower.inbox,
                    shared_inbox=follower.shared_inbox,
                    follow_id=follow.id,
                    object_=follow.object,
                )
            await self._answers.answer_follow(
                tx,
                follow_id=follow.id,
                actor=sender.actor,
                inbox=follower.inbox,
                target=follow.object,
                accepted=refusal is None,
            )
            return apply

        apply = await self._database.write(work)
        if apply is not None:
            apply()
        self._committed()
        return _as_drop(refusal)

    async def _follower(self, sender: Sender) -> _Inboxes | Refused:
        """Where to answer: what came with the sender's key, else its document."""
        key = await self._keys.get(sender.actor)
        if isinstance(key, RemoteKey) and key.actor == sender.actor and key.inbox is not None:
            return _Inboxes(key.inbox, key.shared_inbox)
        wait_s = self._fetches.hit(sender.host)
        if wait_s is not None:
            return Refused(InboxReason.TOO_MANY_REQUESTS, "too many unknown followers", 429, wait_s)
        actor = await self._actors.fetch_actor(sender.actor)
        if isinstance(actor, Refused):
            return Refused(actor.reason, actor.detail, 503, RETRY_AFTER_S)
        if actor.id != sender.actor:
            return drop(InboxReason.NOT_OWNER, "the follower's document is somebody else's")
        return _Inboxes(actor.inbox, actor.shared_inbox)

    async def _answer(self, answer: Accept | Reject, sender: Sender) -> Refused | None:
        quoted = answer.object
        if isinstance(quoted, Follow) and quoted.object != sender.actor:
            return drop(InboxReason.NOT_OWNER, "it answers a follow of somebody else")
        follow_id = quoted.id if isinstance(quoted, Follow) else quoted
        if isinstance(answer, Accept):
            known = await self._peers.accepted(sender.actor, follow_id)
        else:
            known = await self._peers.rejected(sender.actor, follow_id)
        return None if known else drop(InboxReason.UNKNOWN_OBJECT, "we asked for no such follow")

    async def _undo(self, undo: Undo, sender: Sender) -> Refused | None:
        undone = undo.object
        if isinstance(undone, Follow):
            if undone.actor != sender.actor:
                return drop(InboxReason.NOT_OWNER, "only the follower can undo its follow")
            known = await self._peers.remove_follower(sender.actor, undone.object)
        elif isinstance(undone, str):
            known = await self._peers.remove_follower(sender.actor, follow_id=undone)
        else:
            return drop(InboxReason.UNSUPPORTED_TYPE, "Undo of something else than a Follow")
        return None if known else drop(InboxReason.UNKNOWN_OBJECT, "no such follow")

    async def _announce(self, url: str, sender: Sender) -> Refused | None:
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
            self._keys.forget(sender.actor)
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
