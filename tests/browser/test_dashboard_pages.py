"""The dashboard in a real browser: an administrator looks, decides, and what was decided holds at the inbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hostile.peer import FakePeer
from playwright.async_api import Browser, Page, expect

from foundation.clock import SystemClock
from foundation.principal import Role
from service.app import Service
from service.commands.demo import free_port
from service.config import Config, Federation, Instance, Listen, Secret, Storage, Token, Views, Webhook
from service.config.values import parse_origin
from views.ids import short_uuid
from views.model import VideoDraft

AXE = Path(__file__).parents[1] / "fixtures" / "axe-core" / "axe.min.js"
ADMIN = "an-admins-token"
REFRESHED_MS = 30_000
"""Within which a page has refreshed itself, on a busy machine too."""
UUID, OTHER = "9c9de5e8-0a1e-484a-b099-e80766180a6d", "1f6b8a2e-2f0f-4f53-8d07-3b8ad10f8c11"
PAGES = ("", "/peers", "/inbox", "/deliveries", "/videos", "/webhooks", "/configuration", "/doctor")


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Service]:
    """A service that speaks with peers on loopback, with one video."""
    port = free_port()
    hook = Webhook(url="https://hooks.example/in", key="key", secret=Secret("a-secret-of-32-characters-or-more"))
    made = await Service.create(
        Config(
            instance=Instance(url=parse_origin(f"http://127.0.0.1:{port}"), name="Our videos"),
            listen=Listen(port=port, overload_lag_ms=None),
            storage=Storage(directory=tmp_path / "data"),
            views=Views(ignore_bots=False),
            federation=Federation(allow_http=True, allow_private_addresses=True),
            tokens=(Token(name="chief", role=Role.ADMIN, value=Secret(ADMIN)),),
            webhooks=(hook,),
        )
    )
    await made.start()
    await made.views.catalog.put_local(VideoDraft(UUID, "A board meeting", 60, is_live=True))
    yield made
    await made.stop()


@pytest.fixture
async def peer() -> AsyncIterator[FakePeer]:
    async with FakePeer(SystemClock()) as made:
        yield made


async def log_in(page: Page, service: Service) -> None:
    await page.goto(f"{service.url}/admin/login")
    await page.get_by_label("Token of an administrator").fill(ADMIN)
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Now")


def watch_url(service: Service, uuid: str) -> str:
    return f"{service.url}/videos/watch/{uuid}"


async def test_an_administrator_blocks_a_peer_and_the_inbox_refuses_it(
    watched: Service, page: Page, peer: FakePeer
) -> None:
    inbox = f"{watched.url}/inbox"
    taken = await peer.post(inbox, peer.view(watch_url(watched, UUID)))
    assert taken.status == 204
    await log_in(page, watched)
    await expect(page.get_by_role("row").filter(has_text="A board meeting")).to_contain_text("1")
    await page.get_by_role("link", name="Peers", exact=True).click()
    row = page.get_by_role("row").filter(has_text=peer.host)
    block = page.get_by_role("button", name=f"Block {peer.host}")
    await expect(block).to_be_hidden()
    await row.locator("summary").filter(has_text="Block").click()
    await block.click()
    await expect(page.get_by_role("status")).to_contain_text("The host is blocked")
    await expect(row).to_contain_text("by hand")
    refused = await peer.post(inbox, peer.view(watch_url(watched, UUID), "another"))
    assert refused.status == 403

    await page.get_by_role("link", name="Inbox", exact=True).click()
    await expect(page.locator("#quarantine")).to_contain_text("blocked")
    await page.get_by_role("link", name="Peers", exact=True).click()
    await page.get_by_role("button", name=f"Unblock {peer.host}").click()
    await expect(page.get_by_role("status")).to_contain_text("The host is blocked no more")
    await expect(row).not_to_contain_text("by hand")
    assert (await peer.post(inbox, peer.view(watch_url(watched, UUID), "third"))).status == 204


async def test_what_was_dropped_counts_after_a_replay(watched: Service, page: Page, peer: FakePeer) -> None:
    dropped = await peer.post(f"{watched.url}/inbox", peer.view(watch_url(watched, OTHER)))
    assert dropped.status == 202
    await log_in(page, watched)
    await page.goto(f"{watched.url}/admin/inbox")
    await expect(page.locator("#quarantine")).to_contain_text("unknown_video")
    kept = await watched.views.catalog.put_local(VideoDraft(OTHER, "Put too late", 60))
    assert isinstance(kept, tuple)
    await page.get_by_role("button", name="Judge 1 again").click()
    await expect(page.get_by_role("status")).to_have_text("Messages that count now: 1")
    assert (await watched.views.viewers.shown(kept[0])).peers == {peer.host: 1}
    await page.goto(f"{watched.url}/admin")
    await expect(page.locator("#top")).to_contain_text("Put too late", timeout=REFRESHED_MS)


async def test_numbers_move_by_themselves_until_they_are_paused(watched: Service, page: Page) -> None:
    await page.clock.install()
    await log_in(page, watched)
    await expect(page.locator("#top")).to_contain_text("Nobody watches anything")
    report = {"currentTime": 1, "sessionId": "anna"}
    await page.request.post(f"{watched.url}/api/v1/videos/{UUID}/views", data=report)
    await expect(page.locator("#top")).to_contain_text("A board meeting", timeout=REFRESHED_MS)
    await page.get_by_role("button", name="Pause").click()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.clock.run_for(60_000)
    assert asked == []
    await expect(page.get_by_role("button", name="Go on")).to_be_visible()


async def test_a_page_says_that_it_is_out_of_date_and_a_session_that_is_over_leads_to_the_login(
    watched: Service, browser: Browser
) -> None:
    # The browser itself says in its console what failed: so not the page of the fixture.
    context = await browser.new_context()
    page = await context.new_page()
    await log_in(page, watched)
    notice = page.locator(".unreached")
    await context.set_offline(True)
    await expect(notice).to_contain_text("Not reached since", timeout=REFRESHED_MS)
    assert await page.evaluate("document.body.classList.contains('stale')")
    await context.set_offline(False)
    await expect(notice).to_have_text("", timeout=REFRESHED_MS)
    await page.route("**/admin", lambda route: route.fulfill(status=503, body=""))
    await expect(notice).to_contain_text("Not reached since", timeout=REFRESHED_MS)
    await page.unroute("**/admin")
    await expect(notice).to_have_text("", timeout=REFRESHED_MS)
    await context.clear_cookies()
    await expect(page.get_by_label("Token of an administrator")).to_be_visible(timeout=REFRESHED_MS)
    await context.close()


async def test_the_time_of_a_page_is_that_of_its_oldest_part(watched: Service, page: Page) -> None:
    await log_in(page, watched)
    time = page.locator(".asof time")
    await page.locator("#numbers a").first.focus()
    before = await time.get_attribute("datetime")
    report = {"currentTime": 1, "sessionId": "anna"}
    await page.request.post(f"{watched.url}/api/v1/videos/{UUID}/views", data=report)
    await expect(page.locator("#top")).to_contain_text("A board meeting", timeout=REFRESHED_MS)
    assert await time.get_attribute("datetime") == before
    await expect(page.locator("[data-held]")).to_be_visible()
    await page.locator("#numbers a").first.blur()
    await expect(time).not_to_have_attribute("datetime", str(before), timeout=REFRESHED_MS)
    await expect(page.locator("[data-held]")).to_be_hidden()


async def test_everything_works_without_a_script_and_with_the_keyboard(watched: Service, browser: Browser) -> None:
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(f"{watched.url}/admin")
    await page.get_by_label("Token of an administrator").fill(ADMIN)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Now")
    await page.keyboard.press("Tab")
    await expect(page.get_by_text("To the content")).to_be_focused()
    await page.goto(f"{watched.url}/admin/peers")
    await page.get_by_label("Another host").fill("evil.example")
    for _ in range(3):
        await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Block this host")).to_be_visible()
    assert not watched.federation.peers.describe("evil.example").blocked
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("The host is blocked")
    await page.goto(f"{watched.url}/admin/videos?search=board")
    await page.get_by_role("link", name="A board meeting").click()
    await expect(page).to_have_url(f"{watched.url}/w/{short_uuid(UUID)}")
    await page.go_back()
    await page.get_by_role("button", name="Log out chief").click()
    await expect(page.get_by_label("Token of an administrator")).to_be_visible()
    await context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_no_serious_fault(watched: Service, page: Page, peer: FakePeer, scheme: Any) -> None:
    await page.emulate_media(color_scheme=scheme)
    for uuid in (UUID, OTHER):
        await peer.post(f"{watched.url}/inbox", peer.view(watch_url(watched, uuid)))
    await page.goto(f"{watched.url}/admin/login")
    await check(page, "the login")
    await log_in(page, watched)
    for width in (1280, 390):
        await page.set_viewport_size({"width": width, "height": 900})
        for name in PAGES:
            await page.goto(f"{watched.url}/admin{name}")
            await check(page, f"{name} at {width}")
    await page.get_by_role("button", name="Run the checks").click()
    await expect(page.get_by_role("table")).to_be_visible()
    await check(page, "findings")


async def test_a_label_stands_beside_what_it_names_on_a_phone(watched: Service, page: Page) -> None:
    await page.set_viewport_size({"width": 390, "height": 900})
    await log_in(page, watched)
    await page.goto(f"{watched.url}/admin/videos")
    label, chosen = [await page.locator(what).bounding_box() for what in ("label[for=sort]", "#sort")]
    assert label is not None
    assert chosen is not None
    assert chosen["y"] <= label["y"] + label["height"] / 2 <= chosen["y"] + chosen["height"], "not on one line"


async def test_a_question_is_not_taken_away_while_somebody_reads_it(
    watched: Service, page: Page, peer: FakePeer
) -> None:
    await page.clock.install()
    await peer.post(f"{watched.url}/inbox", peer.view(watch_url(watched, UUID)))
    await log_in(page, watched)
    await page.goto(f"{watched.url}/admin/peers")
    row = page.get_by_role("row").filter(has_text=peer.host)
    await row.locator("summary").filter(has_text="Block").click()
    await page.evaluate("document.activeElement.blur()")
    await peer.post(f"{watched.url}/inbox", peer.view(watch_url(watched, UUID), "another"))
    async with page.expect_response(f"{watched.url}/admin/peers"):
        await page.clock.run_for(5_000)
    await expect(page.get_by_role("button", name=f"Block {peer.host}")).to_be_visible()
    await check(page, "an open question")


async def check(page: Page, what: str) -> None:
    await page.evaluate(AXE.read_text())
    found = await page.evaluate("async () => (await axe.run()).violations")
    serious = [
        f"{one['id']}: {node['html'][:200]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
    assert serious == [], what
    wider = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wider <= 0, f"{what} is wider than the screen"
