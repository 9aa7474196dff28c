"""``/v.js`` beside the real hls.js and the real video.js, and what the service then knows of who watched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from browser.site import Heard, SomeSite, some_site, until
from browser.stream import STREAM_S, Stream
from playwright.async_api import Browser, BrowserContext, Page

from service.config.model import Playback, Telemetry
from views.model import VideoDraft

FILM, LIVE, OTHER = (f"9c9de5e8-0a1e-484a-b099-e8076618000{digit}" for digit in range(3))
PATIENCE_S = 60

PLAY = """
window.video = document.querySelector('video');
window.playHls = (source, config = {}) => {
  window.hls = new Hls({ enableWorker: false, startLevel: 0, maxBufferLength: 4, maxMaxBufferLength: 4, ...config });
  hls.on('hlsError', (_, problem) => { window.broken ||= problem.fatal; });
  hls.loadSource(source);
  hls.attachMedia(video);
  hls.on('hlsManifestParsed', () => video.play());
};
window.playVideoJs = source => {
  window.player = videojs(video, { muted: true });
  player.src({ src: source, type: 'application/x-mpegURL' });
  player.play();
};
"""
FAST_RETRY = """{ fragLoadPolicy: { default: { maxTimeToFirstByteMs: 9000, maxLoadTimeMs: 9000, timeoutRetry: null,
  errorRetry: { maxNumRetry: 1, retryDelayMs: 50, maxRetryDelayMs: 50 } } } }"""


def page(service: str, *, attributes: str = "", body: str = "<video muted></video>") -> str:
    return (
        "<!doctype html><html lang=en><title>A player</title><script src=/hls.min.js></script>"
        f"<script src=/video.min.js></script>{body}<script>{PLAY}</script>"
        f"<script id=module src='{service}/v.js' {attributes}></script>"
    )


def several(service: str) -> str:
    videos = "".join(f"<video muted loop src=/silence.wav data-fediviews={each}></video>" for each in (FILM, OTHER))
    counts = "".join(f"<b data-fediviews-count={each}></b>" for each in (FILM, OTHER, LIVE) * 3)
    return page(
        service, attributes=f"data-video={LIVE}", body=f"{videos}<video muted src=/silence.wav></video>{counts}"
    )


PAGES = {
    "/": page,
    "/marked": lambda service: page(service, attributes=f"data-video={FILM}"),
    "/later": lambda service: page(service).replace("<script id=module src=", "<script id=module data-src="),
    "/several": several,
}


@dataclass
class Watching:
    """A tab of a page with a player, and what the service knows."""

    site: SomeSite
    stream: Stream
    context: BrowserContext

    async def open(self, path: str) -> tuple[Page, Heard]:
        return await self.site.tab(self.context, path)

    async def viewers(self, video: str = FILM) -> int:
        said = await self.site.ask(f"videos/{video}/viewers")
        return int(said["viewers"])

    async def has_viewers(self, number: int, video: str = FILM) -> None:
        async def reached() -> bool:
            return await self.viewers(video) == number

        await until(reached, PATIENCE_S)

    async def stats(self, which: str, video: str = FILM) -> dict[str, Any]:
        return await self.site.ask(f"videos/{video}/stats/{which}")

    async def played(self, member: str, video: str = FILM) -> dict[str, Any]:
        """What players said of how it plays, once ``member`` of it says something."""

        async def said() -> dict[str, Any] | None:
            found = await self.stats("playback", video)
            return found if found[member] else None

        found = await until(said, PATIENCE_S)
        assert isinstance(found, dict)
        return found

    async def retention(self, video: str = FILM) -> list[float]:
        said = await self.stats("retention", video)
        return [each["retentionPercent"] for each in said["data"]]

    async def saved(self, video: str = FILM) -> dict[str, Any]:
        """The statistics, once somebody's stay is in them."""

        async def there() -> dict[str, Any] | None:
            found = await self.stats("overall", video)
            return found if found["totalViewers"] else None

        found = await until(there, PATIENCE_S)
        assert isinstance(found, dict)
        return found


def events(heard: Heard, video: str = FILM) -> list[str]:
    return [report["viewEvent"] for report in heard.to(f"{video}/views") if "viewEvent" in report]


async def reaches(tab: Page, second: float) -> None:
    await until(lambda: tab.evaluate(f"video.currentTime >= {second}"), PATIENCE_S)


@pytest.fixture
async def watching(tmp_path: Path, browser: Browser) -> AsyncIterator[Watching]:
    stream = Stream()
    telemetry = Telemetry(flush_interval_ms=100, playback=Playback(interval_ms=1_000))
    async with some_site(tmp_path, PAGES, telemetry=telemetry, routes=stream.routes()) as site:
        catalog = site.service.views.catalog
        await catalog.put_local(VideoDraft(FILM, "A test picture", STREAM_S))
        await catalog.put_local(VideoDraft(OTHER, "Another", STREAM_S))
        await catalog.put_local(VideoDraft(LIVE, "Live", 0, is_live=True))
        context = await browser.new_context()
        yield Watching(site, stream, context)
        await context.close()


async def test_hls_from_the_first_play_to_the_end(watching: Watching) -> None:
    # The module has found the element before there is any hls.js; the page tells of it later.
    tab, heard = await watching.open("/marked")
    await tab.evaluate("playHls('/stream/main.m3u8')")
    await tab.evaluate("id => FediviewsVideo.watch(video, {id, hls})", FILM)
    await watching.has_viewers(1)
    await reaches(tab, 2.2)
    reports = heard.to(f"{FILM}/views")
    assert reports[0]["currentTime"] == 0
    assert events(heard) == []
    # A jump goes with the next report, once.
    await tab.evaluate("video.currentTime = 9")
    await until(lambda: events(heard) == ["seek"], PATIENCE_S)
    await until(lambda: events(heard) == ["seek", "ended"], PATIENCE_S)
    reports = heard.to(f"{FILM}/views")
    assert reports[-1]["currentTime"] == STREAM_S
    positions = [report["currentTime"] for report in reports]
    assert positions == sorted(set(positions))

    saved = await watching.saved()
    assert saved["totalViewers"] == 1
    retention = await watching.retention()
    assert (retention[0], retention[1], retention[6], retention[10]) == (100, 100, 0, 100)
    played = await watching.played("viewers")
    assert (played["errorViewers"], played["stalledViewers"]) == (0, 0)
    samples = heard.to("metrics/playback")
    assert {sample["playerMode"] for sample in samples} == {"p2p-media-loader"}
    assert sum(sample["downloadedBytesHTTP"] for sample in samples) > 10_000
    assert any("startupTime" in sample for sample in heard.to(f"{FILM}/playback"))
    assert set(heard.answers.values()) == {204}
    assert heard.said == []


async def test_hls_that_plays_before_the_module_is_there(watching: Watching) -> None:
    tab, heard = await watching.open("/later")
    await tab.evaluate("playHls('/stream/main.m3u8')")
    await reaches(tab, 1.2)
    assert heard.requests == []
    await tab.evaluate(
        """id => new Promise(done => {
          const script = document.createElement('script');
          script.src = document.getElementById('module').dataset.src;
          script.onload = () => done(FediviewsVideo.watch(video, {id, hls}));
          document.head.append(script);
        }).then(() => 1)""",
        FILM,
    )
    await watching.has_viewers(1)
    await until(lambda: sum(one["downloadedBytesHTTP"] for one in heard.to("metrics/playback")), PATIENCE_S)
    assert heard.to(f"{FILM}/views")[0]["currentTime"] >= 1
    assert events(heard) == []
    # hls.js goes first, as in a page that is taken down in order.
    await tab.evaluate("hls.destroy(); video.remove()")
    await watching.has_viewers(0)
    assert events(heard) == ["leave"]
    assert heard.said == []


async def test_a_change_of_quality(watching: Watching) -> None:
    tab, heard = await watching.open("/marked")
    await tab.evaluate("playHls('/stream/main.m3u8')")
    await tab.evaluate("id => FediviewsVideo.watch(video, {id, hls})", FILM)
    await reaches(tab, 1)
    await tab.evaluate("hls.currentLevel = video.videoHeight == 90 ? 1 : 0")
    await until(lambda: sum(one["resolutionChanges"] for one in heard.to("metrics/playback")) == 1, PATIENCE_S)

    async def both() -> bool:
        played = await watching.stats("playback")
        return [each["resolution"] for each in played["resolutions"]] == [90, 180]

    await until(both, PATIENCE_S)
    # That was no seek of anybody's.
    assert events(heard) in ([], ["ended"])


async def test_a_segment_that_comes_late_is_a_stall(watching: Watching) -> None:
    watching.stream.held["low/2.m4s"] = asyncio.Event()
    tab, heard = await watching.open("/marked")
    await tab.evaluate("playHls('/stream/low/list.m3u8')")
    await reaches(tab, 3.5)
    await until(lambda: any(sample["stalls"] for sample in heard.to(f"{FILM}/playback")), PATIENCE_S)
    await until(lambda: any(sample["stalledTime"] > 500 for sample in heard.to(f"{FILM}/playback")), PATIENCE_S)
    watching.stream.held["low/2.m4s"].set()
    await reaches(tab, 4.5)
    played = await watching.played("stalledViewers")
    assert (played["viewers"], played["stalledViewers"], played["errorViewers"]) == (1, 1, 0)
    assert played["stalledTimePercent"]["max"] > 0
    assert sum(sample["stalls"] for sample in heard.to(f"{FILM}/playback")) == 1


async def test_a_segment_that_is_not_there_is_an_error(watching: Watching) -> None:
    watching.stream.missing.add("low/1.m4s")
    tab, heard = await watching.open("/marked")
    await tab.evaluate(f"playHls('/stream/low/list.m3u8', {FAST_RETRY})")
    await tab.evaluate("id => FediviewsVideo.watch(video, {id, hls})", FILM)
    played = await watching.played("errorViewers")
    assert played["viewers"] == 1
    await until(lambda: any(sample["errors"] for sample in heard.to(f"{FILM}/playback")), PATIENCE_S)
    samples = heard.to(f"{FILM}/playback")
    assert sum(sample["errors"] for sample in samples) == 1
    assert sum(sample["failedSegments"] for sample in samples) >= 1
    assert watching.stream.asked["low/1.m4s"] >= 2


async def test_a_stream_that_is_not_there_has_no_viewer(watching: Watching) -> None:
    tab, heard = await watching.open("/marked")
    await tab.evaluate("playHls('/stream/nothing.m3u8'); video.play().catch(() => {}); 1")
    await until(lambda: tab.evaluate("window.broken"), PATIENCE_S)
    assert heard.to(f"{FILM}/views") == []
    assert await watching.viewers() == 0


async def test_a_loop_is_told_once(watching: Watching) -> None:
    tab, heard = await watching.open("/marked")
    await tab.evaluate("video.loop = true; playHls('/stream/low/list.m3u8')")
    await reaches(tab, 1)
    await tab.evaluate("video.currentTime = 10")
    await until(lambda: "ended" in events(heard), PATIENCE_S)
    told = len(heard.to(f"{FILM}/views"))
    await until(lambda: tab.evaluate("video.currentTime > 2 && video.currentTime < 9"), PATIENCE_S)
    assert len(heard.to(f"{FILM}/views")) == told
    assert events(heard) == ["seek", "ended"]
    assert (await watching.saved())["totalViewers"] == 1
    await tab.goto("about:blank")
    await watching.has_viewers(0)
    assert (await watching.saved())["totalViewers"] == 1


@pytest.mark.parametrize("endless", ["true", "false"])
async def test_live(watching: Watching, endless: str) -> None:
    """hls.js gives a live stream a duration that grows, unless it is told not to."""
    tab, heard = await watching.open("/")
    await tab.evaluate(f"playHls('/live.m3u8', {{ liveDurationInfinity: {endless}, maxBufferLength: 20 }})")
    await tab.evaluate("id => FediviewsVideo.watch(video, {id, hls})", LIVE)
    await watching.has_viewers(1, LIVE)
    assert await tab.evaluate("video.duration === Infinity") == (endless == "true")
    await until(lambda: len(heard.to(f"{LIVE}/views")) >= 4, PATIENCE_S)
    positions = [report["currentTime"] for report in heard.to(f"{LIVE}/views")]
    assert positions == sorted(set(positions))
    assert events(heard, LIVE) == []
    played = await watching.played("latency", LIVE)
    assert 0 < played["latency"]["min"] <= 20_000
    await tab.goto("about:blank")
    await watching.has_viewers(0, LIVE)
    saved = await watching.saved(LIVE)
    assert (saved["totalViewers"], saved["viewersPeak"]) == (1, 1)


async def test_video_js_and_what_it_plays_next(watching: Watching) -> None:
    tab, heard = await watching.open("/")
    await tab.evaluate("playVideoJs('/stream/low/list.m3u8')")
    await tab.evaluate("id => { FediviewsVideo.watch(player, {id}) }", FILM)
    await watching.has_viewers(1)
    await until(lambda: sum(one["downloadedBytesHTTP"] for one in heard.to("metrics/playback")), PATIENCE_S)
    assert heard.to("metrics/playback")[-1]["playerMode"] == "p2p-media-loader"
    # Nobody is told of a stay in which nothing was seen.
    await until(lambda: heard.to(f"{FILM}/views")[-1]["currentTime"] >= 2, PATIENCE_S)
    await until(lambda: heard.answered(f"{FILM}/views") == len(heard.to(f"{FILM}/views")), PATIENCE_S)

    # The same player, another video.
    await tab.evaluate("player.src({ src: '/stream/high/list.m3u8', type: 'application/x-mpegURL' }); player.play(); 1")
    await tab.evaluate("id => { FediviewsVideo.watch(player, {id}) }", OTHER)
    await watching.has_viewers(0)
    await watching.has_viewers(1, OTHER)
    assert events(heard) == ["leave"]
    await until(lambda: heard.to(f"{OTHER}/views"), PATIENCE_S)
    assert heard.to(f"{OTHER}/views")[0]["currentTime"] == 0
    assert (await watching.saved())["totalViewers"] == 1

    await tab.evaluate("player.dispose()")
    await watching.has_viewers(0, OTHER)
    assert events(heard, OTHER) == ["leave"]
    told = len(heard.requests)
    await tab.evaluate("new Promise(done => setTimeout(done, 1500))")
    assert len(heard.requests) == told
    assert heard.said == []


async def test_video_js_around_an_element_that_was_found_already(watching: Watching) -> None:
    tab, heard = await watching.open("/marked")
    await tab.evaluate("playVideoJs('/stream/main.m3u8')")
    await watching.has_viewers(1)
    watching.stream.missing |= {f"{height}/{number}.m4s" for height in ("low", "high") for number in range(2, 6)}
    await tab.evaluate("id => { FediviewsVideo.watch(player, {id}) }", FILM)
    # Its own word for what cannot be played: an error of the player, once.
    await tab.evaluate("player.error({ code: 2 }); 1")
    played = await watching.played("errorViewers")
    assert played["errorViewers"] == 1
    assert {report["sessionId"] for report in heard.to(f"{FILM}/views")} == {heard.to(f"{FILM}/views")[0]["sessionId"]}


async def test_a_page_that_changes_without_a_load(watching: Watching) -> None:
    tab, heard = await watching.open("/")
    await tab.evaluate("id => { video.loop = true; video.src = '/silence.wav'; video.dataset.fediviews = id; }", FILM)
    await tab.evaluate("video.play()")
    await watching.has_viewers(1)
    # Moved about within the page it stays.
    await tab.evaluate("const box = document.createElement('div'); document.body.append(box); box.append(video); 1")
    await tab.evaluate("video.play()")
    # Taken out it is gone, and its viewer with it.
    await tab.evaluate("video.remove()")
    await watching.has_viewers(0)
    assert events(heard)[-1] == "leave"
    # Put in again and played there is one again.
    await tab.evaluate("document.body.append(video); video.play()")
    await watching.has_viewers(1)
    # The same element, another video, as frameworks do it.
    await tab.evaluate("id => { video.dataset.fediviews = id }", OTHER)
    await watching.has_viewers(0)
    await watching.has_viewers(1, OTHER)
    assert heard.said == []


async def test_several_videos_and_many_numbers_on_one_page(watching: Watching) -> None:
    tab, heard = await watching.open("/several")
    shown = "[...document.querySelectorAll('b')].map(each => each.textContent).join('')"
    await until(lambda: tab.evaluate(f"{shown} === '000000000'"), PATIENCE_S)
    await tab.evaluate("Promise.all([...document.querySelectorAll('video')].map(each => each.play()))")
    for video in (FILM, OTHER, LIVE):
        await watching.has_viewers(1, video)
    first = [heard.to(f"{video}/views")[0] for video in (FILM, OTHER, LIVE)]
    assert len({report["sessionId"] for report in first}) == 1
    await until(lambda: tab.evaluate(f"{shown} === '111111111'"), PATIENCE_S)
    # One stops, the others go on.
    await tab.evaluate("document.querySelectorAll('video')[1].fediviews.stop()")
    await watching.has_viewers(0, OTHER)
    assert (await watching.viewers(), await watching.viewers(LIVE)) == (1, 1)
    # A page that changes afterwards does not begin it again.
    await tab.evaluate("document.body.append(document.createElement('p')); new Promise(done => setTimeout(done, 700))")
    assert await watching.viewers(OTHER) == 0
    assert heard.said == []


async def test_a_call_without_a_video_says_what_is_missing(watching: Watching) -> None:
    tab, _ = await watching.open("/")
    for call, words in (
        ("document.querySelector('nothing'), {id: 1}", "no video element"),
        ("video, {}", "which video"),
    ):
        said = await tab.evaluate(
            f"(() => {{ try {{ FediviewsVideo.watch({call}) }} catch (e) {{ return e.message }} }})()"
        )
        assert words in said
