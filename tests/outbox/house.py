"""A door out with real parts around it, and peers on loopback that behave as told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.test_utils import TestServer
from door import Door, DoorRules, Inside, Outside, PeerNews

from federation.actors import ActorClient
from federation.documents import InstanceIdentity
from federation.keys import KeyPair, load_public_key
from federation.peers import PeerPolicy, Peers
from federation.signatures.verifier import Profile, SignedRequest, Verified, check, inspect
from foundation.clock import ManualClock
from foundation.database import Database
from foundation.errors import Refused
from foundation.http import HttpClient
from foundation.metrics import Metrics
from outbox.retry import RetryPolicy
from outbox.serving import DeliveryRules
from views.catalog.catalog import Catalog
from views.catalog.listing import VideoFilter, VideoPage
from views.model import Privacy, RemoteVideo, Video, VideoDraft
from views.ports import Tell
from views.shown import Shown

KEYS = KeyPair.generate()
US = "http://us.example:8080"
UUIDS = [f"9c9de5e8-0a1e-484a-b099-e807661800{n:02x}" for n in range(64)]
LIFETIME_MS = 120_000
Answer = int | Callable[[web.Request, bytes], Awaitable[web.StreamResponse] | web.StreamResponse]


@dataclass
class _Key:
    key_id: str
    actor: str
    public_key: Any


@dataclass
class FakePeer:
    """An instance that checks signatures and keeps what it got. ``answers`` are used up one by one, then ``answer``."""

    clock: ManualClock
    software: Mapping[str, Any] | None = None
    answers: list[Answer] = field(default_factory=list)
    answer: Answer = 204
    got: list[tuple[str, Any]] = field(default_factory=list)
    verdicts: list[Any] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    asked: int = 0
    broken: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    base: str = ""
    host: str = ""
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self, aiohttp_server: Callable[[web.Application], Awaitable[TestServer]]) -> FakePeer:
        app = web.Application()
        app.router.add_get("/.well-known/nodeinfo", self._index)
        app.router.add_get("/nodeinfo/2.0", self._nodeinfo)
        app.router.add_get("/accounts/{name}", self._actor)
        app.router.add_post("/inbox", self._inbox)
        app.router.add_post("/accounts/{name}/inbox", self._inbox)
        server = await aiohttp_server(app)
        self.host = f"127.0.0.1:{server.port}"
        self.base = f"http://{self.host}"
        return self

    @property
    def actor(self) -> str:
        return f"{self.base}/accounts/peertube"

    @property
    def activities(self) -> list[dict[str, Any]]:
        """Everything received, Collections opened."""
        found: list[dict[str, Any]] = []
        for _, document in self.got:
            found += document["items"] if document["type"] == "Collection" else [document]
        return found

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [activity for activity in self.activities if activity["type"] == kind]

    async def heard(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def _index(self, request: web.Request) -> web.Response:
        links = [{"rel": "https://www.w3.org/ns/activitystreams#Application", "href": self.actor}]
        if self.software is not None:
            href = f"{self.base}/nodeinfo/2.0"
            links.append({"rel": "http://nodeinfo.diaspora.software/ns/schema/2.0", "href": href})
        return web.json_response({"links": links})

    async def _nodeinfo(self, request: web.Request) -> web.Response:
        self.asked += 1
        return web.json_response(self.software)

    async def _actor(self, request: web.Request) -> web.Response:
        if request.match_info["name"] in self.broken:
            status, body = self.broken[request.match_info["name"]]
            return web.Response(status=status, body=body, content_type="application/activity+json")
        url = self.base + request.path
        document = {
            "id": url,
            "type": "Application",
            "preferredUsername": request.match_info["name"],
            "inbox": f"{url}/inbox",
            "endpoints": {"sharedInbox": f"{self.base}/inbox"},
            "publicKey": {"id": f"{url}#main-key", "owner": url, "publicKeyPem": KEYS.public_pem},
        }
        return web.Response(body=msgspec.json.encode(document), content_type="application/activity+json")

    async def _inbox(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self._verify(request, body)
        answer = self.answers.pop(0) if self.answers else self.answer
        if isinstance(answer, int):
            if answer < 300:
                self.got.append((request.path, msgspec.json.decode(body)))
            response: web.StreamResponse = web.Response(status=answer, headers=self.headers)
        else:
            made = answer(request, body)
            response = made if isinstance(made, web.StreamResponse) else await made
        self._news.set()
        return response

    def _verify(self, request: web.Request, body: bytes) -> None:
        headers = tuple((name, value) for name, value in request.headers.items())
        signed = SignedRequest(request.method, request.raw_path, headers, body)
        inspected = inspect(signed, Profile(frozenset({self.host})), self.clock.now_ms())
        if isinstance(inspected, Refused):
            self.verdicts.append(inspected)
            return
        key = load_public_key(KEYS.public_pem)
        assert not isinstance(key, Refused)
        actor = inspected.key_id.partition("#")[0]
        verdict = check(inspected, _Key(inspected.key_id, actor, key))
        document = msgspec.json.decode(body)
        if isinstance(verdict, Verified) and document["actor"] != actor:
            verdict = Refused("signer_mismatch")
        self.verdicts.append(verdict)

    @property
    def all_signed(self) -> bool:
        return bool(self.verdicts) and all(isinstance(verdict, Verified) for verdict in self.verdicts)


FEDIVIEWS = {
    "version": "2.0",
    "software": {"name": "fediviews", "version": "0.1.0"},
    "metadata": {"fediviews": {"yours": True, "batch": True}},
}
PEERTUBE = {"version": "2.0", "software": {"name": "peertube", "version": "6.3.0"}}
MASTODON = {"version": "2.0", "software": {"name": "mastodon", "version": "4.3.0"}}


class House:
    """Numbers shown are what ``viewers`` says."""

    def __init__(
        self,
        database: Database,
        clock: ManualClock,
        *,
        policies: Sequence[PeerPolicy] = (),
        timeout_ms: int = 3_000,
        refollow_ms: int = 43_200_000,
        retry: RetryPolicy | None = None,
        troubled: int = 16,
    ) -> None:
        self.clock, self.database = clock, database
        self.metrics = metrics = Metrics()
        self.identity = InstanceIdentity(US, "us.example:8080", KEYS.public_pem)
        self.http = HttpClient(
            clock, metrics, allow_private_addresses=True, allow_http=True, user_agent="test", timeout_ms=timeout_ms
        )
        self.news = PeerNews()
        self.peers = Peers(database, clock, self.news, policies=policies, own_host="us.example:8080")
        self.viewers: dict[int, Shown] = {}
        self.told: list[tuple[Tell, int]] = []
        outside = Outside(
            identity=self.identity,
            private_key=KEYS.private_key,
            http=self.http,
            actors=ActorClient(self.http),
            peers=self.peers,
            news=self.news,
            database=database,
            clock=clock,
            metrics=metrics,
            schemes=("http",),
        )
        inside = Inside(self.shown_many, self._told, lambda number: self.catalog.by_number(number), self)
        self.rules = DoorRules(
            LIFETIME_MS,
            DeliveryRules(retry=retry or RetryPolicy(first_ms=1000), troubled=troubled),
            refollow_ms=refollow_ms,
        )
        self.door = Door(outside, inside, self.rules, random=lambda: 0.0)
        self.catalog = Catalog(database, self.door.announcer, clock, self.identity.video_url, self.identity.authority)

    async def list_videos(
        self, start: int = 0, count: int = 15, sort: str = "-publishedAt", filters: VideoFilter | None = None
    ) -> VideoPage | Refused:
        return await self.catalog.list_videos(start, count, sort, filters)

    async def shown_many(self, videos: Sequence[Video]) -> Sequence[Shown]:
        return [self.viewers.get(video.number, Shown(0, 0)) for video in videos]

    async def _told(self, tell: Tell, acked_ms: int) -> None:
        self.told.append((tell, acked_ms))

    async def start(self) -> House:
        await self.peers.load()
        await self.door.start()
        return self

    async def stop(self) -> None:
        await self.door.stop()
        await self.http.close()

    async def video(
        self, n: int = 0, *, privacy: Privacy = Privacy.PUBLIC, is_live: bool = False, name: str = "A video"
    ) -> Video:
        put = await self.catalog.put_local(VideoDraft(UUIDS[n], name, 60, is_live=is_live, privacy=privacy))
        assert not isinstance(put, Refused)
        return put[0]

    async def remote_video(self, peer: FakePeer, n: int = 40, *, owner: str = "root") -> Video:
        url = f"{peer.base}/videos/watch/{UUIDS[n]}"
        kept = await self.catalog.put_remote(
            RemoteVideo(
                UUIDS[n],
                url,
                peer.host,
                "Theirs",
                60,
                False,
                "c",
                f"{peer.base}/accounts/{owner}",
                Privacy.PUBLIC,
                0,
                0,
                0,
            )
        )
        assert isinstance(kept, Video)
        return kept

    def show(self, video: Video, viewers: int, **peers: int) -> None:
        self.viewers[video.number] = Shown(viewers, viewers, dict(peers))
        self.door.announcer.number_moved(video)

    async def befriend(self, peer: FakePeer) -> None:
        """The peer follows us."""

        async def work(tx: Any) -> Callable[[], None]:
            return await self.peers.add_follower(
                tx,
                actor=peer.actor,
                host=peer.host,
                inbox=f"{peer.actor}/inbox",
                shared_inbox=f"{peer.base}/inbox",
                follow_id=f"{peer.actor}/follows/1",
                object_=self.identity.actor_url,
            )

        (await self.database.write(work))()
        await self.until(lambda: not self.door.events._errands)
        await self.until_async(self._welcomed, peer.host)

    async def probed(self, peer: FakePeer) -> None:
        """Its software is known."""
        self.door.probe.ask(peer.host, "http")
        await self.until(lambda: not self.peers.software.nodeinfo_due(peer.host, self.clock.now_ms()))

    async def _welcomed(self, host: str) -> bool:
        return host in await self.door.log.followers_known() and not self.peers.software.nodeinfo_due(
            host, self.clock.now_ms()
        )

    async def until(self, condition: Callable[[], bool], step_ms: int = 0) -> None:
        """Let everybody work (and time pass in steps) until the condition holds."""
        async with asyncio.timeout(5):
            while not condition():
                if step_ms:
                    self.clock.advance(step_ms)
                await asyncio.sleep(0.002)

    async def until_async(self, condition: Callable[..., Awaitable[bool]], *arguments: Any) -> None:
        async with asyncio.timeout(5):
            while not await condition(*arguments):  # noqa: ASYNC110
                await asyncio.sleep(0.002)

    async def settle(self) -> None:
        """Let everybody finish what they do now."""
        for _ in range(10):
            await asyncio.sleep(0.002)


MakeHouse = Callable[..., Awaitable[House]]
MakePeer = Callable[..., Awaitable[FakePeer]]
