"""``/v.js`` in a real browser: one script tag makes a player of any ``<video>``."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from browser.site import VIDEO_S, SomeSite, some_site, until
from playwright.async_api import Browser, BrowserContext

from views.model import VideoDraft

UUID = "9c9de5e8-0a1e-484a-b099-e80766180a6d"


def page(service: str) -> str:
    return (
        "<!doctype html><html lang=en><title>A video</title><p>Watching now: <b id=live>?</b></p>"
        f"<script async src='{service}/v.js' data-video='{UUID}' data-count='#live'></script>"
        "<video muted src=/silence.wav controls></video>"
    )


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[SomeSite]:
    async with some_site(tmp_path, {"/": page}) as made:
        await made.service.views.catalog.put_local(VideoDraft(UUID, "Silence", VIDEO_S))
        yield made


@pytest.fixture
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    made = await browser.new_context()
    yield made
    await made.close()


async def views(site: SomeSite) -> int:
    video = await site.service.views.catalog.by_uuid(UUID)
    assert video is not None
    return video.views


async def test_somebody_watches_and_the_number_moves(site: SomeSite, context: BrowserContext) -> None:
    tab, heard = await site.tab(context, "/")
    live = tab.locator("#live")
    await until(lambda: tab.evaluate("document.getElementById('live').textContent === '0'"))
    assert heard.requests == []
    await tab.evaluate("document.querySelector('video').play()")
    reports = f"videos/{UUID}/views"
    await until(lambda: heard.to(reports))
    first = heard.to(reports)[0]
    assert first["currentTime"] == 0
    assert re.fullmatch(r"[a-z0-9]{32}", first["sessionId"])
    assert (first["client"], first["device"]) == ("Chrome", "desktop")
    assert "viewEvent" not in first
    await until(lambda: tab.evaluate("document.getElementById('live').textContent === '1'"))

    async def counted() -> bool:
        return await views(site) == 1

    await until(counted)
    # One report per second of video, however often it is looked.
    await until(lambda: len(heard.to(reports)) >= 3)
    positions = [report["currentTime"] for report in heard.to(reports)]
    assert positions == sorted(set(positions))

    # A jump back goes with the next report, once.
    await tab.evaluate("document.querySelector('video').currentTime = 0.1")
    await until(lambda: [report for report in heard.to(reports) if report.get("viewEvent") == "seek"])
    # A short one forward is none.
    await tab.evaluate("document.querySelector('video').currentTime += 1.5")
    await until(lambda: heard.to(reports)[-1]["currentTime"] >= 2)
    assert [report.get("viewEvent") for report in heard.to(reports)].count("seek") == 1

    # To the end, which is said with the whole duration.
    await until(lambda: heard.to(reports)[-1].get("viewEvent") == "ended")
    assert heard.to(reports)[-1]["currentTime"] == VIDEO_S
    assert {report["sessionId"] for report in heard.to(reports)} == {first["sessionId"]}
    assert await context.cookies() == []
    assert await tab.evaluate("localStorage.length + sessionStorage.length") == 0
    assert heard.said == []
    assert await live.inner_text() == "1"


async def test_who_goes_away_has_left(site: SomeSite, context: BrowserContext) -> None:
    watching, _ = await site.tab(context, "/")
    looking, _ = await site.tab(context, "/")
    await watching.evaluate("document.querySelector('video').play()")
    await until(lambda: looking.evaluate("document.getElementById('live').textContent === '1'"))
    await watching.goto("about:blank")
    await until(lambda: looking.evaluate("document.getElementById('live').textContent === '0'"))


async def test_samples_of_playback_have_peertubes_members(site: SomeSite, context: BrowserContext) -> None:
    tab, heard = await site.tab(context, None)
    await tab.clock.install()
    await tab.goto(site.url + "/")
    await tab.evaluate("document.querySelector('video').play()")
    await until(lambda: heard.to("/views"))

    async def sampled() -> bool:
        await tab.clock.run_for(5_000)
        await tab.evaluate("const v = document.querySelector('video'); if (v.paused) v.play()")
        return bool(heard.to("metrics/playback"))

    await until(sampled, 40)
    sample = heard.to("metrics/playback")[0]
    assert sample["videoId"] == UUID
    assert sample["playerMode"] == "web-video"
    assert sample["p2pEnabled"] is False
    numbers = {name for name, value in sample.items() if isinstance(value, int) and not isinstance(value, bool)}
    assert numbers == {
        "resolution",
        "fps",
        "resolutionChanges",
        "errors",
        "bufferStalled",
        "downloadedBytesP2P",
        "downloadedBytesHTTP",
        "uploadedBytesP2P",
    }
    ours = heard.to(f"{UUID}/playback")[0]
    assert ours["sessionId"] == heard.to("/views")[0]["sessionId"]
    assert ours["duration"] >= 15_000
    assert {"stalls", "stalledTime", "frames", "droppedFrames", "startupTime", "errors"} <= ours.keys()

    async def answered() -> bool:
        return set(heard.answers.values()) == {204}

    await until(answered)


async def test_a_player_that_comes_later_is_found(site: SomeSite, context: BrowserContext) -> None:
    tab, heard = await site.tab(context, "/")
    await tab.evaluate(
        """id => {
          document.querySelector('video').remove();
          const video = document.createElement('video');
          video.muted = true; video.src = '/silence.wav'; video.dataset.fediviews = id;
          document.body.append(video);
          return new Promise(done => setTimeout(done)).then(() => video.play());
        }""",
        UUID,
    )
    await until(lambda: heard.to("/views"))
    await tab.evaluate("document.querySelector('video').fediviews.stop()")
    await until(lambda: heard.to("/views")[-1].get("viewEvent") == "leave")
