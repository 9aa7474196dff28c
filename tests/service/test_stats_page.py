"""``/stats`` and the pages of videos as anybody gets them over HTTP, without a script."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import aiohttp
import pytest

from foundation.clock import ManualClock
from foundation.principal import Role
from service.app import Service
from service.config import Config, GeoHeaders, GeoIp, Listen, Pages, Secret, Site, Storage, Token, Views
from service.config.values import Rate
from service.html.home_page import LISTED
from service.html.stats_page import FIRST_ROWS
from views.ids import short_uuid
from views.model import Privacy, VideoDraft

UUID = "9c9de5e8-0a1e-484a-b099-e80766180a6d"
BLOG, SHOP = "blog.example", "shop.example:8443"
HTML = {"Accept": "text/html"}


@dataclass
class Answer:
    status: int
    text: str
    headers: Mapping[str, str]


@dataclass
class Web:
    service: Service
    clock: ManualClock
    http: aiohttp.ClientSession

    async def get(self, path: str, **headers: str) -> Answer:
        sent = {**HTML, **{name.replace("_", "-"): value for name, value in headers.items()}}
        async with self.http.get(self.service.url + path, headers=sent) as answer:
            return Answer(answer.status, await answer.text(), answer.headers)

    async def read(self, session: str, path: str, country: str | None = None, title: str | None = None) -> None:
        """A view and a sign of life."""
        body = {"site": BLOG, "path": path, "sessionId": session}
        headers = {} if country is None else {"X-Country": country}
        for name, more in (("views", {} if title is None else {"title": title}), ("heartbeat", {})):
            url = f"{self.service.url}/api/v1/pages/{name}"
            async with self.http.post(url, json={**body, **more}, headers=headers) as answer:
                assert answer.status == 204


Build = Callable[..., Awaitable[Web]]


@pytest.fixture
async def build(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Build]:
    opened: list[Web] = []

    async def make(*hosts: str | Site, rate_limit: Rate | None = None, tokens: tuple[Token, ...] = ()) -> Web:
        config = Config(
            listen=Listen(port=0),
            storage=Storage(directory=tmp_path / "data"),
            views=Views(rate_limit=rate_limit),
            geoip=GeoIp(headers=GeoHeaders(country="X-Country")),
            pages=Pages(sites=tuple(Site(host=host) if isinstance(host, str) else host for host in hosts)),
            tokens=tokens,
        )
        service = await Service.create(config, clock=clock)
        await service.start()
        opened.append(Web(service, clock, aiohttp.ClientSession()))
        return opened[-1]

    yield make
    for web in opened:
        await web.http.close()
        await web.service.stop()


def number(page: str, name: str) -> str:
    found = re.search(rf'id="{name}">([\d,]+)<', page)
    assert found
    return found[1]


def countries(page: str) -> dict[str, tuple[int, int]]:
    """Shade and visitors by code, of the table."""
    row = re.compile(r'data-country="(\w\w)" data-shade="(\d)">.*?<td class="number">(\d+)</td>')
    return {code: (int(shade), int(count)) for code, shade, count in row.findall(page)}


def shaded(page: str) -> dict[str, int]:
    """What the map shows, without those where nobody is."""
    found = re.findall(r'<(?:path|circle) id="c-(\w\w)" class="s(\d)"', page)
    return {code: int(shade) for code, shade in found if shade != "0"}


async def test_numbers_tables_and_the_map_are_in_the_html(build: Build) -> None:
    web = await build(BLOG)
    for country, visitors in (("DE", 9), ("FR", 3), ("MT", 3), ("JP", 2)):
        for each in range(visitors):
            await web.read(f"{country}{each}", "/post" if each % 2 else "/", country, "A title")
    answer = await web.get("/stats")
    assert answer.status == 200
    assert [number(answer.text, name) for name in ("active", "views", "visitors", "paths")] == ["17", "17", "17", "2"]
    # Japan's two are fewer than three: nobody is told by where they are, neither by the table nor by the map.
    assert {code: count for code, (_, count) in countries(answer.text).items()} == {"DE": 9, "FR": 3, "MT": 3}
    assert shaded(answer.text) == {code: shade for code, (shade, _) in countries(answer.text).items()}
    assert shaded(answer.text)["DE"] == 5
    assert "15 of 17 are shown" in answer.text
    assert "<title>Germany: 9</title>" in answer.text
    assert "<title>Japan: 0</title>" in answer.text
    assert answer.headers["Cache-Control"] == "no-store"


async def test_a_period_shows_the_views_of_its_time(build: Build) -> None:
    web = await build(BLOG)
    await web.read("anna", "/old")
    web.clock.advance(3 * 86_400_000)
    await web.read("bert", "/new")
    assert number((await web.get("/stats")).text, "views") == "2"
    day = await web.get("/stats?period=24h")
    assert number(day.text, "views") == "1"
    assert "/old" not in day.text
    assert 'period=24h" aria-current="page"' in day.text
    assert (await web.get("/stats?period=7y")).status == 400


async def test_the_map_of_a_period_shows_where_its_visitors_were(build: Build) -> None:
    web = await build(BLOG)
    for country, visitors in (("DE", 4), ("JP", 2)):
        for each in range(visitors):
            await web.read(f"{country}{each}", "/", country)
            await web.read(f"{country}{each}", "/more", country)
    web.clock.advance(3 * 86_400_000)
    for each in range(3):
        await web.read(f"FR{each}", "/", "FR")
    # Somebody who was in Germany three days ago is in France now: one visitor, in one country.
    await web.read("DE0", "/", "FR")
    for path, found in (
        ("/stats?where=period", {"DE": 3, "FR": 4}),
        ("/stats?where=period&period=24h", {"FR": 4}),
        ("/stats?period=24h", {"FR": 4}),
        ("/stats?where=nonsense", {"FR": 4}),
    ):
        page = (await web.get(path)).text
        assert {code: count for code, (_, count) in countries(page).items()} == found
        assert set(shaded(page)) == set(found)
    page = (await web.get("/stats?where=period")).text
    # Two of Japan are too few to be told, however many pages they read.
    assert "7 of 9 are shown" in page
    assert 'where=period" aria-current="page"' in page
    answer = await web.get("/api/v1/pages/stats?period=24h")
    assert json.loads(answer.text)["visitorCountries"] == [{"country": "FR", "visitors": 4}]


async def test_what_the_script_asks_for_has_no_map(build: Build) -> None:
    web = await build(BLOG)
    await web.read("anna", "/")
    whole, live = await web.get("/stats"), await web.get("/stats?live=1")
    assert "<path" in whole.text
    assert "<path" not in live.text
    assert number(live.text, "active") == "1"
    assert set(re.findall(r'data-live="(\w+)"', live.text)) == set(re.findall(r'data-live="(\w+)"', whole.text))
    assert len(live.text) < 10_000


async def test_every_country_is_in_the_table(build: Build) -> None:
    web = await build(BLOG)
    codes = ["DE", "FR", "MT", "JP", "US", "BR", "IN", "CN", "AU", "ZA", "EG", "KE", "SE", "NO", "FI"]
    for code in codes:
        for each in range(3):
            await web.read(f"{code}{each}", "/", code)
    page = (await web.get("/stats")).text
    assert set(countries(page)) == set(codes) == set(shaded(page))
    assert f"<summary>{len(codes) - FIRST_ROWS} more</summary>" in page
    assert len(countries(page.partition("<details>")[0])) == FIRST_ROWS


async def test_several_sites_are_a_list_to_choose_from(build: Build) -> None:
    web = await build(Site(host=BLOG, listed=True), Site(host=SHOP, listed=True), "unlisted.example")
    await web.read("anna", "/")
    listed = await web.get("/stats")
    assert re.findall(r'href="/stats\?site=([^"]+)"', listed.text) == [BLOG, "shop.example%3A8443"]
    assert number((await web.get(f"/stats?site={BLOG}")).text, "views") == "1"
    assert number((await web.get("/stats?site=shop.example%3A8443")).text, "views") == "0"
    unknown = await web.get("/stats?site=<script>")
    assert unknown.status == 404
    assert "<script>" not in unknown.text


async def test_a_site_that_is_not_listed_is_found_by_its_name_alone(build: Build) -> None:
    web = await build(BLOG, SHOP)
    listed = await web.get("/stats")
    assert listed.status == 200
    assert BLOG not in listed.text
    assert 'name="site"' in listed.text
    assert (await web.get(f"/stats?site={BLOG}")).status == 200


async def test_a_site_that_is_not_public_is_for_tokens(build: Build) -> None:
    tokens = tuple(
        Token(name=name, role=role, value=Secret(name * 8), channels=channels)
        for name, role, channels in (("stats", Role.STATS, ()), ("clips", Role.STATS, ("clips",)))
    )
    closed = Site(host=BLOG, public=False, listed=True)
    web = await build(closed, tokens=tokens)
    await web.read("anna", "/secret")
    assert BLOG not in (await web.get("/stats")).text
    page = await web.get(f"/stats?site={BLOG}")
    assert page.status == 403
    assert "/secret" not in page.text
    api = "/api/v1/pages/stats"
    for headers, status in (
        ({}, 401),
        ({"Authorization": "Bearer " + "x" * 40}, 401),
        ({"Authorization": "Bearer " + "clips" * 8}, 403),
        ({"Authorization": "Bearer " + "stats" * 8}, 200),
    ):
        answer = await web.get(f"{api}?site={BLOG}", **headers)
        assert (answer.status, "/secret" in answer.text) == (status, status == 200)
        assert (await web.get(api, **headers)).status == status


async def test_without_sites_there_is_nothing_to_show(build: Build) -> None:
    web = await build()
    answer = await web.get("/stats")
    assert (answer.status, "No web site is counted here" in answer.text) == (200, True)


class Inline(HTMLParser):
    """Collects whatever a content security policy without inline code would have to forbid."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        self.found += [f"{tag} {name}" for name in names if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and "src" not in names):
            self.found.append(tag)
        if names.get("rel") in ("canonical", "alternate"):
            return  # Nothing is fetched.
        self.found += [url for name in ("src", "href") if (url := names.get(name)) and not url.startswith("/")]


async def test_pages_need_nothing_inline_and_nothing_from_elsewhere(build: Build) -> None:
    web = await build(BLOG)
    kept = await web.service.views.catalog.put_local(VideoDraft(UUID, "A <i onclick=x>video</i>", 60))
    assert isinstance(kept, tuple)
    await web.read("anna", "/<img src=x onerror=alert(1)>", title="<script>alert(1)</script>")
    for path in ("/", "/stats", f"/w/{short_uuid(UUID)}"):
        answer = await web.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        looked = Inline()
        looked.feed(answer.text)
        assert looked.found == []
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in (await web.get("/stats")).text


async def test_files_of_pages_are_cached_and_asked_about_by_their_tag(build: Build) -> None:
    web = await build(BLOG)
    names = set()
    await web.service.views.catalog.put_local(VideoDraft(UUID, "A video", 60))
    for path in ("/stats", f"/w/{short_uuid(UUID)}"):
        names |= set(re.findall(r'(?:src|href)="(/static/[^"]+)"', (await web.get(path)).text))
    assert len(names) == 8
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    (passed,) = re.findall(r"location ~ (\^/\(inbox\S+) \{", readme)
    assert all(re.match(passed, name) for name in ("/stats", f"/w/{UUID}", *names)), "the proxy of README.md"
    for name in names:
        answer = await web.get(name)
        assert answer.status == 200
        assert "max-age" in answer.headers["Cache-Control"]
        assert (await web.get(name, If_None_Match=answer.headers["ETag"])).status == 304


async def test_the_page_of_a_video_shows_what_is_public(build: Build) -> None:
    web = await build()
    await web.service.views.catalog.put_local(VideoDraft(UUID, "A video", 60))
    page = await web.get(f"/w/{short_uuid(UUID)}")
    assert number(page.text, "watching") == "0"
    assert 'id="token"' in page.text
    # Statistics stay behind their token, page or not.
    for name in ("overall", "retention", "timeseries/viewers", "user-agent"):
        assert (await web.get(f"/api/v1/videos/{UUID}/stats/{name}")).status == 401
    await web.service.views.catalog.put_local(VideoDraft(UUID, "A video", 60, privacy=Privacy.PRIVATE))
    assert (await web.get(f"/w/{short_uuid(UUID)}")).status == 404


def tags(page: str) -> dict[str, str]:
    return dict(re.findall(r'<meta (?:property|name)="([\w:]+)" content="([^"]*)">', page))


async def test_a_video_says_to_others_what_it_is(build: Build) -> None:
    web = await build()
    name, url = "A <i>video</i>", f"http://127.0.0.1:8080/w/{short_uuid(UUID)}"
    await web.service.views.catalog.put_local(VideoDraft(UUID, name, 60, description="A rabbit"))
    page = (await web.get(f"/videos/watch/{UUID}")).text
    found = tags(page)
    assert {key: value for key, value in found.items() if key.startswith("og:")} == {
        "og:type": "video.other",
        "og:title": "A &lt;i&gt;video&lt;/i&gt;",
        "og:url": url,
        "og:site_name": "Fediviews",
        "og:description": "A rabbit",
    }
    assert "robots" not in found
    assert f'<link rel="canonical" href="{url}">' in page
    assert "Unlisted" not in page
    await web.service.views.catalog.put_local(VideoDraft(UUID, name, 60, privacy=Privacy.UNLISTED))
    page = (await web.get(f"/w/{short_uuid(UUID)}")).text
    assert tags(page)["robots"] == "noindex"
    assert "Unlisted" in page
    await web.service.views.catalog.put_local(VideoDraft(UUID, name, 60, privacy=Privacy.PRIVATE))
    page = (await web.get(f"/w/{short_uuid(UUID)}")).text
    assert "og:" not in page
    assert "rabbit" not in page


async def test_every_page_says_whose_it_is_and_leads_to_the_start(build: Build) -> None:
    web = await build(BLOG)
    await web.service.views.catalog.put_local(VideoDraft(UUID, "A video", 60))
    for path in ("/stats", f"/w/{short_uuid(UUID)}", "/w/nothing", "/accounts/peertube"):
        page = (await web.get(path)).text
        assert '<header class="masthead"><p><a href="/"><bdi>Fediviews</bdi></a>' in page, path
        assert "Fediviews</title>" in page, path


async def test_the_start_page_leads_to_a_few_videos_and_to_what_is_listed(build: Build) -> None:
    web = await build(Site(host=BLOG, listed=True), SHOP)
    page = (await web.get("/")).text
    assert "/w/" not in page
    assert 'href="/stats"' in page
    uuids = [f"9c9de5e8-0a1e-484a-b099-e80766180a{number:02x}" for number in range(LISTED + 2)]
    for number, uuid in enumerate(uuids):
        draft = VideoDraft(uuid, f"Video <{number}>", 60, published_ms=number, is_live=number == LISTED)
        await web.service.views.catalog.put_local(draft)
    for uuid, privacy in ((uuids[0], Privacy.PRIVATE), (uuids[-1], Privacy.UNLISTED)):
        await web.service.views.catalog.put_local(VideoDraft(uuid, "Hidden", 60, privacy=privacy, published_ms=10**9))
    page = (await web.get("/")).text
    assert "Hidden" not in page
    assert re.findall(r'href="/w/(\w+)"', page) == [short_uuid(uuid) for uuid in reversed(uuids[1:-1])]
    assert page.count('class="live"') == 1
    assert "Video &lt;1&gt;" in page
    extra = VideoDraft(UUID, "One more", 60, published_ms=10**9)
    await web.service.views.catalog.put_local(extra)
    page = (await web.get("/")).text
    assert len(re.findall(r'href="/w/', page)) == LISTED
    assert f"The newest {LISTED} of {LISTED + 1}." in page


async def test_the_start_page_does_not_lead_to_statistics_that_nobody_may_see(build: Build, tmp_path: Path) -> None:
    for sites in ((), (BLOG, SHOP), (Site(host=BLOG, public=False),)):
        web = await build(*sites)
        assert 'href="/stats"' not in (await web.get("/")).text
        await web.service.stop()


async def test_the_page_is_behind_the_limit_of_the_api(build: Build) -> None:
    web = await build(BLOG, rate_limit=Rate(2, 10_000))
    assert [(await web.get("/stats")).status for _ in range(3)] == [200, 200, 429]
