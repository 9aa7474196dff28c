"""Row 112: webhooks to private addresses, where nobody said that they may be there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hostile.scene import TOKEN, Build

from foundation.clock import SystemClock
from foundation.errors import ConfigError
from foundation.metrics import Metrics
from outbox.webhooks.hooks import Hook
from service.building.webhooks import posting
from service.config import Config, load_config

HOOK = "webhooks: [{{url: '{url}', key: k, secret: a-secret-of-thirty-two-characters-or-more{more}}}]"

PRIVATE = [
    "https://127.0.0.1/hooks",
    "https://127.1/hooks",
    "https://2130706433/hooks",
    "https://0x7f.1/hooks",
    "https://[::1]/hooks",
    "https://[::ffff:127.0.0.1]/hooks",
    "https://[64:ff9b::7f00:1]/hooks",
    "https://10.0.0.1/hooks",
    "https://169.254.169.254/latest/meta-data",
    "https://100.64.0.1/hooks",
    "https://0.0.0.0/hooks",
    "https://localhost/hooks",
    "https://LOCALHOST./hooks",
    "https://app.localhost/hooks",
    "http://app.example.com/hooks",
]


@pytest.mark.parametrize("url", PRIVATE)
def test_row_112_such_a_url_is_an_error_at_start(tmp_path: Path, url: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(HOOK.format(url=url, more=""))
    with pytest.raises(ConfigError) as caught:
        load_config(file, {})
    assert caught.value.path == "webhooks[0].url"


def test_row_112_unless_it_is_allowed(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(HOOK.format(url="http://127.0.0.1:9000/hooks", more=", allow_private_addresses: true"))
    assert load_config(file, {}).webhooks[0].allow_private_addresses


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1"])
async def test_row_112_nobody_is_called_there(aiohttp_server: Any, host: str) -> None:
    """Also not when the URL got past the configuration, as a name does that resolves to such an address."""
    called: list[str] = []

    async def hear(request: web.Request) -> web.Response:
        called.append(request.path)
        return web.Response()

    app = web.Application()
    app.router.add_post("/hooks", hear)
    server = await aiohttp_server(app)
    post = posting(Config(), SystemClock(), Metrics())
    url = f"http://{host}:{server.port}/hooks"
    tried = await post.sender.test(Hook(url, "k", "a-secret-of-thirty-two-characters-or-more"))
    secure = await post.sender.test(Hook(url.replace("http:", "https:"), "k", "a-secret-of-thirty-two-characters"))
    await post.close()
    assert not tried.delivered
    assert (secure.delivered, secure.reason) == (False, "address_refused")
    assert called == []


@pytest.mark.parametrize("token", [None, "wrong"])
async def test_who_hears_of_what_is_for_admins(build: Build, token: str | None) -> None:
    scene = await build()
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    assert (await scene.rest("GET", "/api/v1/server/webhooks", headers=headers)).status == 401
    assert (await scene.rest("POST", "/api/v1/server/webhooks/test", headers=headers)).status == 401


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"hook": 1}', b'{"url": "http://127.0.0.1/"}', b"[" * 9_000, b"\xff"])
async def test_a_test_of_nothing_is_a_bad_request(build: Build, body: bytes) -> None:
    scene = await build()
    admin = {"Authorization": f"Bearer {TOKEN}"}
    assert (await scene.rest("POST", "/api/v1/server/webhooks/test", body, headers=admin)).status == 400
    unknown = await scene.rest("POST", "/api/v1/server/webhooks/test", b'{"hook": "x"}', headers=admin)
    assert unknown.status == 404
    assert await scene.is_well()
