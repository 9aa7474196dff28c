from __future__ import annotations

import msgspec
import pytest
from aiohttp.test_utils import TestClient
from rest_house import (
    ADMIN,
    HOST,
    LIVE,
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
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from views.ids import short_uuid
from views.sections import Arithmetic, Rules
from views.watching import WatchingRules


@pytest.fixture
async def house(database: Database, clock: ManualClock, metrics: Metrics) -> House:
    return await build(database, clock, metrics)


@pytest.fixture
async def client(house: House, aiohttp_client) -> TestClient:
    return await aiohttp_client(house.app())


async def post(client: TestClient, uuid: object, body: object, path: str = "views", **options) -> int:
    response = await client.post(f"/api/v1/videos/{uuid}/{path}", json=body, **options)
    await response.read()
    return response.status


@pytest.mark.parametrize("path", ["views", "watching"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_both_paths_and_both_methods_take_a_report(
    client: TestClient, house: House, path: str, method: str
) -> None:
    response = await client.request(method, f"/api/v1/videos/{VOD}/{path}", json={"currentTime": 1})
    assert response.status == 204
    assert await response.read() == b""
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["X-Views"] == "ignored: watch_time"
    assert await house.viewers(VOD) == 1


async def test_a_video_is_reported_by_integer_uuid_and_short_uuid(client: TestClient, house: House) -> None:
    for name in (house.videos[VOD].number, VOD, VOD.upper(), short_uuid(VOD)):
        assert await post(client, name, {"currentTime": 1, "sessionId": "one"}) == 204
    assert await house.viewers(VOD) == 1


@pytest.mark.parametrize("method", ["GET", "DELETE", "PATCH", "TRACE"])
async def test_other_methods_are_not_allowed(client: TestClient, method: str) -> None:
    response = await client.request(method, f"/api/v1/videos/{VOD}/views")
    assert response.status == 405
    assert response.headers["Allow"] == "OPTIONS, POST, PUT"
    assert response.content_type == "application/problem+json"


async def test_a_browser_may_report_from_any_origin(client: TestClient) -> None:
    response = await client.options(f"/api/v1/videos/{VOD}/views", headers={"Origin": "https://embed.example"})
    assert response.status == 204
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in response.headers["Access-Control-Allow-Methods"]
    assert "Content-Type" in response.headers["Access-Control-Allow-Headers"]


ACCEPTED = [
    {"currentTime": 0},
    {"currentTime": 600},
    {"currentTime": "5"},
    {"currentTime": "5.5"},
    {"currentTime": 5.0},
    {"currentTime": 5, "viewEvent": "seek"},
    {"currentTime": 5, "viewEvent": "leave"},
    {"currentTime": 600, "viewEvent": "ended"},
    {"currentTime": 5, "viewEvent": None, "sessionId": None},
    {"currentTime": 5, "sessionId": "a"},
    {"currentTime": 5, "sessionId": "A-9" + "x" * 197},
    {"currentTime": 5, "client": "Firefox", "operatingSystem": "Ubuntu", "device": "desktop"},
    {"currentTime": 5, "device": "toaster"},
    {"currentTime": 5, "device": 5},
    {"currentTime": 5, "client": "x" * 200},
    {"currentTime": 5, "somethingElse": [1]},
]


@pytest.mark.parametrize("body", ACCEPTED, ids=str)
async def test_peertubes_bodies_are_taken(client: TestClient, body: object) -> None:
    assert await post(client, VOD, body) == 204


REFUSED = [
    ({}, "currentTime"),
    ({"currentTime": None}, "currentTime"),
    ({"currentTime": "null"}, "currentTime"),
    ({"currentTime": "abc"}, "currentTime"),
    ({"currentTime": ""}, "currentTime"),
    ({"currentTime": 5.5}, "currentTime"),
    ({"currentTime": -1}, "currentTime"),
    ({"currentTime": "-1"}, "currentTime"),
    ({"currentTime": True}, "currentTime"),
    ({"currentTime": [1]}, "currentTime"),
    ({"currentTime": 10**40}, "currentTime"),
    ({"currentTime": 1, "viewEvent": "play"}, "viewEvent"),
    ({"currentTime": 1, "viewEvent": 5}, "viewEvent"),
    ({"currentTime": 1, "sessionId": "tito_t"}, "sessionId"),
    ({"currentTime": 1, "sessionId": ""}, "sessionId"),
    ({"currentTime": 1, "sessionId": "x" * 201}, "sessionId"),
    ({"currentTime": 1, "sessionId": "ünder"}, "sessionId"),
    ({"currentTime": 1, "sessionId": "a\n"}, "sessionId"),
    ({"currentTime": 1, "sessionId": {"a": 1}}, "sessionId"),
    ({"currentTime": 1, "client": ""}, "client"),
    ({"currentTime": 1, "client": "x" * 201}, "client"),
    ({"currentTime": 1, "operatingSystem": ["x"]}, "operatingSystem"),
    ({"currentTime": 1, "viewerToken": 5}, "viewerToken"),
]


@pytest.mark.parametrize(("body", "parameter"), REFUSED, ids=str)
async def test_a_bad_parameter_is_named(client: TestClient, house: House, body: object, parameter: str) -> None:
    response = await client.post(f"/api/v1/videos/{VOD}/views", json=body)
    assert response.status == 400
    assert response.content_type == "application/problem+json"
    problem = await response.json()
    assert problem["detail"] == f"Incorrect request parameters: {parameter}"
    assert set(problem["invalid-params"]) == {parameter}
    assert problem["error"] == problem["detail"]
    assert await house.viewers(VOD) == 0


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"null", b"1", b"\xff", b"[" * 4_000, b'{"currentTime":' + b"[" * 4_000, b'"x"']
)
async def test_what_is_no_json_object_is_refused(client: TestClient, raw: bytes) -> None:
    response = await client.post(f"/api/v1/videos/{VOD}/views", data=raw)
    assert response.status == 400
    assert "currentTime" in (await response.json())["invalid-params"]


async def test_a_large_body_is_refused(client: TestClient) -> None:
    assert await post(client, VOD, {"currentTime": 1, "filler": "x" * 10_000}) == 413


@pytest.mark.parametrize("name", ["abc", "-1", "1.5", "%00", "9c9de5e8", "x" * 300, "1" * 40])
async def test_garbage_for_an_id_is_400_beside_other_faults(client: TestClient, name: str) -> None:
    response = await client.post(f"/api/v1/videos/{name}/views", json={"currentTime": 1})
    assert response.status == 400
    assert (await response.json())["invalid-params"]["id"]["location"] == "params"
    response = await client.post(f"/api/v1/videos/{name}/views", json={})
    assert set((await response.json())["invalid-params"]) == {"id", "currentTime"}


@pytest.mark.parametrize("name", [UNKNOWN, short_uuid(UNKNOWN), 999_999, "9" * 18])
async def test_an_unknown_video_is_404(client: TestClient, name: object) -> None:
    response = await client.post(f"/api/v1/videos/{name}/views", json={"currentTime": 1})
    assert response.status == 404
    assert (await response.json())["detail"] == "Video not found"


async def test_a_time_beyond_the_end_is_400_except_in_a_live_stream(client: TestClient) -> None:
    response = await client.post(f"/api/v1/videos/{VOD}/views", json={"currentTime": 601})
    assert response.status == 400
    assert (await response.json())["detail"] == f"Current time 601 is invalid (video {VOD} duration: 600)"
    assert await post(client, LIVE, {"currentTime": 100_000}) == 204


async def test_a_bearer_that_is_present_has_to_be_valid(client: TestClient) -> None:
    for header in ("Bearer wrong-token", "Bearer", "Basic YTpi", "Bearer fvt1.x.y", ""):
        status = await post(client, VOD, {"currentTime": 1}, headers={"Authorization": header})
        assert status == 401, header
    for headers in (ADMIN, HOST, STATS):
        assert await post(client, VOD, {"currentTime": 1}, headers=headers) == 204


async def test_an_honest_player_is_a_view_after_ten_seconds(client: TestClient, house: House) -> None:
    for position in (0, 5):
        assert await post(client, VOD, {"currentTime": position, "sessionId": "tab"}) == 204
        assert await house.views(VOD) == 0
        house.clock.advance(5_000)
    response = await client.post(f"/api/v1/videos/{VOD}/views", json={"currentTime": 10, "sessionId": "tab"})
    assert response.headers["X-Views"] == "counted"
    assert await house.views(VOD) == 1
    for position in (15, 20):
        house.clock.advance(5_000)
        response = await client.post(f"/api/v1/videos/{VOD}/views", json={"currentTime": position, "sessionId": "tab"})
        assert response.headers["X-Views"] == "ignored: already_counted"
    assert await house.views(VOD) == 1


async def test_the_same_viewer_counts_again_after_an_hour(client: TestClient, house: House) -> None:
    for position in range(0, 600, 5):
        await post(client, LIVE, {"currentTime": position, "sessionId": "tab"})
        house.clock.advance(40_000)
    assert await house.views(LIVE) == 2


async def test_a_claim_without_time_passing_is_no_view(client: TestClient, house: House) -> None:
    for number in range(3):
        await post(client, VOD, {"currentTime": 0, "sessionId": f"s{number}"})
        await post(client, VOD, {"currentTime": 500, "sessionId": f"s{number}"})
    assert await house.views(VOD) == 0


async def test_half_of_a_short_video_is_a_view(client: TestClient, house: House) -> None:
    await post(client, SHORT, {"currentTime": 1, "sessionId": "a"})
    await post(client, SHORT, {"currentTime": 3, "sessionId": "a"})
    assert await house.views(SHORT) == 0
    await post(client, SHORT, {"currentTime": 4, "sessionId": "a"})
    assert await house.views(SHORT) == 1


async def test_peertubes_arithmetic_believes_the_player(
    database: Database, clock: ManualClock, metrics: Metrics, aiohttp_client
) -> None:
    house = await build(database, clock, metrics, rules=WatchingRules(Rules(Arithmetic.PEERTUBE)))
    client = await aiohttp_client(house.app())
    await post(client, VOD, {"currentTime": 0})
    await post(client, VOD, {"currentTime": 35})
    assert await house.views(VOD) == 1


async def test_leaving_ends_the_viewer_at_once(client: TestClient, house: House) -> None:
    await post(client, VOD, {"currentTime": 0, "sessionId": "a"})
    await post(client, VOD, {"currentTime": 0, "sessionId": "b"})
    assert await house.viewers(VOD) == 2
    await post(client, VOD, {"currentTime": 3, "sessionId": "a", "viewEvent": "leave"})
    assert await house.viewers(VOD) == 1


async def test_who_has_played_to_the_end_is_still_here(client: TestClient, house: House) -> None:
    await post(client, VOD, {"currentTime": 595, "sessionId": "a"})
    await post(client, VOD, {"currentTime": 600, "sessionId": "a", "viewEvent": "ended"})
    assert await house.viewers(VOD) == 1


async def test_viewers_behind_one_proxy_are_told_apart_by_their_address(client: TestClient, house: House) -> None:
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1", "2001:db8::1", "2001:db8::2"):
        await post(client, VOD, {"currentTime": 0}, headers={"X-Forwarded-For": address})
    assert await house.viewers(VOD) == 3


async def test_lines_of_forwarded_addresses_are_read_as_one(client: TestClient, house: House) -> None:
    for first in ("192.0.2.1", "192.0.2.2", "x" * 500):
        headers = [("X-Forwarded-For", first), ("X-Forwarded-For", "198.51.100.7, 127.0.0.1")]
        await client.post(f"/api/v1/videos/{VOD}/views", json={"currentTime": 0}, headers=headers)
    assert await house.viewers(VOD) == 1


async def test_whoever_came_before_midnight_stays_one_viewer(client: TestClient, house: House) -> None:
    day_ms = 86_400_000
    house.clock.set_wall(house.clock.now_ms() // day_ms * day_ms + day_ms - 5_000)
    await post(client, VOD, {"currentTime": 0})
    house.clock.advance(5_000)
    await post(client, VOD, {"currentTime": 5})
    house.clock.advance(5_000)
    response = await client.post(f"/api/v1/videos/{VOD}/views", json={"currentTime": 10})
    assert response.headers["X-Views"] == "counted"
    assert await house.viewers(VOD) == 1


async def test_an_untrusted_session_id_makes_no_viewer(
    database: Database, clock: ManualClock, metrics: Metrics, aiohttp_client
) -> None:
    house = await build(database, clock, metrics, trust_session_id=False)
    client = await aiohttp_client(house.app())
    for number in range(5):
        assert await post(client, VOD, {"currentTime": 0, "sessionId": f"s{number}"}) == 204
    assert await house.viewers(VOD) == 1


async def test_the_rate_limit_is_per_client_and_above_host_tokens(
    database: Database, clock: ManualClock, metrics: Metrics, aiohttp_client
) -> None:
    house = await build(database, clock, metrics, limit=3)
    client = await aiohttp_client(house.app())
    here, there = {"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-For": "192.0.2.2"}
    statuses = [await post(client, VOD, {"currentTime": 0}, headers=here) for _ in range(4)]
    assert statuses == [204, 204, 204, 429]
    assert await post(client, VOD, {"currentTime": 0}, headers=there) == 204
    assert await post(client, VOD, {"currentTime": 0}, headers={**here, **HOST}) == 204
    assert await post(client, VOD, {"currentTime": 0}, headers={**here, **STATS}) == 429
    video = f"/api/v1/videos/{VOD}"
    response = await client.post(f"{video}/viewer-tokens", json={}, headers=here)
    assert response.status == 429
    assert 1 <= int(response.headers["Retry-After"]) <= 10
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    clock.advance(10_000)
    assert await post(client, VOD, {"currentTime": 0}, headers=here) == 204


async def test_who_reads_numbers_takes_nothing_from_who_watches(
    database: Database, clock: ManualClock, metrics: Metrics, aiohttp_client
) -> None:
    house = await build(database, clock, metrics, limit=3)
    client = await aiohttp_client(house.app())
    paths = (f"/api/v1/videos/{VOD}/viewers", f"/api/v1/videos/{VOD}")
    statuses = [(await client.get(path)).status for path in paths * 3]
    assert statuses == [200, 200, 200, 429, 429, 429]
    assert [await post(client, VOD, {"currentTime": 0}) for _ in range(4)] == [204, 204, 204, 429]
    clock.advance(10_000)
    assert await post(client, VOD, {"currentTime": 0}) == 204
    assert (await client.head(paths[0])).status == 200


async def test_a_private_video_takes_views_only_with_its_token(client: TestClient, house: House) -> None:
    tokens, body = house.api.viewer_tokens, {"currentTime": 1}
    number = house.videos[SECRET_VIDEO].number
    good, other = tokens.issue(SECRET_VIDEO, "anna", 60_000), tokens.issue(VOD, None, 60_000)
    for name in (SECRET_VIDEO, number):
        response = await client.post(f"/api/v1/videos/{name}/views", json=body)
        unknown = await client.post(f"/api/v1/videos/{UNKNOWN}/views", json=body)
        assert response.status == unknown.status == 404
        assert await response.json() == await unknown.json()
    assert await post(client, SECRET_VIDEO, {**body, "viewerToken": other}) == 401
    assert await post(client, UNKNOWN, {**body, "viewerToken": other}) == 401
    assert await post(client, SECRET_VIDEO, {**body, "viewerToken": good[:-2] + "AA"}) == 401
    assert await house.viewers(SECRET_VIDEO) == 0
    assert await post(client, SECRET_VIDEO, {**body, "viewerToken": good}) == 204
    assert await post(client, SECRET_VIDEO, body, headers={"X-Viewer-Token": good}) == 204
    assert await post(client, SECRET_VIDEO, body, headers={"Authorization": f"Bearer {good}"}) == 204
    assert await house.viewers(SECRET_VIDEO) == 1
    house.clock.advance(60_000)
    assert await post(client, SECRET_VIDEO, {**body, "viewerToken": good}) == 401
    assert await post(client, SECRET_VIDEO, body, headers=HOST) == 204
    assert await post(client, SECRET_VIDEO, body, headers=STATS) == 404


async def test_a_remote_video_takes_reports_too(client: TestClient, house: House) -> None:
    video = await house.api.catalog.put_remote(remote_video())
    assert await post(client, video.uuid, {"currentTime": 1}) == 204
    assert await house.viewers(video.uuid) == 1


async def test_a_full_store_is_503_with_retry_after(
    database: Database, clock: ManualClock, metrics: Metrics, aiohttp_client
) -> None:
    house = await build(database, clock, metrics, max_viewers=1)
    client = await aiohttp_client(house.app())
    assert await post(client, VOD, {"currentTime": 1, "sessionId": "a"}) == 204
    response = await client.post(f"/api/v1/videos/{VOD}/views", json={"currentTime": 1, "sessionId": "b"})
    assert response.status == 503
    assert "Retry-After" in response.headers


async def test_a_database_that_is_gone_is_503_and_the_view_is_counted_later(
    client: TestClient, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await post(client, SHORT, {"currentTime": 0, "sessionId": "a"})
    with monkeypatch.context() as broken:

        async def gone(*_: object) -> bool:
            raise StorageUnavailable("gone")

        broken.setattr(type(house.api.counter), "count_local", gone)
        assert await post(client, SHORT, {"currentTime": 4, "sessionId": "a"}) == 503
    assert await post(client, SHORT, {"currentTime": 5, "sessionId": "a"}) == 204
    assert await house.views(SHORT) == 1


async def test_refusals_are_counted_by_status(client: TestClient, house: House) -> None:
    await post(client, VOD, {})
    await post(client, UNKNOWN, {"currentTime": 1})
    await post(client, VOD, {"currentTime": 1})
    text = house.metrics.render().decode()
    assert 'fediviews_reports_refused_total{status="400"} 1.0' in text
    assert 'fediviews_reports_refused_total{status="404"} 1.0' in text
    assert 'fediviews_reports_total{outcome="watch_time"} 1.0' in text


async def test_a_report_encoded_by_hand_is_read_alike(client: TestClient) -> None:
    raw = msgspec.json.encode({"currentTime": 5})
    for content_type in ("application/json; charset=UTF-8", "text/plain", "application/octet-stream"):
        response = await client.post(f"/api/v1/videos/{VOD}/views", data=raw, headers={"Content-Type": content_type})
        assert response.status == 204
