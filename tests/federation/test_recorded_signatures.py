"""Every signature PeerTube 6.3 was recorded to make verifies, and stops to as soon as anything moves."""

from __future__ import annotations

import dataclasses

import pytest
from support.recorded import Exchange, exchange_names, load_exchange, load_key

from federation.signatures.cavage import find_signature, parse_signature
from federation.signatures.digest import sha256_digest
from federation.signatures.verifier import Profile, Verdict, Verified, check, inspect
from foundation.errors import Refused
from foundation.httpdate import format_http_date

REFUSED = {f"{number}" for number in range(68, 75)}
SIGNED = [name for name in exchange_names() if load_exchange(name).is_signed and name[:2] not in REFUSED]
OURS = frozenset({"127.0.0.1:9001", "127.0.0.1:9002", "127.0.0.1:9105"})


def judge(exchange: Exchange, *, own: frozenset[str] = OURS, now_ms: int | None = None) -> Verdict:
    inspected = inspect(exchange.request, Profile(own), exchange.date_ms if now_ms is None else now_ms)
    return inspected if isinstance(inspected, Refused) else check(inspected, load_key(inspected.key_id))


def reason(verdict: Verdict) -> str:
    return verdict.reason if isinstance(verdict, Refused) else "verified"


def with_header(exchange: Exchange, name: str, value: str) -> Exchange:
    headers = tuple((key, value if key.lower() == name else old) for key, old in exchange.headers)
    assert headers != exchange.headers
    return dataclasses.replace(exchange, headers=headers)


def flipped(text: str) -> str:
    """The text with its twentieth character from the end changed to another one of base64."""
    return text[:-20] + ("A" if text[-20] != "A" else "B") + text[-19:]


def test_the_recording_is_all_there() -> None:
    assert len(SIGNED) == 64
    assert len(exchange_names()) == 75


@pytest.mark.parametrize("name", SIGNED)
def test_what_was_signed_verifies(name: str) -> None:
    exchange = load_exchange(name)
    verdict = judge(exchange)
    assert isinstance(verdict, Verified)
    assert verdict.actor == verdict.key_id  # PeerTube 6.3 leaves the fragment out
    assert verdict.signed_date_ms == exchange.date_ms


@pytest.mark.parametrize("name", SIGNED)
def test_nothing_may_change(name: str) -> None:
    exchange = load_exchange(name)
    signature, date_ms = exchange.header("signature") or "", exchange.date_ms
    host = exchange.header("host") or ""
    other = next(iter(OURS - {host}))
    path, question, query = exchange.path.partition("?")

    assert reason(judge(exchange, own=frozenset({"tube.example"}))) == "host_mismatch"
    assert reason(judge(with_header(exchange, "host", other))) == "wrong_signature"
    assert reason(judge(with_header(exchange, "signature", flipped(signature)))) == "wrong_signature"
    moved = dataclasses.replace(exchange, path=f"{path}x{question}{query}")
    assert reason(judge(moved)) == "wrong_signature"
    if "created=" in signature:
        later = signature.replace("created=1795326938", "created=1795326939")
        assert reason(judge(with_header(exchange, "signature", later))) == "wrong_signature"
    else:
        later = format_http_date(date_ms + 1000)
        assert reason(judge(with_header(exchange, "date", later), now_ms=date_ms)) == "wrong_signature"
    assert reason(judge(exchange, now_ms=date_ms + 1_801_000)) == "stale"
    assert reason(judge(exchange, now_ms=date_ms - 1_801_000)) == "stale"


@pytest.mark.parametrize("name", [name for name in SIGNED if load_exchange(name).method == "POST"])
def test_no_byte_of_a_body_may_change(name: str) -> None:
    exchange = load_exchange(name)
    middle = len(exchange.body) // 2
    body = exchange.body[:middle] + bytes([exchange.body[middle] ^ 1]) + exchange.body[middle + 1 :]
    changed = dataclasses.replace(exchange, body=body)
    assert reason(judge(changed)) == "bad_digest"
    assert reason(judge(with_header(changed, "digest", sha256_digest(body)))) == "wrong_signature"
    digest = exchange.header("digest") or ""
    assert reason(judge(with_header(exchange, "digest", flipped(digest)))) == "bad_digest"
    assert reason(judge(dataclasses.replace(exchange, path=exchange.path + "?x"))) == "wrong_signature"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("69", "no_digest"),
        ("70", "bad_digest"),
        ("71", "wrong_signature"),
        ("72", "no_date"),
        ("73", "no_signature"),
        # Correctly signed by somebody who speaks for another actor: not for a signature to say.
        ("74", "verified"),
    ],
)
def test_what_peertube_refused(name: str, expected: str) -> None:
    exchange = load_exchange(name)
    assert exchange.status == 403
    assert reason(judge(exchange)) == expected


def test_68_is_stale_at_the_time_of_its_answer() -> None:
    exchange = load_exchange("68")
    assert reason(judge(exchange, now_ms=exchange.date_ms + 31 * 60_000)) == "stale"


def test_74_is_signed_by_another_than_it_speaks_for() -> None:
    exchange = load_exchange("74")
    verdict = judge(exchange)
    assert isinstance(verdict, Verified)
    assert verdict.actor != exchange.json["actor"]


def test_22_is_signed_without_its_query() -> None:
    exchange = load_exchange("22")
    assert "?page=1" in exchange.path
    assert reason(judge(exchange)) == "verified"
    assert reason(judge(dataclasses.replace(exchange, path=exchange.path.partition("?")[0]))) == "verified"


def test_75_signs_created_instead_of_date() -> None:
    text = find_signature(load_exchange("75").headers)
    assert isinstance(text, str)
    params = parse_signature(text)
    assert not isinstance(params, Refused)
    assert params.algorithm == "hs2019"
    assert params.headers == ("(request-target)", "host", "(created)", "digest")
    assert params.created == 1795326938
