"""Counting pages as a site and its visitors meet it: a real service, asked over HTTP."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from foundation.clock import ManualClock
from foundation.principal import Role
from foundation.shedding import Load
from service.app import Service
from service.config import Config, GeoHeaders, GeoIp, Listen, Pages, Rate, Secret, Site, Storage, Token, Views
from service.config.values import parse_origin

BLOG, ORIGIN = "blog.example", "https://blog.example"
TOKEN, READER, LIMITED = "an-admins-token", "a-readers-token", "a-limited-token"
MINUTE_MS, DAY_MS = 60_000, 86_400_000


@dataclasses.dataclass
class Web:
    service: Service
    clock: ManualClock
    http: aiohttp.ClientSession

    async def ask(
        self, method: str, path: str, body: object = None, *, token: str | None = None, **headers: str
    ) -> tuple[int, Any, dict[str, str]]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        async with self.http.request(method, self.service.url + path, data=data, headers=sent) as answer:
            text = await answer.text()
            kind = answer.headers.get("Content-Type", "")
            return answer.status, json.loads(text) if "json" in kind else text, dict(answer.headers)

    async def view(self, session: str | None, path: str, *, site: str = BLOG, said: Any = None, **headers: str) -> str:
        body = {"site": site, "path": path, **({} if session is None else {"sessionId": session}), **(said or {})}
        status, _, got = await self.ask("POST", "/api/v1/pages/views", body, **headers)
        assert status == 204
        return got["X-Stats"]

    async def beat(self, session: str | None, path: str, *, site: str = BLOG, said: Any = None, **headers: str) -> str:
        body = {"site": site, "path": path, **({} if session is None else {"sessionId": session}), **(said or {})}
        status, _, got = await self.ask("POST", "/api/v1/pages/heartbeat", body, **headers)
        assert status == 204
        return got["X-Stats"]

    async def stats(self, site: str = BLOG, **query: str) -> dict[str, Any]:
        more = "".join(f"&{name}={value}" for name, value in query.items())
        status, body, headers = await self.ask("GET", f"/api/v1/pages/stats?site={site}{more}")
        assert status == 200
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert isinstance(body, dict)
        return body


Build = Callable[..., Awaitable[Web]]


@pytest.fixture
async def build(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Build]:
    opened: list[Any] = []

    async def make(rate_limit: Rate | None = None, **pages: Any) -> Web:
        sites = (
            Site(host=BLOG, origins=(parse_origin(ORIGIN),)),
            Site(host="shop.example:8443"),
        )
        config = Config(
            listen=Listen(port=0),
            storage=Storage(directory=tmp_path / "data"),
            views=Views(rate_limit=rate_limit),
            tokens=(
                Token(name="admin", role=Role.ADMIN, value=Secret(TOKEN)),
                Token(name="reader", role=Role.STATS, value=Secret(READER)),
                Token(name="limited", role=Role.STATS, value=Secret(LIMITED), channels=("main",)),
            ),
            geoip=GeoIp(headers=GeoHeaders(country="X-Country", city="X-City")),
            pages=Pages(**{"sites": sites, **pages}),
        )
        service = await Service.create(config, clock=clock)
        await service.start()
        http = aiohttp.ClientSession()
        opened.append((service, http))
        return Web(service, clock, http)

    yield make
    for service, http in opened:
        await http.close()
        await service.stop()


async def test_a_site_before_anybody_came(build: Build) -> None:
    web = await build()
    assert await web.stats() == {
        "activeVisitors": 0,
        "activeByPath": [],
        "totalPageViews": 0,
        "uniqueVisitors": 0,
        "uniquePaths": 0,
        "publishedPosts": 0,
        "publishedPages": 0,
        "trackingSince": None,
        "pageStats": [],
        "visitorLocations": [],
        "visitorCountries": [],
    }


async def test_whatever_does_not_count_says_why(build: Build) -> None:
    web = await build()
    assert await web.view("s1", "/", said={"webdriver": True}) == "ignored: webdriver"
    assert await web.view("s1", "/", said={"webdriver": False}) == "counted"
    refused = [
        ({"site": "strange.example", "path": "/"}, {}, 404, "refused: site_unknown"),
        ({"site": BLOG, "path": "/"}, {"Origin": "https://evil.example"}, 403, "refused: origin_refused"),
        ({"site": BLOG, "path": 7}, {}, 400, "refused: bad_report"),
        ({"site": BLOG, "path": "/", "webdriver": "yes"}, {}, 400, "refused: bad_report"),
        ({"site": BLOG, "path": "/" * 40_000}, {}, 413, "refused: body_too_large"),
    ]
    for body, headers, status, word in refused:
        got, _, said = await web.ask("POST", "/api/v1/pages/views", body, **headers)
        assert (got, said["X-Stats"]) == (status, word)
        assert "X-Stats" in said["Access-Control-Expose-Headers"]


async def test_a_picture_where_no_script_runs(build: Build) -> None:
    web = await build()

    async def fetch(query: str = "", method: str = "GET", **headers: str) -> tuple[int, str, bytes]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with web.http.request(method, f"{web.service.url}/b.gif{query}", headers=sent) as answer:
            if answer.status != 405:
                assert answer.headers["Cache-Control"] == "no-store"
                assert answer.headers["Content-Type"] == "image/gif"
            return answer.status, answer.headers.get("X-Stats", ""), await answer.read()

    browser = {"Sec_Fetch_Site": "cross-site", "User_Agent": "Mozilla/5.0"}
    status, word, picture = await fetch(Referer=f"{ORIGIN}/post?utm=1", **browser)
    assert (status, word) == (200, "counted")
    # The smallest there is: one pixel by one.
    assert (picture[:6], picture[6:10], picture[-1:]) == (b"GIF89a", b"\1\0\1\0", b";")
    assert len(picture) == 43
    assert (await fetch(Referer=f"{ORIGIN}/post", **browser))[1] == "ignored: already_counted"
    # The query says it where a browser tells no more than the origin.
    query = f"?site={BLOG}&path=/other&title=Another&sessionId=s1"
    assert (await fetch(query, Referer=f"{ORIGIN}/", **browser))[1] == "counted"
    assert (await fetch(f"?site={BLOG}&path=/mail", User_Agent="Some mail program"))[1] == "counted"
    refused = [
        (query, {**browser}, (403, "refused: origin_refused", picture)),
        (query, {**browser, "Referer": "https://evil.example/"}, (403, "refused: origin_refused", picture)),
        (query, {**browser, "Referer": "data:x"}, (403, "refused: origin_refused", picture)),
        ("", {"Referer": "https://evil.example/"}, (404, "refused: site_unknown", picture)),
        ("", {}, (400, "refused: bad_report", picture)),
        ("?site=%ff&path=%ed%a0%80", {}, (404, "refused: site_unknown", picture)),
    ]
    for asked, headers, expected in refused:
        assert await fetch(asked, **headers) == expected
    assert (await fetch(f"?site={BLOG}&path=/bot", User_Agent="Googlebot/2.1"))[1] == "ignored: bot"
    assert (await fetch(query, method="HEAD"))[0] == 405
    stats = await web.stats()
    assert {page["path"]: page["title"] for page in stats["pageStats"]} == {
        "/post": None,
        "/other": "Another",
        "/mail": None,
    }


async def test_a_picture_takes_of_what_reports_have_and_not_of_what_readers_have(build: Build) -> None:
    web = await build(Rate(2, 10_000))
    asked = [(await web.ask("GET", f"/api/v1/pages/stats?site={BLOG}"))[0] for _ in range(3)]
    assert asked == [200, 200, 429]
    told = []
    for _ in range(3):
        async with web.http.get(f"{web.service.url}/b.gif?site={BLOG}&path=/") as answer:
            told.append((answer.status, answer.content_type, answer.headers["X-Stats"]))
    assert told[:2] == [(200, "image/gif", "counted"), (200, "image/gif", "ignored: already_counted")]
    assert told[2] == (429, "image/gif", "refused: rate_limited")
    assert 1 <= int(answer.headers["Retry-After"]) <= 10
    assert (await web.ask("POST", "/api/v1/pages/views", {"site": BLOG, "path": "/"}))[0] == 429


async def test_visitors_come_read_and_go(build: Build) -> None:
    web = await build()
    began = web.clock.now_ms()
    assert await web.view("s1", "/", said={"title": "Home", "pageType": "home"}) == "counted"
    assert await web.view("s1", "/?utm=1#top") == "ignored: already_counted"
    assert await web.view("s1", "/post", said={"referrer": "https://search.example/?q=x"}) == "counted"
    assert await web.view("s2", "/post", Origin=ORIGIN) == "counted"
    assert await web.beat("s1", "/post") == "counted"
    assert await web.beat("s2", "/post") == "counted"
    assert await web.beat("s2", "/post") == "ignored: already_seen"
    assert await web.beat("s2", "/") == "counted"
    stats = await web.stats()
    assert stats["activeVisitors"] == 2
    assert stats["activeByPath"] == [{"path": "/", "count": 1}, {"path": "/post", "count": 1}]
    assert (stats["totalPageViews"], stats["uniqueVisitors"], stats["uniquePaths"]) == (3, 2, 2)
    assert stats["trackingSince"] == began
    assert stats["pageStats"] == [
        {"path": "/post", "title": None, "pageType": None, "views": 2},
        {"path": "/", "title": "Home", "pageType": "home", "views": 1},
    ]
    assert await web.beat("s1", "/post", said={"leave": True}) == "counted"
    assert (await web.stats())["activeVisitors"] == 1
    for who in ("s1", "never-came"):
        assert await web.beat(who, "/post", said={"leave": True}) == "ignored: not_here"
    web.clock.advance(2 * MINUTE_MS)
    assert (await web.stats())["activeVisitors"] == 0
    web.clock.advance(28 * MINUTE_MS)
    assert await web.view("s1", "/") == "counted"
    assert (await web.stats(site="shop.example:8443"))["totalPageViews"] == 0


async def test_without_a_session_id_address_and_program_are_the_visitor_for_a_day(build: Build) -> None:
    web = await build()
    for agent in ("Firefox", "Safari"):
        await web.view(None, "/", User_Agent=agent)
        await web.view(None, "/other", User_Agent=agent)
    await web.view(None, "/", User_Agent="Firefox", X_Forwarded_For="198.51.100.7")
    assert (await web.stats())["uniqueVisitors"] == 3
    web.clock.advance(DAY_MS)
    await web.view(None, "/", User_Agent="Firefox")
    assert (await web.stats())["uniqueVisitors"] == 4
    assert (await web.stats(period="24h"))["uniqueVisitors"] == 4
    web.clock.advance(MINUTE_MS)
    assert (await web.stats(period="24h"))["uniqueVisitors"] == 1


async def test_robots_and_prefetching_browsers_are_nobody(build: Build) -> None:
    web = await build()
    assert await web.view("a", "/", User_Agent="Googlebot/2.1 (+http://www.google.com/bot.html)") == "ignored: bot"
    assert await web.view("a", "/", Sec_Purpose="prefetch;prerender") == "ignored: prefetch"
    assert await web.beat("a", "/", Purpose="prefetch") == "ignored: prefetch"
    stats = await web.stats()
    assert (stats["totalPageViews"], stats["activeVisitors"]) == (0, 0)


async def test_places_are_shown_only_where_several_are(build: Build) -> None:
    web = await build()
    for number, (country, city) in enumerate(
        [("FR", "Paris")] * 3 + [("FR", "Lyon")] * 2 + [("FR", "")] + [("DE", "Köln")] * 2 + [("XX", "")] * 3
    ):
        await web.beat(f"s{number}", "/", X_Country=country, X_City=city)
    # Where these cities lie nobody said, and they do not lie in the middle of the country.
    assert (await web.stats())["visitorLocations"] == [
        {"latitude": 46.6, "longitude": 2.5, "country": "FR", "count": 6},
    ]


async def test_browsers_report_from_the_sites_own_origins_alone(build: Build) -> None:
    web = await build()
    body = {"site": BLOG, "path": "/", "sessionId": "a"}
    for name in ("views", "heartbeat"):
        path = f"/api/v1/pages/{name}"
        status, _, headers = await web.ask("POST", path, body, Origin=ORIGIN, Content_Type="text/plain;charset=UTF-8")
        assert (status, headers["Access-Control-Allow-Origin"], headers["Vary"]) == (204, ORIGIN, "Origin")
        assert headers["Cache-Control"] == "no-store"
        for origin in ("https://evil.example", "http://blog.example", "null"):
            status, problem, headers = await web.ask("POST", path, body, Origin=origin)
            # A page may read that it was refused, so that its script stops.
            assert (status, problem["code"]) == (403, "origin_refused")
            assert headers["Access-Control-Allow-Origin"] == "*"
        asking = {"Origin": ORIGIN, "Access_Control_Request_Method": "POST"}
        status, _, headers = await web.ask("OPTIONS", path, **asking)
        assert (status, headers["Access-Control-Allow-Origin"]) == (204, ORIGIN)
        assert headers["Access-Control-Allow-Headers"] == "Content-Type"
        _, _, headers = await web.ask("OPTIONS", path, **{**asking, "Origin": "https://evil.example"})
        assert "Access-Control-Allow-Origin" not in headers
        assert (await web.ask("GET", path))[0] == 405
    assert await web.view("a", "/", site="shop.example:8443", Origin="https://shop.example:8443") == "counted"


async def test_an_unknown_site_is_refused_with_its_reason(build: Build) -> None:
    web = await build()
    for name in ("views", "heartbeat"):
        status, problem, _ = await web.ask("POST", f"/api/v1/pages/{name}", {"site": "evil.example", "path": "/"})
        assert (status, problem["code"]) == (404, "site_unknown")
    status, problem, _ = await web.ask("GET", "/api/v1/pages/stats?site=evil.example")
    assert (status, problem["code"]) == (404, "site_unknown")
    status, problem, _ = await web.ask("GET", "/api/v1/pages/stats")
    assert (status, list(problem["invalid-params"])) == (400, ["site"])
    # Half a surrogate pair is no text; whose fault it is a body that cannot be read does not say.
    for body in (b'{"site": "blog.example", "path": "/\\ud800"}', b"[]"):
        status, problem, _ = await web.ask("POST", "/api/v1/pages/views", body)
        assert (status, list(problem["invalid-params"])) == (400, ["body"])


async def test_too_much_to_do_sends_beacons_away_first(build: Build) -> None:
    web = await build()
    web.service.ground.shedder.level = Load.PAGE_BEACON
    status, problem, headers = await web.ask("POST", "/api/v1/pages/views", {"site": BLOG, "path": "/"}, Origin=ORIGIN)
    assert (status, problem["code"], headers["Access-Control-Allow-Origin"]) == (503, "overloaded", "*")
    assert int(headers["Retry-After"]) > 0


async def test_a_catalog_gives_titles_and_counts(build: Build) -> None:
    web = await build()
    await web.view("a", "/post", said={"title": "What the page says"})
    await web.view("b", "/about", said={"title": "About"})
    pages = [
        {"path": "/post/", "title": "Not this one", "type": "post"},
        {"path": "/post", "title": "A post", "type": "post"},
        {"path": "https://blog.example/imprint", "type": "page"},
        {"path": "/tag/x", "type": "other"},
    ]
    put = {"site": BLOG, "pages": pages}
    assert (await web.ask("PUT", "/api/v1/pages/catalog", put))[0] == 401
    assert (await web.ask("PUT", "/api/v1/pages/catalog", put, token=READER))[0] == 403
    assert (await web.ask("PUT", "/api/v1/pages/catalog", put, token=TOKEN))[:2] == (200, {"pages": 4})
    stats = await web.stats()
    assert (stats["publishedPosts"], stats["publishedPages"]) == (2, 1)
    assert stats["pageStats"] == [
        {"path": "/about", "title": "About", "pageType": None, "views": 1},
        {"path": "/post", "title": "A post", "pageType": "post", "views": 1},
    ]
    bad = {"site": BLOG, "pages": [{"path": "/a"}, {"title": "no path"}]}
    status, problem, _ = await web.ask("PUT", "/api/v1/pages/catalog", bad, token=TOKEN)
    assert (status, list(problem["invalid-params"])) == (400, ["pages[1]"])
    assert (await web.ask("PUT", "/api/v1/pages/catalog", {"site": BLOG, "pages": []}, token=TOKEN))[0] == 200
    assert (await web.stats())["publishedPosts"] == 0


async def test_more_is_for_those_with_a_token(build: Build) -> None:
    web = await build()
    await web.view("a", "/x", said={"referrer": "https://search.example/a"}, X_Country="fr")
    web.clock.advance(DAY_MS)
    await web.view("b", "/x")
    base = f"?site={BLOG}"
    for name in ("referrers", "countries", "timeseries", "count", "sites"):
        assert (await web.ask("GET", f"/api/v1/pages/{name}{base}"))[0] == 401
        assert (await web.ask("GET", f"/api/v1/pages/{name}{base}", token=LIMITED))[0] == 403
    ask = web.ask
    assert (await ask("GET", f"/api/v1/pages/referrers{base}", token=READER))[1] == {
        "data": [{"host": "search.example", "views": 1}]
    }
    assert (await ask("GET", f"/api/v1/pages/countries{base}&period=30d", token=READER))[1] == {
        "data": [{"country": "FR", "views": 1}]
    }
    _, series, _ = await ask("GET", f"/api/v1/pages/timeseries{base}&interval=day", token=READER)
    assert len(series["data"]) == 31
    assert [(one["views"], one["newVisitors"]) for one in series["data"][-2:]] == [(1, 1), (1, 1)]
    assert {one["views"] for one in series["data"][:-2]} == {0}
    _, series, _ = await ask("GET", f"/api/v1/pages/timeseries{base}&path=/x&interval=hour", token=READER)
    assert [one["views"] for one in series["data"]][-1] == 1
    query = f"{base}&path=/x&endDate=2027-01-15T23:59Z"
    assert (await ask("GET", f"/api/v1/pages/count{query}", token=READER))[1] == {"views": 1}
    assert (await ask("GET", f"/api/v1/pages/sites{base}", token=READER))[1]["data"][0] == {
        "site": BLOG,
        "activeVisitors": 0,
        "totalPageViews": 2,
    }
    assert (await ask("GET", "/api/v1/pages/backfills", token=READER))[0] == 403
    assert (await ask("GET", "/api/v1/pages/backfills", token=TOKEN))[1] == {"total": 0, "data": []}


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("period=1w", "period"),
        ("period=0d", "period"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("interval=minute", "interval"),
        ("startDate=yesterday", "startDate"),
        ("path=", "path"),
    ],
)
async def test_a_wrong_query_is_named(build: Build, query: str, named: str) -> None:
    web = await build()
    status, problem, _ = await web.ask("GET", f"/api/v1/pages/timeseries?site={BLOG}&{query}", token=READER)
    assert (status, list(problem["invalid-params"])) == (400, [named])


async def test_a_series_of_too_many_points(build: Build) -> None:
    web = await build()
    query = "interval=hour&startDate=1970-01-01&endDate=2027-01-01"
    status, problem, _ = await web.ask("GET", f"/api/v1/pages/timeseries?site={BLOG}&{query}", token=READER)
    assert (status, problem["code"]) == (400, "span_too_long")


async def test_a_restart_forgets_neither_views_nor_who_is_there(build: Build) -> None:
    web = await build()
    await web.view("a", "/x")
    await web.beat("a", "/x")
    await web.service.stop()
    again = await build()
    stats = await again.stats()
    assert (stats["totalPageViews"], stats["activeVisitors"], stats["activeByPath"][0]["path"]) == (1, 1, "/x")
    assert await again.view("a", "/x") == "ignored: already_counted"
    assert await again.beat("a", "/x") == "ignored: already_seen"


async def test_nothing_that_names_a_visitor_is_kept(build: Build, tmp_path: Path) -> None:
    web = await build()
    await web.view("a-session-of-mine", "/x", User_Agent="Agent-of-mine", X_Forwarded_For="198.51.100.77")
    await web.view(None, "/y", User_Agent="Agent-of-mine", X_Forwarded_For="198.51.100.77")
    await web.beat(None, "/y", User_Agent="Agent-of-mine", X_Forwarded_For="198.51.100.77")
    await web.service.stop()
    raw = b"".join(file.read_bytes() for file in (tmp_path / "data").rglob("*") if file.is_file())
    assert b"/y" in raw
    for word in (b"a-session-of-mine", b"Agent-of-mine", b"198.51.100.77"):
        assert word not in raw
