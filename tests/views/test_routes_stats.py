"""The routes on statistics that answer what a test wants; their SQL has tests of its own."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from rest_house import (
    ADMIN,
    CLIPS,
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

from foundation.clock import ManualClock, iso_ms, parse_iso_ms
from foundation.database import Database
from foundation.metrics import Metrics
from views.ids import short_uuid
from views.model import Privacy
from views.stats.model import Metric, Overall, Retention, Scope, Share, Timeseries, UserAgents

AS_OF = 1_800_000_000_123
AS_OF_TEXT = iso_ms(AS_OF)
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class FakeStatistics:
    """Answers the same numbers always and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.peak_ms: int | None = 1_799_999_999_000
        self.first: int | None = None

    async def overall(self, scope: Scope, start_ms: int | None, end_ms: int | None) -> Overall:
        self.asked.append(("overall", scope.videos, start_ms, end_ms))
        places = (Share("FR", 3), Share("DE", 1)), (Share("=cmd()", 2),)
        return Overall(35, 140, 4, 2, self.peak_ms, *places, AS_OF)

    async def retention(self, video: int, duration_s: int) -> Retention:
        self.asked.append(("retention", video, duration_s))
        return Retention(((0, 100.0), (6, 33.25)), AS_OF)

    async def timeseries(self, scope: Scope, metric: Metric, start_ms: int, end_ms: int) -> Timeseries:
        self.asked.append(("timeseries", scope.videos, metric, start_ms, end_ms))
        return Timeseries("1 day", ((AS_OF - 123, 4), (AS_OF - 123 + DAY_MS, 0)), AS_OF)

    async def first_ms(self, video: int) -> int | None:
        return self.first

    async def user_agents(self, scope: Scope, start_ms: int | None, end_ms: int | None) -> UserAgents:
        self.asked.append(("user_agents", scope.videos, start_ms, end_ms))
        return UserAgents((Share("Firefox, ESR", 2),), (), (Share("Linux", 2),), AS_OF)


OVERALL = {
    "averageWatchTime": 35,
    "totalWatchTime": 140,
    "totalViewers": 4,
    "viewersPeak": 2,
    "viewersPeakDate": iso_ms(1_799_999_999_000),
    "countries": [{"isoCode": "FR", "viewers": 3}, {"isoCode": "DE", "viewers": 1}],
    "subdivisions": [{"name": "=cmd()", "viewers": 2}],
    "attribution": "Places by Example",
    "asOf": AS_OF_TEXT,
}


@pytest.fixture
def statistics() -> FakeStatistics:
    return FakeStatistics()


@pytest.fixture
async def house(database: Database, clock: ManualClock, metrics: Metrics, statistics: FakeStatistics) -> House:
    return await build(database, clock, metrics, statistics=statistics, geo_attribution="Places by Example")


@pytest.fixture
async def client(house: House, aiohttp_client) -> TestClient:
    return await aiohttp_client(house.app())


async def ask(client: TestClient, path: str, headers: dict[str, str] = STATS) -> Any:
    response = await client.get(f"/api/v1/{path}", headers=headers)
    assert response.status == 200, await response.text()
    assert response.headers["Cache-Control"] == "no-store"
    return await response.json()


async def test_overall_as_peertube_answers_it(client: TestClient, house: House, statistics: FakeStatistics) -> None:
    number = house.videos[VOD].number
    for name in (VOD, number, short_uuid(VOD)):
        assert await ask(client, f"videos/{name}/stats/overall") == OVERALL
        assert statistics.asked.pop() == ("overall", (number,), None, None)
    await ask(client, f"videos/{VOD}/stats/overall?startDate=2026-05-06&endDate=2026-W20-1T10:30")
    start_ms, end_ms = parse_iso_ms("2026-05-06T00:00Z"), parse_iso_ms("2026-05-11T10:30Z")
    assert statistics.asked.pop() == ("overall", (number,), start_ms, end_ms)
    await ask(client, f"videos/{VOD}/stats/overall?endDate=2026-05-06T10:00:00%2B02:00")
    assert statistics.asked.pop() == ("overall", (number,), None, parse_iso_ms("2026-05-06T08:00Z"))


async def test_there_may_be_no_peak_and_no_attribution(
    database: Database, clock: ManualClock, metrics: Metrics, statistics: FakeStatistics, aiohttp_client
) -> None:
    statistics.peak_ms = None
    house = await build(database, clock, metrics, statistics=statistics)
    body = await ask(await aiohttp_client(house.app()), f"videos/{VOD}/stats/overall")
    assert body["viewersPeakDate"] is None
    assert "attribution" not in body


async def test_retention(client: TestClient, house: House, statistics: FakeStatistics) -> None:
    body = await ask(client, f"videos/{VOD}/stats/retention?startDate=whatever")
    data = [{"second": 0, "retentionPercent": 100.0}, {"second": 6, "retentionPercent": 33.25}]
    assert body == {"data": data, "asOf": AS_OF_TEXT}
    assert statistics.asked == [("retention", house.videos[VOD].number, 600)]
    response = await client.get(f"/api/v1/videos/{LIVE}/stats/retention", headers=STATS)
    assert response.status == 400
    assert (await response.json())["code"] == "live_video"


async def test_timeseries(client: TestClient, house: House, statistics: FakeStatistics) -> None:
    number = house.videos[VOD].number
    base = f"videos/{VOD}/stats/timeseries"
    body = await ask(client, f"{base}/viewers?startDate=2026-05-06&endDate=2026-05-08")
    data = [{"date": iso_ms(AS_OF - 123), "value": 4}, {"date": iso_ms(AS_OF - 123 + DAY_MS), "value": 0}]
    assert body == {"groupInterval": "1 day", "data": data, "asOf": AS_OF_TEXT}
    dates = parse_iso_ms("2026-05-06T00:00Z"), parse_iso_ms("2026-05-08T00:00Z")
    assert statistics.asked.pop() == ("timeseries", (number,), Metric.VIEWERS, *dates)
    house.clock.advance(5 * DAY_MS)
    await ask(client, f"{base}/aggregateWatchTime")
    since_ms, now_ms = house.videos[VOD].published_ms, house.clock.now_ms()
    assert statistics.asked.pop() == ("timeseries", (number,), Metric.AGGREGATE_WATCH_TIME, since_ms, now_ms)


async def test_a_timeseries_begins_with_the_first_stay_when_that_came_before_the_video(
    client: TestClient, house: House, statistics: FakeStatistics
) -> None:
    statistics.first = house.clock.now_ms() - 30 * DAY_MS
    await ask(client, f"videos/{VOD}/stats/timeseries/viewers")
    assert statistics.asked.pop()[-2:] == (statistics.first, house.clock.now_ms())


async def test_a_video_of_the_future_has_an_empty_series(
    client: TestClient, house: House, statistics: FakeStatistics
) -> None:
    now_ms = house.clock.now_ms()
    await house.put(VOD, published_ms=now_ms + DAY_MS)
    await ask(client, f"videos/{VOD}/stats/timeseries/viewers")
    assert statistics.asked.pop()[-2:] == (now_ms, now_ms)


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("startDate=2020-01-01", 400, "one_date"),
        ("endDate=2020-01-01", 400, "one_date"),
        ("startDate=2010-01-01&endDate=2020-01-01", 400, "span_too_long"),
        ("startDate=0001-01-01&endDate=2020-01-01", 400, "span_too_long"),
        ("startDate=2020-01-01T00:00Z&endDate=2029-12-29T00:00Z", 200, None),
        ("startDate=2020-01-01T00:00Z&endDate=2029-12-29T00:00:00.001Z", 400, "span_too_long"),
        ("startDate=2026-01-01&endDate=2020-01-01", 200, None),
        ("startDate=0001-01-01&endDate=0002-01-01", 200, None),
        ("startDate=9999-01-01&endDate=9999-12-31", 200, None),
    ],
)
async def test_the_span_of_a_series(client: TestClient, query: str, status: int, code: str | None) -> None:
    response = await client.get(f"/api/v1/videos/{VOD}/stats/timeseries/viewers?{query}", headers=STATS)
    assert response.status == status
    assert (await response.json()).get("code") == code


async def test_user_agents(client: TestClient, house: House, statistics: FakeStatistics) -> None:
    assert await ask(client, f"videos/{VOD}/stats/user-agent?startDate=2026") == {
        "clients": [{"name": "Firefox, ESR", "viewers": 2}],
        "devices": [],
        "operatingSystems": [{"name": "Linux", "viewers": 2}],
        "asOf": AS_OF_TEXT,
    }
    start_ms = parse_iso_ms("2026-01-01T00:00Z")
    assert statistics.asked == [("user_agents", (house.videos[VOD].number,), start_ms, None)]


ENDPOINTS = ["overall", "retention", "timeseries/viewers", "user-agent"]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_who_may_read(client: TestClient, house: House, endpoint: str) -> None:
    await house.api.catalog.put_remote(remote_video())
    far = remote_video().uuid
    table = [
        (VOD, {}, 401),
        (VOD, {"Authorization": "Bearer nobody"}, 401),
        (VOD, {"Authorization": "Basic x"}, 401),
        ("!", {}, 401),
        ("!", STATS, 400),
        (UNKNOWN, {}, 401),
        (UNKNOWN, CLIPS, 404),
        (VOD, STATS, 200),
        (VOD, HOST, 200),
        (VOD, ADMIN, 200),
        (SHORT, CLIPS, 200),
        (VOD, CLIPS, 403),
        (SECRET_VIDEO, STATS, 200),
        (SECRET_VIDEO, HOST, 200),
        (SECRET_VIDEO, CLIPS, 404),
        (far, ADMIN, 403),
        (far, CLIPS, 403),
    ]
    for name, headers, status in table:
        response = await client.get(f"/api/v1/videos/{name}/stats/{endpoint}", headers=headers)
        assert response.status == status, (name, headers)
        if status == 401:
            assert response.headers["WWW-Authenticate"] == "Bearer"
        if name == far:
            assert (await response.json())["detail"] == "Cannot manage a video of another server."


async def test_a_stats_token_reads_the_private_videos_of_its_channels(client: TestClient, house: House) -> None:
    await house.put(SHORT, channel="clips", privacy=Privacy.PRIVATE)
    assert (await ask(client, f"videos/{SHORT}/stats/overall", CLIPS))["totalViewers"] == 4


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_parameters_are_judged_before_the_video_and_all_at_once(client: TestClient, endpoint: str) -> None:
    query = "startDate=yesterday&endDate=2026-02-30&format=xml"
    response = await client.get(f"/api/v1/videos/!/stats/{endpoint}?{query}", headers=CLIPS)
    assert response.status == 400
    body = await response.json()
    wanted = {"id", "format"} | (set() if endpoint == "retention" else {"startDate", "endDate"})
    assert set(body["invalid-params"]) == wanted
    assert body["detail"].startswith("Incorrect request parameters: ")
    for bad in ("format=", "startDate=", "startDate=2026&startDate=2027"):
        if endpoint != "retention" or bad == "format=":
            response = await client.get(f"/api/v1/videos/{UNKNOWN}/stats/{endpoint}?{bad}", headers=CLIPS)
            assert response.status == 400


async def test_an_unknown_metric(client: TestClient) -> None:
    for path in (f"videos/{UNKNOWN}/stats", "channels/nowhere/stats", "server/stats"):
        response = await client.get(f"/api/v1/{path}/timeseries/downloads", headers=CLIPS)
        assert response.status == 400
        assert set((await response.json())["invalid-params"]) == {"metric"}


async def table(client: TestClient, path: str, headers: dict[str, str] = STATS) -> list[list[str]]:
    response = await client.get(f"/api/v1/{path}", headers=headers)
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Content-Disposition"].startswith("attachment; filename=")
    assert response.headers["X-As-Of"] == AS_OF_TEXT
    return list(csv.reader(io.StringIO((await response.read()).decode(), newline="")))


async def test_csv(client: TestClient) -> None:
    overall = await table(client, f"videos/{VOD}/stats/overall?format=csv")
    assert overall[0] == ["statistic", "name", "value"]
    assert ["totalWatchTime", "", "140"] in overall
    assert ["country", "FR", "3"] in overall
    assert ["subdivision", "'=cmd()", "2"] in overall
    assert ["attribution", "", "Places by Example"] in overall
    retention = await table(client, f"videos/{VOD}/stats/retention?format=csv")
    assert retention == [["second", "retentionPercent"], ["0", "100.0"], ["6", "33.25"]]
    series = await table(client, f"videos/{VOD}/stats/timeseries/viewers?format=csv")
    assert series[:2] == [["date", "viewers"], [iso_ms(AS_OF - 123), "4"]]
    agents = await table(client, f"videos/{VOD}/stats/user-agent?format=csv")
    assert agents == [
        ["kind", "name", "viewers"],
        ["client", "Firefox, ESR", "2"],
        ["operatingSystem", "Linux", "2"],
    ]
    assert ["totalVideos", "", "1"] in await table(client, "channels/clips/stats?format=csv", CLIPS)
    assert ["viewers.localOnLocal", "", "0"] in await table(client, "server/stats?format=csv")


# Channels


async def test_a_channel(client: TestClient, house: House, statistics: FakeStatistics) -> None:
    await house.api.counter.count_local(house.videos[VOD], b"a" * 16)
    await house.api.counter.count_local(house.videos[SECRET_VIDEO], b"a" * 16)
    for viewer in (b"a", b"b"):
        await house.api.viewers.watching(house.videos[LIVE], viewer * 16)
    await house.api.viewers.watching(house.videos[SHORT], b"a" * 16)
    body = await ask(client, "channels/main/stats?startDate=2026")
    assert body == {"totalVideos": 3, "totalViews": 2, "viewers": 2, **OVERALL}
    numbers = tuple(sorted(house.videos[each].number for each in (VOD, LIVE, SECRET_VIDEO)))
    assert statistics.asked.pop() == ("overall", numbers, parse_iso_ms("2026-01-01T00:00Z"), None)
    assert (await ask(client, "channels/clips@here.example/stats", CLIPS))["viewers"] == 1
    await ask(client, "channels/main/stats/timeseries/viewers")
    assert statistics.asked.pop()[:3] == ("timeseries", numbers, Metric.VIEWERS)
    await ask(client, "channels/main/stats/user-agent")
    assert statistics.asked.pop() == ("user_agents", numbers, None, None)


@pytest.mark.parametrize("endpoint", ["", "/timeseries/viewers", "/user-agent"])
async def test_who_may_read_of_channels(client: TestClient, house: House, endpoint: str) -> None:
    await house.put(UNKNOWN, channel="secrets", privacy=Privacy.PRIVATE)
    table = [
        ("main", {}, 401),
        ("main", CLIPS, 403),
        ("main", STATS, 200),
        ("main", ADMIN, 200),
        ("clips", CLIPS, 200),
        ("nowhere", STATS, 404),
        ("nowhere", CLIPS, 404),
        ("main@elsewhere.example", STATS, 404),
        ("secrets", STATS, 200),
        ("secrets", CLIPS, 404),
        ("a%00b", STATS, 400),
        ("x" * 301, STATS, 400),
        ("%F0%9F%8E%AC", STATS, 404),
    ]
    for name, headers, status in table:
        response = await client.get(f"/api/v1/channels/{name}/stats{endpoint}", headers=headers)
        assert response.status == status, (name, headers)


async def test_the_channels_of_the_account(client: TestClient, house: House) -> None:
    days = [house.clock.now_ms() // DAY_MS * DAY_MS - ago * DAY_MS for ago in reversed(range(31))]
    for viewer, video in ((b"a", VOD), (b"b", VOD), (b"c", SHORT), (b"d", SECRET_VIDEO)):
        await house.api.counter.count_local(house.videos[video], viewer * 16)
    house.clock.advance(3 * DAY_MS)
    await house.api.counter.count_local(house.videos[VOD], b"e" * 16)
    path = "/api/v1/accounts/peertube/video-channels"
    plain = await (await client.get(path)).json()
    assert plain["total"] == 2
    assert {channel["name"]: "viewsPerDay" in channel for channel in plain["data"]} == {"main": False, "clips": False}
    for headers, total in (({}, 3), (CLIPS, 3), (STATS, 4), (ADMIN, 4)):
        body = await (await client.get(f"{path}?withStats=true&sort=name", headers=headers)).json()
        clips, main = body["data"]
        assert [clips["name"], main["name"], main["host"]] == ["clips", "main", "here.example"]
        assert main["totalViews"] == total
        assert len(main["viewsPerDay"]) == 31
        assert main["viewsPerDay"][-1] == {"date": iso_ms(days[-1] + 3 * DAY_MS), "views": 1}
        assert main["viewsPerDay"][-4]["views"] == total - 1
        assert sum(day["views"] for day in clips["viewsPerDay"]) == 1
    page = await (await client.get(f"{path}?start=1&count=1&sort=-name")).json()
    assert [channel["name"] for channel in page["data"]] == ["clips"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("peertube@here.example/video-channels", 200),
        ("peertube@far.example/video-channels", 404),
        ("somebody/video-channels", 404),
        ("peertube/video-channels?start=-1", 400),
        ("peertube/video-channels?count=101", 400),
        ("peertube/video-channels?sort=size", 400),
        ("peertube/video-channels?withStats=maybe", 400),
    ],
)
async def test_other_accounts_and_parameters(client: TestClient, query: str, status: int) -> None:
    assert (await client.get(f"/api/v1/accounts/{query}")).status == status


# The whole instance


async def test_the_whole_instance(client: TestClient, house: House, statistics: FakeStatistics) -> None:
    public = await (await client.get("/api/v1/server/stats")).json()
    assert "totalViewers" not in public
    assert await (await client.get("/api/v1/server/stats?startDate=x", headers=CLIPS)).json() == public
    for headers in (STATS, HOST, ADMIN):
        assert await ask(client, "server/stats?startDate=2026", headers) == {**public, **OVERALL}
        assert statistics.asked.pop() == ("overall", None, parse_iso_ms("2026-01-01T00:00Z"), None)
    assert (await client.get("/api/v1/server/stats?startDate=x", headers=STATS)).status == 400
    assert (await client.get("/api/v1/server/stats", headers={"Authorization": "Bearer no"})).status == 401
    await ask(client, "server/stats/timeseries/viewers")
    since_ms = min(video.published_ms for video in house.videos.values())
    assert statistics.asked.pop() == ("timeseries", None, Metric.VIEWERS, since_ms, house.clock.now_ms())
    await ask(client, "server/stats/user-agent")
    assert statistics.asked.pop() == ("user_agents", None, None, None)
    for path in ("timeseries/viewers", "user-agent"):
        assert (await client.get(f"/api/v1/server/stats/{path}", headers=CLIPS)).status == 403
        assert (await client.get(f"/api/v1/server/stats/{path}")).status == 401


async def test_other_methods_and_preflights(client: TestClient) -> None:
    for path in (f"videos/{VOD}/stats/overall", "channels/main/stats", "accounts/peertube/video-channels"):
        assert (await client.options(f"/api/v1/{path}")).status == 204
        assert (await client.post(f"/api/v1/{path}", headers=ADMIN)).status == 405
        assert (await client.head(f"/api/v1/{path}", headers=ADMIN)).status == 200
