"""What players are told while there is too much to do."""

from __future__ import annotations

import dataclasses

import pytest
from aiohttp.test_utils import TestClient
from rest_house import VOD, House, build

from foundation.clock import ManualClock
from foundation.database import Database
from foundation.metrics import Metrics
from foundation.shedding import Shedder


@pytest.fixture
def shedder(metrics: Metrics) -> Shedder:
    return Shedder(metrics)


@pytest.fixture
async def house(database: Database, clock: ManualClock, metrics: Metrics, shedder: Shedder) -> House:
    house = await build(database, clock, metrics)
    house.api = dataclasses.replace(house.api, shedder=shedder)
    return house


@pytest.fixture
async def client(house: House, aiohttp_client) -> TestClient:
    return await aiohttp_client(house.app())


async def report(client: TestClient, session: str, **more: object) -> int:
    body = {"currentTime": 1, "sessionId": session, **more}
    response = await client.post(f"/api/v1/videos/{VOD}/views", json=body)
    if response.status == 503:
        assert 1 <= int(response.headers["Retry-After"]) <= 10
        assert (await response.json())["code"] == "overloaded"
    return response.status


async def test_first_go_refreshes_that_are_not_due(
    client: TestClient, house: House, clock: ManualClock, shedder: Shedder
) -> None:
    assert await report(client, "here") == 204
    shedder.level = 1
    assert await report(client, "here") == 503
    assert await report(client, "new") == 204
    clock.advance(61_000)
    assert await report(client, "here") == 204, "half of its life is over: it is due"
    assert await report(client, "here") == 503
    assert await house.viewers(VOD) == 2


@pytest.mark.parametrize("more", [{"viewEvent": "seek"}, {"viewEvent": "ended"}, {"viewEvent": "leave"}])
async def test_what_no_later_report_can_say_is_taken(
    client: TestClient, shedder: Shedder, more: dict[str, str]
) -> None:
    assert await report(client, "here") == 204
    shedder.level = 4
    assert await report(client, "here", **more) == 204


async def test_then_new_viewers(client: TestClient, house: House, clock: ManualClock, shedder: Shedder) -> None:
    assert await report(client, "here") == 204
    shedder.level = 3
    assert await report(client, "second") == 204
    shedder.level = 4
    assert await report(client, "third") == 503
    clock.advance(61_000)
    assert await report(client, "here") == 204
    assert await house.viewers(VOD) == 2


async def test_an_anonymous_viewer_from_before_midnight_is_not_new(
    client: TestClient, house: House, clock: ManualClock, shedder: Shedder
) -> None:
    clock.set_wall(1_800_000_000_000 // 86_400_000 * 86_400_000 - 30_000)
    body = {"currentTime": 1}
    assert (await client.post(f"/api/v1/videos/{VOD}/views", json=body)).status == 204
    clock.advance(61_000)
    shedder.level = 4
    assert (await client.post(f"/api/v1/videos/{VOD}/views", json=body)).status == 204
    assert await house.viewers(VOD) == 1


async def test_in_the_end_everything(client: TestClient, shedder: Shedder) -> None:
    shedder.level = 5
    assert await report(client, "here") == 503
    shedder.level = 0
    assert await report(client, "here") == 204
