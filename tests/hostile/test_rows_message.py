"""Rows 1 to 51 again, as far as they have a twin in HTTP Message Signatures (RFC 9421)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.hashes import SHA512
from hostile.peer import SIGNED as CAVAGE
from hostile.peer import public_pem
from hostile.scene import Build, Scene
from hostile.table import ACCEPTED, ONE_VIEWER, Row, check, rows
from support.message_signatures import INPUT, SIGNED, content_digest
from support.wire import Answer

HOUR_S = 3_600
RANDOM = base64.b64encode(bytes(range(256))).decode()
Act = Callable[[Scene], Awaitable[Answer]]


def says(**tampering: Any) -> Act:
    return lambda scene: scene.raw(scene.peer.message(scene.inbox, scene.view(), **tampering))


def signature(reason: str, id_: str, fetches: int = 0, **tampering: Any) -> Row:
    return Row(id_, (401, reason), says(**tampering), fetches)


def unreadable(id_: str, **tampering: Any) -> Row:
    return signature("bad_signature_header", id_, **tampering)


def accepted(id_: str, **tampering: Any) -> Row:
    return Row(id_, ACCEPTED, says(**tampering), 1, ONE_VIEWER)


def digest(make: Callable[[bytes], str]) -> Act:
    """A viewer whose (signed) Content-Digest is made of its body by ``make``."""

    def act(scene: Scene) -> Any:
        body = json.dumps(scene.view()).encode()
        return scene.raw(scene.peer.message(scene.inbox, body, headers={"Content-Digest": make(body)}))

    return act


def wrong_digest(id_: str, make: Callable[[bytes], str]) -> Row:
    return Row(id_, (401, "bad_digest"), digest(make))


def created(id_: str, ago_s: int) -> Row:
    def act(scene: Scene) -> Any:
        return says(created_s=scene.clock.now_ms() // 1000 - ago_s)(scene)

    return Row(id_, (401, "stale"), act)


def forged_by_hmac(scene: Scene) -> Any:
    pem = public_pem(scene.peer.key).encode()
    return says(alg="hmac-sha256", sign=lambda text: hmac.new(pem, text, hashlib.sha256).digest())(scene)


def by_pss(scene: Scene) -> Any:
    padding = PSS(MGF1(SHA512()), salt_length=64)
    return says(alg="rsa-pss-sha512", sign=lambda text: scene.peer.key.sign(text, padding, SHA512()))(scene)


def expired(scene: Scene) -> Any:
    then_s = scene.clock.now_ms() // 1000 - 1
    return says(signature_input=INPUT.replace("{created}", f"{{created}};expires={then_s}"))(scene)


def both_schemes(scene: Scene) -> Any:
    """A good signature of the draft, and a ``Signature-Input`` that says nothing."""
    return scene.say(extra=[("Signature-Input", 'sig1=("@method");created=1')], names=CAVAGE)


def twice(activity: str) -> Act:
    async def act(scene: Scene) -> Answer:
        said = scene.view() if activity == "viewer" else scene.view("counted", life_ms=None)
        request = scene.peer.message(scene.inbox, said)
        assert (await scene.raw(request)).status == 204
        return await scene.raw(request)

    return act


async def to_another_inbox(scene: Scene) -> Answer:
    request = scene.peer.message(scene.inbox, scene.view())
    assert (await scene.raw(request)).status == 204
    return await scene.raw(request.replace(b"POST /inbox ", b"POST /accounts/peertube/inbox ", 1))


@rows(
    accepted("000-message-as-it-should-be"),
    unreadable("001-message-without-signature", sent={"Signature": None}),
    signature("no_signature", "001-message-neither", sent={"Signature": None, "Signature-Input": None}),
    unreadable("001-message-without-input", sent={"Signature-Input": None}),
    unreadable("002-message-empty", signature_input="", signature=""),
    unreadable("003-message-asdf", signature_input="asdf", signature="asdf"),
    unreadable("004-message-no-key-id", signature_input=INPUT.replace(";{key_id}", "")),
    unreadable("005-message-another-label", signature="sig2=:{signature}:"),
    unreadable("006-message-not-base64", signature="sig1=:!!!!:"),
    signature("wrong_signature", "007-message-random", 1, signature=f"sig1=:{RANDOM}:"),
    unreadable("008-message-key-id-twice", signature_input=INPUT + ";{key_id}"),
    unreadable("010-message-two-signatures", extra=[("Signature-Input", "b=()"), ("Signature", "b=:AAAA:")]),
    Row("010-message-and-draft", (401, "bad_signature_header"), both_schemes),
    unreadable("011-message-bomb", signature_input=",=" * 4_000),
    unreadable("011-message-bomb-of-lists", signature_input="a=(" * 2_600),
    unreadable("012-message-unterminated-quote", signature_input='sig1=("@method'),
    Row("013-message-hmac-with-the-public-key", (401, "algorithm"), forged_by_hmac, 1),
    signature("algorithm", "014-message-rsa-sha1", 1, alg="rsa-sha1"),
    signature("algorithm", "015-message-none", 1, alg="none"),
    Row("016-message-rsa-pss", ACCEPTED, by_pss, 1, ONE_VIEWER),
    accepted("017-message-alg-omitted", signature_input=INPUT.replace(";{alg}", "")),
    signature("algorithm", "018-message-ed25519-with-an-rsa-key", 1, alg="ed25519"),
    signature("missing_component", "020-message-empty-list", names=()),
    signature("missing_component", "021-message-method-not-signed", names=SIGNED[1:]),
    signature("missing_component", "022-message-target-not-signed", names=("@method", "content-digest")),
    signature("no_digest", "023-message-digest-not-signed", names=SIGNED[:2], body_sent=b'{"type":"Delete"}'),
    signature("no_date", "024-message-no-created", signature_input=INPUT.replace(";{created}", "")),
    unreadable("027-message-created-a-float", created_s="1800000000.5"),
    unreadable("027-message-created-20-digits", created_s="9" * 20),
    created("028-message-created-in-an-hour", -HOUR_S),
    created("028-message-created-an-hour-ago", HOUR_S),
    Row("029-message-expired", (401, "stale"), expired),
    signature("missing_component", "033-message-signed-header-not-there", names=(*SIGNED, "x-not-there")),
    unreadable("034-message-component-twice", names=(*SIGNED, "@method")),
    unreadable("035-message-upper-case", names=(*SIGNED, "Date")),
    signature("wrong_signature", "037-message-signed-as-get", 1, values={"@method": "GET"}),
    signature("wrong_signature", "038-message-other-path", 1, target="/accounts/peertube/inbox"),
    signature("wrong_signature", "039-message-query-added", 1, target="/inbox?x=1"),
    signature("wrong_signature", "040-message-for-another-host", 1, signed_url="https://other.example/inbox"),
    signature("host_mismatch", "040-message-to-another-host", headers={"Host": "other.example"}),
    signature(
        "host_mismatch",
        "041-message-forwarded-host-lies",
        headers={"Host": "other.example", "X-Forwarded-Host": "127.0.0.1"},
    ),
    Row("042-message-the-same-viewer-twice", ACCEPTED, twice("viewer"), 1, ONE_VIEWER),
    Row("042-message-the-same-view-twice", (202, "duplicate"), twice("view"), 1, {"our_views": 1}),
    Row("044-message-to-another-inbox", (401, "wrong_signature"), to_another_inbox, 2, ONE_VIEWER),
    signature("no_digest", "045-message-content-digest-missing", headers={"Content-Digest": None}),
    signature("bad_digest", "046-message-digest-of-another-body", body_sent=b"{}"),
    wrong_digest("047-message-md5-only", lambda body: "md5=:AAAA:"),
    wrong_digest("047-message-as-the-draft-writes-it", lambda body: "SHA-256=AAAA"),
    Row(
        "049-message-sha-512",
        ACCEPTED,
        digest(lambda body: content_digest(body, "sha-512")),
        1,
        ONE_VIEWER,
    ),
    wrong_digest("049-message-one-right-one-wrong", lambda b: f"{content_digest(b)}, {content_digest(b'', 'sha-512')}"),
    wrong_digest("051-message-not-32-bytes", lambda body: "sha-256=:AAAA:"),
)
async def test_row(row: Row, build: Build) -> None:
    await check(await build(**row.federation), row)
