"""A real browser (Debian's Chromium) in front of a real service. No browser is a failure, never a skip."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright

from service.app import Service
from service.commands.demo import free_port
from service.config import Config, Instance, Listen, Storage
from service.config.values import parse_origin

QUIET = ("--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync")


def chromium() -> str:
    found = os.environ.get("FEDIVIEWS_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    assert found, "no Chromium: install Debian's package chromium, or name one in FEDIVIEWS_CHROMIUM"
    return found


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    port = free_port()
    made = await Service.create(
        Config(
            instance=Instance(url=parse_origin(f"http://127.0.0.1:{port}"), name="Our videos"),
            listen=Listen(port=port),
            storage=Storage(directory=tmp_path / "data"),
        )
    )
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=chromium(), args=list(QUIET))
        yield launched
        await launched.close()


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page whose console stays silent: whatever the content security policy forbids would be said there."""
    opened = await browser.new_page(viewport={"width": 800, "height": 600})
    said: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    yield opened
    await opened.close()
    assert said == []
