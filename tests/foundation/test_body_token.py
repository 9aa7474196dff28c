"""Tokens that vouch for a body: LiveKit's own package takes ours, and ours are checked as strictly as its own."""

from __future__ import annotations

import json
import time
from datetime import timedelta

import jwt
import pytest
from livekit.api import AccessToken, TokenVerifier, WebhookReceiver

from foundation.body_token import LEEWAY_S, LIFE_S, Vouched, verify, vouch
from foundation.errors import Refused

KEY, SECRET = "APIkey", "a-secret-of-more-than-forty-eight-characters-as-hs384-wants-it"
BODY = b'{"event":"viewer_joined","id":"EV_1","createdAt":1800000000,"numDropped":0,"viewers":[{"id":"VI_1"}]}'
NOW_MS = 1_800_000_000_000


def claims(**changes: object) -> dict[str, object]:
    token = vouch(BODY, KEY, SECRET, NOW_MS)
    said = jwt.decode(token, options={"verify_signature": False})
    return {name: value for name, value in {**said, **changes}.items() if value is not None}


def signed(said: dict[str, object], secret: str = SECRET, algorithm: str = "HS256") -> str:
    return jwt.encode(said, secret, algorithm=algorithm)


def test_livekits_receiver_takes_ours() -> None:
    body = json.dumps({"event": "view_counted", "id": "EV_2", "createdAt": 1_800_000_000, "count": 3}).encode()
    token = vouch(body, KEY, SECRET, time.time_ns() // 1_000_000)
    event = WebhookReceiver(TokenVerifier(KEY, SECRET)).receive(body.decode(), token)
    assert (event.event, event.id, event.created_at) == ("view_counted", "EV_2", 1_800_000_000)


def test_livekits_receiver_refuses_another_body() -> None:
    token = vouch(BODY, KEY, SECRET, time.time_ns() // 1_000_000)
    with pytest.raises(Exception, match="hash mismatch"):
        WebhookReceiver(TokenVerifier(KEY, SECRET)).receive(BODY.decode() + " ", token)


def test_we_take_livekits() -> None:
    digest = str(claims()["sha256"])
    token = AccessToken(KEY, SECRET).with_sha256(digest).with_ttl(timedelta(minutes=5)).to_jwt()
    verdict = verify(token, BODY, {KEY: SECRET}, time.time_ns() // 1_000_000)
    assert isinstance(verdict, Vouched)
    assert verdict.key == KEY


def test_a_token_lives_for_five_minutes_and_the_leeway() -> None:
    token = vouch(BODY, KEY, SECRET, NOW_MS)
    end_ms = NOW_MS + (LIFE_S + LEEWAY_S) * 1000
    assert verify(token, BODY, {KEY: SECRET}, NOW_MS) == Vouched(KEY, end_ms)
    assert isinstance(verify(token, BODY, {KEY: SECRET}, end_ms - 1), Vouched)
    assert isinstance(verify(token, BODY, {KEY: SECRET}, end_ms), Refused)
    assert isinstance(verify(token, BODY, {KEY: SECRET}, NOW_MS - LEEWAY_S * 1000), Vouched)
    assert isinstance(verify(token, BODY, {KEY: SECRET}, NOW_MS - (LEEWAY_S + 1) * 1000), Refused)


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (None, "webhook_unsigned"),
        ("", "webhook_unsigned"),
        ("not a token", "webhook_unsigned"),
        ("Bearer " + signed(claims()), "webhook_unsigned"),
        ("a" * 5_000, "webhook_unsigned"),
        ("..", "webhook_unsigned"),
        (signed(claims(iss="other")), "webhook_key"),
        (signed(claims(iss=None)), "webhook_key"),
        (signed(claims(), secret="another-secret-of-more-than-thirty-two-chars"), "webhook_signature"),
        (signed(claims(), algorithm="HS384"), "webhook_signature"),
        (jwt.encode(claims(), None, algorithm="none"), "webhook_signature"),
        (signed(claims())[:-4] + "AAAA", "webhook_signature"),
        (signed(claims(exp=None)), "webhook_expired"),
        (signed(claims(exp=NOW_MS // 1000 - 61)), "webhook_expired"),
        (signed(claims(exp=NOW_MS // 1000 + 10**9)), "webhook_expired"),
        (signed(claims(exp=float("nan"))), "webhook_expired"),
        (signed(claims(nbf=NOW_MS // 1000 + 120)), "webhook_expired"),
        (signed(claims(sha256=None)), "webhook_body"),
        (signed(claims(sha256=17)), "webhook_body"),
        (signed(claims(sha256="bm90IGl0")), "webhook_body"),
    ],
)
def test_what_is_not_taken(token: str | None, reason: str) -> None:
    verdict = verify(token, BODY, {KEY: SECRET}, NOW_MS)
    assert isinstance(verdict, Refused)
    assert (verdict.reason, verdict.status) == (reason, 401)


def test_another_body_is_not_taken() -> None:
    verdict = verify(vouch(BODY, KEY, SECRET, NOW_MS), BODY + b" ", {KEY: SECRET}, NOW_MS)
    assert isinstance(verdict, Refused)
    assert verdict.reason == "webhook_body"
