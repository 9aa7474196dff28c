"""``/b.js`` in a real browser, on somebody's site."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from browser.site import SomeSite, some_site, until
from playwright.async_api import Browser, BrowserContext


def page(service: str) -> str:
    return (
        "<!doctype html><html lang=en><title>A page</title>"
        f"<script async src='{service}/b.js' data-type=post></script><h1>A page</h1>"
    )


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[SomeSite]:
    async with some_site(tmp_path, {"/": page}) as made:
        yield made


@pytest.fixture
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    made = await browser.new_context()
    yield made
    await made.close()


async def test_a_visitor_reads_goes_on_and_leaves(site: SomeSite, context: BrowserContext) -> None:
    tab, heard = await site.tab(context, "/first?utm=x#top")
    await until(lambda: heard.to("/heartbeat"))
    assert await until(site.active) == {"/first": 1}
    (view,) = heard.to("/views")
    assert view == {"site": site.host, "path": "/first", "title": "A page", "pageType": "post", "referrer": ""}

    await tab.evaluate("history.pushState({}, '', '/second'); document.title = 'The second'")
    await until(lambda: len(heard.to("/views")) == 2)
    assert heard.to("/views")[1] == {"site": site.host, "path": "/second", "title": "The second", "pageType": "post"}
    await until(lambda: len(heard.to("/heartbeat")) == 2)

    async def moved() -> bool:
        return await site.active() == {"/second": 1}

    await until(moved)
    # Back, and the same address said once more: one view of the first page, which is known.
    await tab.evaluate("history.replaceState({}, '', '/second')")
    await tab.go_back()
    await until(lambda: len(heard.to("/views")) == 3)
    stats = await site.stats()
    assert (stats["totalPageViews"], stats["uniqueVisitors"], stats["uniquePaths"]) == (2, 1, 2)
    assert {one["path"]: one["title"] for one in stats["pageStats"]} == {"/first": "A page", "/second": "The second"}

    assert await context.cookies() == []
    assert await tab.evaluate("localStorage.length + sessionStorage.length") == 0
    assert heard.said == []

    await tab.goto("about:blank")

    async def nobody() -> bool:
        return await site.active() == {}

    await until(nobody)


async def test_signs_of_life_come_every_30_seconds_or_so_while_the_page_is_seen(
    site: SomeSite, context: BrowserContext
) -> None:
    tab, heard = await site.tab(context, None)
    await tab.clock.install()
    await tab.goto(site.url + "/")
    await until(lambda: len(heard.to("/heartbeat")) == 1)
    await tab.clock.run_for(24_900)
    assert len(heard.to("/heartbeat")) == 1
    await tab.clock.run_for(10_200)
    await until(lambda: len(heard.to("/heartbeat")) == 2)
    # Hidden: nothing, however long. Seen again: at once.
    hide = "Object.defineProperty(document, 'visibilityState', {configurable: true, get: () => '%s'});"
    hide += "document.dispatchEvent(new Event('visibilitychange'))"
    await tab.evaluate(hide % "hidden")
    await tab.clock.run_for(600_000)
    assert len(heard.to("/heartbeat")) == 2
    await tab.evaluate(hide % "visible")
    await until(lambda: len(heard.to("/heartbeat")) == 3)
    assert len(heard.to("/views")) == 1


async def test_of_two_tabs_one_speaks_and_the_other_goes_on(site: SomeSite, context: BrowserContext) -> None:
    first, heard = await site.tab(context, "/a")
    await until(lambda: heard.to("/heartbeat"))
    second, other = await site.tab(context, "/b")
    await until(lambda: other.to("/views"))
    held = "navigator.locks.query().then(all => [all.held.length, all.pending.length])"
    await until(lambda: second.evaluate(f"{held}.then(both => both.join() === '1,1')"))
    assert other.to("/heartbeat") == []
    await first.close()
    await until(lambda: other.to("/heartbeat"))
    assert other.to("/heartbeat")[0]["path"] == "/b"


async def test_a_page_out_of_the_browsers_memory_is_viewed_again(site: SomeSite, context: BrowserContext) -> None:
    tab, heard = await site.tab(context, "/a")
    await until(lambda: heard.to("/views"))
    await tab.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))")
    await tab.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    await until(lambda: len(heard.to("/views")) == 2)
    # It leads again, and says so at once.
    await until(lambda: heard.to("/heartbeat")[-1:] == [{"site": site.host, "path": "/a"}])
    assert (await site.stats())["totalPageViews"] == 1


@pytest.mark.parametrize("wish", ["globalPrivacyControl: {get: () => true}", "doNotTrack: {get: () => '1'}"])
async def test_who_does_not_want_to_be_counted_is_not(site: SomeSite, context: BrowserContext, wish: str) -> None:
    tab, heard = await site.tab(context, "/", init=f"Object.defineProperties(navigator, {{{wish}}})")
    await tab.evaluate("history.pushState({}, '', '/second')")
    _, counted = await site.tab(context, "/other")
    await until(lambda: counted.to("/views"))
    assert await tab.evaluate("navigator.globalPrivacyControl || navigator.doNotTrack === '1'")
    assert heard.requests == []


async def test_a_site_that_is_not_counted_is_left_in_peace(site: SomeSite, context: BrowserContext) -> None:
    tab, heard = await site.tab(context, None)
    await tab.goto(site.url.replace("127.0.0.1", "localhost") + "/")
    await until(lambda: heard.to("/views"))
    await tab.evaluate("new Promise(done => setTimeout(done, 500))")
    before = len(heard.requests)
    await tab.evaluate("history.pushState({}, '', '/second')")
    await tab.evaluate("new Promise(done => setTimeout(done, 700))")
    assert len(heard.requests) == before <= 2
