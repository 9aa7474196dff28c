"""Rows 106 to 109, 111, 113, 116 and 117: players, administrators, the configuration, and who we post to."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from aiohttp import web
from hostile.scene import PRIVATE_UUID, TOKEN, UUID, Build, Scene

from foundation.errors import ConfigError
from service.config import load_config

REPORTS = f"/api/v1/videos/{UUID}/views"


async def report(scene: Scene, body: object, path: str = REPORTS, headers: dict[str, str] | None = None) -> int:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return (await scene.rest("POST", path, raw, headers=headers)).status


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        for _ in range(2_000):
            if condition():
                return
            await asyncio.sleep(0.01)
    pytest.fail("it did not come to pass")


# What a player may say


BAD_REPORTS: dict[str, Any] = {
    "106-negative-position": {"currentTime": -1},
    "106-beyond-the-end": {"currentTime": 597},
    "106-far-beyond-the-end": {"currentTime": 10**18},
    "106-no-position": {},
    "106-position-not-a-number": {"currentTime": "abc"},
    "106-position-true": {"currentTime": True},
    "106-position-a-fraction": {"currentTime": 1.5},
    "106-position-an-array": {"currentTime": [1]},
    "106-position-nan": b'{"currentTime": NaN}',
    "106-position-of-5000-digits": b'{"currentTime": ' + b"9" * 5_000 + b"}",
    "106-unknown-event": {"currentTime": 1, "viewEvent": "explode"},
    "106-no-json": b"currentTime=1",
    "106-an-array": b"[1]",
    "106-nested": b"[" * 8_000,
    "106-not-utf-8": b'{"currentTime": 1, "client": "\xff"}',
    "109-session-empty": {"currentTime": 1, "sessionId": ""},
    "109-session-of-201-characters": {"currentTime": 1, "sessionId": "a" * 201},
    "109-session-like-sql": {"currentTime": 1, "sessionId": "' OR 1=1 --"},
    "109-session-with-nul": {"currentTime": 1, "sessionId": "a\0b"},
    "109-session-a-number": {"currentTime": 1, "sessionId": 7},
    "109-session-an-object": {"currentTime": 1, "sessionId": {"a": 1}},
}


@pytest.mark.parametrize("row", BAD_REPORTS)
async def test_row(row: str, build: Build) -> None:
    scene = await build()
    before = await scene.numbers()
    assert await report(scene, BAD_REPORTS[row]) == 400
    assert await scene.numbers() == before
    assert await scene.is_well()


async def test_row_106_nobody_watches_faster_than_time(build: Build) -> None:
    """An hour of positions said within a second is no view."""
    scene = await build()
    for position in range(0, 500, 5):
        assert await report(scene, {"currentTime": position, "sessionId": "abc"}) == 204
    numbers = await scene.numbers()
    assert numbers.our_views == 0
    assert numbers.ours == 3


async def test_row_107_who_somebody_is_is_not_theirs_to_say(build: Build) -> None:
    scene = await build(listen={"trusted_proxies": ()})
    before = await scene.numbers()
    for number in range(10):
        claimed = f"198.51.100.{number}"
        body = {"currentTime": 1, "ip": claimed, "country": "FR", "location": {"country": "FR"}}
        headers = {
            "X-Forwarded-For": claimed,
            "X-Real-IP": claimed,
            "Forwarded": f"for={claimed}",
            "CF-IPCountry": "FR",
        }
        assert await report(scene, body, headers=headers) == 204
    # Ten addresses claimed, one viewer.
    assert await scene.numbers() == before.moved(ours=1)


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "%3Cscript%3Ealert(1)%3C/script%3E",
        "a" * 5_000,
        "..%2f..%2f..%2fetc%2fpasswd",
        "%00",
        "%ff%fe",
        "%",
        "%zz",
        "-1",
        "1" * 400,
        "'%20OR%201=1",
        "٣",
    ],
)
async def test_row_108_a_path_is_not_repeated(build: Build, name: str) -> None:
    scene = await build()
    before = await scene.numbers()
    for path in ("/api/v1/videos/{}/views", "/api/v1/videos/{}", "/videos/watch/{}", "/accounts/{}"):
        method = "POST" if path.endswith("views") else "GET"
        answer = await scene.rest(method, path.format(name), b'{"currentTime": 1}')
        assert 400 <= answer.status < 500
        assert b"<script" not in answer.body
        assert len(answer.body) < 1_500
    assert await scene.numbers() == before
    assert await scene.is_well()


@pytest.mark.parametrize("size", [8_193, 1_000_000])
async def test_row_109_a_session_of_a_megabyte(build: Build, size: int) -> None:
    scene = await build()
    before = await scene.numbers()
    body = json.dumps({"currentTime": 1, "sessionId": "a" * size}).encode()
    assert await report(scene, body) == 413
    assert await scene.numbers() == before
    assert await scene.is_well()


@pytest.mark.parametrize("path", ["/api/v1/videos/{}/views", "/api/v1/videos/{}", "/api/v1/videos/{}/viewers"])
async def test_a_private_video_answers_as_one_that_is_not_there(build: Build, path: str) -> None:
    scene = await build()
    method = "POST" if path.endswith("views") else "GET"
    unknown = "11111111-1111-4111-8111-111111111111"
    private = await scene.rest(method, path.format(PRIVATE_UUID), b'{"currentTime": 1}')
    missing = await scene.rest(method, path.format(unknown), b'{"currentTime": 1}')
    assert private.status == missing.status == 404
    assert private.body == missing.body


# Row 111: the configuration


@pytest.mark.parametrize(
    "text",
    [
        'instance: !!python/object/apply:os.system ["touch {flag}"]',
        "instance: !!python/object/new:os.system [touch {flag}]",
        "!!python/object/apply:os.mkdir [{flag}]",
        "instance: {{name: !!python/name:os.system }}",
        "instance: {{name: !<tag:yaml.org,2002:python/object/apply:os.mkdir> [{flag}]}}",
    ],
)
def test_row_111_yaml_makes_no_objects(tmp_path: Path, text: str) -> None:
    flag, file = tmp_path / "flag", tmp_path / "config.yaml"
    file.write_text(text.format(flag=flag))
    with pytest.raises(ConfigError):
        load_config(file, {})
    assert not flag.exists()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("federation: {opem: true}", "federation.opem"),
        ("fedration: {}", "fedration"),
        ("peers: [{host: a.example, quota: 1}]", "peers[0].quota"),
    ],
)
def test_row_111_an_unknown_key_is_named(tmp_path: Path, text: str, key: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(file, {})
    assert caught.value.path == key


# Row 113: tokens


TOKENS = [
    "",
    "Bearer",
    "Bearer ",
    "Bearer wrong-token",
    f"bearer {TOKEN}x",
    f"Basic {TOKEN}",
    TOKEN,
    "Bearer " + "a" * 5_000,
]


GUARDED = [
    ("GET", "/api/v1/server/peers"),
    ("GET", "/api/v1/server/quarantine"),
    ("POST", "/api/v1/server/peers/a.example/block"),
    ("PUT", f"/api/v1/videos/{UUID}"),
    ("DELETE", f"/api/v1/videos/{UUID}"),
    ("POST", "/api/v1/server/following"),
    ("POST", "/accounts/peertube/outbox"),
]


@pytest.mark.parametrize("header", TOKENS, ids=range(len(TOKENS)))
async def test_row_113_without_a_token_nothing_is_done(build: Build, header: str) -> None:
    scene = await build()
    before = await scene.numbers()
    headers = {"Authorization": header} if header else {}
    for method, path in GUARDED:
        assert (await scene.rest(method, path, b"{}", headers=headers)).status == 401, path
    assert await scene.numbers() == before


async def test_row_113_tokens_are_compared_in_constant_time_and_never_logged(
    build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    scene = await build()
    caplog.set_level("DEBUG")
    compared: list[tuple[Any, Any]] = []
    compare = hmac.compare_digest

    def counting(a: Any, b: Any) -> bool:
        compared.append((a, b))
        return compare(a, b)

    with patch.object(hmac, "compare_digest", counting):
        for token, status in ((TOKEN, 200), (TOKEN[:-1] + "x", 401), ("another-one", 401)):
            answer = await scene.rest("GET", "/api/v1/server/peers", headers={"Authorization": f"Bearer {token}"})
            assert answer.status == status
            assert token.encode() not in answer.body
    assert len(compared) == 3
    # What is compared are digests of one length.
    assert {len(side) for pair in compared for side in pair} == {32}
    assert TOKEN[:-1] not in caplog.text
    assert "another-one" not in caplog.text


@pytest.mark.parametrize(
    ("body", "status"),
    [
        *((body, 200) for body in (b"", b"{}")),
        *(
            (body, 400)
            for body in (b"{", b"[]", b'"x"', b"null", b"0", b"\xff", b'{"host": "a.example"}', b"[" * 9_000)
        ),
        (b" " * 20_000, 413),
    ],
)
async def test_what_a_replay_is_told_beside_its_query_is_refused_and_not_passed_over(
    build: Build, body: bytes, status: int
) -> None:
    scene = await build()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = await scene.rest("POST", "/api/v1/server/quarantine/replay", body, headers=headers)
    assert answer.status == status, answer.body
    assert await scene.is_well()


# Rows 116 and 117: the answers of whom we post to


def posted(scene: Scene, outcome: str) -> float:
    name, labels = "fediviews_delivery_requests_total", {"method": "POST", "outcome": outcome}
    return scene.service.ground.metrics.registry.get_sample_value(name, labels) or 0


async def follow(scene: Scene) -> None:
    """The peer follows us; our Accept goes to its actor's inbox."""
    said = {"type": "Follow", "id": f"{scene.peer.actor}/follows/1", "actor": scene.peer.actor, "object": scene.actor}
    assert (await scene.say(said)).status == 204


async def test_a_follower_is_accepted(build: Build) -> None:
    """The harness is not deaf: without mischief the answer arrives."""
    scene = await build()
    await follow(scene)
    await until(lambda: any(one.activity["type"] == "Accept" for one in scene.peer.delivered))
    (accept,) = [one for one in scene.peer.delivered if one.activity["type"] == "Accept"]
    assert accept.path == "/accounts/peertube/inbox"
    assert accept.activity["object"]["id"] == f"{scene.peer.actor}/follows/1"


async def test_row_116_nothing_signed_follows_a_redirect(build: Build) -> None:
    scene = await build()

    async def elsewhere(_: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": f"{scene.bystander.url}/inbox"})

    scene.peer.responders |= {"/inbox": elsewhere, "/accounts/peertube/inbox": elsewhere}
    await follow(scene)
    await until(lambda: posted(scene, "3xx") > 0)
    assert scene.bystander.delivered == []
    assert scene.bystander.asked == []
    assert await scene.is_well()


async def test_row_117_an_endless_answer_is_not_read(build: Build) -> None:
    scene = await build()
    written: list[int] = []

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            for number in range(10_000):
                await response.write(b" " * 100_000)
                written.append(number)
        return response

    scene.peer.responders["/accounts/peertube/inbox"] = endless
    await follow(scene)
    await until(lambda: posted(scene, "2xx") > 0)
    # What socket buffers hold on both sides, not a gigabyte.
    assert len(written) < 500
    assert await scene.is_well()


# What is for this machine alone


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "tube.example"},
        {"X-Real-IP": "198.51.100.1"},
        {"X-Real-IP": "127.0.0.1"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"Via": "1.1 proxy"},
    ],
    ids=lambda headers: next(iter(headers.items())),
)
async def test_metrics_are_not_for_who_comes_through_a_proxy(build: Build, headers: dict[str, str]) -> None:
    scene = await build()
    assert (await scene.rest("GET", "/metrics")).status == 200
    assert (await scene.rest("GET", "/metrics", headers=headers)).status == 401
    known = {**headers, "Authorization": f"Bearer {TOKEN}"}
    assert (await scene.rest("GET", "/metrics", headers=known)).status == 200
