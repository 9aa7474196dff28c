"""What is no message of our LiveKit server, however much it looks like one: a clear answer, and no number moves."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from hostile.scene import BODY_LIMIT, UUID, Build, Scene
from support.livekit_server import KEY, ROOM, SECRET, LivekitServer
from support.wire import Answer

from foundation.body_token import vouch
from service.config import Livekit, LivekitKey, LivekitRoom, Secret

WEBHOOK = "/livekit/webhook"
OTHER_SECRET = "somebody-else-signs-with-this-one-which-is-long"
MISSING = "11111111-1111-4111-8111-111111111111"
LIVEKIT = Livekit(
    keys=(LivekitKey(KEY, Secret(SECRET)),),
    rooms=(LivekitRoom(ROOM, UUID), LivekitRoom("no-video", MISSING)),
)
SERVER = LivekitServer()


async def post(scene: Scene, body: bytes, token: str | None = None, **headers: str) -> Answer:
    fields = {"Content-Type": "application/webhook+json", **{name.replace("_", "-"): v for name, v in headers.items()}}
    if token is not None:
        fields["Authorization"] = token
    return await scene.rest("POST", WEBHOOK, body, headers=fields)


def token_of(scene: Scene, body: bytes, key: str = KEY, secret: str = SECRET, at_ms: int = 0) -> str:
    return vouch(body, key, secret, scene.clock.now_ms() + at_ms)


def claims(scene: Scene, body: bytes) -> dict[str, Any]:
    said: dict[str, Any] = jwt.decode(token_of(scene, body), options={"verify_signature": False})
    return said


Token = Callable[[Scene, bytes], str | None]

BAD_TOKENS: dict[str, tuple[Token, str]] = {
    "unsigned": (lambda scene, body: None, "webhook_unsigned"),
    "empty": (lambda scene, body: "", "webhook_unsigned"),
    "a-scheme-before-it": (lambda scene, body: f"Bearer {token_of(scene, body)}", "webhook_unsigned"),
    "garbage": (lambda scene, body: "a.b.c", "webhook_unsigned"),
    "an-administrators-token": (lambda scene, body: "an-administrators-token", "webhook_unsigned"),
    "wrong-key": (lambda scene, body: token_of(scene, body, key="APIother"), "webhook_key"),
    "wrong-secret": (lambda scene, body: token_of(scene, body, secret=OTHER_SECRET), "webhook_signature"),
    "alg-none": (lambda scene, body: jwt.encode(claims(scene, body), None, algorithm="none"), "webhook_signature"),
    "alg-none-cut": (lambda scene, body: token_of(scene, body).rpartition(".")[0] + ".", "webhook_signature"),
    "alg-hs384": (
        lambda scene, body: jwt.encode(claims(scene, body), SECRET.ljust(48, "x"), algorithm="HS384"),
        "webhook_signature",
    ),
    "another-body": (lambda scene, body: token_of(scene, body + b" "), "webhook_body"),
    "no-hash": (
        lambda scene, body: jwt.encode({**claims(scene, body), "sha256": ""}, SECRET, algorithm="HS256"),
        "webhook_body",
    ),
    "expired": (lambda scene, body: token_of(scene, body, at_ms=-361_000), "webhook_expired"),
    "not-valid-yet": (lambda scene, body: token_of(scene, body, at_ms=120_000), "webhook_expired"),
    "for-ever": (
        lambda scene, body: jwt.encode({**claims(scene, body), "exp": 10**12}, SECRET, algorithm="HS256"),
        "webhook_expired",
    ),
    "without-end": (
        lambda scene, body: jwt.encode(
            {name: value for name, value in claims(scene, body).items() if name != "exp"}, SECRET, algorithm="HS256"
        ),
        "webhook_expired",
    ),
}


@pytest.mark.parametrize("row", BAD_TOKENS)
async def test_what_nobody_vouches_for(row: str, build: Build) -> None:
    scene = await build(livekit=LIVEKIT)
    before = await scene.numbers()
    make, reason = BAD_TOKENS[row]
    body = SERVER.joined("anna")
    answer = await post(scene, body, make(scene, body))
    assert (answer.status, json.loads(answer.body)["code"]) == (401, reason)
    assert await scene.numbers() == before
    assert await scene.is_well()


BAD_BODIES: dict[str, tuple[bytes, int, str]] = {
    "no-json": (b"event=participant_joined", 400, "bad_webhook"),
    "nothing": (b"", 400, "bad_webhook"),
    "an-array": (b"[]", 400, "bad_webhook"),
    "no-event": (b"{}", 400, "bad_webhook"),
    "nested": (b'{"a":' * 20_000, 400, "bad_webhook"),
    "no-room": (b'{"event": "participant_joined", "participant": {"sid": "PA_1"}}', 400, "bad_webhook"),
    "no-participant": (
        b'{"event": "participant_left", "room": {"sid": "RM_1", "name": "my-room"}}',
        400,
        "bad_webhook",
    ),
    "rooms-of-numbers": (b'{"event": "room_started", "room": [1, 2]}', 400, "bad_webhook"),
    "not-utf-8": (b'{"event": "\xff"}', 400, "bad_webhook"),
    "too-large": (b" " * (BODY_LIMIT + 1), 413, "body_too_large"),
}


@pytest.mark.parametrize("row", BAD_BODIES)
async def test_what_is_signed_and_means_nothing(row: str, build: Build) -> None:
    scene = await build(livekit=LIVEKIT)
    before = await scene.numbers()
    body, status, reason = BAD_BODIES[row]
    answer = await post(scene, body, token_of(scene, body))
    assert (answer.status, json.loads(answer.body)["code"]) == (status, reason)
    assert await scene.numbers() == before
    assert await scene.is_well()


async def outcome(scene: Scene, body: bytes) -> str:
    answer = await post(scene, body, token_of(scene, body))
    assert answer.status == 200, answer
    said: str = json.loads(answer.body)["outcome"]
    return said


async def test_what_is_none_of_ours_is_thanked_for(build: Build) -> None:
    """Else LiveKit would say it again and again."""
    scene = await build(livekit=LIVEKIT)
    before = await scene.numbers()
    assert await outcome(scene, LivekitServer("another-room").joined("anna")) == "unknown_room"
    assert await outcome(scene, LivekitServer("no-video").joined("anna")) == "unknown_video"
    assert await outcome(scene, SERVER.message("job_started")) == "ignored"
    assert await outcome(scene, b'{"event": "egress_started", "egressInfo": {"egressId": "EG_1"}}') == "applied"
    assert await outcome(scene, SERVER.joined("robot", agent=True)) == "applied"
    huge = {"sid": "P" * 9_000, "identity": "i" * 9_000, "joinedAt": 10**18, "kind": {"a": 1}, "permission": 7}
    room = {"name": ROOM, "sid": "S" * 9_000, "creationTime": "9" * 18}
    assert await outcome(
        scene, json.dumps({"event": "participant_left", "room": room, "participant": huge}).encode()
    ) == ("applied")
    assert await scene.numbers() == before


async def test_a_replay_counts_once(build: Build) -> None:
    scene = await build(livekit=LIVEKIT)
    before = await scene.numbers()
    body = LivekitServer().joined("anna")
    token = token_of(scene, body)
    for expected in ("applied", "duplicate", "duplicate"):
        answer = await post(scene, body, token)
        assert (answer.status, json.loads(answer.body)["outcome"]) == (200, expected)
    assert await scene.numbers() == before.moved(ours=1)
    scene.clock.advance(361_000)
    assert (await post(scene, body, token)).status == 401


async def test_the_request_itself(build: Build) -> None:
    scene = await build(livekit=LIVEKIT)
    body = SERVER.joined("anna")
    token = token_of(scene, body)
    assert (await post(scene, body, token, Content_Type="text/plain")).status == 415
    assert (await post(scene, body, token, Content_Encoding="gzip")).status == 415
    assert (await post(scene, body, token, Content_Length="100000000")).status in (400, 413)
    assert (await scene.rest("GET", WEBHOOK)).status == 405
    assert await scene.is_well()


async def test_without_livekit_there_is_nothing_here(build: Build) -> None:
    scene = await build()
    body = SERVER.joined("anna")
    answer = await post(scene, body, token_of(scene, body))
    assert (answer.status, json.loads(answer.body)["code"]) == (404, "no_livekit")


async def test_no_more_are_remembered_than_the_bound(build: Build) -> None:
    scene = await build(livekit=Livekit(keys=LIVEKIT.keys, rooms=LIVEKIT.rooms, max_participants=2))
    before = await scene.numbers()
    server = LivekitServer()
    said = [await outcome(scene, server.joined(f"viewer-{number}")) for number in range(3)]
    assert said == ["applied", "applied", "full"]
    assert await scene.numbers() == before.moved(ours=2)
