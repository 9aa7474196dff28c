"""HTTP Message Signatures: the published vectors, what is asked of one, and a second opinion on what we make."""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from handmade import ACTOR, BODY, HOST, KEY_ID, NOW_MS, PROFILE, ed25519_key, remote_key, rsa_key
from handmade import make as make_cavage
from hypothesis import given
from hypothesis import strategies as st
from support.message_signatures import INPUT, SIGNED, content_digest, message_headers, sign_by

from federation.keys import RemoteKey
from federation.signatures.cavage import joined_fields
from federation.signatures.message_signer import MessageSigner, sign_text, signature_params
from federation.signatures.rfc9421 import MessageSignature, parse_message_signature, signature_base
from federation.signatures.verifier import (
    Inspected,
    Profile,
    Scheme,
    SignedRequest,
    VerificationKey,
    Verified,
    check,
    inspect,
)
from foundation.errors import Refused
from foundation.httpdate import format_http_date

VECTORS = Path(__file__).parents[1] / "fixtures" / "rfc9421"
ACCEPTED = "accepted"
SECOND = NOW_MS // 1000
INBOX = f"https://{HOST}/inbox"


def make(
    *,
    method: str = "POST",
    path: str = "/inbox",
    body: bytes = BODY,
    headers: dict[str, str | None] | None = None,
    extra: list[tuple[str, str]] | None = None,
    sent: dict[str, Any] | None = None,
    **how: Any,
) -> SignedRequest:
    """A signed message; ``headers`` change what is signed, ``sent`` what arrives, ``extra`` comes on top."""
    fields: dict[str, str] = {
        "Host": HOST,
        "Date": format_http_date(NOW_MS),
        "Content-Digest": content_digest(body),
    }
    fields |= {name: value for name, value in (headers or {}).items() if value is not None}
    for name in [name for name, value in (headers or {}).items() if value is None]:
        del fields[name]
    how = {"key_id": KEY_ID, "created_s": SECOND, "sign": sign_by(rsa_key()), "url": f"https://{HOST}{path}", **how}
    fields |= message_headers(method=method, fields=fields, **how)
    parts: dict[str, Any] = {"method": method, "path": path, "body": body, **(sent or {})}
    return SignedRequest(headers=[*fields.items(), *(extra or [])], **parts)


def outcome(request: SignedRequest, key: VerificationKey | None = None, profile: Profile = PROFILE) -> str:
    inspected = inspect(request, profile, NOW_MS)
    verdict = inspected if isinstance(inspected, Refused) else check(inspected, key or remote_key())
    if isinstance(verdict, Refused):
        assert verdict.status == 401
        return verdict.reason
    assert (verdict.signed_date_ms, verdict.actor) == (NOW_MS, ACTOR)
    return ACCEPTED


def forged_by_hmac() -> SignedRequest:
    pem = rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return make(alg="hmac-sha256", sign=lambda text: hmac.new(pem, text, hashlib.sha256).digest())


def by_pss(text: bytes) -> bytes:
    return rsa_key().sign(text, PSS(MGF1(SHA512()), salt_length=64), SHA512())


def by_sha512(text: bytes) -> bytes:
    return rsa_key().sign(text, PKCS1v15(), SHA512())


def with_input(old: str, new: str) -> SignedRequest:
    assert old in INPUT
    return make(signature_input=INPUT.replace(old, new))


def two_messages() -> SignedRequest:
    one = make()
    more = [(name, value.replace("sig1", "sig2")) for name, value in one.headers if name.startswith("Signature")]
    return SignedRequest("POST", "/inbox", [*one.headers, *more], BODY)


def without_alg(**how: Any) -> SignedRequest:
    return make(signature_input="sig1={components};{created};{key_id}", **how)


NO_ALG = "sig1={components};{created};{key_id}"
CASES: list[tuple[str, Callable[[], SignedRequest], str]] = [
    ("as Mastodon and Fedify", make, ACCEPTED),
    ("label of any name", lambda: make(signature_input=INPUT.replace("sig1", "x*1"), signature="x*1=:{signature}:"),
     ACCEPTED),
    ("in parts", lambda: make(names=("@method", "@authority", "@path", "content-digest")), ACCEPTED),
    ("by @request-target", lambda: make(names=("@method", "@authority", "@request-target", "content-digest")),
     ACCEPTED),
    ("in parts, with query", lambda: make(path="/inbox?a=b", names=("@method", "@authority", "@path", "@query",
     "content-digest")), ACCEPTED),
    ("in parts, query forgotten", lambda: make(path="/inbox?a=b", names=("@method", "@authority", "@path",
     "content-digest")), "missing_component"),
    ("everything", lambda: make(names=("@method", "@target-uri", "@authority", "@scheme", "@request-target", "@path",
     "@query", "host", "date", "content-digest")), ACCEPTED),
    ("1 Signature missing", lambda: SignedRequest("POST", "/inbox", [p for p in make().headers if p[0] != "Signature"],
     BODY), "bad_signature_header"),
    ("2 both empty", lambda: make(signature_input="", signature=""), "bad_signature_header"),
    ("3 asdf", lambda: make(signature_input="asdf", signature="asdf"), "bad_signature_header"),
    ("3 asdf in one", lambda: make(signature="asdf"), "bad_signature_header"),
    ("4 keyid missing", lambda: with_input(";{key_id}", ""), "bad_signature_header"),
    ("4 keyid a token", lambda: with_input("{key_id}", "keyid=https"), "bad_signature_header"),
    ("4 keyid empty", lambda: with_input("{key_id}", 'keyid=""'), "bad_signature_header"),
    ("5 no signature of this label", lambda: make(signature="sig2=:{signature}:"), "bad_signature_header"),
    ("6 not base64", lambda: make(signature="sig1=:*AA=:"), "bad_signature_header"),
    ("6 a string", lambda: make(signature='sig1="{signature}"'), "bad_signature_header"),
    ("6 empty", lambda: make(signature="sig1=::"), "bad_signature_header"),
    ("6 too long", lambda: make(signature=f"sig1=:{'A' * 2000}:"), "bad_signature_header"),
    ("7 random", lambda: make(signature=f"sig1=:{base64.b64encode(bytes(256)).decode()}:"), "wrong_signature"),
    ("7 random, short", lambda: make(signature="sig1=:AAAA:"), "wrong_signature"),
    ("8 keyid twice", lambda: with_input("{key_id}", "{key_id};{key_id}"), "bad_signature_header"),
    ("9 created twice", lambda: with_input("{created}", "{created};{created}"), "bad_signature_header"),
    ("9 label twice", lambda: make(signature="sig1=:{signature}:, sig1=:{signature}:"), "bad_signature_header"),
    ("10 two signatures", two_messages, "bad_signature_header"),
    ("11 bomb", lambda: make(signature_input=",=" * 4_000), "bad_signature_header"),
    ("11 bomb of lists", lambda: make(signature_input="a=(" * 2_600), "bad_signature_header"),
    ("11 too long", lambda: make(signature_input=INPUT + ';x="' + "y" * 8_192 + '"'), "bad_signature_header"),
    ("11 too much is signed", lambda: make(names=tuple(f"x-{n}" for n in range(40))), "bad_signature_header"),
    ("12 unterminated quote", lambda: make(signature_input='sig1=("@method'), "bad_signature_header"),
    ("13 hmac with the public key", forged_by_hmac, "algorithm"),
    ("14 rsa-sha1", lambda: make(alg="rsa-sha1"), "algorithm"),
    ("15 none", lambda: make(alg="none"), "algorithm"),
    ("15 a name of draft-cavage", lambda: make(alg="rsa-sha256"), "algorithm"),
    ("16 rsa-pss-sha512", lambda: make(alg="rsa-pss-sha512", sign=by_pss), ACCEPTED),
    ("16 PSS under the other name", lambda: make(sign=by_pss), "wrong_signature"),
    ("16 PKCS1 with SHA-512", lambda: without_alg(sign=by_sha512), "wrong_signature"),
    ("17 alg omitted", without_alg, ACCEPTED),
    ("17 alg omitted, PSS", lambda: without_alg(sign=by_pss), ACCEPTED),
    ("17 alg a token", lambda: with_input("{alg}", "alg=rsa"), "bad_signature_header"),
    ("18 ed25519 with an RSA key", lambda: make(alg="ed25519"), "algorithm"),
    ("19 nothing is listed", lambda: make(signature_input='sig1;{created};{key_id}'), "bad_signature_header"),
    ("20 an empty list", lambda: make(names=()), "missing_component"),
    ("21 @method not signed", lambda: make(names=SIGNED[1:]), "missing_component"),
    ("22 target not signed", lambda: make(names=("@method", "content-digest")), "missing_component"),
    ("22 path without authority", lambda: make(names=("@method", "@path", "content-digest")), "missing_component"),
    ("22 authority without path", lambda: make(names=("@method", "@authority", "content-digest")),
     "missing_component"),
    ("23 content-digest not signed", lambda: make(names=SIGNED[:2]), "no_digest"),
    ("24 no created", lambda: with_input(";{created}", ""), "no_date"),
    ("24 date in place of created", lambda: make(signature_input=INPUT.replace(";{created}", ""),
     names=(*SIGNED, "date")), "no_date"),
    ("27 a float", lambda: make(created_s="1800000000.5"), "bad_signature_header"),
    ("27 negative", lambda: make(created_s=-1), "bad_signature_header"),
    ("27 a word", lambda: make(created_s="now"), "bad_signature_header"),
    ("27 a truth", lambda: make(created_s="?1"), "bad_signature_header"),
    ("27 an sf-date", lambda: make(created_s=f"@{SECOND}"), "bad_signature_header"),
    ("27 an sf-date beyond the calendar", lambda: make(created_s="@999999999999999"), "bad_signature_header"),
    ("27 quoted", lambda: make(created_s=f'"{SECOND}"'), "bad_signature_header"),
    ("27 20 digits", lambda: make(created_s="9" * 20), "bad_signature_header"),
    ("27 15 digits", lambda: make(created_s="9" * 15), "bad_signature_header"),
    ("28 in an hour", lambda: make(created_s=SECOND + 3600), "stale"),
    ("28 an hour ago", lambda: make(created_s=SECOND - 3600), "stale"),
    ("29 expired", lambda: with_input("{created}", f"{{created}};expires={SECOND - 1}"), "stale"),
    ("29 not yet expired", lambda: with_input("{created}", f"{{created}};expires={SECOND + 1}"), ACCEPTED),
    ("29 expires a word", lambda: with_input("{created}", "{created};expires=soon"), "bad_signature_header"),
    ("30 date of 2015 signed too", lambda: make(names=(*SIGNED, "date"),
     headers={"Date": "Thu, 01 Jan 2015 00:00:00 GMT"}), "stale"),
    ("30 date of 2015 not signed", lambda: make(headers={"Date": "Thu, 01 Jan 2015 00:00:00 GMT"}), ACCEPTED),
    ("31 signed date unparsable", lambda: make(names=(*SIGNED, "date"), headers={"Date": "now"}), "bad_date"),
    ("33 signed field not there", lambda: make(names=(*SIGNED, "x-not-there")), "missing_component"),
    ("34 listed twice", lambda: make(names=(*SIGNED, "@method")), "bad_signature_header"),
    ("35 upper case", lambda: make(names=(*SIGNED, "Date")), "bad_signature_header"),
    ("36 a field sent twice", lambda: make(names=(*SIGNED, "x-twice"), values={"x-twice": "a, b"},
     extra=[("X-Twice", "a"), ("x-twice", " b ")]), ACCEPTED),
    ("37 GET replayed as POST", lambda: make(sent={"method": "PUT"}), "wrong_signature"),
    ("38 other path", lambda: make(sent={"path": "/inbox2"}), "wrong_signature"),
    ("39 query added", lambda: make(sent={"path": "/inbox?x"}), "wrong_signature"),
    ("40 signed for another host", lambda: make(url="https://other.example/inbox"), "wrong_signature"),
    ("40 sent to another host", lambda: make(headers={"Host": "other.example"}), "host_mismatch"),
    ("40 signed as http", lambda: make(url=f"http://{HOST}/inbox"), "wrong_signature"),
    ("45 Content-Digest missing", lambda: make(headers={"Content-Digest": None}), "no_digest"),
    ("46 digest of another body", lambda: make(sent={"body": b"{}"}), "bad_digest"),
    ("46 and of this one", lambda: make(headers={"Content-Digest": content_digest(BODY) + ", " +
     content_digest(b"x", "sha-512")}), "bad_digest"),
    ("47 md5 only", lambda: make(headers={"Content-Digest": "md5=:AAAA:"}), "bad_digest"),
    ("48 upper case", lambda: make(headers={"Content-Digest": content_digest(BODY).upper()}), "bad_digest"),
    ("49 both", lambda: make(headers={"Content-Digest": content_digest(BODY) + ", md5=:AAAA:," +
     content_digest(BODY, "sha-512")}), ACCEPTED),
    ("49 sha-512 alone", lambda: make(headers={"Content-Digest": content_digest(BODY, "sha-512")}), ACCEPTED),
    ("49 the same name twice", lambda: make(headers={"Content-Digest": content_digest(b"x") + ", " +
     content_digest(BODY)}), "bad_digest"),
    ("50 as RFC 3230 writes it", lambda: make(headers={"Content-Digest": "SHA-256=AAAA"}), "bad_digest"),
    ("51 short", lambda: make(headers={"Content-Digest": "sha-256=:AAAA:"}), "bad_digest"),
    ("51 a truth", lambda: make(headers={"Content-Digest": "sha-256"}), "bad_digest"),
    ("51 long", lambda: make(headers={"Content-Digest": "x=1," * 400}), "bad_digest"),
    ("unknown derived component", lambda: make(names=(*SIGNED, "@status")), "bad_signature_header"),
    ("@signature-params listed", lambda: make(names=(*SIGNED, "@signature-params")), "bad_signature_header"),
    ("a component with a parameter", lambda: make(names=(*SIGNED, '"date";sf')), "bad_signature_header"),
    ("a component that is a token", lambda: make(signature_input="sig1=(date);{created};{key_id}"),
     "bad_signature_header"),
    ("a component of no name", lambda: make(names=(*SIGNED, "")), "bad_signature_header"),
    ("nonce and tag", lambda: with_input("{alg}", '{alg};nonce="a";tag="b";x'), ACCEPTED),
    ("params are signed", lambda: make(params=f'("@method" "@target-uri" "content-digest");created={SECOND}'),
     "wrong_signature"),
    ("a line break in a field", lambda: make(names=(*SIGNED, "x-a"), headers={"X-A": "a\nb"}), "bad_signature_header"),
    ("no path", lambda: make(sent={"path": "http://tube.example/inbox"}), "missing_component"),
    ("a GET", lambda: make(method="GET", body=b"", names=SIGNED[:2]), ACCEPTED),
    ("a GET with a query", lambda: make(method="GET", body=b"", path="/w?x", names=SIGNED[:2]), ACCEPTED),
    ("a GET, query taken away", lambda: make(method="GET", body=b"", path="/w?x", names=SIGNED[:2],
     sent={"path": "/w"}), "wrong_signature"),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_case(request_: Callable[[], SignedRequest], expected: str) -> None:
    assert outcome(request_()) == expected


def test_one_door_a_signature_input_makes_it_rfc_9421() -> None:
    """A request that has both is judged by the standard alone, whatever else it carries."""
    cavage = make_cavage()
    added = SignedRequest(cavage.method, cavage.path, [("Signature-Input", "sig1=()"), *cavage.headers], cavage.body)
    assert outcome(added) == "bad_signature_header"
    assert outcome(make(extra=[("Authorization", 'Signature keyId="x"')])) == ACCEPTED
    assert (
        outcome(make(extra=[("Signature", 'keyId="https://a.example/a",signature="AAAA"')])) == "bad_signature_header"
    )


def test_the_target_is_that_of_our_own_address() -> None:
    """A proxy in front ends TLS: what arrives is plain http, what was signed is not."""
    behind = Profile(frozenset({"tube.example:8443"}), origin="http://tube.example:8443")
    request = make(headers={"Host": "tube.example:8443"}, url="http://tube.example:8443/inbox")
    assert outcome(request, profile=behind) == ACCEPTED
    assert outcome(request) == "host_mismatch"


def test_ed25519_by_the_type_of_the_key() -> None:
    key, by = remote_key(ed25519_key()), sign_by(ed25519_key())
    assert outcome(make(alg="ed25519", sign=by), key) == ACCEPTED
    assert outcome(without_alg(sign=by), key) == ACCEPTED
    assert outcome(make(sign=by), key) == "algorithm"
    assert outcome(make(alg="ed25519", sign=sign_by(rsa_key())), key) == "wrong_signature"


def test_weak_keys_and_other_keys() -> None:
    weak = rsa_key(1024)
    assert outcome(make(sign=sign_by(weak)), remote_key(weak)) == "weak_key"
    assert outcome(make(), remote_key(rsa_key(number=1))) == "wrong_signature"
    assert outcome(make(), remote_key(key_id="https://peer.example/accounts/other#main-key")) == "key_owner"


# The vectors of appendix B


def vectors() -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads((VECTORS / "vectors.json").read_text())["signatures"]
    return found


def published(vector: dict[str, str]) -> SignedRequest:
    request = json.loads((VECTORS / "vectors.json").read_text())["request"]
    signed = [("Signature-Input", vector["signature_input"]), ("Signature", vector["signature"])]
    headers = [*(tuple(pair) for pair in request["headers"]), *signed]
    return SignedRequest(request["method"], request["target"], headers, request["body"].encode())


def base_of(request: SignedRequest) -> tuple[MessageSignature, bytes]:
    signature = parse_message_signature(request.headers)
    assert isinstance(signature, MessageSignature)
    text = signature_base(
        signature, request, "https://example.com", joined_fields(request.headers, signature.components)
    )
    assert isinstance(text, bytes)
    return signature, text


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector["section"])
def test_published_signatures_verify(vector: dict[str, str]) -> None:
    signature, text = base_of(published(vector))
    key = load_pem_public_key((VECTORS / f"{vector['key']}.public.pem").read_bytes())
    remote = RemoteKey(vector["key"], ACTOR, "example.com", key)  # type: ignore[arg-type]
    profile = Profile(frozenset({"example.com"}))
    inspected = Inspected(signature.key_id, signature.signature, None, 0, (text,), profile, Scheme.RFC9421)
    assert isinstance(check(inspected, remote), Verified)
    changed = Inspected(signature.key_id, signature.signature, None, 0, (text + b" ",), profile, Scheme.RFC9421)
    assert isinstance(check(changed, remote), Refused)


def test_what_is_deterministic_is_signed_identically() -> None:
    vector = next(vector for vector in vectors() if vector["section"] == "B.2.6")
    signature, text = base_of(published(vector))
    private = load_pem_private_key((VECTORS / "test-key-ed25519.private.pem").read_bytes(), None)
    assert isinstance(private, Ed25519PrivateKey)
    params = signature_params(signature.components, 1618884473, "test-key-ed25519")
    assert params == vector["signature_input"].partition("=")[2] == signature.params
    assert sign_text(text, private) == signature.signature


# What we sign, judged by ourselves and by another implementation


class Message:
    """As the library wants its requests."""

    def __init__(self, method: str, url: str, headers: dict[str, str]) -> None:
        self.method, self.url, self.headers = method, url, headers


def by_library(method: str, url: str, headers: dict[str, str], key: RemoteKey) -> bool:
    from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver, InvalidSignature
    from http_message_signatures.algorithms import ED25519, RSA_V1_5_SHA256

    class Resolver(HTTPSignatureKeyResolver):  # type: ignore[misc]
        def resolve_public_key(self, key_id: str) -> object:
            return key.public_key if key_id == key.key_id else None

    algorithm = ED25519 if "ed25519" in headers["Signature-Input"] else RSA_V1_5_SHA256
    verifier = HTTPMessageVerifier(signature_algorithm=algorithm, key_resolver=Resolver())
    try:
        # Our clock stands in the future.
        verifier.verify(Message(method, url, headers), max_age=None)
    except InvalidSignature:
        return False
    return True


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("path", ["/inbox", "/w/a?page=1&x=%41", "/"])
def test_both_verifiers_agree_with_what_we_sign(method: str, path: str, kind: str) -> None:
    key = ed25519_key() if kind == "ed25519" else rsa_key()
    body = BODY if method == "POST" else b""
    url = f"https://{HOST}{path}"
    now_ms = int(datetime.datetime.now(datetime.UTC).timestamp() * 1000)
    headers = MessageSigner(KEY_ID, key).sign_headers(method, url, body, now_ms)
    digest = {"Content-Digest"} if body else set()
    assert set(headers) == {"Host", "Date", "Signature-Input", "Signature"} | digest
    inspected = inspect(SignedRequest(method, path, list(headers.items()), body), PROFILE, now_ms)
    assert not isinstance(inspected, Refused)
    assert isinstance(check(inspected, remote_key(key)), Verified)
    assert by_library(method, url, headers, remote_key(key))
    assert not by_library(method, url + "x", headers, remote_key(key))


def test_a_post_without_a_body_has_a_digest() -> None:
    headers = MessageSigner(KEY_ID, rsa_key()).sign_headers("post", INBOX, b"", NOW_MS)
    assert outcome(SignedRequest("POST", "/inbox", list(headers.items()), b"")) == ACCEPTED


def test_a_url_that_is_none_cannot_be_signed() -> None:
    with pytest.raises(ValueError, match="cannot sign"):
        MessageSigner(KEY_ID, rsa_key()).sign_headers("POST", "ftp://a.example/", BODY, NOW_MS)


@given(
    st.binary(max_size=200),
    st.text("abcdefghij/-._~%0123456789", max_size=40),
    st.text("ab=&1/", max_size=10),
    st.sampled_from(["POST", "GET", "PUT"]),
)
def test_what_is_signed_verifies(body: bytes, path: str, query: str, method: str) -> None:
    target = f"/{path}?{query}" if query else f"/{path}"
    headers = MessageSigner(KEY_ID, rsa_key()).sign_headers(method, f"https://{HOST}{target}", body, NOW_MS)
    assert outcome(SignedRequest(method, target, list(headers.items()), body)) == ACCEPTED


SHARDS = st.sampled_from(
    ["sig1=", '("@method"', '"@target-uri"', ")", "();", ";created=", "1", '"', ";keyid=", '"https://a.example/b"', ":",
     "AAAA", ",", " ", "=", "?1", "@1", "@999999999999999", "1.5", "%22", "\\", "\t", "é", "\ud800", "\n", ";", "*"]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=200), st.lists(SHARDS, max_size=30).map("".join))


@given(TEXTS, TEXTS, TEXTS, TEXTS, st.sampled_from(["GET", "POST", "\ud800"]))
def test_no_message_is_too_much_for_the_verifier(
    signature_input: str, signature: str, digest: str, path: str, method: str
) -> None:
    headers = [
        ("Host", HOST),
        ("Signature-Input", signature_input),
        ("Signature", signature),
        ("Content-Digest", digest),
        (signature, digest),
    ]
    assert isinstance(inspect(SignedRequest(method, path, headers, b"x"), PROFILE, NOW_MS), Inspected | Refused)
    assert isinstance(parse_message_signature(headers), MessageSignature | Refused)
