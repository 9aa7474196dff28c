"""Rows 1 to 44: what can be wrong with a signature and the request around it."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from hostile.peer import PARAMS, SIGNED, public_pem
from hostile.scene import Build, Scene
from hostile.table import ACCEPTED, ONE_VIEWER, Act, Row, check, rows
from support.wire import Answer, raw_request

from foundation.httpdate import format_http_date

HOUR_S = 3_600
CREATED = ("(request-target)", "host", "(created)", "digest")
RANDOM = base64.b64encode(bytes(range(256))).decode()


def signature(reason: str, id_: str, fetches: int = 0, **tampering: Any) -> Row:
    """Refused for its signature."""
    return Row(id_, (401, reason), lambda scene: scene.say(**tampering), fetches)


def unreadable(id_: str, **tampering: Any) -> Row:
    return signature("bad_signature_header", id_, **tampering)


def accepted(id_: str, **tampering: Any) -> Row:
    return Row(id_, ACCEPTED, lambda scene: scene.say(**tampering), 1, ONE_VIEWER)


def with_params(old: str, new: str) -> str:
    assert old in PARAMS
    return PARAMS.replace(old, new)


def created(scene: Scene, ago_s: int = 0, text: str | None = None) -> dict[str, Any]:
    """Tampering that signs ``(created)`` in place of ``date``."""
    said = str(scene.clock.now_ms() // 1000 - ago_s) if text is None else text
    return {
        "names": CREATED,
        "values": {"(created)": said},
        "params": with_params("{headers}", f"created={said},{{headers}}"),
        "headers": {"Date": None},
    }


def says_created(id_: str, reason: str, ago_s: int = 0, text: str | None = None) -> Row:
    return Row(id_, (401, reason), lambda scene: scene.say(**created(scene, ago_s, text)))


def forged_by_hmac(scene: Scene) -> Any:
    pem = public_pem(scene.peer.key).encode()
    return scene.say(
        params=with_params("rsa-sha256", "hmac-sha256"),
        sign=lambda text: hmac.new(pem, text, hashlib.sha256).digest(),
    )


def expired(scene: Scene) -> Any:
    then_s = scene.clock.now_ms() // 1000 - 1
    return scene.say(params=with_params("{headers}", f"expires={then_s},{{headers}}"))


def dated(text: str) -> dict[str, Any]:
    return {"headers": {"Date": text}}


async def to_another_inbox(scene: Scene) -> Answer:
    """The very bytes that were taken at one inbox, sent to another."""
    request = scene.peer.request(scene.inbox, scene.view())
    assert (await scene.raw(request)).status == 204
    return await scene.raw(request.replace(b"POST /inbox ", b"POST /accounts/peertube/inbox ", 1))


def twice(activity: str) -> Act:
    """The same bytes again: a viewer stays one viewer, a counted view one view."""

    async def act(scene: Scene) -> Answer:
        said = scene.view() if activity == "viewer" else scene.view("counted", life_ms=None)
        request = scene.peer.request(scene.inbox, said)
        assert (await scene.raw(request)).status == 204
        return await scene.raw(request)

    return act


def same_id_signed_anew(life_ms: int | None) -> Act:
    async def act(scene: Scene) -> Answer:
        assert (await scene.say(scene.view(life_ms=life_ms))).status == 204
        scene.clock.advance(1_000)
        return await scene.say(scene.view(life_ms=life_ms))

    return act


@rows(
    signature("no_signature", "001-no-signature-header", sent={"Signature": None}),
    unreadable("002-empty-signature-header", signature=""),
    unreadable("003-asdf", signature="asdf"),
    unreadable("004-no-key-id", params=with_params("{key_id},", "")),
    unreadable("005-no-signature", params=with_params(",{signature}", "")),
    unreadable("006-signature-not-base64", params=with_params("{signature}", 'signature="!!!!"')),
    signature(
        "wrong_signature",
        "007-random-signature",
        1,
        params=with_params("{signature}", f'signature="{RANDOM}"'),
    ),
    unreadable("008-key-id-twice", params="{key_id}," + PARAMS),
    unreadable("009-headers-twice", params="{headers}," + PARAMS),
    unreadable("010-two-signature-headers", extra=[("Signature", 'keyId="https://a.example/a",signature="AAAA"')]),
    unreadable("011-regex-bomb", signature=",=" * 4_000),
    unreadable("012-unterminated-quote", params=with_params("{signature}", 'signature="AAAA')),
    Row("013-hmac-with-the-public-key", (401, "algorithm"), forged_by_hmac, 1),
    signature("algorithm", "014-rsa-sha1", 1, params=with_params("rsa-sha256", "rsa-sha1"), sha=SHA1()),
    signature("algorithm", "015-none", 1, params=with_params("rsa-sha256", "none")),
    accepted("016-hs2019-with-an-rsa-key", params=with_params("rsa-sha256", "hs2019"), sha=SHA256()),
    accepted("017-algorithm-omitted", params=with_params('algorithm="rsa-sha256",', "")),
    signature("algorithm", "018-ed25519-with-an-rsa-key", 1, params=with_params("rsa-sha256", "ed25519")),
    signature("missing_component", "019-headers-omitted", params=with_params("{headers},", "")),
    unreadable("020-headers-empty", params=with_params("{headers}", 'headers=""')),
    signature("missing_component", "021-target-not-signed", names=SIGNED[1:]),
    signature("missing_component", "022-host-not-signed", names=("(request-target)", "date", "digest")),
    signature("no_digest", "023-digest-not-signed", names=SIGNED[:3], body_sent=b'{"type":"Delete"}'),
    signature("no_date", "024-neither-date-nor-created", names=("(request-target)", "host", "digest")),
    Row("025-created-with-rsa-sha256", ACCEPTED, lambda scene: scene.say(**created(scene)), 1, ONE_VIEWER),
    signature("missing_component", "026-created-listed-but-missing", names=CREATED, values={"(created)": 1}),
    says_created("027-created-a-float", "bad_signature_header", text="1800000000.5"),
    says_created("027-created-negative", "bad_signature_header", text="-1"),
    says_created("027-created-a-word", "bad_signature_header", text="now"),
    says_created("027-created-quoted", "bad_signature_header", text='"1800000000"'),
    says_created("027-created-20-digits", "bad_signature_header", text="9" * 20),
    says_created("028-created-in-an-hour", "stale", ago_s=-HOUR_S),
    says_created("028-created-an-hour-ago", "stale", ago_s=HOUR_S),
    Row("029-expired", (401, "stale"), expired),
    signature("stale", "030-date-of-2015", **dated("Thu, 01 Jan 2015 00:00:00 GMT")),
    signature("bad_date", "031-date-unparsable", **dated("yesterday")),
    signature("bad_date", "032-date-of-rfc-850", **dated("Friday, 15-Jan-27 08:00:00 GMT")),
    signature("missing_component", "033-signed-header-not-there", names=(*SIGNED, "x-not-there")),
    unreadable("034-header-listed-twice", names=(*SIGNED, "date")),
    accepted("035-upper-case-names", names=("(REQUEST-TARGET)", "HOST", "Date", "DIGEST")),
    accepted(
        "036-signed-header-sent-twice",
        names=(*SIGNED, "x-twice"),
        values={"x-twice": "a, b"},
        extra=[("X-Twice", "a"), ("x-twice", "b")],
    ),
    signature("bad_date", "036-date-sent-twice", extra=[("Date", format_http_date(1_800_000_000_000))]),
    signature("wrong_signature", "037-signed-as-get", 1, signed_method="GET"),
    signature("wrong_signature", "038-other-path", 1, target="/accounts/peertube/inbox"),
    signature("wrong_signature", "039-query-added", 1, target="/inbox?x=1"),
    signature("host_mismatch", "040-other-host", headers={"Host": "other.example"}),
    signature(
        "host_mismatch",
        "041-forwarded-host-lies",
        headers={"Host": "other.example", "X-Forwarded-Host": "127.0.0.1"},
    ),
    Row("042-the-same-viewer-twice", ACCEPTED, twice("viewer"), 1, ONE_VIEWER),
    Row("042-the-same-view-twice", (202, "duplicate"), twice("view"), 1, {"our_views": 1}),
    Row("043-a-viewer-refreshed", ACCEPTED, same_id_signed_anew(60_000), 1, ONE_VIEWER),
    Row("043-a-view-signed-anew", (202, "duplicate"), same_id_signed_anew(None), 1, {"our_views": 1}),
    Row("044-to-another-inbox", (401, "wrong_signature"), to_another_inbox, 2, ONE_VIEWER),
)
async def test_row(row: Row, build: Build) -> None:
    await check(await build(**row.federation), row)


async def test_row_011_costs_no_more_than_its_length(build: Build) -> None:
    """A thousand of them in one go: a scanner that went back over what it read would not come to an end."""
    scene = await build()
    for text in (",=" * 4_000, 'a="' * 2_600, "a=b," * 2_000, '"' * 8_000, "=" * 8_000):
        request = scene.peer.request(scene.inbox, scene.view(), signature=text)
        answers = [await scene.raw(request) for _ in range(20)]
        assert {answer.reason for answer in answers} == {"bad_signature_header"}
    assert await scene.is_well()


@pytest.mark.parametrize("target", ["http://{host}/inbox", "//inbox", "/./inbox", "/inbox/", "/%69nbox"])
async def test_another_spelling_of_the_inbox_is_another_target(build: Build, target: str) -> None:
    scene = await build()
    before = await scene.numbers()
    answer = await scene.say(target=target.format(host=scene.url.partition("://")[2]))
    assert answer.status in (401, 404)
    assert await scene.numbers() == before


def test_raw_request_adds_nothing() -> None:
    assert raw_request("POST", "/inbox", [("Host", "a")], b"x") == b"POST /inbox HTTP/1.1\r\nHost: a\r\n\r\nx"
