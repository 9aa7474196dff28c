"""``fediviews sigtool`` as a program: text in, text and status out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from support.recorded import load_exchange

from federation.signatures.model import SignedRequest
from service.sigtool.text import UnreadableError, parse_request, render_request

VECTORS = Path(__file__).parents[1] / "fixtures" / "rfc9421"
PEERTUBE = Path(__file__).parents[1] / "fixtures" / "peertube-6.3" / "actors"
KEY_ID = "https://peer.example/accounts/peertube#main-key"
NOW = "2027-01-15T08:00:00Z"
REQUEST = 'POST /inbox?a=b HTTP/1.1\r\nHost: Tube.example\r\nX-Odd: a\r\nx-odd:  b \r\n\r\n{"type":"View"}'


def sigtool(*arguments: object, given: str | bytes = REQUEST) -> tuple[int, str, str]:
    raw = given if isinstance(given, bytes) else given.encode()
    program = [sys.executable, "-m", "service.cli", "sigtool", *(str(argument) for argument in arguments)]
    run = subprocess.run(program, input=raw, capture_output=True, check=False, timeout=60)
    return run.returncode, run.stdout.decode(), run.stderr.decode()


@pytest.fixture(params=["rsa", "ed25519"])
def key(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A private key's file; its public half lies beside it as ``.pub``."""
    made = generate_private_key(65537, 2048) if request.param == "rsa" else Ed25519PrivateKey.generate()
    path = tmp_path / "key.pem"
    path.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = made.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    path.with_suffix(".pub").write_bytes(public)
    return path


@pytest.mark.parametrize("scheme", ["cavage", "rfc9421"])
def test_what_it_signs_it_verifies_and_shows(scheme: str, key: Path) -> None:
    options = ("--scheme", scheme, "--key", key, "--key-id", KEY_ID, "--now", NOW)
    status, signed, errors = sigtool("sign", *options)
    assert (status, errors) == (0, "")
    assert signed.startswith("POST /inbox?a=b HTTP/1.1\r\nHost: Tube.example\r\n")
    assert signed.endswith('\r\n\r\n{"type":"View"}')
    good = f"verified scheme={scheme} key={KEY_ID} signed=2027-01-15T08:00:00.000Z\n"
    for file in (key, key.with_suffix(".pub")):
        assert sigtool("verify", "--key", file, "--now", "1800000010", given=signed) == (0, good, "")
    status, said, _ = sigtool("verify", "--key", key, "--now", NOW, given=signed.replace("/inbox", "/other"))
    assert (status, said.split(":")[0]) == (1, "refused wrong_signature")
    status, said, _ = sigtool("verify", "--key", key, "--now", "2027-01-15T09:00:00Z", given=signed)
    assert (status, said.split(":")[0]) == (1, "refused stale")
    status, text, _ = sigtool("canonicalize", given=signed)
    assert status == 0
    assert sigtool("canonicalize", *options, given=REQUEST) == (0, text, "")
    assert ("(request-target): post /inbox?a=b" in text) is (scheme == "cavage")
    assert ('"@target-uri": https://tube.example/inbox?a=b' in text) is (scheme == "rfc9421")


def test_any_list_of_names_can_be_signed(key: Path) -> None:
    covers = ("--covers", "(request-target) host (created) digest x-odd")
    status, signed, _ = sigtool("sign", "--key", key, "--key-id", KEY_ID, "--now", NOW, *covers)
    assert status == 0
    assert "created=1800000000," in signed
    assert "Date" not in signed
    assert sigtool("canonicalize", given=signed)[1].endswith("\nx-odd: a, b")
    assert sigtool("verify", "--key", key, "--now", NOW, given=signed)[0] == 0


def test_peertubes_requests(tmp_path: Path) -> None:
    """What a real PeerTube 6.3 sent."""
    exchange = load_exchange("28-view-viewer-2-to-origin")
    raw = render_request(exchange.request)
    pem = next(PEERTUBE.glob("9002_accounts_peertube.pub.pem"))
    now = str(exchange.date_ms // 1000)
    origin = f"http://{exchange.header('host')}"
    status, said, _ = sigtool("verify", "--key", pem, "--now", now, "--origin", origin, given=raw)
    assert (status, said.split(" ")[0]) == (0, "verified")
    assert sigtool("canonicalize", "--origin", origin, given=raw)[1].startswith("(request-target): post ")


def test_a_published_signature_is_made_letter_by_letter() -> None:
    """RFC 9421, appendix B.2.6."""
    found = json.loads((VECTORS / "vectors.json").read_text())
    vector = next(vector for vector in found["signatures"] if vector["section"] == "B.2.6")
    request = found["request"]
    lines = [f"POST {request['target']} HTTP/1.1", *(f"{name}: {value}" for name, value in request["headers"])]
    status, signed, _ = sigtool(
        "sign", "--scheme", "rfc9421", "--key", VECTORS / "test-key-ed25519.private.pem", "--now", "1618884473",
        "--key-id", "test-key-ed25519", "--no-algorithm",
        "--covers", "date @method @path @authority content-type content-length",
        given="\r\n".join([*lines, "", request["body"]]),
    )  # fmt: skip
    assert status == 0
    assert f"Signature: {vector['signature'].replace('sig-b26', 'sig1')}\r\n" in signed
    assert f"Signature-Input: {vector['signature_input'].replace('sig-b26', 'sig1')}\r\n" in signed


@pytest.mark.parametrize(
    ("arguments", "given_", "message"),
    [
        (("verify",), REQUEST, "--key is missing"),
        (("verify", "--key", "/no/such.pem"), REQUEST, "cannot be read"),
        (("sign", "--key", VECTORS / "README.md"), REQUEST, "not an unencrypted PEM"),
        (("sign", "--key", VECTORS / "test-key-ed25519.private.pem"), REQUEST, "--key-id is missing"),
        (("canonicalize", "--now", "soon"), REQUEST, "--now"),
        (("canonicalize", "--origin", "tube.example"), REQUEST, "--origin"),
        (("canonicalize", "--covers", "date @path"), REQUEST, "@path cannot be signed"),
        (("canonicalize", "--covers", "date date"), REQUEST, "listed twice"),
        (("canonicalize",), "", "the first line"),
        (("canonicalize",), "POST /inbox HTTP/1.1\n\n", "neither Host"),
        (("canonicalize",), "POST /inbox HTTP/1.1\nHost: a.example\nno header\n\n", "no header line"),
        (("canonicalize",), "POST / HTTP/1.1\nHost: a.example\nContent-Length: 9\n\nx", "Content-Length"),
    ],
)
def test_what_cannot_be_used_is_said(arguments: tuple[object, ...], given_: str, message: str) -> None:
    status, said, errors = sigtool(*arguments, given=given_)
    assert (status, said) == (2, "")
    assert errors.startswith("sigtool: ")
    assert message in errors


def test_what_is_refused_is_said_with_its_reason() -> None:
    assert sigtool("canonicalize", given="GET / HTTP/1.1\nHost: a.example\nSignature: x\n\n")[:2] == (
        1,
        "refused bad_signature_header: the Signature header cannot be used: a parameter has no value\n",
    )
    status, said, _ = sigtool("canonicalize", "--covers", "x-not-there")
    assert (status, said) == (1, "refused missing_component: signed, but not in the request: x-not-there\n")


def test_a_body_is_as_long_as_it_says() -> None:
    head = "POST /inbox HTTP/1.1\nHost: a.example\n"
    assert parse_request(f"{head}Content-Length: 2\n\n{{}}\n".encode()).body == b"{}"
    assert parse_request(f"{head}\n{{}}\n".encode()).body == b"{}\n"


@given(st.binary(max_size=300))
def test_any_bytes_are_a_request_or_refused(raw: bytes) -> None:
    try:
        request = parse_request(raw)
    except UnreadableError:
        return
    assert isinstance(request, SignedRequest)
    again = parse_request(render_request(request))
    assert (again.method, again.path, again.headers) == (request.method, request.path, request.headers)
