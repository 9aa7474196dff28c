from __future__ import annotations

import pytest
from aiohttp.test_utils import TestClient
from rest_house import (
    ADMIN,
    HOST,
    LIVE,
    REMOTE_URL,
    SECRET_VIDEO,
    SHORT,
    STATS,
    UNKNOWN,
    VOD,
    House,
    build,
    remote_video,
)

from foundation.clock import ManualClock
from foundation.database import Database
from foundation.errors import Refused
from foundation.metrics import Metrics
from views.ids import short_uuid
from views.model import Privacy
from views.sessions import MAX_TTL_MS, ViewerToken


@pytest.fixture
async def house(database: Database, clock: ManualClock, metrics: Metrics) -> House:
    return await build(database, clock, metrics)


@pytest.fixture
async def client(house: House, aiohttp_client) -> TestClient:
    return await aiohttp_client(house.app())


async def test_a_video_has_peertubes_keys(client: TestClient, house: House) -> None:
    await client.post(f"/api/v1/videos/{VOD}/views", json={"currentTime": 1})
    number = house.videos[VOD].number
    for name in (VOD, short_uuid(VOD), number):
        response = await client.get(f"/api/v1/videos/{name}")
        assert response.status == 200
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        video = await response.json()
        assert video["id"] == number
        assert (video["uuid"], video["shortUUID"]) == (VOD, short_uuid(VOD))
        assert video["url"] == f"https://here.example/videos/watch/{VOD}"
        assert (video["name"], video["duration"], video["isLive"], video["isLocal"]) == ("A video", 600, False, True)
        assert (video["views"], video["viewers"]) == (0, 1)
        assert video["privacy"] == {"id": 1, "label": "Public"}
        assert video["channel"]["name"] == "main"
        assert video["account"] == {"name": "peertube", "displayName": "peertube", "host": "here.example"}
        assert video["publishedAt"].endswith("Z")


async def test_a_remote_video_names_its_own_people(client: TestClient, house: House) -> None:
    remote = await house.api.catalog.put_remote(remote_video())
    video = await (await client.get(f"/api/v1/videos/{remote.uuid}")).json()
    assert video["isLocal"] is False
    assert video["views"] == 77
    assert video["channel"] == {"name": "films", "displayName": "films", "host": "far.example"}
    assert video["account"]["name"] == "anna"


@pytest.mark.parametrize(
    ("name", "status"), [(UNKNOWN, 404), (999, 404), ("garbage", 400), ("%ff", 400), (SECRET_VIDEO, 404)]
)
async def test_no_such_video(client: TestClient, name: object, status: int) -> None:
    for path in ("", "/viewers"):
        response = await client.get(f"/api/v1/videos/{name}{path}")
        assert response.status == status
        assert response.content_type == "application/problem+json"


async def test_a_private_video_is_shown_to_its_house_and_its_viewers(client: TestClient, house: House) -> None:
    token = house.api.viewer_tokens.issue(SECRET_VIDEO, None, 60_000)
    other = house.api.viewer_tokens.issue(VOD, None, 60_000)
    for headers, status in ((ADMIN, 200), (HOST, 200), (STATS, 404), ({"X-Viewer-Token": token}, 200)):
        for path in ("", "/viewers"):
            response = await client.get(f"/api/v1/videos/{SECRET_VIDEO}{path}", headers=headers)
            assert response.status == status
    assert (await client.get(f"/api/v1/videos/{SECRET_VIDEO}/viewers?viewerToken={token}")).status == 200
    assert (await client.get(f"/api/v1/videos/{SECRET_VIDEO}", headers={"X-Viewer-Token": other})).status == 401


async def test_nobody_finds_an_unlisted_video_by_counting(client: TestClient, house: House) -> None:
    await house.put(UNKNOWN, privacy=Privacy.UNLISTED)
    number = (await (await client.get(f"/api/v1/videos/{UNKNOWN}")).json())["id"]
    for path in ("", "/viewers"):
        counted = await client.get(f"/api/v1/videos/{number}{path}")
        missing = await client.get(f"/api/v1/videos/987654{path}")
        assert (counted.status, await counted.json()) == (404, await missing.json())
        assert (await client.get(f"/api/v1/videos/{number}{path}", headers=HOST)).status == 200
        assert (await client.get(f"/api/v1/videos/{UNKNOWN}{path}")).status == 200
    report = {"currentTime": 1, "sessionId": "alice"}
    assert (await client.post(f"/api/v1/videos/{number}/views", json=report)).status == 204


async def test_a_list_shows_public_videos_only_but_all_to_the_house(client: TestClient, house: House) -> None:
    await house.put(UNKNOWN, privacy=Privacy.UNLISTED)
    listed = await (await client.get("/api/v1/videos")).json()
    assert listed["total"] == 3
    assert {video["uuid"] for video in listed["data"]} == {VOD, SHORT, LIVE}
    listed = await (await client.get("/api/v1/videos", headers=HOST)).json()
    assert listed["total"] == 5
    assert (await (await client.get("/api/v1/videos", headers=STATS)).json())["total"] == 3


async def test_pages_orders_and_filters(client: TestClient, house: House) -> None:
    await house.api.catalog.put_remote(remote_video())
    by_number = await (await client.get("/api/v1/videos?sort=createdAt&start=1&count=2")).json()
    assert by_number["total"] == 4
    assert [video["uuid"] for video in by_number["data"]] == [SHORT, LIVE]
    for query, expected in (("isLocal=false", 1), ("isLocal=true", 3), ("isLive=true", 1), ("isLive=0", 3)):
        assert (await (await client.get(f"/api/v1/videos?{query}")).json())["total"] == expected


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("start=-1", "start"),
        ("start=x", "start"),
        ("start=99999999999999999999", "start"),
        ("count=0", "count"),
        ("count=101", "count"),
        ("count=", "count"),
        ("sort=secret", "sort"),
        ("sort=", "sort"),
        ("isLocal=maybe", "isLocal"),
    ],
)
async def test_a_bad_query_is_named(client: TestClient, query: str, parameter: str) -> None:
    response = await client.get(f"/api/v1/videos?{query}")
    assert response.status == 400
    assert list((await response.json())["invalid-params"]) == [parameter]


WHOLE = {
    "name": "Big Buck Bunny",
    "duration": 596,
    "isLive": False,
    "channel": "films",
    "privacy": "unlisted",
    "publishedAt": "2026-01-02T03:04:05.678Z",
    "url": "https://site.example/bunny",
    "description": "A rabbit.",
}


async def test_a_host_application_registers_changes_and_deletes_a_video(client: TestClient, house: House) -> None:
    path = f"/api/v1/videos/{UNKNOWN}"
    created = await client.put(path, json=WHOLE, headers=HOST)
    assert created.status == 201
    assert created.headers["Location"] == path
    video = await created.json()
    assert (video["uuid"], video["channel"]["name"], video["privacy"]["label"]) == (UNKNOWN, "films", "Unlisted")
    assert (video["publishedAt"], video["pageUrl"]) == ("2026-01-02T03:04:05.678Z", "https://site.example/bunny")
    changed = await client.put(path, json={**WHOLE, "name": "Bunny", "duration": 600.0}, headers=ADMIN)
    assert changed.status == 200
    assert (await changed.json())["name"] == "Bunny"
    by_number = await client.put(f"/api/v1/videos/{video['id']}", json=WHOLE, headers=HOST)
    assert by_number.status == 200
    await client.post(f"{path}/views", json={"currentTime": 1})
    assert (await client.delete(path, headers=HOST)).status == 204
    assert (await client.get(path)).status == 404
    assert (await client.delete(path, headers=HOST)).status == 404
    assert len(house.progress) == 0
    assert (await house.store.read(video["id"], house.clock.now_ms())).local == 0


async def test_the_least_a_video_needs(client: TestClient) -> None:
    path = f"/api/v1/videos/{short_uuid(UNKNOWN)}"
    video = await (await client.put(path, json={"name": "Stream", "isLive": True}, headers=HOST)).json()
    assert (video["uuid"], video["duration"], video["isLive"]) == (UNKNOWN, 0, True)


@pytest.mark.parametrize(
    ("change", "parameter"),
    [
        ({"name": None}, "name"),
        ({"name": "ab"}, "name"),
        ({"name": 5}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"name": "a\x00bcd"}, "name"),
        ({"duration": None}, "duration"),
        ({"duration": -1}, "duration"),
        ({"duration": 1.5}, "duration"),
        ({"duration": "5"}, "duration"),
        ({"duration": True}, "duration"),
        ({"duration": 10**30}, "duration"),
        ({"isLive": "no"}, "isLive"),
        ({"channel": "Big Channel"}, "channel"),
        ({"channel": None}, "channel"),
        ({"privacy": "secret"}, "privacy"),
        ({"privacy": ["public"]}, "privacy"),
        ({"privacy": 1}, "privacy"),
        ({"publishedAt": "yesterday"}, "publishedAt"),
        ({"publishedAt": "2026-01-02T03:04:05"}, "publishedAt"),
        ({"publishedAt": "1900-01-01T00:00:00Z"}, "publishedAt"),
        ({"publishedAt": 5}, "publishedAt"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"url": 5}, "url"),
        ({"description": "x" * 10_001}, "description"),
        ({"uuid": VOD}, "uuid"),
        ({"titel": "typing error"}, "titel"),
    ],
    ids=str,
)
async def test_a_bad_parameter_of_a_video_is_named(
    client: TestClient, change: dict[str, object], parameter: str
) -> None:
    response = await client.put(f"/api/v1/videos/{UNKNOWN}", json={**WHOLE, **change}, headers=HOST)
    assert response.status == 400
    problem = await response.json()
    assert list(problem["invalid-params"]) == [parameter]
    assert problem["detail"] == f"Incorrect request parameters: {parameter}"


async def test_only_uuids_of_version_4_are_registered(client: TestClient) -> None:
    path = "/api/v1/videos/9c9de5e8-0a1e-184a-b099-e80766180a6d"
    response = await client.put(path, json=WHOLE, headers=HOST)
    assert response.status == 400
    assert list((await response.json())["invalid-params"]) == ["uuid"]
    assert (await client.put("/api/v1/videos/999", json=WHOLE, headers=HOST)).status == 404
    assert (await client.put("/api/v1/videos/garbage", json=WHOLE, headers=HOST)).status == 400


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"\xff", b"[" * 50_000])
async def test_a_body_that_is_no_object(client: TestClient, raw: bytes) -> None:
    for method, path in (("PUT", UNKNOWN), ("POST", f"{VOD}/viewer-tokens"), ("POST", "")):
        response = await client.request(method, f"/api/v1/videos/{path}".rstrip("/"), data=raw, headers=HOST)
        expected = 200 if not raw and path.endswith("viewer-tokens") else 400
        assert response.status == expected


async def test_writing_needs_a_host_token(client: TestClient) -> None:
    wanted = [
        ("PUT", f"/api/v1/videos/{UNKNOWN}"),
        ("DELETE", f"/api/v1/videos/{VOD}"),
        ("POST", "/api/v1/videos"),
        ("POST", f"/api/v1/videos/{VOD}/viewer-tokens"),
    ]
    for method, path in wanted:
        anonymous = await client.request(method, path, json=WHOLE)
        assert anonymous.status == 401
        assert anonymous.headers["WWW-Authenticate"] == "Bearer"
        assert (await client.request(method, path, json=WHOLE, headers={"Authorization": "Bearer x"})).status == 401
        assert (await client.request(method, path, json=WHOLE, headers=STATS)).status == 403


async def test_a_remote_uuid_is_not_taken_over(client: TestClient, house: House) -> None:
    remote = await house.api.catalog.put_remote(remote_video())
    response = await client.put(f"/api/v1/videos/{remote.uuid}", json=WHOLE, headers=HOST)
    assert response.status == 409
    assert (await response.json())["code"] == "uuid_taken"


async def test_a_video_that_becomes_private_loses_its_remote_viewers(client: TestClient, house: House) -> None:
    video = house.videos[VOD]
    await house.api.viewers.remote_viewer(video, "far.example", b"r" * 16, house.clock.now_ms() + 60_000)
    assert await house.viewers(VOD) == 1
    response = await client.put(
        f"/api/v1/videos/{VOD}", json={"name": "A video", "duration": 600, "privacy": "private"}, headers=HOST
    )
    assert response.status == 200
    assert await house.viewers(VOD) == 0


async def test_a_remote_video_is_brought_in(client: TestClient, house: House) -> None:
    kept = await house.api.catalog.put_remote(remote_video())
    house.importer.answers[REMOTE_URL] = kept
    again = await client.post("/api/v1/videos", json={"url": REMOTE_URL}, headers=HOST)
    assert again.status == 200
    assert (await again.json())["uuid"] == kept.uuid
    await house.api.catalog.delete(kept)
    response = await client.post("/api/v1/videos", json={"url": REMOTE_URL}, headers=ADMIN)
    assert response.status == 201
    assert (await response.json())["url"] == REMOTE_URL


@pytest.mark.parametrize("status", [400, 403, 404, 409, 502])
async def test_a_refused_import_says_why(client: TestClient, house: House, status: int) -> None:
    house.importer.answers[REMOTE_URL] = Refused("some_reason", "because", status)
    response = await client.post("/api/v1/videos", json={"url": REMOTE_URL}, headers=HOST)
    assert response.status == status
    problem = await response.json()
    assert (problem["code"], problem["detail"]) == ("some_reason", "because")


@pytest.mark.parametrize("url", [None, "", 5, ["x"], "https://far.example/" + "x" * 2_000])
async def test_an_import_needs_a_url(client: TestClient, url: object) -> None:
    response = await client.post("/api/v1/videos", json={"url": url}, headers=HOST)
    assert response.status == 400
    assert list((await response.json())["invalid-params"]) == ["url"]


async def test_a_viewer_token_is_made_for_a_browser(client: TestClient, house: House) -> None:
    path = f"/api/v1/videos/{SECRET_VIDEO}/viewer-tokens"
    response = await client.post(path, json={"user": "anna", "ttl": 60}, headers=HOST)
    assert response.status == 200
    assert response.headers["Cache-Control"] == "no-store"
    made = await response.json()
    said = house.api.viewer_tokens.verify(made["token"], SECRET_VIDEO)
    assert isinstance(said, ViewerToken)
    assert (said.user, said.expires_ms) == ("anna", house.clock.now_ms() + 60_000)
    plain = await client.post(path, headers=HOST)
    assert plain.status == 200
    said = house.api.viewer_tokens.verify((await plain.json())["token"], SECRET_VIDEO)
    assert isinstance(said, ViewerToken)
    assert (said.user, said.expires_ms) == (None, house.clock.now_ms() + 3_600_000)
    for name, status in ((UNKNOWN, 404), ("garbage", 400)):
        assert (await client.post(f"/api/v1/videos/{name}/viewer-tokens", headers=HOST)).status == status


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"user": ""}, "user"),
        ({"user": "x" * 201}, "user"),
        ({"user": 5}, "user"),
        ({"ttl": 0}, "ttl"),
        ({"ttl": MAX_TTL_MS // 1000 + 1}, "ttl"),
        ({"ttl": "60"}, "ttl"),
        ({"ttl": True}, "ttl"),
        ({"ttl": 1.5}, "ttl"),
    ],
    ids=str,
)
async def test_a_bad_wish_for_a_token_is_named(client: TestClient, body: object, parameter: str) -> None:
    response = await client.post(f"/api/v1/videos/{VOD}/viewer-tokens", json=body, headers=HOST)
    assert response.status == 400
    assert list((await response.json())["invalid-params"]) == [parameter]


async def test_heads_and_unknown_methods(client: TestClient) -> None:
    assert (await client.head(f"/api/v1/videos/{VOD}")).status == 200
    response = await client.patch(f"/api/v1/videos/{VOD}")
    assert response.status == 405
    assert response.headers["Allow"] == "DELETE, GET, HEAD, OPTIONS, PUT"
