"""The pages that anybody may open, in a real browser: numbers that move on two instances, the map, the charts."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from browser.site import until
from playwright.async_api import Browser, Page, expect

from foundation.principal import Role
from service.app import Service
from service.commands.demo import free_port
from service.config import (
    Config,
    Federation,
    GeoHeaders,
    GeoIp,
    Instance,
    Listen,
    Pages,
    Secret,
    Site,
    Storage,
    Token,
    Views,
)
from service.config.values import parse_origin
from views.ids import short_uuid
from views.model import Privacy, VideoDraft

FIXTURES = Path(__file__).parents[1] / "fixtures"
UUID, HIDDEN = "9c9de5e8-0a1e-484a-b099-e80766180a6d", "1f6b8a2e-2f0f-4f53-8d07-3b8ad10f8c11"
READER, ADMIN, OTHER = "a-readers-token", "an-admins-token", "a-token-of-another-channel"
BLOG = "blog.example"
AWAY_MS = 60_000
"""Within which a page has noticed that its service went or came, on a busy machine too."""
SCHEMES = ("light", "dark")


@contextlib.asynccontextmanager
async def running(directory: Path, port: int | None = None) -> AsyncIterator[Service]:
    port = port or free_port()
    service = await Service.create(
        Config(
            instance=Instance(url=parse_origin(f"http://127.0.0.1:{port}")),
            listen=Listen(
                port=port,
                shutdown_grace_ms=0,
                overload_lag_ms=None,
                trusted_proxies=(ipaddress.ip_network("127.0.0.0/8"),),
            ),
            storage=Storage(directory=directory),
            views=Views(rate_limit=None, ignore_bots=False, count_view_after_ms=2_000, places_at_least=1),
            federation=Federation(
                allow_http=True, allow_private_addresses=True, announce_within_ms=150, retry_first_ms=100
            ),
            geoip=GeoIp(headers=GeoHeaders(country="X-Country")),
            pages=Pages(sites=(Site(host=BLOG),)),
            tokens=(
                Token(name="admin", role=Role.ADMIN, value=Secret(ADMIN)),
                Token(name="reader", role=Role.STATS, value=Secret(READER)),
                Token(name="other", role=Role.STATS, value=Secret(OTHER), channels=("another",)),
            ),
        )
    )
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


@pytest.fixture
async def origin(tmp_path: Path) -> AsyncIterator[Service]:
    async with running(tmp_path / "origin") as made:
        await made.views.catalog.put_local(VideoDraft(UUID, "A <b>rabbit</b>", 60))
        yield made


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def watch(http: aiohttp.ClientSession, service: Service, session: str, second: int = 0, **said: Any) -> None:
    country = said.pop("country", None)
    headers = {} if country is None else {"X-Country": country}
    url = f"{service.url}/api/v1/videos/{UUID}/views"
    body = {"currentTime": second, "sessionId": session, **said}
    async with http.post(url, json=body, headers=headers) as answer:
        assert answer.status == 204


async def read(http: aiohttp.ClientSession, service: Service, session: str, path: str, country: str) -> None:
    for name in ("views", "heartbeat"):
        body = {"site": BLOG, "path": path, "sessionId": session}
        url = f"{service.url}/api/v1/pages/{name}"
        async with http.post(url, json=body, headers={"X-Country": country}) as answer:
            assert answer.status == 204


async def faults(page: Page) -> list[tuple[str, list[str]]]:
    """Serious and critical faults that axe finds; a debugger's script is no script of the page, so its policy holds."""
    await page.evaluate((FIXTURES / "axe-core" / "axe.min.js").read_text())
    found = await page.evaluate("axe.run()")
    assert len(found["passes"]) > 5
    return [
        (each["id"], [node["html"] for node in each["nodes"]])
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
    ]


async def shows(page: Page, name: str, number: int) -> None:
    await until(lambda: page.evaluate(f"document.getElementById('{name}').textContent === '{number}'"))


async def test_somebody_watches_and_the_number_moves_on_the_pages_of_two_instances(
    origin: Service, tmp_path: Path, browser: Browser, page: Page, http: aiohttp.ClientSession
) -> None:
    async with running(tmp_path / "follower") as follower:
        follow = {"hosts": [origin.url.removeprefix("http://")]}
        headers = {"Authorization": f"Bearer {ADMIN}"}
        async with http.post(f"{follower.url}/api/v1/server/following", json=follow, headers=headers) as answer:
            assert answer.status == 204

        async def imported() -> bool:
            return await follower.views.catalog.by_uuid(UUID) is not None

        await until(imported)
        other = await browser.new_page()
        for tab, service in ((page, origin), (other, follower)):
            await tab.goto(f"{service.url}/w/{short_uuid(UUID)}")
            await shows(tab, "watching", 0)
        assert await page.locator("#token").is_visible()
        # The origin has the statistics of its videos.
        assert await other.locator("#token").count() == 0
        assert await faults(other) == []

        async def watched(service: Service, session: str, number: int) -> None:
            await watch(http, service, session)
            await asyncio.gather(shows(page, "watching", number), shows(other, "watching", number))

        await watched(origin, "anna", 1)
        await watched(follower, "bert", 2)
        await watch(http, origin, "anna", viewEvent="leave")
        await asyncio.gather(shows(page, "watching", 1), shows(other, "watching", 1))
        await other.close()


async def test_pages_say_that_they_are_out_of_date_and_go_on_by_themselves(
    tmp_path: Path, browser: Browser, http: aiohttp.ClientSession
) -> None:
    # The browser itself says in its console that nobody answers: so not the page of the fixture.
    video, stats = await browser.new_page(), await browser.new_page()
    notices = [page.locator(".unreached") for page in (video, stats)]
    port = free_port()
    async with running(tmp_path / "one", port) as service:
        await service.views.catalog.put_local(VideoDraft(UUID, "A rabbit", 60))
        await read(http, service, "anna", "/", "DE")
        await video.goto(f"{service.url}/w/{UUID}")
        await stats.goto(f"{service.url}/stats")
        for notice in notices:
            await expect(notice).to_have_text("")
    for page, notice in zip((video, stats), notices, strict=True):
        await expect(notice).to_contain_text("Not reached since", timeout=AWAY_MS)
        assert await notice.get_attribute("aria-live") == "polite"
        assert await page.evaluate("document.body.classList.contains('stale')")
    dot = "getComputedStyle(document.querySelector('.now dd'), '::before').animationName"
    assert await stats.evaluate(dot) == "none"
    async with running(tmp_path / "one", port) as service:
        for notice in notices:
            await expect(notice).to_have_text("", timeout=AWAY_MS)
        assert await stats.locator("#views").inner_text() == "1"
        await watch(http, service, "anna")
        await shows(video, "watching", 1)
        for page in (video, stats):
            assert not await page.evaluate("document.body.classList.contains('stale')")
            await page.close()


async def test_nobody_active_is_shown_without_a_beating_dot(origin: Service, page: Page) -> None:
    await page.goto(f"{origin.url}/stats")
    assert await page.locator("#active").inner_text() == "0"
    assert await page.locator(".now").count() == 0


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_the_map_and_its_table_follow_the_visitors(
    origin: Service, page: Page, http: aiohttp.ClientSession, scheme: Any
) -> None:
    await page.emulate_media(color_scheme=scheme)
    for number in range(4):
        await read(http, origin, f"de{number}", "/<b>post", "DE")
    await page.goto(f"{origin.url}/stats")
    assert await page.locator("#active").inner_text() == "4"
    germany, france = page.locator("#c-DE"), page.locator("#c-FR")
    box = await page.locator(".map svg").first.bounding_box()
    assert box is not None
    assert box["width"] > 500
    assert await page.locator(".map path").count() > 150
    fill = "shape => getComputedStyle(shape).fill"
    assert await germany.evaluate(fill) != await france.evaluate(fill)
    assert await page.locator(".scrolls table b").count() == 0
    assert await faults(page) == []

    empty = await france.evaluate(fill)
    for number in range(3):
        await read(http, origin, f"fr{number}", "/", "FR")
    await until(lambda: page.evaluate("document.querySelector('[data-country=FR]') !== null"))
    await shows(page, "active", 7)
    assert await france.evaluate(fill) != empty
    assert await france.locator("title").text_content() == "France: 3"


async def test_the_page_of_statistics_without_scripts_motion_or_room(
    origin: Service, browser: Browser, http: aiohttp.ClientSession
) -> None:
    for number in range(3):
        await read(http, origin, f"s{number}", "/a-page-with-a-name-that-is-long/" + "x" * 200, "MT")
    context = await browser.new_context(
        java_script_enabled=False, reduced_motion="reduce", viewport={"width": 320, "height": 600}
    )
    page = await context.new_page()
    await page.goto(f"{origin.url}/stats")
    assert await page.locator("#active").inner_text() == "3"
    assert await page.locator("[data-country=MT] td").inner_text() == "3"
    assert await page.locator("circle#c-MT").is_visible()
    assert not await page.locator("circle#c-SG").is_visible()
    dot = "getComputedStyle(document.querySelector('.now dd'), '::before').animationName"
    assert await page.evaluate(dot) == "none"
    assert await page.evaluate("document.documentElement.scrollWidth <= 320")
    await page.emulate_media(media="print")
    assert not await page.locator("[aria-label=Period] .choices").is_visible()
    assert await page.locator("[data-country=MT] td").is_visible()
    await context.close()


async def test_who_opened_the_rest_of_the_countries_keeps_it_open(
    origin: Service, page: Page, http: aiohttp.ClientSession
) -> None:
    for code in ["DE", "FR", "MT", "JP", "US", "BR", "IN", "CN", "AU", "ZA", "EG"]:
        for number in range(4 if code == "DE" else 3):
            await read(http, origin, f"{code}{number}", "/", code)
    await page.goto(f"{origin.url}/stats")
    last = page.locator("[data-live=countries] details [data-country]")
    await expect(last).to_be_hidden()
    await page.locator("[data-live=countries] summary").click()
    await expect(last).to_be_visible()
    await read(http, origin, "DE9", "/", "DE")
    await expect(page.locator("[data-country=DE] td")).to_have_text("5", timeout=AWAY_MS)
    await expect(last).to_be_visible()
    assert await faults(page) == []


async def test_with_the_keyboard_to_another_period(origin: Service, page: Page) -> None:
    await page.goto(f"{origin.url}/stats")
    await page.keyboard.press("Tab")
    await expect(page.locator(".masthead a")).to_be_focused()
    await page.keyboard.press("Tab")
    assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    await page.keyboard.press("Enter")
    await page.wait_for_url("**period=24h")
    assert await page.locator("[aria-label=Period] [aria-current]").inner_text() == "24 hours"


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_charts_for_who_has_a_token(
    origin: Service, page: Page, http: aiohttp.ClientSession, scheme: Any
) -> None:
    await page.emulate_media(color_scheme=scheme)
    for number in range(3):
        for second in (0, 5):
            said = {"client": "=<b>Firefox", "device": "desktop", "operatingSystem": "Linux", "country": "DE"}
            await watch(http, origin, f"s{number}", second, **said)
    await page.goto(f"{origin.url}/w/{short_uuid(UUID)}")
    await page.fill("#token", READER)
    await page.keyboard.press("Enter")
    await until(lambda: page.evaluate("document.querySelectorAll('.plot canvas').length === 3"))
    assert await page.evaluate(
        """() => [...document.querySelectorAll('.plot canvas')].every(canvas => {
          const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
          return data.some((value, at) => at % 4 === 3 && value > 0);
        })"""
    )
    text = await page.locator("#charts").inner_text()
    for words in ("Viewers so far", "Germany", "=<b>Firefox", "Linux"):
        assert words in text
    assert await page.locator("#charts b").count() == 0
    # Where nothing is pointed at, a legend would have nothing to say.
    await page.mouse.move(0, 0)
    legend = page.locator(".plot .u-legend").nth(1)
    await expect(legend).to_be_hidden()
    await page.locator(".plot .u-over").nth(1).hover()
    await expect(legend).to_be_visible()
    await expect(legend).not_to_contain_text("--")
    await page.locator("summary").first.click()
    assert await page.locator("details[open] tbody tr").first.inner_text() == "0:00\t100 %"
    assert await faults(page) == []
    async with page.expect_download() as started:
        await page.get_by_role("link", name="CSV").first.click()
    download = await started.value
    assert download.suggested_filename == "retention.csv"
    assert (await asyncio.to_thread(Path(await download.path()).read_text)).startswith("second,retentionPercent")
    # The token went nowhere but to the API.
    assert READER not in page.url
    assert await page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length") == 0


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_statistics_without_scripts(
    origin: Service, browser: Browser, http: aiohttp.ClientSession, scheme: Any
) -> None:
    for number in range(3):
        await watch(http, origin, f"s{number}", 0, country="DE")
        await watch(http, origin, f"s{number}", number, country="DE")
    context = await browser.new_context(
        java_script_enabled=False, color_scheme=scheme, viewport={"width": 390, "height": 700}
    )
    page = await context.new_page()
    await page.goto(f"{origin.url}/w/{short_uuid(UUID)}")
    await page.fill("#token", OTHER)
    await page.click("#open button")
    assert "does not reach" in await page.locator("#problem").inner_text()
    await page.fill("#token", READER)
    await page.click("#open button")
    assert await page.locator("svg.drawn").count() == 3
    assert READER not in await page.content() + page.url
    assert await page.evaluate("document.documentElement.scrollWidth <= 390")
    assert await page.locator(".chart:has(svg.drawn) > details").count() == 3, "each picture has its table"
    heights = await page.locator(".ends").evaluate_all("ends => ends.map(each => each.getBoundingClientRect().height)")
    assert max(heights) < 30, "names of axes on one line"
    await page.locator("summary").first.click()
    assert await page.locator("details[open] tbody tr").first.inner_text() == "0:00\t100.0 %"
    await page.fill("#token", READER)
    async with page.expect_download() as started:
        await page.get_by_role("button", name="retention.csv").click()
    assert (await started.value).suggested_filename == "retention.csv"
    assert await context.cookies() == []
    await context.close()
    # axe is a script itself: for it, ours alone does not arrive.
    page = await browser.new_page(color_scheme=scheme)
    await page.route("**/video.js", lambda route: route.abort())
    await page.goto(f"{origin.url}/w/{short_uuid(UUID)}")
    await page.fill("#token", READER)
    await page.click("#open button")
    assert await page.locator("svg.drawn").count() == 3
    assert await faults(page) == []
    await page.close()


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_what_is_refused_and_the_map_of_a_period(
    origin: Service, page: Page, http: aiohttp.ClientSession, browser: Browser, scheme: Any
) -> None:
    await page.emulate_media(color_scheme=scheme)
    for number in range(3):
        await read(http, origin, f"s{number}", "/", "DE")
    await page.goto(f"{origin.url}/stats?where=period&period=24h")
    assert await page.locator("#countries caption").inner_text() == "Visitors by country"
    assert await page.locator("[data-country=DE] td").inner_text() == "3"
    assert await faults(page) == []
    # The browser itself says in its console that something is not there: so not the page of the fixture.
    other = await browser.new_page(color_scheme=scheme)
    answer = await other.goto(f"{origin.url}/stats?site=nobody.example")
    assert answer is not None
    assert answer.status == 404
    assert await faults(other) == []
    await other.get_by_role("link", name="Statistics of web sites").click()
    assert await other.locator("#active").inner_text() == "3"
    await other.close()


async def test_a_token_that_does_not_reach_the_video_shows_why_and_nothing_else(
    origin: Service, browser: Browser
) -> None:
    # The browser itself says in its console that a request was refused: so not the page of the fixture.
    page = await browser.new_page()
    await page.goto(f"{origin.url}/w/{short_uuid(UUID)}")
    for token, words in ((OTHER, "does not reach"), ("nonsense", "token")):
        await page.fill("#token", token)
        await page.click("form button")
        await until(lambda: page.evaluate("document.getElementById('problem').textContent !== ''"))
        assert words in (await page.locator("#problem").inner_text()).lower()
        assert await page.locator("#charts").is_hidden()
        await page.evaluate("document.getElementById('problem').textContent = ''")
    await page.close()


async def test_a_private_video_stays_invisible(origin: Service, page: Page) -> None:
    await origin.views.catalog.put_local(VideoDraft(HIDDEN, "Hidden", 60, privacy=Privacy.PRIVATE))
    answer = await page.request.get(f"{origin.url}/w/{short_uuid(HIDDEN)}", headers={"Accept": "text/html"})
    assert answer.status == 404
    assert "Hidden" not in await answer.text()


async def test_peertubes_client_of_socket_io_hears_the_number(
    origin: Service, page: Page, http: aiohttp.ClientSession
) -> None:
    video = await origin.views.catalog.by_uuid(UUID)
    assert video is not None
    await page.goto(origin.url)
    await page.evaluate((FIXTURES / "socket.io-client" / "socket.io.min.js").read_text())
    await page.evaluate(
        """number => new Promise(done => {
          window.heard = [];
          const socket = io('/live-videos');
          socket.on('views-change', said => window.heard.push(said));
          socket.on('connect', () => { socket.emit('subscribe', {videoId: number}); done(); });
        })""",
        video.number,
    )
    for number in range(50):
        # Until the subscription stands a number may pass unheard; somebody else comes then.
        await watch(http, origin, f"viewer-{number}")
        if await page.evaluate("new Promise(done => setTimeout(() => done(window.heard.length), 200))"):
            break
    heard = await page.evaluate("window.heard[0]")
    assert heard["viewers"] >= 1
