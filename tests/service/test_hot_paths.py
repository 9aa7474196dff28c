"""Which requests are answered before the router is asked; every other test of reports and inboxes goes through it."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from service.web.hot_paths import HotPaths

UUID = "9c9de5e8-0a1e-484a-b099-e80766180a6d"
LONG = "1" * 5_000


def _answering(word: str) -> web.Response:
    return web.Response(text=word)


async def _inbox(_request: web.Request) -> web.Response:
    return _answering("inbox")


async def _report(_request: web.Request, named: str) -> web.Response:
    return _answering(f"report {named}")


async def _router(_request: web.Request) -> web.Response:
    return _answering("router")


@pytest.mark.parametrize(
    ("method", "path", "answered_by"),
    [
        ("POST", "/inbox", "inbox"),
        ("GET", "/inbox", "router"),
        ("PUT", "/inbox", "router"),
        ("POST", "/inbox/", "router"),
        ("POST", "/inbox?page=1", "router"),
        ("POST", "/accounts/peertube/inbox", "router"),
        ("POST", f"/api/v1/videos/{UUID}/views", f"report {UUID}"),
        ("PUT", f"/api/v1/videos/{UUID}/watching", f"report {UUID}"),
        ("POST", "/api/v1/videos/7/views", "report 7"),
        ("POST", "/api/v1/videos/kRFi8XvUdGXqZGoHs4ujqd/views", "report kRFi8XvUdGXqZGoHs4ujqd"),
        ("GET", f"/api/v1/videos/{UUID}/views", "router"),
        ("OPTIONS", f"/api/v1/videos/{UUID}/views", "router"),
        ("POST", f"/api/v1/videos/{UUID}/views?viewerToken=x", "router"),
        ("POST", f"/api/v1/videos/{UUID}/viewers", "router"),
        ("POST", f"/api/v1/videos/{UUID}%2Fviews", "router"),
        ("POST", "/api/v1/videos/nobody/views", "router"),
        ("POST", "/api/v1/videos//views", "router"),
        ("POST", "/api/v1/videos/views", "router"),
        ("POST", f"/api/v1/videos/7/x/{UUID}/views", "router"),
        ("POST", f"/api/v1/videos/{LONG}/views", "router"),
        ("POST", "/api/v1/videos", "router"),
    ],
)
async def test_only_what_is_exactly_one_of_them_goes_the_short_way(method: str, path: str, answered_by: str) -> None:
    answer = await HotPaths(_inbox, _report).before(_router)(make_mocked_request(method, path))
    assert isinstance(answer, web.Response)
    assert answer.text == answered_by


@pytest.mark.parametrize("path", ["/inbox", f"/api/v1/videos/{UUID}/views"])
async def test_who_expects_something_first_is_left_to_aiohttp(path: str) -> None:
    request = make_mocked_request("POST", path, headers={"Expect": "100-continue"})
    answer = await HotPaths(_inbox, _report).before(_router)(request)
    assert isinstance(answer, web.Response)
    assert answer.text == "router"
