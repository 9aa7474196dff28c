"""Reports that are answered like any other and count for nothing, with the reason in ``X-Views``."""

from __future__ import annotations

import dataclasses

import pytest
from aiohttp.test_utils import TestClient
from rest_house import HOST, LIVE, SHORT, VOD, House, build

from foundation.clock import ManualClock
from foundation.database import Database
from foundation.metrics import Metrics
from views.bots import Crawlers
from views.crowding import Crowding
from views.routes.honesty import ReportRules
from views.watching import WatchingRules

BOT = {"User-Agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}
MINUTE_MS = 60_000


@pytest.fixture
async def house(database: Database, clock: ManualClock, metrics: Metrics) -> House:
    house = await build(database, clock, metrics, rules=WatchingRules(still_after_ms=10 * MINUTE_MS))
    rules = ReportRules(Crawlers(), True, Crowding(clock, metrics, 3, 120_000), count_owner=False)
    house.api = dataclasses.replace(house.api, rules=rules)
    return house


@pytest.fixture
async def client(house: House, aiohttp_client) -> TestClient:
    return await aiohttp_client(house.app())


async def said(
    client: TestClient, session: str, position: int = 1, *, video: str = VOD, event: str | None = None, **options
) -> str:
    body = {"currentTime": position, "sessionId": session} | ({} if event is None else {"viewEvent": event})
    response = await client.post(f"/api/v1/videos/{video}/views", json=body, **options)
    assert response.status == 204
    return response.headers["X-Views"]


async def test_a_crawler_is_no_viewer(client: TestClient, house: House) -> None:
    assert await said(client, "crawler", headers=BOT) == "ignored: bot"
    assert await house.viewers(VOD) == 0


@pytest.mark.parametrize(
    "headers", [{"Sec-Purpose": "prefetch;prerender"}, {"Purpose": "prefetch"}, {"X-Moz": "prefetch"}]
)
async def test_a_page_fetched_ahead_has_no_viewer(client: TestClient, house: House, headers: dict[str, str]) -> None:
    assert await said(client, "ahead", headers=headers) == "ignored: prefetch"
    assert await house.viewers(VOD) == 0


async def test_one_address_has_only_so_many(client: TestClient, house: House) -> None:
    answers = [await said(client, f"session-{number}") for number in range(30)]
    assert answers == ["ignored: watch_time"] * 3 + ["ignored: too_many_sessions"] * 27
    assert await house.viewers(VOD) == 3
    elsewhere = {"X-Forwarded-For": "192.0.2.9"}
    assert await said(client, "another-address", headers=elsewhere) == "ignored: watch_time"


async def test_who_leaves_makes_room_for_another_of_the_address(client: TestClient, house: House) -> None:
    for number in range(3):
        await said(client, f"first-{number}")
    for number in range(3):
        await said(client, f"first-{number}", event="leave")
    answers = [await said(client, f"second-{number}") for number in range(4)]
    assert answers == ["ignored: watch_time"] * 3 + ["ignored: too_many_sessions"]
    await said(client, "second-0", video=LIVE, event="leave")
    assert await said(client, "third") == "ignored: too_many_sessions", "it left a video that it had not watched"
    assert await house.viewers(VOD) == 3


async def test_a_host_application_reports_for_whom_it_likes(client: TestClient, house: House) -> None:
    for number in range(10):
        assert await said(client, f"session-{number}", headers=HOST | BOT) == "ignored: watch_time"
    assert await house.viewers(VOD) == 10


async def test_nobody_is_kept_from_leaving(client: TestClient, house: House) -> None:
    await said(client, "leaver")
    assert await said(client, "leaver", event="leave", headers=BOT) == "ignored: watch_time"
    assert await house.viewers(VOD) == 0


async def test_the_owner_does_not_count(client: TestClient, house: House) -> None:
    answer = await client.post(
        f"/api/v1/videos/{VOD}/viewer-tokens", json={"user": "anna", "owner": True}, headers=HOST
    )
    token = (await answer.json())["token"]
    assert await said(client, "own", 7, headers={"X-Viewer-Token": token}) == "ignored: owner"
    assert await house.viewers(VOD) == 0
    resumed = await client.get(f"/api/v1/videos/{VOD}/resume", headers={"X-Viewer-Token": token})
    assert (await resumed.json())["currentTime"] == 7, "where it stopped is kept all the same"


async def test_an_owner_is_a_viewer_unless_the_house_says_otherwise(house: House, aiohttp_client) -> None:
    house.api = dataclasses.replace(house.api, rules=ReportRules(), metrics=Metrics())
    client = await aiohttp_client(house.app())
    token = house.api.viewer_tokens.issue(VOD, "anna", 60_000, owner=True)
    assert await said(client, "own", headers={"X-Viewer-Token": token}) == "ignored: watch_time"
    assert await house.viewers(VOD) == 1


async def test_owner_is_a_flag(client: TestClient) -> None:
    answer = await client.post(f"/api/v1/videos/{VOD}/viewer-tokens", json={"owner": "yes"}, headers=HOST)
    assert answer.status == 400
    assert "owner" in (await answer.json())["invalid-params"]


async def test_who_stands_still_for_long_has_left(client: TestClient, house: House, clock: ManualClock) -> None:
    for _ in range(20):
        assert await said(client, "still", 5) == "ignored: watch_time"
        clock.advance(30_000)
    assert await said(client, "still", 5) == "ignored: no_progress"
    for _ in range(240):
        clock.advance(30_000)
        assert await said(client, "still", 5) == "ignored: no_progress", "for hours, and past the end of a silent stay"
    await house.api.viewers.sweep()
    assert await house.viewers(VOD) == 0
    assert await said(client, "still", 10) == "ignored: watch_time"
    assert await house.viewers(VOD) == 1


async def test_a_short_loop_may_be_at_the_same_second_at_every_report(
    client: TestClient, house: House, clock: ManualClock
) -> None:
    for _ in range(50):
        assert await said(client, "loop", 3, video=SHORT) == "ignored: watch_time"
        clock.advance(30_000)
    assert await house.viewers(SHORT) == 1


@pytest.mark.parametrize("event", [None, "ended"])
async def test_a_short_loop_is_counted_by_its_first_round(
    client: TestClient, clock: ManualClock, event: str | None
) -> None:
    """PeerTube's player says the length at the end of the first round and nothing after it; ours does, and names it."""
    assert await said(client, "loop", 0, video=SHORT) == "ignored: watch_time"
    clock.advance(5_000)
    assert await said(client, "loop", 5, video=SHORT, event=event) == "counted"
    for _ in range(50):
        clock.advance(5_000)
        assert await said(client, "loop", 0, video=SHORT) != "counted"


async def test_a_jump_to_where_it_stood_is_no_progress(client: TestClient, house: House, clock: ManualClock) -> None:
    answers = []
    for _ in range(25):
        answers.append(await said(client, "busy", 5, event="seek"))
        clock.advance(30_000)
    assert answers[20:] == ["ignored: no_progress"] * 5


async def test_a_loop_is_progress(client: TestClient, house: House, clock: ManualClock) -> None:
    for minute in range(50):
        await said(client, "loop", 30 * (minute % 3), event="ended" if minute % 3 == 2 else None)
        clock.advance(30_000)
    assert await house.viewers(VOD) == 1


async def test_of_a_live_stream_the_position_says_nothing(client: TestClient, house: House, clock: ManualClock) -> None:
    for _ in range(50):
        await said(client, "live", 0, video=LIVE)
        clock.advance(30_000)
    assert await house.viewers(LIVE) == 1
