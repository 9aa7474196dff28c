"""The pages in ``examples/`` do what they say, with the configuration beside them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from browser.site import SomeSite, some_site, until
from browser.stream import Stream
from playwright.async_api import Browser, BrowserContext

from service.config import load_config

EXAMPLES = Path(__file__).parents[2] / "examples"
SERVICE = "http://127.0.0.1:8080"


def example(name: str) -> Callable[[str], str]:
    text = (EXAMPLES / name).read_text()
    assert SERVICE in text
    return lambda service: text.replace(SERVICE, service)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[SomeSite]:
    config = load_config(EXAMPLES / "config.yaml", {})
    assert [site.host for site in config.pages.sites] == ["localhost:8000"]
    names = ("video.html", "hls.html", "videojs.html")
    pages = {"/": example("page.html"), **{f"/{name}": example(name) for name in names}}
    async with some_site(tmp_path, pages, routes=Stream().routes()) as made:
        for video in config.videos:
            await made.service.views.catalog.put_local(video.draft())
        yield made


@pytest.fixture
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    made = await browser.new_context()
    yield made
    await made.close()


async def test_the_page(site: SomeSite, context: BrowserContext) -> None:
    tab, heard = await site.tab(context, "/page.html")
    await until(lambda: tab.evaluate("document.getElementById('active').textContent === '1'"))
    await tab.click("#next")
    await until(lambda: tab.evaluate("document.getElementById('views').textContent === '2'"))
    await until(lambda: tab.evaluate("document.querySelectorAll('#pages li').length === 2"))
    assert heard.said == []


async def test_the_video(site: SomeSite, context: BrowserContext) -> None:
    tab, heard = await site.tab(context, "/video.html")
    watching = "document.getElementById('watching').textContent"
    await until(lambda: tab.evaluate(f"{watching} === '0'"))
    await tab.evaluate("document.querySelector('video').play()")
    await until(lambda: tab.evaluate(f"{watching} === '1'"))
    assert heard.said == []


@pytest.mark.parametrize("name", ["hls.html", "videojs.html"])
async def test_players(site: SomeSite, context: BrowserContext, name: str) -> None:
    tab, heard = await site.tab(context, f"/{name}")
    watching = "document.querySelector('[data-fediviews-count]').textContent"
    await until(lambda: tab.evaluate(f"{watching} === '0'"), 60)
    await tab.evaluate("document.querySelector('video').play()")
    await until(lambda: tab.evaluate(f"{watching} === '1'"), 60)
    await tab.evaluate("document.querySelector('video').fediviews.stop()")
    await until(lambda: heard.to("metrics/playback"), 60)
    assert heard.to("metrics/playback")[0]["playerMode"] == "p2p-media-loader"
    assert heard.said == []
