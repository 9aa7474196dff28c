"""Rows 45 to 68: what can be wrong with a digest, a body, and the way it arrives."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import json
from collections.abc import Callable
from typing import Any

from hostile.peer import ACTIVITY_JSON, SIGNED
from hostile.scene import BODY_LIMIT, Build, Scene
from hostile.table import ACCEPTED, ONE_VIEWER, Act, Row, check, rows
from support.wire import Answer, raw_request

from federation.signatures.digest import sha256_digest


def _hash(name: str, body: bytes) -> str:
    return base64.b64encode(hashlib.new(name, body).digest()).decode()


def digest(make: Callable[[bytes], str]) -> Act:
    """A viewer whose (signed) Digest header is made of its body by ``make``."""

    def act(scene: Scene) -> Any:
        body = json.dumps(scene.view()).encode()
        return scene.say(body, headers={"Digest": make(body)})

    return act


def folded(body: bytes) -> str:
    value = sha256_digest(body)
    return value[:20] + "\r\n " + value[20:]


def body(make: Callable[[dict[str, Any]], bytes]) -> Act:
    """A body made of a viewer's by ``make``; everything about its signature is right."""
    return lambda scene: scene.say(make(scene.view()))


def text(old: str, new: str) -> Callable[[dict[str, Any]], bytes]:
    def make(view: dict[str, Any]) -> bytes:
        written = json.dumps(view)
        assert old in written
        return written.replace(old, new, 1).encode("utf-8", "surrogatepass")

    return make


def number(written: str) -> Callable[[dict[str, Any]], bytes]:
    """A total that is written so."""
    counter = '"result": {"type": "InteractionCounter", "interactionType": "WatchAction", "userInteractionCount": %s}'
    return text('"cc": []', '"cc": [], ' + counter % written)


def constant(raw: bytes) -> Act:
    return body(lambda view: raw)


def typed(content_type: str | None) -> Act:
    return lambda scene: scene.say(headers={"Content-Type": content_type})


async def one_byte_too_many(scene: Scene) -> Answer:
    """The length alone is announced; nobody waits for what it announces."""
    headers = [("Host", "127.0.0.1"), ("Content-Type", ACTIVITY_JSON), ("Content-Length", str(BODY_LIMIT + 1))]
    return await scene.raw(raw_request("POST", "/inbox", headers))


def length(step: int) -> Act:
    def act(scene: Scene) -> Any:
        said = json.dumps(scene.view()).encode()
        return scene.say(said, sent={"Content-Length": str(len(said) + step)})

    return act


async def many_chunks(scene: Scene) -> Answer:
    headers = [("Host", "127.0.0.1"), ("Content-Type", ACTIVITY_JSON), ("Transfer-Encoding", "chunked")]
    chunk = b"1\r\n{\r\n"
    return await scene.raw(raw_request("POST", "/inbox", headers), *[chunk * 1_000 for _ in range(100)], b"0\r\n\r\n")


def bomb(scene: Scene) -> Any:
    packed = gzip.compress(b" " * 10_000_000)
    return scene.say(packed, headers={"Content-Encoding": "gzip"})


async def slow(scene: Scene) -> Answer:
    request = scene.peer.request(scene.inbox, scene.view())
    return await scene.raw(request[:-100])


async def crowd(scene: Scene) -> Answer:
    """A thousand connections that say nothing, and one that does."""
    idle = [await asyncio.open_connection("127.0.0.1", scene.port) for _ in range(1_000)]
    try:
        return await scene.say()
    finally:
        for _, writer in idle:
            writer.close()


NO_JSON, NO_NUMBER, NO_SHAPE, NO_DIGEST = (
    (400, "bad_json"),
    (400, "bad_number"),
    (400, "bad_shape"),
    (401, "bad_digest"),
)


@rows(
    Row(
        "045-digest-missing",
        (401, "no_digest"),
        lambda scene: scene.say(headers={"Digest": None}),
    ),
    Row("046-digest-of-another-body", NO_DIGEST, digest(lambda _: sha256_digest(b"another"))),
    Row("047-md5-only", NO_DIGEST, digest(lambda raw: "MD5=" + _hash("md5", raw))),
    Row("047-sha-1-only", NO_DIGEST, digest(lambda raw: "SHA=" + _hash("sha1", raw))),
    Row("048-name-in-lower-case", ACCEPTED, digest(lambda raw: "sha-256=" + _hash("sha256", raw)), 1, ONE_VIEWER),
    Row(
        "049-two-digests-one-right",
        ACCEPTED,
        digest(lambda raw: f"MD5={_hash('md5', b'x')},SHA-256={_hash('sha256', raw)}"),
        1,
        ONE_VIEWER,
    ),
    Row("050-inner-blanks", NO_DIGEST, digest(lambda raw: sha256_digest(raw).replace("=", "= ", 1))),
    # The parser of HTTP refuses obsolete line folding (RFC 9112 section 5.2) before anybody looks.
    Row("050-line-fold", (400, ""), digest(folded)),
    Row("051-not-32-bytes", NO_DIGEST, digest(lambda raw: "SHA-256=" + _hash("sha512", raw))),
    Row("052-empty-body", NO_JSON, constant(b""), 1),
    Row("053-one-byte-too-many", (413, "body_too_large"), one_byte_too_many),
    Row("054-length-too-short", (400, ""), length(-1)),  # the rest is no request
    Row("054-length-too-long", (408, "slow_body"), length(1)),
    Row("055-a-chunk-per-byte", (413, "body_too_large"), many_chunks, listen={"max_body_bytes": 50_000}),
    Row("056-gzip-bomb", (415, "content_encoding"), bomb),
    Row("057-not-utf-8", NO_JSON, body(lambda view: json.dumps(view).encode("utf-16")), 1),
    Row("057-a-broken-character", NO_JSON, body(lambda view: json.dumps(view).encode()[:-2] + b'\xff"}'), 1),
    Row("058-byte-order-mark", NO_JSON, body(lambda view: b"\xef\xbb\xbf" + json.dumps(view).encode()), 1),
    Row("059-nan", NO_NUMBER, body(number("NaN")), 1),
    Row("059-infinity", NO_NUMBER, body(number("Infinity")), 1),
    Row("059-minus-infinity", NO_NUMBER, body(number("-Infinity")), 1),
    Row("059-minus-zero", NO_NUMBER, body(number("-0")), 1),
    Row("059-out-of-range", NO_NUMBER, body(number("1e999")), 1),
    Row("060-an-integer-of-5000-digits", NO_NUMBER, body(number("9" * 5_000)), 1),
    Row("060-a-fraction-of-5000-digits", NO_NUMBER, body(number("0." + "9" * 5_000)), 1),
    Row("061-nested-arrays", (400, "too_deep"), constant(b"[" * 50_000 + b"]" * 50_000), 1),
    Row("061-nested-and-not-closed", (400, "too_deep"), constant(b"[" * 100_000), 1),
    Row("061-nested-objects", (400, "too_deep"), constant(b'{"a":' * 30_000 + b"1" + b"}" * 30_000), 1),
    Row("062-actor-twice", (400, "duplicate_key"), body(text('"type"', '"actor": "https://a.example/a", "type"')), 1),
    Row("062-expires-twice", (400, "duplicate_key"), body(text('"type"', '"expires": "x", "type"')), 1),
    Row("062-twice-by-escape", (400, "duplicate_key"), body(text('"type"', '"\\u0061ctor": "x", "type"')), 1),
    Row("063-lone-surrogate", NO_JSON, body(text('"cc": []', '"cc": ["\\ud800"]')), 1),
    Row("063-encoded-surrogate", NO_JSON, body(text('"cc": []', '"cc": ["\ud800"]')), 1),
    Row("063-nul", NO_JSON, body(text('"cc": []', '"cc": ["\\u0000"]')), 1),
    Row("064-an-array", NO_SHAPE, body(lambda view: json.dumps([view]).encode()), 1),
    Row("064-a-text", NO_SHAPE, constant(b'"View"'), 1),
    Row("064-a-number", NO_SHAPE, constant(b"1"), 1),
    Row("064-null", NO_SHAPE, constant(b"null"), 1),
    Row("064-false", NO_SHAPE, constant(b"false"), 1),
    Row("064-no-json", NO_JSON, constant(b"type=View"), 1),
    Row("065-text", (415, "content_type"), typed("text/plain")),
    Row("065-a-form", (415, "content_type"), typed("application/x-www-form-urlencoded")),
    Row("065-multipart", (415, "content_type"), typed("multipart/form-data; boundary=x")),
    Row("065-none", (415, "content_type"), typed(None)),
    Row("065-nonsense", (415, "content_type"), typed("///;;=")),
    Row("066-ld-json-without-profile", ACCEPTED, typed("application/ld+json"), 1, ONE_VIEWER),
    Row("067-slow-body", (408, "slow_body"), slow),
    Row("068-a-thousand-idle-connections", ACCEPTED, crowd, 1, ONE_VIEWER),
)
async def test_row(row: Row, build: Build) -> None:
    await check(await build(listen=row.listen, **row.federation), row)


async def test_blanks_around_a_header_mean_nothing(build: Build) -> None:
    """Row 50, the part that HTTP itself takes away (RFC 9112 section 5.1) before anybody looks."""
    scene = await build()
    request = scene.peer.request(scene.inbox, scene.view(), names=SIGNED)
    spaced = request.replace(b"Digest: ", b"Digest:  \t", 1)
    assert (await scene.raw(spaced)).status == 204
