"""Domain events become activities: the durable ones in the transaction of what they tell, the soft ones in memory."""

from __future__ import annotations

from collections.abc import Callable

from federation.documents import InstanceIdentity
from federation.peers import Peers
from federation.vocabulary import PUBLIC, build
from foundation.clock import Clock, iso_ms
from foundation.database import Transaction
from outbox.deliverer import Deliverer
from outbox.documents import video_object
from outbox.log import Activity, ActivityLog, Kind
from outbox.names import audience
from outbox.watch_actions import told_watch_action
from views.model import Privacy, Video
from views.ports import OriginTraits, Tell
from views.stats.model import Stay

RESEND_AFTER = 0.75
RESEND_AFTER_APPENDING = 0.95
"""Towards PeerTube before 7.1, where a viewer told again counts twice until the first telling expires."""


class OutboxAnnouncer:
    """Implements `views.ports.Announcer`. ``ask_software`` notes that a host's NodeInfo is wanted (host, scheme).

    Nothing is ever said about a private video, except that it is gone.
    """

    def __init__(
        self,
        *,
        identity: InstanceIdentity,
        log: ActivityLog,
        deliverer: Deliverer,
        peers: Peers,
        ask_software: Callable[[str, str], None],
        clock: Clock,
    ) -> None:
        self._identity = identity
        self._log = log
        self._deliverer = deliverer
        self._peers = peers
        self._ask_software = ask_software
        self._clock = clock

    def origin_traits(self, origin: str) -> OriginTraits:
        appends = self._peers.software.appends_viewers(origin)
        return OriginTraits(
            resend_after=RESEND_AFTER_APPENDING if appends else RESEND_AFTER,
            appends=appends,
            says_yours=self._peers.software.says_yours(origin),
        )

    def tell_origin(self, tell: Tell) -> None:
        video = tell.video
        if video.local or not video.owner or not video.federated:
            return
        self._ask_software(video.origin, video.url.partition(":")[0].lower())
        self._deliverer.tell(tell)

    def number_moved(self, video: Video) -> None:
        self._deliverer.number_moved(video)

    async def view_counted(self, tx: Transaction, video: Video, view_id: str, at_ms: int) -> None:
        """Of a video of ours: for the followers. Of a remote one: for its origin."""
        if not video.federated or not (video.local or video.owner):
            return
        to = audience(self._identity, video)[0] if video.local else [video.owner]
        view = build.view_counted(
            actor=self._identity.actor_url, number=video.number, view_uuid=view_id, video=video.url, to=to
        )
        if video.local:
            await self._say(tx, Kind.VIEW, video, view)
        else:
            await self._say(tx, Kind.VIEW, video, view, host=video.origin, recipient=video.owner)

    async def watched(self, tx: Transaction, video: Video, stay: Stay) -> None:
        """Of a remote video: its origin is told what was watched, now that it is over."""
        if video.local or not video.owner or not video.federated:
            return
        action = told_watch_action(video, stay)
        create = build.create(actor=self._identity.actor_url, object_=action, to=[video.owner])
        await self._say(tx, Kind.CREATE, video, create, host=video.origin, recipient=video.owner)

    async def views_moved(self, tx: Transaction, video: Video) -> None:
        await self.video_updated(tx, video)

    async def video_published(self, tx: Transaction, video: Video) -> None:
        """Public videos are announced by the instance actor: it is the one that PeerTube follows."""
        if video.local and video.privacy is Privacy.PUBLIC:
            await self._say(tx, Kind.ANNOUNCE, video, announce_of(self._identity, video))

    async def video_updated(self, tx: Transaction, video: Video) -> None:
        if not video.local or not video.federated:
            return
        to, cc = audience(self._identity, video)
        document = build.update(
            actor=self._identity.owner_url,
            object_=video_object(self._identity, video),
            updated_ms=video.updated_ms,
            to=to,
            cc=cc,
        )
        await self._say(tx, Kind.UPDATE, video, document)

    async def video_deleted(self, tx: Transaction, video: Video) -> None:
        """Gone, or private from now on. ``video`` is as it was before."""
        if not video.local or not video.federated:
            return
        followers = self._identity.followers_url
        document = build.delete(actor=self._identity.owner_url, object_=video.url, to=[PUBLIC, followers])
        # A video may go, return and go again: receivers take the same id only once.
        document["id"] = f"{video.url}/delete/{iso_ms(self._clock.now_ms())}"
        await self._say(tx, Kind.DELETE, video, document)

    def committed(self) -> None:
        self._deliverer.committed()

    async def _say(
        self,
        tx: Transaction,
        kind: Kind,
        video: Video,
        document: build.Document,
        *,
        host: str | None = None,
        recipient: str = "",
    ) -> None:
        activity = activity_of(kind, video.url, document)
        if host is not None:
            activity = activity_of(kind, video.url, document, audience=host, recipient=recipient)
        await self._log.append(tx, activity, self._clock.now_ms())


def announce_of(identity: InstanceIdentity, video: Video) -> build.Document:
    """The Announce of a public video of ours; its id never changes."""
    to = [PUBLIC, identity.followers_url]
    return build.announce(actor=identity.actor_url, number=1, video=video.url, to=to)


def activity_of(kind: Kind, subject: str, document: build.Document, **to: str) -> Activity:
    """A document as the log keeps it; ``to`` are `Activity`'s ``audience``, ``recipient`` and ``inbox``."""
    return Activity(document["id"], kind, subject, document["actor"], build.encode(document), **to)
