"""Bad signatures, one line each. The numbers are those of the list of bad inputs that the whole product is held to."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.hashes import SHA1, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from handmade import (
    BODY,
    GET_NAMES,
    HOST,
    KEY_ID,
    NOW_MS,
    POST_NAMES,
    PROFILE,
    base_headers,
    ed25519_key,
    make,
    remote_key,
    rsa_key,
)

from federation.signatures.digest import sha256_digest
from federation.signatures.verifier import SignedRequest, VerificationKey, check, inspect
from foundation.errors import Refused
from foundation.httpdate import format_http_date

Request = Callable[[], SignedRequest]
SECOND = NOW_MS // 1000
ACCEPTED = "accepted"
CREATED = ("(request-target)", "host", "(created)", "digest")


def outcome(request: SignedRequest, key: VerificationKey | None = None) -> str:
    inspected = inspect(request, PROFILE, NOW_MS)
    verdict = inspected if isinstance(inspected, Refused) else check(inspected, key or remote_key())
    if isinstance(verdict, Refused):
        assert verdict.status == 401
        return verdict.reason
    assert verdict.signed_date_ms == NOW_MS
    return ACCEPTED


def header(value: str | None) -> SignedRequest:
    """A request with this for its Signature header."""
    signature = [] if value is None else [("Signature", value)]
    return SignedRequest("POST", "/inbox", [*base_headers(), *signature], BODY)


def params(text: str, **how: object) -> SignedRequest:
    return make(params=text, **how)  # type: ignore[arg-type]


def headers(**changed: str | None) -> list[tuple[str, str]]:
    return [(name, changed.get(name.lower(), value) or "") for name, value in base_headers()]


def created(text: str, value: object = SECOND) -> SignedRequest:
    return make(names=CREATED, params=f"{{key_id}},{text},{{headers}},{{signature}}", values={"(created)": value})


def resent(request: SignedRequest, **changed: object) -> SignedRequest:
    """The same signed headers on another request."""
    parts = {"method": request.method, "path": request.path, "headers": request.headers, "body": request.body}
    return SignedRequest(**{**parts, **changed})  # type: ignore[arg-type]


def with_host(request: SignedRequest, host: str) -> SignedRequest:
    return resent(request, headers=[(n, host if n == "Host" else v) for n, v in request.headers])


def forged_by_hmac() -> SignedRequest:
    """Signed with our peer's public key as if it were a shared secret."""
    pem = rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    text = "\n".join(["(request-target): post /inbox", *(f"{n.lower()}: {v}" for n, v in base_headers())])
    mac = base64.b64encode(hmac.new(pem, text.encode(), hashlib.sha256).digest()).decode()
    return header(
        f'keyId="{KEY_ID}",algorithm="hmac-sha256",headers="(request-target) host date digest",signature="{mac}"'
    )


K, S = f'keyId="{KEY_ID}"', 'signature="AAAA"'
H = 'headers="(request-target) host date digest"'
CASES: list[tuple[str, Request, str]] = [
    ("1 no Signature header", lambda: header(None), "no_signature"),
    ("2 empty header", lambda: header(""), "bad_signature_header"),
    ("3 not a signature", lambda: header("asdf"), "bad_signature_header"),
    ("4 keyId missing", lambda: params("{headers},{signature}"), "bad_signature_header"),
    ("5 signature missing", lambda: params("{key_id},{headers}"), "bad_signature_header"),
    ("6 signature not base64", lambda: header(f'{K},{H},signature="*AA="'), "bad_signature_header"),
    ("6 signature empty", lambda: header(f'{K},{H},signature=""'), "bad_signature_header"),
    ("7 random", lambda: header(f'{K},{H},signature="{base64.b64encode(bytes(256)).decode()}"'), "wrong_signature"),
    ("7 random, short", lambda: header(f"{K},{H},{S}"), "wrong_signature"),
    ("8 keyId twice", lambda: params("{key_id},{key_id},{headers},{signature}"), "bad_signature_header"),
    ("8 keyId twice, other case", lambda: params('{key_id},KEYID="x",{headers},{signature}'), "bad_signature_header"),
    ("9 headers twice", lambda: params("{key_id},{headers},{headers},{signature}"), "bad_signature_header"),
    ("9 unknown twice", lambda: params('{key_id},a="1",a="1",{headers},{signature}'), "bad_signature_header"),
    ("10 two headers", lambda: make(headers=[*base_headers(), ("signature", "x")]), "bad_signature_header"),
    ("10 and Authorization", lambda: make(headers=[*base_headers(), ("Authorization", "Signature x")]),
     "bad_signature_header"),
    ("11 regex bomb", lambda: header(",=" * 4096), "bad_signature_header"),
    ("11 bomb of quotes", lambda: header('a="' * 2700), "bad_signature_header"),
    ("11 too long", lambda: header(f'{K},{H},{S},x="{"y" * 8192}"'), "bad_signature_header"),
    ("12 unterminated quote", lambda: header(f'{K},{H},signature="AAAA'), "bad_signature_header"),
    ("13 hmac with the public key", forged_by_hmac, "algorithm"),
    ("14 rsa-sha1", lambda: params('{key_id},algorithm="rsa-sha1",{headers},{signature}', sha=SHA1()), "algorithm"),
    ("15 none", lambda: params('{key_id},algorithm="none",{headers},{signature}'), "algorithm"),
    ("15 empty", lambda: params('{key_id},algorithm="",{headers},{signature}'), "algorithm"),
    ("16 hs2019", lambda: params('{key_id},algorithm="hs2019",{headers},{signature}'), ACCEPTED),
    ("16 hs2019, SHA-512", lambda: params('{key_id},algorithm="hs2019",{headers},{signature}', sha=SHA512()), ACCEPTED),
    ("16 rsa-sha512", lambda: params('{key_id},algorithm="rsa-sha512",{headers},{signature}', sha=SHA512()), ACCEPTED),
    ("16 rsa-sha256, SHA-512", lambda: make(sha=SHA512()), "wrong_signature"),
    ("17 algorithm omitted", lambda: params("{key_id},{headers},{signature}"), ACCEPTED),
    ("18 ed25519 with an RSA key", lambda: params('{key_id},algorithm="ed25519",{headers},{signature}'), "algorithm"),
    ("19 headers omitted", lambda: params("{key_id},{signature}"), "missing_component"),
    ("19 headers omitted, created", lambda: params(f"{{key_id}},created={SECOND},{{signature}}"), "missing_component"),
    ("20 headers empty", lambda: header(f'{K},headers="",{S}'), "bad_signature_header"),
    ("21 target not signed", lambda: make(names=("host", "date", "digest")), "missing_component"),
    ("22 host not signed", lambda: make(names=("(request-target)", "date", "digest")), "missing_component"),
    ("23 digest not signed", lambda: resent(make(names=GET_NAMES), body=b"{}"), "no_digest"),
    ("24 no date signed", lambda: make(names=("(request-target)", "host", "digest")), "no_date"),
    ("25 (created), rsa-sha256", lambda: created(f'algorithm="rsa-sha256",created={SECOND}'), ACCEPTED),
    ("25 (created), hs2019", lambda: created(f'algorithm="hs2019",created={SECOND}'), ACCEPTED),
    ("25 (created) and stale date", lambda: make(
        names=(*CREATED, "date"), headers=headers(date=format_http_date(NOW_MS - 3_600_000)),
        values={"(created)": SECOND}, params=f"{{key_id}},created={SECOND},{{headers}},{{signature}}"), "stale"),
    ("26 created missing", lambda: created('algorithm="hs2019"'), "missing_component"),
    ("27 created is text", lambda: created("created=now"), "bad_signature_header"),
    ("27 created is quoted", lambda: created(f'created="{SECOND}"'), "bad_signature_header"),
    ("27 created is a float", lambda: created(f"created={SECOND}.5"), "bad_signature_header"),
    ("27 created is negative", lambda: created("created=-1"), "bad_signature_header"),
    ("27 created has 20 digits", lambda: created("created=" + "9" * 20), "bad_signature_header"),
    ("27 created is empty", lambda: created("created="), "bad_signature_header"),
    ("28 created in an hour", lambda: created(f"created={SECOND + 3600}", SECOND + 3600), "stale"),
    ("28 created an hour ago", lambda: created(f"created={SECOND - 3600}", SECOND - 3600), "stale"),
    ("29 expired", lambda: params(f"{{key_id}},expires={SECOND - 1},{{headers}},{{signature}}"), "stale"),
    ("29 expires later", lambda: params(f"{{key_id}},expires={SECOND + 60},{{headers}},{{signature}}"), ACCEPTED),
    ("29 expires signed", lambda: params(
        f"{{key_id}},expires={SECOND + 60},{{headers}},{{signature}}", names=(*POST_NAMES, "(expires)"),
        values={"(expires)": SECOND + 60}), ACCEPTED),
    ("29 expires signed, missing", lambda: make(names=(*POST_NAMES, "(expires)")), "missing_component"),
    ("30 date of 2015", lambda: make(headers=headers(date="Sun, 22 Nov 2015 05:38:19 GMT")), "stale"),
    ("31 date unreadable", lambda: make(headers=headers(date="yesterday")), "bad_date"),
    ("31 date empty", lambda: make(headers=headers(date="")), "bad_date"),
    ("31 date missing", lambda: make(headers=base_headers()[::2]), "missing_component"),
    ("32 date in RFC 850 form", lambda: make(headers=headers(date="Friday, 15-Jan-27 08:00:00 GMT")), "bad_date"),
    ("33 signed header absent", lambda: make(names=(*POST_NAMES, "x-other")), "missing_component"),
    ("34 header signed twice", lambda: make(names=(*POST_NAMES, "host")), "bad_signature_header"),
    ("34 in another case", lambda: make(names=(*POST_NAMES, "Host")), "bad_signature_header"),
    ("34 two spaces", lambda: header(f'{K},headers="(request-target)  host",{S}'), "bad_signature_header"),
    ("34 unknown pseudo-header", lambda: make(names=(*POST_NAMES, "(status)")), "bad_signature_header"),
    ("35 upper case", lambda: make(names=tuple(name.upper() for name in POST_NAMES)), ACCEPTED),
    ("36 signed header sent twice", lambda: make(
        headers=[*base_headers(), ("X-A", "1"), ("x-a", " 2 ")], names=(*POST_NAMES, "x-a"),
        values={"x-a": "1, 2"}), ACCEPTED),
    ("36 date sent twice", lambda: make(headers=[*base_headers(), base_headers()[1]]), "bad_date"),
    ("36 host sent twice", lambda: make(headers=[*base_headers(), base_headers()[0]]), "host_mismatch"),
    ("37 GET replayed on POST", lambda: resent(
        make(method="GET", names=GET_NAMES, headers=base_headers(b""), body=b""), method="POST"), "no_digest"),
    ("37 with digest", lambda: resent(make(method="GET", headers=base_headers(b""), body=b""), method="POST"),
     "wrong_signature"),
    ("38 other path", lambda: resent(make(), path="/accounts/peertube/inbox"), "wrong_signature"),
    ("39 query added on POST", lambda: resent(make(), path="/inbox?x"), "wrong_signature"),
    ("39 query signed on POST", lambda: make(path="/inbox?x"), ACCEPTED),
    ("39 query taken from POST", lambda: resent(make(path="/inbox?x"), path="/inbox"), "wrong_signature"),
    ("39 GET signed with query", lambda: make(method="GET", path="/w?p=1", names=GET_NAMES, body=b""), ACCEPTED),
    ("39 GET signed without", lambda: resent(make(method="GET", path="/w", names=GET_NAMES, body=b""), path="/w?p=1"),
     ACCEPTED),
    ("39 query taken from GET", lambda: resent(make(method="GET", path="/w?p=1", names=GET_NAMES, body=b""), path="/w"),
     "wrong_signature"),
    ("40 for another host", lambda: make(headers=headers(host="other.example")), "host_mismatch"),
    ("40 host rewritten", lambda: with_host(make(headers=headers(host="other.example")), HOST), "wrong_signature"),
    ("40 host with path", lambda: make(headers=headers(host=f"{HOST}/x")), "host_mismatch"),
    ("40 other port", lambda: make(headers=headers(host=f"{HOST}:8443")), "host_mismatch"),
    ("40 default port", lambda: make(headers=headers(host=f"{HOST.upper()}:443")), ACCEPTED),
    ("40 host empty", lambda: make(headers=headers(host="")), "host_mismatch"),
    ("41 X-Forwarded-Host lies", lambda: make(
        headers=[*headers(host="other.example"), ("X-Forwarded-Host", HOST)]), "host_mismatch"),
    ("42 twice is verified twice", make, ACCEPTED),
    ("44 sent to another inbox", lambda: resent(make(path="/inbox"), path="/accounts/peertube/inbox"),
     "wrong_signature"),
    ("45 digest missing", lambda: make(headers=base_headers()[:2]), "no_digest"),
    ("46 digest of another body", lambda: resent(make(), body=b"{}"), "bad_digest"),
    ("47 MD5 only", lambda: make(headers=headers(digest="MD5=AAAAAAAAAAAAAAAAAAAAAA==")), "bad_digest"),
    ("47 SHA only", lambda: make(headers=headers(digest="SHA=AAAAAAAAAAAAAAAAAAAAAAAAAAA=")), "bad_digest"),
    ("48 lower case", lambda: make(headers=headers(digest=sha256_digest(BODY).replace("SHA", "sha"))), ACCEPTED),
    ("49 two digests", lambda: make(headers=headers(digest=f"MD5=AAAA, {sha256_digest(BODY)}")), ACCEPTED),
    ("50 digest folded", lambda: make(headers=headers(digest=f"{sha256_digest(BODY)}\r\n AA==")), "bad_digest"),
    ("50 spaces inside", lambda: make(headers=headers(digest=sha256_digest(BODY).replace("=", "= ", 1))), "bad_digest"),
    ("51 not 32 bytes", lambda: make(headers=headers(digest="SHA-256=AAAA")), "bad_digest"),
    ("52 empty body, right digest", lambda: make(headers=base_headers(b""), body=b""), ACCEPTED),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_bad_signatures(request_: Request, expected: str) -> None:
    assert outcome(request_()) == expected


@pytest.mark.parametrize("name", ["ed25519", "hs2019", None])
def test_18_an_ed25519_key_signs_by_its_own_names(name: str | None) -> None:
    algorithm = "" if name is None else f'algorithm="{name}",'
    request = params(f"{{key_id}},{algorithm}{{headers}},{{signature}}", key=ed25519_key())
    assert outcome(request, remote_key(ed25519_key())) == ACCEPTED
    assert outcome(resent(request, path="/x"), remote_key(ed25519_key())) == "wrong_signature"


@pytest.mark.parametrize("name", ["rsa-sha256", "hmac-sha256", "none"])
def test_18_an_ed25519_key_signs_by_no_other(name: str) -> None:
    request = params(f'{{key_id}},algorithm="{name}",{{headers}},{{signature}}', key=ed25519_key())
    assert outcome(request, remote_key(ed25519_key())) == "algorithm"


def test_86_a_short_key_is_refused_even_if_it_is_in_the_cache() -> None:
    assert outcome(make(key=rsa_key(1024)), remote_key(rsa_key(1024))) == "weak_key"


def test_82_the_key_at_hand_must_be_the_one_named() -> None:
    assert outcome(make(), remote_key(key_id="https://peer.example/accounts/other#main-key")) == "key_owner"
    assert outcome(make(), remote_key(key_id="https://peer.example/accounts/peertube")) == ACCEPTED


@pytest.mark.parametrize("wrap", ["Signature {}", "signature {}", " {} "])
def test_a_signature_may_be_introduced_by_its_scheme(wrap: str) -> None:
    request = make()
    *rest, (_, value) = request.headers
    assert outcome(resent(request, headers=[*rest, ("Signature", wrap.format(value))])) == ACCEPTED


def test_a_signature_may_be_an_authorization() -> None:
    request = make()
    *rest, (_, value) = request.headers
    assert outcome(resent(request, headers=[*rest, ("authorization", f"Signature {value}")])) == ACCEPTED
    bearer = [*request.headers, ("Authorization", "Bearer x")]
    assert outcome(resent(request, headers=bearer)) == ACCEPTED


def test_a_get_with_a_body_needs_its_digest_signed() -> None:
    assert outcome(make(method="GET", names=GET_NAMES)) == "no_digest"
    assert outcome(make(method="GET")) == ACCEPTED
