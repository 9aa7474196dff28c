"""A service is asked in every way; then log, metrics and everything it wrote are read for what must not be there."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from foundation.principal import Role
from service.app import Service
from service.commands.demo import free_port
from service.config import Config, Federation, Instance, Listen, Pages, Secret, Site, Storage, Token, Views
from service.config.values import parse_origin
from service.logs import setup_logging
from views.model import Privacy, VideoDraft

UUID = "9c9de5e8-0a1e-484a-b099-e80766180a6d"
PRIVATE = "5b0e1c1a-3f53-4a2e-9a38-8a3f6c1d8d11"
TOKEN = "an-administrators-secret-token"
ADDRESS, IPV6 = "203.0.113.77", "2001:db8:7777:1::77"
SESSION = "session-of-a-person-that-nobody-shall-find"
USER = "name-of-a-user-of-the-host-application"
BODY_WORD = "word-in-a-body-that-nobody-shall-find"
WRONG_TOKEN = "a-token-that-somebody-guessed"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What `fediviews serve` would write with ``logging.level: debug``."""
    root, lines = logging.getLogger(), io.StringIO()
    handlers, level = list(root.handlers), root.level
    setup_logging("debug", "text")
    [handler] = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(lines)
    yield lines
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
async def service(tmp_path: Path, log: io.StringIO) -> Service:
    port = free_port()
    service = await Service.create(
        Config(
            instance=Instance(url=parse_origin(f"http://127.0.0.1:{port}")),
            listen=Listen(port=port, shutdown_grace_ms=0),
            storage=Storage(directory=tmp_path / "data"),
            views=Views(count_view_after_ms=0, rate_limit=None),
            federation=Federation(allow_http=True, allow_private_addresses=True),
            pages=Pages(sites=(Site(host="blog.example"),)),
            tokens=(Token(name="admin", role=Role.ADMIN, value=Secret(TOKEN)),),
        )
    )
    await service.start()
    await service.views.catalog.put_local(VideoDraft(UUID, "Big Buck Bunny", 596))
    await service.views.catalog.put_local(VideoDraft(PRIVATE, "Secret", 60, privacy=Privacy.PRIVATE))
    return service


async def ask_in_every_way(url: str) -> list[str]:
    """Returns the viewer tokens that were made: nobody may find these either."""
    admin = {"Authorization": f"Bearer {TOKEN}"}
    made: list[str] = []
    async with aiohttp.ClientSession(headers={"X-Forwarded-For": ADDRESS}) as http:

        async def ask(method: str, path: str, status: int, **options: object) -> object:
            async with http.request(method, url + path, **options) as answer:  # type: ignore[arg-type]
                assert answer.status == status, (method, path, await answer.text())
                return await answer.json(content_type=None) if answer.content_length else None

        for uuid in (UUID, PRIVATE):
            path = f"/api/v1/videos/{uuid}/viewer-tokens"
            answer = await ask("POST", path, 200, json={"user": USER}, headers=admin)
            assert isinstance(answer, dict)
            made.append(answer["token"])
        views = f"/api/v1/videos/{UUID}/views"
        report = {"currentTime": 5, "sessionId": SESSION, "viewerToken": made[0]}
        for event in (None, "seek", "leave"):
            await ask("POST", views, 204, json=report | {"viewEvent": event})
        await ask("POST", views, 204, json={"currentTime": 1})
        await ask("POST", views, 204, json={"currentTime": 1}, headers={"X-Forwarded-For": IPV6})
        private = f"/api/v1/videos/{PRIVATE}/views"
        await ask("POST", private, 204, json={"currentTime": 1}, headers={"X-Viewer-Token": made[1]})
        await ask("POST", private, 404, json={"currentTime": 1, "sessionId": SESSION})
        await ask("GET", f"/api/v1/videos/{UUID}/resume", 200, headers={"X-Viewer-Token": made[0]})
        await ask("GET", f"/api/v1/videos/{UUID}?viewerToken={made[0]}", 200)
        await ask("POST", views, 400, data=f'{{"currentTime": "{BODY_WORD}"}}')
        await ask("POST", views, 400, data=f"{BODY_WORD}")
        page = {"site": "blog.example", "path": "/hello", "sessionId": SESSION}
        for kind in ("views", "heartbeat"):
            await ask("POST", f"/api/v1/pages/{kind}", 204, json=page)
            await ask("POST", f"/api/v1/pages/{kind}", 204, json={"site": "blog.example", "path": "/anonymous"})
        sample = {"sessionId": SESSION, "duration": 10_000, "stalls": 1}
        await ask("POST", f"/api/v1/videos/{UUID}/playback", 204, json=sample)
        await ask("GET", "/api/v1/videos", 401, headers={"Authorization": f"Bearer {WRONG_TOKEN}"})
        await ask("GET", f"/api/v1/server/peers?token={WRONG_TOKEN}", 401)
        await ask("GET", "/api/v1/server/peers", 200, headers=admin)
        activity = {"Content-Type": "application/activity+json"}
        signature = f'keyId="http://127.0.0.1:1/{BODY_WORD}",signature="x"'
        await ask("POST", "/inbox", 401, data=f'{{"id": "{BODY_WORD}"}}', headers=activity)
        await ask("POST", "/inbox", 401, data="{}", headers=activity | {"Signature": signature})
        await ask("POST", "/accounts/peertube/outbox", 400, data=f'{{"x": "{BODY_WORD}"}}', headers=admin | activity)
        await ask("POST", "/livekit/webhook", 404, data=f'{{"x": "{BODY_WORD}"}}')
        await ask("GET", f"/{BODY_WORD}", 404)
    return made


def written(directory: Path) -> dict[str, bytes]:
    """Every file but those that hold a secret on purpose, by name."""
    return {path.name: path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


async def test_no_log_no_metric_and_no_file_knows_who_asked(service: Service, tmp_path: Path, log: io.StringIO) -> None:
    tokens = await ask_in_every_way(service.url)
    viewer = service.views.identity.from_session(SESSION)
    metrics = service.ground.metrics.render().decode()
    await service.ground.live.written()
    await service.stop()
    files = written(tmp_path / "data")
    assert any(name.endswith(".sqlite") for name in files)
    assert len(files) > 4

    words = [ADDRESS, IPV6, SESSION, USER, TOKEN, WRONG_TOKEN, BODY_WORD, *tokens, "Bearer "]
    for word in words:
        assert word not in log.getvalue(), f"in the log: {word}"
        assert word not in metrics, f"in the metrics: {word}"
        for name, content in files.items():
            assert word.encode() not in content, f"in {name}: {word}"
    for where, text in (("log", log.getvalue()), ("metrics", metrics)):
        assert viewer.hex() not in text, where
        assert UUID not in text or where == "log", where
    assert viewer not in b"".join(content for name, content in files.items() if "sqlite" in name)


async def test_what_is_looked_for_would_be_found(service: Service, log: io.StringIO) -> None:
    """A reader that finds nothing anywhere would be content with everything."""
    logging.getLogger("fediviews").warning("somebody at %s", ADDRESS)
    assert ADDRESS in log.getvalue()
    await service.stop()
