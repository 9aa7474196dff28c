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


TURN = """new Promise(done => {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => done(1);
  port2.postMessage(1);
})"""

PAGES = {
    "/": page,
    "/canonical/print": lambda service: page(service) + "<link rel=canonical href='/canonical?page=2'>",
    "/frame": lambda _: "<!doctype html><iframe src=/inner></iframe>",
    "/frame/asked": lambda _: "<!doctype html><iframe src=/inner/asked></iframe>",
    "/inner/asked": lambda service: page(service).replace("data-type", "data-frames data-type"),
    "/strict": lambda service: page(service).replace(
        "<title>",
        "<meta http-equiv=Content-Security-Policy "
        f"content=\"default-src 'none'; script-src {service}; img-src {service}\"><title>",
    ),
    "/plain": lambda service: (
        f"<!doctype html><noscript><img src='{service}/b.gif' alt='' "
        "referrerpolicy=no-referrer-when-downgrade></noscript>"
    ),
}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[SomeSite]:
    async with some_site(tmp_path, PAGES) as made:
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
    who = {"site": site.host, "pageType": "post", "webdriver": True}
    assert view == {**who, "path": "/first", "title": "A page", "referrer": ""}

    await tab.evaluate("history.pushState({}, '', '/second'); document.title = 'The second'")
    await until(lambda: len(heard.to("/views")) == 2)
    assert heard.to("/views")[1] == {**who, "path": "/second", "title": "The second"}
    await until(lambda: len(heard.to("/heartbeat")) == 2)

    async def moved() -> bool:
        return await site.active() == {"/second": 1}

    await until(moved)
    # Back, and the same address said once more: one view of the first page, which is known.
    await tab.evaluate("history.replaceState({}, '', '/second')")
    await tab.go_back()
    await until(lambda: len(heard.to("/views")) == 3)
    # What was sent is not yet counted: it is once the service has answered all of it.
    await until(lambda: heard.answered("/views") == 3)
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
    # In a browser with one window no more than one is seen.
    seen = "Object.defineProperty(document, 'visibilityState', {configurable: true, get: () => '%s'});"
    await context.clock.install()
    first, heard = await site.tab(context, "/a", init=seen % "visible")
    second, other = await site.tab(context, "/b", init=seen % "visible")
    # Both open at about the same time: each speaks once, and neither falls silent for good.
    await until(lambda: heard.to("/heartbeat") and other.to("/heartbeat"))
    await context.clock.pause_at(await second.evaluate("Date.now()") / 1000 + 2)

    async def pass_by(seconds: int) -> tuple[int, int]:
        before = len(heard.to("/heartbeat")), len(other.to("/heartbeat"))
        for _ in range(seconds // 2):
            await context.clock.run_for(2_000)
            # What one tells the other takes no time on this clock, but some in the browser.
            for tab in (first, second):
                await tab.evaluate(TURN)
        return len(heard.to("/heartbeat")) - before[0], len(other.to("/heartbeat")) - before[1]

    assert await pass_by(100) in ((0, 3), (0, 4), (3, 0), (4, 0))
    # One that crashes says nothing: the other one is there a moment later.
    silent = "BroadcastChannel.prototype.postMessage = () => {}; fetch = () => new Promise(() => {}); 1"
    await second.evaluate(silent)
    assert (await pass_by(42))[0] >= 1
    # One that closes has left, and the other one says at once that it is there.
    third, more = await site.tab(context, "/c", init=seen % "visible")
    await until(lambda: more.to("/heartbeat"))
    told = len(heard.to("/heartbeat"))
    await third.goto("about:blank")
    await until(lambda: len(heard.to("/heartbeat")) > told)
    assert heard.to("/heartbeat")[-1]["path"] == "/a"


async def test_a_page_out_of_the_browsers_memory_is_viewed_again(site: SomeSite, context: BrowserContext) -> None:
    tab, heard = await site.tab(context, "/a")
    await until(lambda: heard.to("/views"))
    await tab.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))")
    await tab.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    await until(lambda: len(heard.to("/views")) == 2)
    # It had left: it says at once that it is there again.
    await until(lambda: heard.to("/heartbeat")[-1:] == [{"site": site.host, "path": "/a", "webdriver": True}])
    await until(lambda: heard.answered("/views") == 2)
    assert (await site.stats())["totalPageViews"] == 1


@pytest.mark.parametrize("wish", ["globalPrivacyControl: {get: () => true}", "doNotTrack: {get: () => '1'}"])
async def test_who_does_not_want_to_be_counted_is_not(site: SomeSite, context: BrowserContext, wish: str) -> None:
    tab, heard = await site.tab(context, "/", init=f"Object.defineProperties(navigator, {{{wish}}})")
    await tab.evaluate("history.pushState({}, '', '/second')")
    _, counted = await site.tab(context, "/other")
    await until(lambda: counted.to("/views"))
    assert await tab.evaluate("navigator.globalPrivacyControl || navigator.doNotTrack === '1'")
    assert heard.requests == []


async def test_a_visitor_says_so_to_the_site(site: SomeSite, context: BrowserContext) -> None:
    tab, heard = await site.tab(context, "/#no-stats")
    await tab.goto(site.url + "/second")
    await tab.evaluate("fediviews.start(); history.pushState({}, '', '/third')")
    assert await tab.evaluate("localStorage.length") == 1
    assert heard.requests == []
    await tab.goto(site.url + "/fourth#stats")
    await until(lambda: heard.to("/views"))
    assert [view["path"] for view in heard.to("/views")] == ["/fourth"]
    assert await tab.evaluate("localStorage.length") == 0


async def test_a_canonical_link_names_the_page(site: SomeSite, context: BrowserContext) -> None:
    tab, heard = await site.tab(context, "/canonical/print?page=2")
    await until(lambda: heard.to("/views"))
    # Left as it was, it is not the next page's.
    await tab.evaluate("history.pushState({}, '', '/next')")
    await until(lambda: len(heard.to("/views")) == 2)
    await tab.evaluate("history.pushState({}, '', '/x'); document.querySelector('link').href = '/good?a=b#c'")
    await until(lambda: len(heard.to("/views")) == 3)
    # Of another host it says nothing of this site.
    await tab.evaluate(
        "history.pushState({}, '', '/y'); document.querySelector('link').href = 'https://other.example/z'"
    )
    await until(lambda: len(heard.to("/views")) == 4)
    assert [view["path"] for view in heard.to("/views")] == ["/canonical", "/next", "/good", "/y"]
    assert heard.said == []


@pytest.mark.parametrize(("path", "counted"), [("/frame", []), ("/frame/asked", ["/inner/asked"])])
async def test_inside_another_page(site: SomeSite, context: BrowserContext, path: str, counted: list[str]) -> None:
    tab, heard = await site.tab(context, path)
    frame = tab.frames[1]
    await frame.evaluate("fediviews.start()")
    _, other = await site.tab(context, "/other")
    await until(lambda: other.to("/views"))
    await until(lambda: [view["path"] for view in heard.to("/views")] == counted)


async def test_where_only_pictures_get_through(site: SomeSite, context: BrowserContext) -> None:
    await site.tab(context, "/strict")

    async def counted() -> bool:
        stats = await site.stats()
        return [(one["path"], one["title"]) for one in stats["pageStats"]] == [("/strict", "A page")]

    await until(counted)
    assert (await site.stats())["activeVisitors"] == 0


async def test_without_scripts(site: SomeSite, browser: Browser) -> None:
    context = await browser.new_context(java_script_enabled=False)
    tab, _ = await site.tab(context, "/plain?utm=x")

    async def counted() -> bool:
        return [one["path"] for one in (await site.stats())["pageStats"]] == ["/plain"]

    await until(counted)
    assert await tab.locator("img").count() == 1
    await context.close()


async def test_a_site_that_is_not_counted_is_left_in_peace(site: SomeSite, context: BrowserContext) -> None:
    tab, heard = await site.tab(context, None)
    await tab.goto(site.url.replace("127.0.0.1", "localhost") + "/")
    await until(lambda: heard.answered("/views"))
    await tab.evaluate("new Promise(done => setTimeout(done, 500))")
    before = len(heard.requests)
    await tab.evaluate("history.pushState({}, '', '/second')")
    await tab.evaluate("new Promise(done => setTimeout(done, 700))")
    assert len(heard.requests) == before <= 2
