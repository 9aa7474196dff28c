"""From the reports of players to the answers about them, everything real."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from rest_house import CLIPS, HOST, LIVE, SHORT, STATS, VOD, House, build
from sqlalchemy import select

from foundation.clock import ManualClock, iso_ms
from foundation.database import Database
from foundation.metrics import Metrics
from views.stats.tables import viewer_stays
from views.watching import WatchingRules

HOUR_MS = 3_600_000


@pytest.fixture
async def house(database: Database, clock: ManualClock, metrics: Metrics) -> House:
    return await build(database, clock, metrics, rules=WatchingRules(), with_recorder=True)


@pytest.fixture
async def client(house: House, aiohttp_client) -> TestClient:
    return await aiohttp_client(house.app())


async def watch(client: TestClient, house: House, video: str, session: str, *, begin: int = 0, seconds: int) -> None:
    for position in range(begin, begin + seconds + 1, 5):
        if position > begin:
            house.clock.advance(5_000)
        body = {"currentTime": position, "sessionId": session}
        assert (await client.post(f"/api/v1/videos/{video}/views", json=body)).status == 204


async def ask(client: TestClient, path: str, headers: dict[str, str] = STATS) -> Any:
    response = await client.get(f"/api/v1/{path}", headers=headers)
    assert response.status == 200, await response.text()
    return await response.json()


async def save(house: House) -> None:
    house.clock.advance(HOUR_MS + 1_000)
    await house.recorder.sweep()


async def test_viewers_are_in_the_answers_while_they_watch_and_after(client: TestClient, house: House) -> None:
    began_ms = house.clock.now_ms()
    await watch(client, house, VOD, "anna", seconds=30)
    await watch(client, house, VOD, "bert", begin=300, seconds=10)
    house.clock.advance(3_000)
    live = await ask(client, f"videos/{VOD}/stats/overall")
    assert (live["totalViewers"], live["totalWatchTime"], live["averageWatchTime"]) == (2, 40, 20)
    assert live["viewersPeak"] in (1, 2)
    await save(house)
    saved = await ask(client, f"videos/{VOD}/stats/overall")
    assert {**saved, "asOf": None} == {**live, "asOf": None}
    retention = (await ask(client, f"videos/{VOD}/stats/retention"))["data"]
    assert len(retention) == 101
    assert {point["second"]: point["retentionPercent"] for point in retention if point["retentionPercent"]} == {
        **dict.fromkeys(range(0, 31, 6), 50.0),
        **dict.fromkeys((300, 306), 50.0),
    }
    path = f"videos/{VOD}/stats/timeseries"
    series = await ask(client, f"{path}/aggregateWatchTime")
    assert sum(point["value"] for point in series["data"]) == 40
    dates = f"startDate={iso_ms(began_ms)}&endDate={iso_ms(began_ms + 2 * HOUR_MS)}"
    series = await ask(client, f"{path}/viewers?{dates}")
    assert series["groupInterval"] == "1 minute"
    assert series["data"][0]["value"] >= 1


@pytest.mark.parametrize("event", ["leave", "ended"])
async def test_a_closed_stay_is_saved_at_once(client: TestClient, house: House, database: Database, event: str) -> None:
    await watch(client, house, VOD, "anna", seconds=10)
    body = {"currentTime": 10, "sessionId": "anna", "viewEvent": event}
    assert (await client.post(f"/api/v1/videos/{VOD}/views", json=body)).status == 204
    await house.recorder.sweep()
    async with database.read() as tx:
        kept = (await tx.execute(select(viewer_stays.c.watch_time_s))).scalars().all()
    assert kept == [10]


@pytest.mark.parametrize(
    "dates",
    [
        "startDate=0001-01-01",
        "endDate=9999-12-31T23:59:59",
        "startDate=9999-01-01&endDate=0001-01-01",
        "startDate=2026",
    ],
)
@pytest.mark.parametrize("subject", [f"videos/{VOD}/stats/overall", "channels/main/stats", "server/stats"])
async def test_dates_at_the_ends_of_time(client: TestClient, house: House, subject: str, dates: str) -> None:
    await watch(client, house, VOD, "anna", seconds=30)
    await ask(client, f"{subject}?{dates}")
    await ask(client, f"{subject.removesuffix('/overall')}/user-agent?{dates}")


@pytest.mark.parametrize(
    "dates",
    [
        "startDate=0001-01-01&endDate=0001-01-02",
        "startDate=9999-01-01&endDate=9999-12-31",
        "startDate=9999-01-01&endDate=2020-01-01",
        "startDate=2020-01-01&endDate=2020-01-01",
        "startDate=2020-01-01&endDate=2029-12-29",
        "startDate=1969-06-01&endDate=1970-06-01",
    ],
)
async def test_series_at_the_ends_of_time(client: TestClient, house: House, dates: str) -> None:
    await watch(client, house, VOD, "anna", seconds=30)
    for subject in (f"videos/{VOD}/stats", "channels/main/stats", "server/stats"):
        await ask(client, f"{subject}/timeseries/viewers?{dates}")


async def test_channels_and_the_instance_are_sums(client: TestClient, house: House) -> None:
    await watch(client, house, VOD, "anna", seconds=30)
    await watch(client, house, LIVE, "anna", seconds=20)
    await watch(client, house, SHORT, "bert", seconds=5)
    await save(house)
    main, clips = await ask(client, "channels/main/stats"), await ask(client, "channels/clips/stats", CLIPS)
    server = await ask(client, "server/stats")
    assert (main["totalViewers"], main["totalWatchTime"], main["totalViews"]) == (2, 50, 2)
    assert (clips["totalViewers"], clips["totalWatchTime"], clips["totalViews"]) == (1, 5, 1)
    assert (server["totalViewers"], server["totalWatchTime"], server["totalLocalVideoViews"]) == (3, 55, 3)


async def test_players_say_what_they_are(client: TestClient, house: House) -> None:
    said = {"sessionId": "anna", "client": "Firefox", "operatingSystem": "Linux", "device": "desktop"}
    for position in (0, 5):
        await client.post(f"/api/v1/videos/{VOD}/views", json={"currentTime": position, **said})
        house.clock.advance(5_000)
    agents = await ask(client, f"videos/{VOD}/stats/user-agent")
    assert {**agents, "asOf": None} == {
        "clients": [{"name": "Firefox", "viewers": 1}],
        "devices": [{"name": "desktop", "viewers": 1}],
        "operatingSystems": [{"name": "Linux", "viewers": 1}],
        "asOf": None,
    }


async def test_a_replay_takes_over_what_its_stream_had(client: TestClient, house: House) -> None:
    await watch(client, house, LIVE, "anna", seconds=30)
    await save(house)
    await watch(client, house, LIVE, "bert", seconds=60)
    before = await ask(client, f"videos/{LIVE}/stats/overall")
    assert (before["totalViewers"], before["totalWatchTime"]) == (2, 90)
    said = {"replay": VOD}
    response = await client.post(f"/api/v1/videos/{LIVE}/replay", json=said, headers=HOST)
    assert (await response.json())["moved"] == {"views": 2, "viewers": 2}
    after = await ask(client, f"videos/{VOD}/stats/overall")
    assert {**after, "asOf": None} == {**before, "asOf": None}
    assert (await ask(client, f"videos/{LIVE}/stats/overall"))["totalViewers"] == 0
    retention = {
        point["second"]: point["retentionPercent"]
        for point in (await ask(client, f"videos/{VOD}/stats/retention"))["data"]
    }
    assert (retention[0], retention[30], retention[36], retention[66]) == (100.0, 100.0, 50.0, 0.0)
    response = await client.post(f"/api/v1/videos/{LIVE}/replay", json=said, headers=HOST)
    assert (await response.json())["moved"] == {"views": 0, "viewers": 0}
    # Whoever goes on watching the stream is a viewer of its next part.
    await watch(client, house, LIVE, "bert", begin=60, seconds=10)
    assert (await ask(client, f"videos/{LIVE}/stats/overall"))["totalWatchTime"] == 10
