"""What strangers (and administrators) can put into the parsers, and what has to hold whatever it is.

A target takes bytes and raises for a bug only. ``test_corpus.py`` replays the kept inputs and tries a few made by
hypothesis; ``run.py`` looks for new ones with the coverage of atheris.
"""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, generate_private_key

from federation.actors import ActorDocument, read_actor
from federation.keys import RemoteKey, load_public_key
from federation.multikey import decode_multikey
from federation.signatures.cavage import SignatureParams, parse_signature
from federation.signatures.digest import check_content_digest, check_digest, content_digest, sha256_digest
from federation.signatures.rfc9421 import MessageSignature, parse_message_signature
from federation.signatures.verifier import Inspected, Profile, SignedRequest, check, inspect
from federation.vocabulary import parse_activity
from federation.vocabulary.parse import parse_strictly
from foundation.errors import ConfigError, Refused
from foundation.httpdate import format_http_date
from service.config import Config, load_config
from service.sigtool.text import UnreadableError, parse_request, render_request
from views.routes.page_body import PageReport, parse_page_report
from views.routes.report_body import Report, parse_report
from views.sections import MAX_POSITION_S

NOW_MS = 1_800_000_000_000
HOST = "tube.example"
PROFILE = Profile(frozenset({HOST}))
MAX_TEXT = 2_000


@functools.cache
def _key() -> RSAPublicKey:
    return generate_private_key(65537, 2048).public_key()


def cavage(data: bytes) -> None:
    """Lines: ``Signature``, ``Digest``, ``Date``; then the body."""
    signature, digest, date, body = _parts(data, 3)
    parsed = parse_signature(signature)
    assert isinstance(parsed, SignatureParams | Refused)
    check_digest(digest, body)
    _judged([("Host", HOST), ("Date", format_http_date(NOW_MS)), ("Digest", sha256_digest(body))], signature, body)
    _judged([("Host", HOST), ("Date", date), ("Digest", digest), ("host", date)], signature, body)


def rfc9421(data: bytes) -> None:
    """Lines: ``Signature-Input``, ``Signature``, ``Content-Digest``; then the body."""
    described, signature, digest, body = _parts(data, 3)
    fields = [("Signature-Input", described), ("Host", HOST), ("Date", format_http_date(NOW_MS))]
    parsed = parse_message_signature([*fields, ("Signature", signature)])
    assert isinstance(parsed, MessageSignature | Refused)
    check_content_digest(digest, body)
    for field in (content_digest(body), digest):
        _judged([*fields, ("Content-Digest", field)], signature, body)


def _judged(headers: list[tuple[str, str]], signature: str, body: bytes) -> None:
    """Nobody has the key, so nothing verifies."""
    request = SignedRequest("POST", "/inbox?a=b", [*headers, ("Signature", signature)], body)
    inspected = inspect(request, PROFILE, NOW_MS)
    if isinstance(inspected, Inspected):
        assert abs(inspected.signed_date_ms - NOW_MS) <= PROFILE.clock_skew_ms
        verdict = check(inspected, RemoteKey(inspected.key_id, "https://peer.example/a", "peer.example", _key()))
        assert isinstance(verdict, Refused)
        inspected = verdict
    assert (inspected.status, len(inspected.detail) < MAX_TEXT) == (401, True)


def activity(data: bytes) -> None:
    """The short cut says what the strict reader says."""
    quick = parse_activity(data, max_items=5, max_count=1_000)
    strict = parse_strictly(data, max_items=5, max_count=1_000)
    assert quick == strict, (quick, strict)
    if isinstance(quick, Refused):
        assert quick.status in (202, 400)
        assert len(quick.detail) < MAX_TEXT


def actor(data: bytes) -> None:
    """A fetched actor, its keys included."""
    try:
        members: Any = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    found = read_actor(members) if isinstance(members, dict) else None
    if isinstance(found, ActorDocument):
        load_public_key(found.public_key_pem)
        for _, text in found.multikeys:
            decode_multikey(text)


def config(data: bytes) -> None:
    """Either a configuration, or one error in one line that names no secret."""
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=_memory()) as directory:
        path = Path(directory) / "config.yaml"
        path.write_bytes(data)
        said = ""
        try:
            assert isinstance(load_config(path, {}), Config)
        except ConfigError as problem:
            said = str(problem)
        assert said.isprintable(), repr(said)
        assert len(said) < MAX_TEXT, len(said)


@functools.cache
def _memory() -> str | None:
    """Where files are not written to a disk, on Linux."""
    shm = Path("/dev/shm")
    return str(shm) if shm.is_dir() else None


def heartbeat(data: bytes) -> None:
    """Reports of players and of pages."""
    report = parse_report(data)
    if isinstance(report, Report):
        assert 0 <= report.position_s <= MAX_POSITION_S
        for text in (report.session_id, report.client, report.operating_system, report.device, report.viewer_token):
            assert text is None or (type(text) is str and 0 < len(text) < MAX_TEXT)
    page = parse_page_report(data)
    if isinstance(page, PageReport):
        for value in msgspec.structs.astuple(page):
            assert not isinstance(value, str) or len(value) < 10_000


def request(data: bytes) -> None:
    """What ``fediviews sigtool`` reads."""
    with contextlib.suppress(UnreadableError):
        read = parse_request(data)
        assert parse_request(render_request(read)).headers == read.headers


def _parts(data: bytes, lines: int) -> tuple[str, str, str, bytes]:
    *texts, body = [*data.split(b"\n", lines), *[b""] * lines][: lines + 1]
    first, second, third = (text.decode("utf-8", "surrogateescape") for text in texts)
    return first, second, third, body


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (cavage, rfc9421, activity, actor, config, heartbeat, request)
}
