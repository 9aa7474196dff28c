"""What is not there is said in a problem document."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from service.web.not_found import setup_routes


@pytest.fixture
async def client(aiohttp_client) -> TestClient:
    async def here(_: web.Request) -> web.Response:
        return web.Response(text="here")

    app = web.Application()
    setup_routes(app.router)
    app.router.add_get("/fixed", here)
    app.router.add_post("/things/{name}", here)
    app.router.add_delete("/things/{name:[a-z]+}", here)
    return await aiohttp_client(app)


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/fixed", 200, None),
        ("POST", "/things/x", 200, None),
        ("GET", "/", 404, None),
        ("GET", "/elsewhere/%2e%2e/x", 404, None),
        ("PROPFIND", "/nothing", 404, None),
        ("POST", "/fixed", 405, "GET, HEAD"),
        ("PUT", "/things/x", 405, "DELETE, POST"),
        ("PUT", "/things/9", 405, "POST"),
    ],
)
async def test_what_is_not_there(client: TestClient, method: str, path: str, status: int, allow: str | None) -> None:
    answer = await client.request(method, path)
    assert answer.status == status
    assert answer.headers.get("Allow") == allow
    if status >= 400:
        assert answer.content_type == "application/problem+json"
        assert (await answer.json())["status"] == status
