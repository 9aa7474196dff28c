"""Refusals as a browser sees them, and as programs go on to see them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from foundation.clock import ManualClock
from foundation.web import prefers_html
from service.app import Service
from service.config import Config, Listen, Pages, Site, Storage, Views
from service.config.values import Rate
from views.routes.replies import unavailable

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
PROBLEM = "application/problem+json"


@pytest.fixture
async def service(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Service]:
    config = Config(
        listen=Listen(port=0),
        storage=Storage(directory=tmp_path / "data"),
        views=Views(rate_limit=Rate(20, 10_000)),
        pages=Pages(sites=(Site(host="a.example"), Site(host="b.example"))),
    )
    service = await Service.create(config, clock=clock)
    await service.start()
    yield service
    await service.stop()


async def ask(
    service: Service, method: str, path: str, accept: str | None = BROWSER
) -> tuple[int, str, Mapping[str, str]]:
    headers = {"Accept": "*/*" if accept is None else accept}
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, service.url + path, headers=headers, allow_redirects=False) as answer,
    ):
        return answer.status, await answer.text(), answer.headers


@pytest.mark.parametrize(
    ("method", "path", "status", "sentence", "link"),
    [
        ("GET", "/stats?site=unknown.example", 404, "This site is not counted here", "/stats"),
        ("GET", "/stats?site=a.example&period=7y", 400, "Should be 24h, 7d, 30d or all", "/stats"),
        ("GET", "/w/unknown", 404, "gone or not public", "/"),
        ("GET", "/videos/watch/9c9de5e8-0a1e-484a-b099-e80766180a6d", 404, "gone or not public", "/"),
        ("GET", "/accounts/nobody", 404, "gone or not public", "/"),
        ("GET", "/admin/elsewhere", 404, "gone or not public", "/admin"),
        ("GET", "/<script>", 404, "gone or not public", "/"),
        ("POST", "/stats", 405, "cannot be done here", "/stats"),
    ],
)
async def test_a_browser_gets_a_page(
    service: Service, method: str, path: str, status: int, sentence: str, link: str
) -> None:
    found, page, headers = await ask(service, method, path)
    assert found == status
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert sentence in page
    assert f'<a href="{link}">' in page
    assert f"Status {status}" in page
    assert "<script" not in page
    served = (await ask(service, "GET", "/"))[2]
    for name in ("Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy"):
        assert headers[name] == served[name]
    assert headers["Cache-Control"] == "no-store"
    programs = await ask(service, method, path, "application/json, text/html;q=0.5")
    assert (programs[0], programs[2]["Content-Type"]) == (status, PROBLEM)
    assert programs[2]["Vary"] == headers["Vary"] == "Accept"
    assert programs[2].get("Allow") == headers.get("Allow")
    assert (await ask(service, method, path, None))[2]["Content-Type"] == PROBLEM


async def test_the_api_stays_one_of_problem_documents(service: Service) -> None:
    for path in ("/api/v1/pages/stats?site=unknown.example", "/api/v1/nothing", "/api/v1/server/now"):
        _, body, headers = await ask(service, "GET", path)
        assert headers["Content-Type"] == PROBLEM, body


async def test_too_many_requests_say_when_to_come_back(service: Service) -> None:
    for _ in range(20):
        await ask(service, "GET", "/stats")
    status, page, headers = await ask(service, "GET", "/stats")
    assert status == 429
    assert f"Try again in {headers['Retry-After']} second" in page


async def test_a_store_that_is_gone_is_said(tmp_path: Path) -> None:
    async def gone(_: web.Request) -> web.Response:
        return unavailable()

    config = Config(listen=Listen(port=0), storage=Storage(directory=tmp_path / "data"))
    service = await Service.create(config)
    service.app.router.add_get("/numbers", gone)
    await service.start()
    try:
        status, page, headers = await ask(service, "GET", "/numbers")
    finally:
        await service.stop()
    assert (status, headers["Retry-After"]) == (503, "2")
    assert "A store does not answer at the moment." in page
    assert "Try again in 2 seconds." in page


async def test_a_head_is_as_long_as_its_page(service: Service) -> None:
    _, page, _ = await ask(service, "GET", "/w/unknown")
    status, body, headers = await ask(service, "HEAD", "/w/unknown")
    assert (status, body) == (404, "")
    assert int(headers["Content-Length"]) == len(page.encode())


@given(accept=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=200))
@settings(max_examples=60, deadline=None)
def test_no_accept_header_breaks_it(accept: str) -> None:
    assert prefers_html(accept) in (True, False)


@pytest.mark.parametrize(
    "accept",
    ["text/html;q=nan", "text/html;q=1e999", ";;;,,,=", "text/html" + ",text/html" * 500, "\xff\xfe", "text/html;q=-1"],
)
async def test_a_hostile_accept_header_is_no_error_of_ours(service: Service, accept: str) -> None:
    status, body, headers = await ask(service, "GET", "/w/unknown", accept)
    assert status == 404
    assert re.match(r"text/html|application/problem\+json", headers["Content-Type"]), body
