"""Both ends of a signed request over real sockets: the client that fetches a key, the server that wants it signed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from handmade import rsa_key

from federation.actors import ActorClient
from federation.keys import KeyCache, KeyPair, KeyPolicy, RemoteKey
from federation.signatures.signer import Signer
from federation.signatures.verifier import Profile, SignedRequest, Verified, check, inspect
from foundation.clock import ManualClock
from foundation.errors import Refused
from foundation.http import HttpClient
from foundation.metrics import Metrics

OURS = "http://127.0.0.1:1/accounts/peertube"


class Peer:
    """An instance that shows its actor to signed requests only."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.pair = KeyPair.of(rsa_key())
        self.verdicts: list[Verified | Refused] = []
        app = web.Application()
        app.router.add_get("/accounts/{name}", self.actor)
        self.server = TestServer(app)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}/accounts/peertube"

    async def actor(self, request: web.Request) -> web.Response:
        profile = Profile(frozenset({f"127.0.0.1:{self.server.port}"}))
        signed = SignedRequest(request.method, request.raw_path, tuple(request.headers.items()), await request.read())
        verdict: Verified | Refused
        inspected = inspect(signed, profile, self.clock.now_ms())
        if isinstance(inspected, Refused):
            verdict = inspected
        else:
            key = RemoteKey(f"{OURS}#main-key", OURS, "127.0.0.1:1", rsa_key(number=1).public_key())
            verdict = check(inspected, key)
        self.verdicts.append(verdict)
        if isinstance(verdict, Refused):
            return web.Response(status=verdict.status)
        document = {
            "id": self.url,
            "type": "Application",
            "inbox": f"{self.url}/inbox",
            "publicKey": {"id": f"{self.url}#main-key", "owner": self.url, "publicKeyPem": self.pair.public_pem},
        }
        return web.json_response(document, content_type="application/activity+json")


@pytest.fixture
async def peer(clock: ManualClock) -> AsyncIterator[Peer]:
    started = Peer(clock)
    await started.server.start_server()
    yield started
    await started.server.close()


@pytest.fixture
async def http(clock: ManualClock, metrics: Metrics) -> AsyncIterator[HttpClient]:
    async with HttpClient(
        clock, metrics, allow_private_addresses=True, allow_http=True, user_agent="Fediviews"
    ) as client:
        yield client


async def test_a_key_arrives_by_a_signed_fetch(
    peer: Peer, http: HttpClient, clock: ManualClock, metrics: Metrics
) -> None:
    sign = Signer(f"{OURS}#main-key", rsa_key(number=1)).at(clock)
    cache = KeyCache(clock, ActorClient(http, sign), metrics, KeyPolicy(allow_http=True))
    key = await cache.get(f"{peer.url}#main-key")
    assert isinstance(key, RemoteKey)
    assert key.public_key == rsa_key().public_key()
    assert isinstance(peer.verdicts[0], Verified)
    # Another spelling of the same address is another keyId, and nobody's.
    odd = await cache.get(f"{peer.url}?x=%41&y=é")
    assert isinstance(odd, Refused)
    assert odd.reason == "key_owner"
    assert isinstance(peer.verdicts[1], Verified)


async def test_an_unsigned_fetch_is_turned_away(
    peer: Peer, http: HttpClient, clock: ManualClock, metrics: Metrics
) -> None:
    refusal = await KeyCache(clock, ActorClient(http), metrics, KeyPolicy(allow_http=True)).get(peer.url)
    assert isinstance(refusal, Refused)
    assert refusal.reason == "key_unavailable"
    assert [verdict.reason for verdict in peer.verdicts if isinstance(verdict, Refused)] == ["no_signature"]


async def test_redirects_lead_to_nobody_more_often_than_its_keys_are_fetched(
    http: HttpClient, clock: ManualClock, metrics: Metrics
) -> None:
    asked: list[str] = []

    async def victim(request: web.Request) -> web.Response:
        asked.append(request.path)
        raise web.HTTPFound(f"/{len(asked)}")

    async def away(request: web.Request) -> web.Response:
        raise web.HTTPFound(f"http://127.0.0.9:{servers[0].port}/x")

    servers = []
    for number in range(5):
        app = web.Application()
        app.router.add_get("/{name}", away if number else victim)
        servers.append(TestServer(app, host=f"127.0.{number}.9"))
        await servers[-1].start_server()
    blocked = Refused("blocked", "", 403)
    keys = KeyCache(
        clock,
        ActorClient(http),
        metrics,
        KeyPolicy(allow_http=True, fetches_per_minute=6),
        may_fetch=lambda host: blocked if host.startswith("127.0.0.9") and barred else None,
    )
    barred = True
    for server in servers[1:]:
        assert isinstance(await keys.get(f"http://{server.host}:{server.port}/first"), Refused)
    assert not asked, "policy holds wherever a redirect leads"
    barred = False
    for server in servers[1:]:
        for name in range(5):
            assert isinstance(await keys.get(f"http://{server.host}:{server.port}/{name}"), Refused)
    assert len(asked) == 6
    for server in servers:
        await server.close()
