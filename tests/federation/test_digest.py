from __future__ import annotations

import base64
import hashlib

import pytest

from federation.signatures.digest import check_digest, sha256_digest

BODY = b'{"type":"View"}'
RIGHT = sha256_digest(BODY)
WRONG = sha256_digest(b"other")


def sha512(body: bytes) -> str:
    return "sha-512=" + base64.b64encode(hashlib.sha512(body).digest()).decode()


def test_what_is_sent_is_what_peertube_compares() -> None:
    assert "SHA-256=" + base64.b64encode(hashlib.sha256(BODY).digest()).decode() == RIGHT


@pytest.mark.parametrize(
    ("value", "good"),
    [
        (RIGHT, True),
        (RIGHT.replace("SHA", "sha"), True),
        (RIGHT.replace("SHA", "Sha"), True),
        (f"{RIGHT},{sha512(BODY)}", True),
        (f"MD5=x, {RIGHT}, SHA=y", True),
        (f"{RIGHT}, {RIGHT}", True),
        (f"{RIGHT}, {WRONG}", False),
        (f"{RIGHT}, {sha512(b'other')}", False),
        (sha512(BODY), False),
        (f"{RIGHT}, junk", False),
        (f"{RIGHT}=", False),
        (RIGHT[:-1], False),
        (RIGHT + "x" * 2000, False),
        ("SHA-256=", False),
        ("SHA-256=é", False),
        ("", False),
        (WRONG, False),
    ],
)
def test_the_header_vouches_for_the_body(value: str, good: bool) -> None:
    refusal = check_digest(value, BODY)
    assert (refusal is None) is good
    assert refusal is None or (refusal.reason, refusal.status) == ("bad_digest", 401)
