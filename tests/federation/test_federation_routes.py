"""Identity and discovery over HTTP, as PeerTube, other servers and browsers ask for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from pytest_aiohttp.plugin import AiohttpClient

from federation.discovery import Offers
from federation.documents import ActorKind, Channel, InstanceIdentity
from federation.peers import Software, instance_actor_url, nodeinfo_url, read_nodeinfo
from federation.routes import SignatureGuard, setup_routes
from federation.vocabulary.build import Document
from foundation.errors import Refused

FIXTURES = Path(__file__).parents[1] / "fixtures" / "peertube-6.3"
BASE = "https://our.example"
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
PEERTUBE = {"Accept": "application/activity+json, application/ld+json"}

Client = TestClient[web.Request, web.Application]


class House:
    identity = InstanceIdentity(BASE, "our.example", "-----BEGIN PUBLIC KEY-----\n", display_name="Our <house>")

    async def channel(self, name: str) -> Channel | None:
        return Channel("main", "Main") if name == "main" else None

    async def video_count(self) -> int:
        return 7


OFFERS = Offers("0.1.0", viewer_lifetime_ms=120_000, announce_within_ms=2_500, repository="https://code.example/x")


async def start(aiohttp_client: AiohttpClient, guard: SignatureGuard | None = None) -> Client:
    app = web.Application()
    setup_routes(app.router, House(), OFFERS, require_signature=guard)
    return await aiohttp_client(app)


@pytest.fixture
async def client(aiohttp_client: AiohttpClient) -> Client:
    return await start(aiohttp_client)


async def test_actors_for_machines(client: Client) -> None:
    for path, kind in {
        "/accounts/peertube": "Application",
        "/accounts/owner": "Person",
        "/video-channels/main": "Group",
    }.items():
        for headers in (PEERTUBE, {"Accept": "*/*"}, {"Accept": "application/ld+json"}):
            answer = await client.get(path, headers=headers)
            assert (answer.status, answer.content_type) == (200, "application/activity+json")
            assert (answer.headers["Vary"], answer.headers["Cache-Control"]) == ("Accept", "public, max-age=180")
            document = json.loads(await answer.read())
            assert (document["type"], document["id"]) == (kind, BASE + path)
            assert next(iter(document)) == "@context"


async def test_actors_for_people(client: Client) -> None:
    answer = await client.get("/accounts/peertube", headers=BROWSER)
    assert (answer.status, answer.content_type, answer.headers["Vary"]) == (200, "text/html", "Accept")
    text = await answer.text()
    assert "Our &lt;house&gt;" in text
    assert "@peertube@our.example" in text


async def test_a_page_of_ones_own(aiohttp_client: AiohttpClient) -> None:
    seen: list[tuple[ActorKind, str]] = []

    def page(request: web.Request, kind: ActorKind, document: Document) -> web.Response:
        seen.append((kind, document["name"]))
        return web.Response(text="hello")

    app = web.Application()
    setup_routes(app.router, House(), OFFERS, page=page)
    client = await aiohttp_client(app)
    assert await (await client.get("/video-channels/main", headers=BROWSER)).text() == "hello"
    assert seen == [(ActorKind.CHANNEL, "Main")]


@pytest.mark.parametrize(
    "path",
    [
        "/accounts/bob",
        "/accounts/main",
        "/video-channels/owner",
        "/video-channels/%00",
        "/video-channels/a%20b",
        "/accounts/%F0%9F",
    ],
)
async def test_nobody_of_that_name(client: Client, path: str) -> None:
    answer = await client.get(path, headers=PEERTUBE)
    assert (answer.status, answer.content_type) == (404, "application/problem+json")


async def test_signed_fetch_spares_the_instance_actor_and_discovery(aiohttp_client: AiohttpClient) -> None:
    async def guard(request: web.Request) -> Refused | None:
        return None if "Signature" in request.headers else Refused("signature_missing", "sign it", 401)

    client = await start(aiohttp_client, guard)
    assert (await client.get("/accounts/peertube", headers=PEERTUBE)).status == 200
    assert (await client.get("/.well-known/webfinger?resource=acct:main@our.example")).status == 200
    assert (await client.get("/accounts/owner", headers=BROWSER)).status == 200
    for path in ("/accounts/owner", "/video-channels/main"):
        assert (await client.get(path, headers=PEERTUBE)).status == 401
        answer = await client.get(path, headers={**PEERTUBE, "Signature": "x"})
        assert (answer.status, answer.headers["Cache-Control"]) == (200, "private, no-store")


@pytest.mark.parametrize(
    ("resource", "subject"),
    [
        ("acct:peertube@our.example", "peertube"),
        ("acct:peertube@OUR.example:443", "peertube"),
        ("owner@our.example", "owner"),
        ("acct:main@our.example", "main"),
        ("https://our.example", "peertube"),
        ("https://our.example/", "peertube"),
        ("https://our.example/accounts/owner", "owner"),
        ("https://our.example/video-channels/main", "main"),
    ],
)
async def test_webfinger(client: Client, resource: str, subject: str) -> None:
    answer = await client.get("/.well-known/webfinger", params={"resource": resource})
    assert (answer.status, answer.content_type) == (200, "application/jrd+json")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    found = json.loads(await answer.read())
    assert found["subject"] == f"acct:{subject}@our.example"
    assert found["links"][0]["href"] == found["aliases"][0]


async def test_webfinger_has_the_shape_peertube_was_content_with(client: Client) -> None:
    theirs = json.loads((FIXTURES / "minimal-origin" / "webfinger-peertube.json").read_text())
    answer = await client.get("/.well-known/webfinger?resource=acct:peertube@our.example")
    ours = (await answer.text()).replace("https://our.example", "http://127.0.0.1:9105")
    found = json.loads(ours.replace("our.example", "127.0.0.1:9105"))
    assert {**found, "links": found["links"][:1]} == theirs


@pytest.mark.parametrize(
    "resource",
    [
        "acct:bob@our.example",
        "acct:peertube@other.example",
        "acct:peertube",
        "acct:@our.example",
        "acct:a b@our.example",
        "acct:peertube@our.example@x",
        "https://other.example/accounts/peertube",
        "https://our.example/accounts/bob",
        "https://our.example/video-channels/none",
        "x" * 5000,
        "\x00",
    ],
)
async def test_webfinger_knows_nobody_else(client: Client, resource: str) -> None:
    answer = await client.get("/.well-known/webfinger", params={"resource": resource})
    assert answer.status == 404


async def test_webfinger_wants_a_resource(client: Client) -> None:
    for path in ("/.well-known/webfinger", "/.well-known/webfinger?resource="):
        assert (await client.get(path)).status == 400


async def test_host_meta(client: Client) -> None:
    answer = await client.get("/.well-known/host-meta")
    assert answer.content_type == "application/xrd+xml"
    assert 'template="https://our.example/.well-known/webfinger?resource={uri}"' in await answer.text()


async def test_our_nodeinfo_is_read_by_our_own_reader(client: Client) -> None:
    answer = await client.get("/.well-known/nodeinfo")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    index: Any = await answer.json()
    assert instance_actor_url(index, "our.example") == f"{BASE}/accounts/peertube"
    assert nodeinfo_url(index, "our.example") == f"{BASE}/nodeinfo/2.1"
    document: Any = await (await client.get("/nodeinfo/2.1")).json()
    assert read_nodeinfo(document) == Software(
        "fediviews", "0.1.0", True, True, batch_items=500, max_body_bytes=500_000
    )
    assert document["metadata"]["fediviews"] == {
        "protocol": 1,
        "yours": True,
        "batch": True,
        "batchItems": 500,
        "maxBody": 500_000,
        "signatures": ["cavage", "rfc9421"],
        "viewerLifetime": 120,
        "announceWithin": 2.5,
    }


@pytest.mark.parametrize("version", ["2.0", "2.1"])
async def test_nodeinfo(client: Client, version: str) -> None:
    for path in (f"/nodeinfo/{version}", f"/nodeinfo/{version}.json"):
        answer = await client.get(path)
        assert answer.headers["Content-Type"].endswith(
            f'profile="http://nodeinfo.diaspora.software/ns/schema/{version}#"'
        )
        document: Any = await answer.json()
        assert (document["version"], document["usage"]["localPosts"]) == (version, 7)
        assert ("repository" in document["software"]) is (version == "2.1")
    assert (await client.get("/nodeinfo/1.0")).status == 404
