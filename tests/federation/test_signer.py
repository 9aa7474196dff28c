"""What we sign is judged by our verifier and by stock httpsig, which serves as nothing but this second opinion."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from handmade import BODY, HOST, KEY_ID, NOW_MS, POST_NAMES, PROFILE, base_headers, remote_key, rsa_key
from hypothesis import given
from hypothesis import strategies as st

from federation.signatures.cavage import SignatureParams, parse_signature
from federation.signatures.signer import Signer
from federation.signatures.verifier import SignedRequest, Verified, check, inspect
from foundation.clock import ManualClock
from foundation.errors import Refused

PUBLIC_PEM = rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
PRIVATE_PEM = rsa_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def reason(request: SignedRequest) -> str:
    inspected = inspect(request, PROFILE, NOW_MS)
    verdict = inspected if isinstance(inspected, Refused) else check(inspected, remote_key())
    return verdict.reason if isinstance(verdict, Refused) else "verified"


def by_httpsig(method: str, path: str, headers: dict[str, str], names: tuple[str, ...]) -> bool:
    from httpsig.verify import HeaderVerifier

    return bool(
        HeaderVerifier(
            headers, PUBLIC_PEM, required_headers=list(names), method=method, path=path, sign_header="signature"
        ).verify()
    )


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("path", ["/inbox", "/w/a?page=1&x=%41", "/"])
def test_both_verifiers_agree_with_what_we_sign(method: str, path: str) -> None:
    body = BODY if method == "POST" else b""
    headers = Signer(KEY_ID, rsa_key()).sign_headers(method, f"https://{HOST}{path}", body, NOW_MS)
    names = POST_NAMES if body else POST_NAMES[:3]
    assert set(headers) == {"Host", "Date", "Signature"} | ({"Digest"} if body else set())
    assert headers["Host"] == HOST
    assert reason(SignedRequest(method, path, list(headers.items()), body)) == "verified"
    assert by_httpsig(method, path, headers, names)
    assert not by_httpsig(method, path + "x", headers, names)
    params = parse_signature(headers["Signature"])
    assert isinstance(params, SignatureParams)
    assert (params.key_id, params.algorithm, params.headers) == (KEY_ID, "rsa-sha256", names)


def test_what_httpsig_signs_verifies_here() -> None:
    from httpsig.sign import HeaderSigner

    signer = HeaderSigner(KEY_ID, PRIVATE_PEM, "rsa-sha256", list(POST_NAMES), "signature")
    signed = signer.sign(dict(base_headers()), method="POST", path="/inbox")
    assert reason(SignedRequest("POST", "/inbox", list(signed.items()), BODY)) == "verified"


def test_the_shared_secret_attack_fools_httpsig_and_not_us() -> None:
    from httpsig.sign import HeaderSigner

    signer = HeaderSigner(KEY_ID, PUBLIC_PEM, "hmac-sha256", list(POST_NAMES), "signature")
    forged = dict(signer.sign(dict(base_headers()), method="POST", path="/inbox"))
    assert by_httpsig("POST", "/inbox", forged, POST_NAMES)
    assert reason(SignedRequest("POST", "/inbox", list(forged.items()), BODY)) == "algorithm"


def test_a_percent_sign_in_a_key_id_survives() -> None:
    key_id = "https://peer.example/a%41b%s#main-key"
    headers = Signer(key_id, rsa_key()).sign_headers("GET", f"https://{HOST}/", b"", NOW_MS)
    params = parse_signature(headers["Signature"])
    assert isinstance(params, SignatureParams)
    assert params.key_id == key_id


def test_host_and_target_are_those_that_go_on_the_wire() -> None:
    headers = Signer(KEY_ID, rsa_key()).sign_headers("POST", f"HTTPS://{HOST.upper()}:443/é#top", BODY, NOW_MS)
    assert headers["Host"] == HOST
    assert reason(SignedRequest("POST", "/%C3%A9", list(headers.items()), BODY)) == "verified"
    with pytest.raises(ValueError, match="cannot sign"):
        Signer(KEY_ID, rsa_key()).sign_headers("POST", "ftp://a.example/", BODY, NOW_MS)


def test_a_post_without_a_body_has_a_digest() -> None:
    headers = Signer(KEY_ID, rsa_key()).sign_headers("POST", f"https://{HOST}/inbox", b"", NOW_MS)
    assert reason(SignedRequest("POST", "/inbox", list(headers.items()), b"")) == "verified"


def test_time_comes_from_the_clock() -> None:
    clock = ManualClock(NOW_MS)
    sign = Signer(KEY_ID, rsa_key()).at(clock)
    assert sign("GET", f"https://{HOST}/", b"")["Date"] == "Fri, 15 Jan 2027 08:00:00 GMT"
    clock.advance(61_000)
    assert sign("GET", f"https://{HOST}/", b"")["Date"] == "Fri, 15 Jan 2027 08:01:01 GMT"


def test_threads_may_share_a_signer() -> None:
    signer = Signer(KEY_ID, rsa_key())
    bodies = [str(number).encode() for number in range(40)]
    with ThreadPoolExecutor(2) as pool:
        signed = pool.map(lambda body: signer.sign_headers("POST", f"https://{HOST}/inbox", body, NOW_MS), bodies)
        for body, headers in zip(bodies, signed, strict=True):
            assert reason(SignedRequest("POST", "/inbox", list(headers.items()), body)) == "verified"


@given(
    st.binary(max_size=200),
    st.text("abcdefghij/-._~%0123456789", max_size=40),
    st.text("ab=&1/", max_size=10),
    st.sampled_from(["POST", "GET", "PUT"]),
)
def test_what_is_signed_verifies(body: bytes, path: str, query: str, method: str) -> None:
    target = f"/{path}?{query}" if query else f"/{path}"
    headers = Signer(KEY_ID, rsa_key()).sign_headers(method, f"https://{HOST}{target}", body, NOW_MS)
    request = SignedRequest(method, target, list(headers.items()), body)
    inspected = inspect(request, PROFILE, NOW_MS)
    assert not isinstance(inspected, Refused)
    assert isinstance(check(inspected, remote_key()), Verified)


def test_httpsig_is_imported_by_nobody_until_somebody_signs() -> None:
    program = (
        "import sys, federation.keys, federation.signatures.verifier as v, federation.signatures.signer as s;"
        "assert 'httpsig' not in sys.modules and 'aiohttp' not in sys.modules;"
        "from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as g;"
        "s.Signer('https://a.example/a#main-key', g(65537, 2048));"
        "assert 'httpsig' in sys.modules"
    )
    run = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
