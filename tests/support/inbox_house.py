"""The inbox with everything behind it real, but for the network and the door out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from aiohttp import web

from federation.actors import ActorDocument, read_actor
from federation.keys import KeyCache, KeyPolicy
from federation.peers import PeerLimits, PeerPolicy, Peers
from federation.peers.activity import PeerActivity
from federation.ports import NullPeerEvents
from federation.signatures.cavage import without_fragment
from federation.signatures.reasons import SignatureReason, refuse
from federation.signatures.verifier import Profile
from foundation.clock import ManualClock
from foundation.database import Database, Transaction
from foundation.errors import Refused
from foundation.metrics import Metrics
from foundation.urls import canonical_url
from inbox.follows import FollowHandler, OwnActors
from inbox.handlers import Handlers
from inbox.importer import Importer
from inbox.peer_quotas import PeerQuotas
from inbox.pipeline import Limits, Pipeline
from inbox.quarantine import Quarantine
from inbox.quotas import Quotas
from inbox.replay import QuarantineReplay
from inbox.routes import setup_routes
from inbox.sender import Sender
from inbox.unknown import ImportPolicy, UnknownVideos
from inbox.viewing import ViewHandler
from inbox.watching import WatchActionHandler
from views.catalog.catalog import Catalog
from views.counters.memory import MemoryCounterStore
from views.counting import ViewCounter
from views.model import Privacy, RemoteVideo, Video, VideoDraft
from views.ports import NullAnnouncer
from views.stats.model import Stay
from views.telling import Telling
from views.viewers import Lifetimes, Viewers

UUID = "9c9de5e8-0a1e-484a-b099-e80766180a6d"
REMOTE_UUID = "a44521d0-0fb8-4ade-8002-3385545c3318"
PUBLISHED_MS = 1_700_000_000_000
MAX_EXPIRES_MS = 600_000


class FakeWeb:
    """Documents by URL in place of the network; ``moved`` maps a URL to where it redirects."""

    def __init__(self, documents: Mapping[str, Any] | None = None) -> None:
        self.documents: dict[str, Any] = dict(documents or {})
        self.moved: dict[str, str] = {}
        self.asked: list[str] = []

    async def fetch_document(self, url: str) -> tuple[dict[str, Any], str] | Refused:
        self.asked.append(url)
        final = self.moved.get(url, url)
        found = self.documents.get(final)
        if found is None:
            return refuse(SignatureReason.ACTOR_GONE, "status 404")
        return found if isinstance(found, Refused) else (found, canonical_url(final) or final)

    async def fetch_key_owner(self, url: str, onward: Callable[[str], None]) -> ActorDocument | Refused:
        return await self.fetch_actor(url)

    async def fetch_actor(self, url: str) -> ActorDocument | Refused:
        fetched = await self.fetch_document(without_fragment(url))
        return fetched if isinstance(fetched, Refused) else read_actor(fetched[0])


class FakeAnswers:
    """The door out, as far as a Follow needs it: ``(follow id, inbox, target, accepted)``."""

    def __init__(self) -> None:
        self.given: list[tuple[str, str, str, bool]] = []
        self.commits = 0

    async def answer_follow(
        self, tx: Transaction, *, follow_id: str, actor: str, inbox: str, target: str, accepted: bool
    ) -> None:
        self.given.append((follow_id, inbox, target, accepted))

    def committed(self) -> None:
        self.commits += 1


class FakeStays:
    """The statistics, as far as a WatchAction needs them: ``saved`` by url."""

    def __init__(self) -> None:
        self.saved: dict[str, Stay] = {}

    async def save_remote(self, stay: Stay) -> bool:
        if stay.url in self.saved:
            return False
        self.saved[stay.url] = stay
        return True


class House:
    """One instance at ``base``; call :meth:`start` before anything else."""

    def __init__(
        self,
        database: Database,
        clock: ManualClock,
        *,
        base: str = "https://tube.example",
        documents: Mapping[str, Any] | None = None,
        policies: Iterable[PeerPolicy] = (),
        open_federation: bool = True,
        quota: int = 100,
        limits: PeerLimits | None = None,
        imports: ImportPolicy = ImportPolicy.NEVER,
        max_followers: int = 20,
        requests: int | None = None,
        max_items: int = 5,
        max_body_bytes: int = 50_000,
        quarantine_size: int = 100,
        quarantine_bytes: int = 100_000,
        hosts_per_site: int = 4,
    ) -> None:
        self.base = base
        self.host = base.partition("://")[2]
        self.database, self.clock, self.metrics = database, clock, Metrics()
        self.web, self.answers = FakeWeb(documents), FakeAnswers()
        self.spoke: list[str] = []
        self.peers = Peers(
            database,
            clock,
            NullPeerEvents(),
            policies=policies,
            open_federation=open_federation,
            limits=limits or PeerLimits(viewers_per_video=quota),
            own_host=self.host,
            max_followers=max_followers,
            hosts_per_site=hosts_per_site,
        )
        self.keys = KeyCache(
            clock,
            self.web,
            self.metrics,
            KeyPolicy(own_authorities=frozenset({self.host}), allow_http=True),
            may_fetch=self.peers.may_speak,
        )
        announcer = NullAnnouncer()
        self.store = MemoryCounterStore()
        self.catalog = Catalog(database, announcer, clock, self.video_url, self.host)
        self.viewers = Viewers(
            self.store,
            announcer,
            self.catalog,
            Telling(b"secret"),
            clock,
            quota_of=self.peers.quota,
            believed=self.peers.parties.believed,
            lifetimes=Lifetimes(120_000, MAX_EXPIRES_MS),
        )
        self.counter = ViewCounter(database, self.catalog, self.store, announcer, clock, self.metrics)
        self.importer = Importer(
            self.web, self.catalog, clock, self.metrics, own_host=self.host, may_fetch=self.peers.may_speak
        )
        parties = self.peers.parties
        self.quarantine = Quarantine(
            quarantine_size, clock, self.metrics, max_bytes=quarantine_bytes, party_of=parties.of
        )
        self.activity = PeerActivity(database, clock, self.metrics)
        self.views = ViewHandler(
            peers=self.peers,
            catalog=self.catalog,
            viewers=self.viewers,
            counter=self.counter,
            unknown=UnknownVideos(imports, self.peers, self.importer, clock),
            clock=clock,
            max_expires_ms=MAX_EXPIRES_MS,
            quotas=PeerQuotas(self.peers.limits, clock, self.metrics, most_videos=100, parties=parties),
            activity=self.activity,
        )
        self.stays = FakeStays()
        self.handlers = Handlers(
            views=self.views,
            watched=WatchActionHandler(peers=self.peers, catalog=self.catalog, stays=self.stays, clock=clock),
            peers=self.peers,
            catalog=self.catalog,
            importer=self.importer,
            keys=self.keys,
            follows=FollowHandler(
                peers=self.peers,
                actors=self.web,
                keys=self.keys,
                answers=self.answers,
                own=OwnActors(self._is_ours),
                database=database,
                clock=clock,
                committed=self.answers.committed,
                spool=None,
            ),
        )
        self.pipeline = Pipeline(
            profile=Profile(frozenset({self.host})),
            keys=self.keys,
            peers=self.peers,
            handle=self.handlers,
            quotas=Quotas(clock, requests, 10_000, parties.circles),
            quarantine=self.quarantine,
            limits=Limits(max_body_bytes=max_body_bytes, body_timeout_ms=5_000, max_items=max_items, max_count=10**7),
            address_of=lambda request: request.remote or "",
            spoke=self.spoke.append,
            clock=clock,
            metrics=self.metrics,
        )
        self.replay = QuarantineReplay(self.quarantine, self.pipeline.judge_again, self.peers.may_speak)

    async def start(self) -> House:
        await self.peers.load()
        return self

    def app(self) -> web.Application:
        app = web.Application()
        setup_routes(app.router, self.pipeline, lambda path: path in ("/accounts/peertube", "/accounts/root"))
        return app

    # What it has

    def video_url(self, uuid: str) -> str:
        return f"{self.base}/videos/watch/{uuid}"

    async def _is_ours(self, url: str) -> bool:
        return url == f"{self.base}/accounts/peertube"

    async def local(self, uuid: str = UUID, privacy: Privacy = Privacy.PUBLIC) -> Video:
        verdict = await self.catalog.put_local(VideoDraft(uuid, "Big Buck Bunny", 596, privacy=privacy))
        assert not isinstance(verdict, Refused), verdict
        return verdict[0]

    async def remote(self, base: str, uuid: str = REMOTE_UUID, **changes: Any) -> Video:
        values: dict[str, Any] = {
            "uuid": uuid,
            "url": f"{base}/videos/watch/{uuid}",
            "origin": base.partition("://")[2],
            "name": "Sintel",
            "duration_s": 888,
            "is_live": False,
            "channel": f"{base}/video-channels/films",
            "owner": f"{base}/accounts/root",
            "privacy": Privacy.PUBLIC,
            "published_ms": PUBLISHED_MS,
            "updated_ms": PUBLISHED_MS,
            "views": 12,
        }
        video = await self.catalog.put_remote(RemoteVideo(**(values | changes)))
        assert isinstance(video, Video), video
        return video

    async def follow(self, actor: str, *, accepted: bool = True) -> None:
        """We ask to follow an actor, and it says yes."""
        apply = await self.database.write(
            lambda tx: self.peers.add_following(
                tx,
                actor=actor,
                host=actor.split("/")[2],
                inbox=f"{actor}/inbox",
                shared_inbox=None,
                follow_id=f"{self.base}/accounts/peertube/follows/1",
                object_=f"{self.base}/accounts/peertube",
            )
        )
        apply()
        if accepted:
            assert await self.peers.accepted(actor)

    async def followed_by(self, actor: str, follow_id: str) -> None:
        apply = await self.database.write(
            lambda tx: self.peers.add_follower(
                tx,
                actor=actor,
                host=actor.split("/")[2],
                inbox=f"{actor}/inbox",
                shared_inbox=None,
                follow_id=follow_id,
                object_=f"{self.base}/accounts/peertube",
            )
        )
        apply()

    def sender(self, actor: str, *, ago_ms: int = 0, signed_ms: int | None = None) -> Sender:
        """Somebody who proved to have signed a request ``ago_ms`` ago (or at that time of its own clock)."""
        now_ms = self.clock.now_ms()
        return Sender(actor, actor.split("/")[2], now_ms - ago_ms if signed_ms is None else signed_ms, now_ms)

    # What it says

    async def number(self, video: Video) -> int:
        """The number shown."""
        return (await self.viewers.shown(video)).viewers

    async def counted(self, video: Video) -> int:
        self.catalog.forget(video)
        found = await self.catalog.by_number(video.number)
        assert found is not None
        return found.views

    def reasons(self) -> list[str]:
        """Why what was not taken was not, oldest first."""
        return [entry.reason for entry in reversed(self.quarantine.newest(1_000))]


def actor_document(actor: str, *, kind: str = "Person", pem: str = "", **changes: Any) -> dict[str, Any]:
    """A document of an actor whose key's id ends in ``#main-key``."""
    host = "/".join(actor.split("/")[:3])
    return {
        "id": actor,
        "type": kind,
        "preferredUsername": actor.rsplit("/", 1)[1],
        "inbox": f"{actor}/inbox",
        "endpoints": {"sharedInbox": f"{host}/inbox"},
        "publicKey": {"id": f"{actor}#main-key", "owner": actor, "publicKeyPem": pem},
        **changes,
    }


def video_document(base: str, uuid: str = REMOTE_UUID, **changes: Any) -> dict[str, Any]:
    return {
        "type": "Video",
        "id": f"{base}/videos/watch/{uuid}",
        "uuid": uuid,
        "name": "Sintel",
        "duration": "PT888S",
        "views": 12,
        "published": "2023-11-14T22:13:20.000Z",
        "updated": "2023-11-14T22:13:20.000Z",
        "to": ["https://www.w3.org/ns/activitystreams#Public"],
        "attributedTo": [
            {"type": "Person", "id": f"{base}/accounts/root"},
            {"type": "Group", "id": f"{base}/video-channels/films"},
        ],
        **changes,
    }


def numbered(base: str, count: int) -> Iterator[str]:
    """Ids of activities of a host."""
    return (f"{base}/activities/{number}" for number in range(count))
