from __future__ import annotations

import pytest
from aiohttp.test_utils import TestClient
from rest_house import ADMIN, HOST, VOD, House, build, remote_video

from foundation.clock import ManualClock
from foundation.database import Database
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from views.routes.services import ApiSettings


@pytest.fixture
def ran() -> list[str]:
    return []


@pytest.fixture
async def house(database: Database, clock: ManualClock, metrics: Metrics, ran: list[str]) -> House:
    async def flush() -> None:
        ran.append("flush")

    async def fail() -> None:
        raise StorageUnavailable("gone")

    settings = ApiSettings("My instance", "1.2.3", watching_anonymous_ms=7_000, watching_users_ms=None)
    commands = {"process-video-views-buffer": flush, "process-video-viewers": fail}
    return await build(database, clock, metrics, settings=settings, commands=commands)


@pytest.fixture
async def client(house: House, aiohttp_client) -> TestClient:
    return await aiohttp_client(house.app())


async def test_a_player_reads_its_period(client: TestClient) -> None:
    response = await client.get("/api/v1/config")
    assert response.status == 200
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    config = await response.json()
    assert config["instance"]["name"] == "My instance"
    assert config["serverVersion"] == "1.2.3"
    assert config["views"]["videos"]["watchingInterval"] == {"anonymous": 7_000, "users": None}
    assert config["openTelemetry"]["metrics"]["enabled"] is False


async def test_statistics_are_sums_and_stand_for_some_seconds(client: TestClient, house: House) -> None:
    video = await house.api.catalog.put_remote(remote_video())
    await client.post(f"/api/v1/videos/{VOD}/views", json={"currentTime": 1, "sessionId": "a"})
    await house.api.viewers.watching(video, b"b" * 16)
    await house.api.counter.count_local(house.videos[VOD], b"a" * 16)
    stats = await (await client.get("/api/v1/server/stats")).json()
    assert stats == {
        "totalLocalVideoViews": 1,
        "totalLocalVideos": 3,
        "totalVideos": 4,
        "viewers": {"localOnLocal": 1, "remoteOnLocal": 0, "localOnRemote": 1, "remoteOnRemote": 0},
    }
    await house.api.counter.count_local(house.videos[VOD], b"b" * 16)
    assert (await (await client.get("/api/v1/server/stats")).json())["totalLocalVideoViews"] == 1
    house.clock.advance(5_000)
    assert (await (await client.get("/api/v1/server/stats")).json())["totalLocalVideoViews"] == 2


async def test_an_admin_runs_a_command(client: TestClient, ran: list[str]) -> None:
    path = "/api/v1/server/debug/run-command"
    response = await client.post(path, json={"command": "process-video-views-buffer"}, headers=ADMIN)
    assert response.status == 204
    assert ran == ["flush"]
    for command in ("reboot", None, 5, ["x"]):
        response = await client.post(path, json={"command": command}, headers=ADMIN)
        assert response.status == 400
        assert list((await response.json())["invalid-params"]) == ["command"]
    assert (await client.post(path, json={"command": "process-video-viewers"}, headers=ADMIN)).status == 503
    assert (await client.post(path, json={}, headers=HOST)).status == 403
    assert (await client.post(path, json={})).status == 401
    assert ran == ["flush"]


async def test_an_admin_sees_the_address_we_see(client: TestClient) -> None:
    path = "/api/v1/server/debug"
    said = await (await client.get(path, headers=ADMIN)).json()
    assert said == {"ip": "127.0.0.1", "activityPubMessagesWaiting": 0, "hint": None}
    assert (await client.get(path)).status == 401


async def test_a_preflight_of_every_path_is_answered(client: TestClient) -> None:
    for path in ("config", "server/stats", "videos", f"videos/{VOD}", f"videos/{VOD}/viewers"):
        response = await client.options(f"/api/v1/{path}")
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
