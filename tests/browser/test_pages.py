"""What people see who open an address of ours in a browser."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from service.app import Service
from views.ids import short_uuid
from views.model import Privacy, Video, VideoDraft

UUID = "9c9de5e8-0a1e-484a-b099-e80766180a6d"
NAME = "A video <b>of ours</b>"


async def put(service: Service, **changes: object) -> Video:
    kept = await service.views.catalog.put_local(VideoDraft(UUID, NAME, 60, **changes))  # type: ignore[arg-type]
    assert isinstance(kept, tuple)
    return kept[0]


async def numbers(page: Page) -> dict[str, str]:
    """What the page says, by its own words."""
    words = await page.locator("dl.numbers dt").all_inner_texts()
    return dict(zip(words, await page.locator("dl.numbers dd").all_inner_texts(), strict=True))


@pytest.mark.parametrize("path", [f"/videos/watch/{UUID}", f"/w/{short_uuid(UUID)}"])
async def test_the_page_of_a_video_shows_how_many_watch_it(service: Service, page: Page, path: str) -> None:
    video = await put(service, description="A rabbit <script>alert(1)</script>")
    await page.goto(service.url + path)
    assert await page.locator("h1").inner_text() == NAME
    assert "<script>" in await page.locator(".description").inner_text()
    assert await numbers(page) == {"Watching now": "0", "Views": "0"}

    report = {"currentTime": 0, "sessionId": "anna"}
    answer = await page.request.post(f"{service.url}/api/v1/videos/{video.number}/views", data=report)
    assert answer.status == 204
    await page.reload()
    assert (await numbers(page))["Watching now"] == "1"


async def test_a_private_video_has_no_page(service: Service, page: Page) -> None:
    await put(service, privacy=Privacy.PRIVATE)
    answer = await page.request.get(f"{service.url}/videos/watch/{UUID}", headers={"Accept": "text/html"})
    assert answer.status == 404
    assert NAME not in await answer.text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_can_be_read_by_day_and_by_night(service: Service, page: Page, scheme: str) -> None:
    await put(service)
    await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    for path in ("/", "/accounts/peertube", "/accounts/owner", "/video-channels/main", "/accounts/peertube/outbox"):
        answer = await page.goto(service.url + path)
        assert answer is not None
        assert answer.status == 200, path
        colours = await page.evaluate(
            "() => { const style = getComputedStyle(document.body); return [style.color, style.backgroundColor] }"
        )
        text, ground = (_brightness(colour) for colour in colours)
        assert abs(text - ground) > 128, path
        assert (ground > text) == (scheme == "light"), path


async def test_from_the_front_page_to_what_is_watched(service: Service, page: Page) -> None:
    await put(service)
    await page.goto(service.url)
    assert await page.locator("h1").inner_text() == "Our videos"
    await page.get_by_text("What it said lately").click()
    await page.get_by_text(NAME).first.click()
    assert await page.locator("h1").inner_text() == NAME


def _brightness(colour: str) -> float:
    """0 to 255 of a CSS colour as browsers compute it: ``rgb(1, 2, 3)``."""
    red, green, blue = (float(part) for part in colour[colour.index("(") + 1 : colour.index(")")].split(",")[:3])
    return 0.299 * red + 0.587 * green + 0.114 * blue
