"""Rows 95 to 104 and 114: well signed, and still not the sender's to say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hostile.scene import BATCH, FOREIGN_UUID, PRIVATE_UUID, TOTAL, Build, Scene
from hostile.table import ACCEPTED, ONE_VIEWER, Act, Row, check, rows
from support.wire import Answer

from foundation.clock import iso_ms
from service.config import ImportUnknown

FORWARDED, BAD_COUNTER, BAD_EXPIRES = (202, "forwarded"), (400, "bad_counter"), (202, "bad_expires")
LD_SIGNATURE = {
    "type": "RsaSignature2017",
    "creator": "https://a.example/accounts/peertube",
    "created": "2026-11-22T05:41:05.935Z",
    "signatureValue": "R5sdJp6hpGtwJeGH1mgBnhh5zFacok1ivWJLqx",
}


def view(**changes: Any) -> Act:
    return lambda scene: scene.say(scene.view(**changes))


def bystanders(**changes: Any) -> Act:
    """The peer passes on what the bystander said."""

    def act(scene: Scene) -> Any:
        return scene.say(scene.bystander.view(scene.ours.url, **changes))

    return act


def about_theirs(**how: Any) -> Act:
    """The bystander speaks about the peer's video."""

    async def act(scene: Scene) -> Answer:
        # It has to be asked for its key, and that is all it is asked for.
        answer = await scene.bystander.post(scene.inbox, scene.bystander.view(scene.theirs.url, **how))
        assert scene.bystander.fetched == ["GET /accounts/peertube"]
        scene.bystander.asked.clear()
        return answer

    return act


def total(count: Any, **how: Any) -> Act:
    return lambda scene: scene.say(scene.total(count, **how))


def written(count: str) -> Act:
    """A total whose number is written so."""

    def act(scene: Scene) -> Any:
        return scene.say(json.dumps(scene.total(987654321)).replace("987654321", count).encode())

    return act


def result(**changes: Any) -> Act:
    def act(scene: Scene) -> Any:
        said = scene.total(3)
        return scene.say({**said, "result": {**said["result"], **changes}})

    return act


def expires(value: Any) -> Act:
    return lambda scene: scene.say({**scene.view(), "expires": value})


async def far_future(scene: Scene) -> Answer:
    """Clamped: gone after ``federation.max_expires`` as everybody else."""
    before = await scene.numbers()
    answer = await scene.say(scene.view(life_ms=10**10))
    assert await scene.numbers() == before.moved(**ONE_VIEWER)
    scene.clock.advance(scene.service.config.federation.max_expires_ms)
    shown = await scene.service.views.viewers.shown(scene.ours)
    assert shown.viewers == 0
    return answer


async def reordered(scene: Scene) -> Answer:
    now_ms = scene.clock.now_ms()
    newer = scene.total(TOTAL + 2, published=iso_ms(now_ms))
    older = scene.total(TOTAL + 7, published=iso_ms(now_ms - 2_000))
    assert (await scene.say(newer)).status == 204
    return await scene.say(older)


def about(url: str) -> Act:
    """A viewer of the peer on a video at this URL; ``{us}``, ``{peer}`` and ``{bystander}`` stand for bases."""

    def act(scene: Scene) -> Any:
        where = url.format(us=scene.url, peer=scene.peer.url, bystander=scene.bystander.url)
        return scene.say(scene.peer.view(where))

    return act


def collected(*reasons: str, **changes: Any) -> Any:
    """A Collection of what ``items(scene)`` makes; ``reasons`` are why items were dropped, in order."""

    def of(items: Any) -> Act:
        async def act(scene: Scene) -> Answer:
            answer = await scene.say(scene.peer.collection(items(scene), **changes))
            assert scene.reasons == list(reasons)
            return answer

        return act

    return of


def viewers(scene: Scene, count: int) -> list[Any]:
    return [scene.view(f"viewer-{number}") for number in range(count)]


def ten_thousand(scene: Scene) -> list[Any]:
    return viewers(scene, 10_000)


def with_nested(scene: Scene) -> list[Any]:
    return [scene.peer.collection(viewers(scene, 3)), *viewers(scene, 1)]


def with_foreign(scene: Scene) -> list[Any]:
    said = scene.bystander.view(scene.ours.url)
    return [said, {**scene.view("x"), "id": said["id"]}, *viewers(scene, 1), scene.peer.view(scene.private.url), 7]


@rows(
    Row(
        "095-another-actor-of-the-host",
        FORWARDED,
        lambda scene: scene.say(scene.view(actor=scene.peer.account("root"))),
        1,
    ),
    Row("096-forwarded", FORWARDED, bystanders(), 1),
    Row("096-forwarded-with-a-signature-inside", FORWARDED, bystanders(signature=LD_SIGNATURE), 1),
    Row("096-forwarded-counted-view", FORWARDED, bystanders(life_ms=None, signature=LD_SIGNATURE), 1),
    Row("097-actor-is-an-object", (400, "bad_actor"), view(actor={"id": "https://a.example/a"}), 1),
    Row("097-actor-is-an-array", (400, "bad_actor"), view(actor=["https://a.example/a"]), 1),
    Row("097-actor-is-missing", (400, "bad_actor"), view(actor=None), 1),
    Row("098-id-on-another-host", (202, "foreign_id"), view(id="https://a.example/views/1"), 1),
    Row("098-id-with-user-info", (400, "bad_id"), view(id="https://a@a.example/views/1"), 1),
    Row("099-total-of-somebody-else", (202, "not_origin"), about_theirs(count=999)),
    Row("099-viewer-of-somebody-elses-video", (202, "not_origin"), about_theirs()),
    Row("099-view-of-somebody-elses-video", (202, "not_origin"), about_theirs(life_ms=None)),
    *[
        Row(f"100-count-{name}", outcome, written(text), 1)
        for name, text, outcome in (
            ("minus-one", "-1", BAD_COUNTER),
            ("a-fraction", "1.5", BAD_COUNTER),
            ("a-whole-fraction", "1.0", BAD_COUNTER),
            ("a-text", '"12abc"', BAD_COUNTER),
            ("a-number-as-text", '"12"', BAD_COUNTER),
            ("true", "true", BAD_COUNTER),
            ("null", "null", BAD_COUNTER),
            ("1e308", "1e308", BAD_COUNTER),
            ("2-to-the-53", "9007199254740992", BAD_COUNTER),
            ("a-billion", "1000000000", BAD_COUNTER),
            ("an-array", "[1]", BAD_COUNTER),
        )
    ],
    Row("100-above-the-ceiling", BAD_COUNTER, total(101), 1, federation={"max_count": 100}),
    Row("100-at-the-ceiling", ACCEPTED, total(100), 1, {"theirs": 100 - TOTAL}, federation={"max_count": 100}),
    Row("100-zero", ACCEPTED, total(0), 1, {"theirs": -TOTAL}),
    Row("100-another-interaction", BAD_COUNTER, result(interactionType="LikeAction"), 1),
    Row("100-more-ours-than-all", BAD_COUNTER, result(yours=4), 1),
    Row("100-total-without-expires", (400, "no_expires"), total(3, life_ms=None), 1),
    Row("101-expired", (202, "expired"), view(life_ms=-1), 1),
    Row("101-not-a-date", BAD_EXPIRES, expires("soon"), 1),
    Row("101-no-zone", BAD_EXPIRES, expires("2030-01-01T00:00:00"), 1),
    Row("101-a-number", BAD_EXPIRES, expires(1_900_000_000), 1),
    Row("101-null", BAD_EXPIRES, expires(None), 1),
    Row("101-before-1970", BAD_EXPIRES, expires("1969-12-31T23:59:59Z"), 1),
    Row("102-older-after-newer", (202, "replaced"), reordered, 1, {"theirs": 2}),
    Row("103-unknown-video-of-ours", (202, "unknown_video"), about("{us}/videos/watch/" + FOREIGN_UUID), 1),
    Row("103-private-video-of-ours", (202, "unknown_video"), about("{us}/videos/watch/" + PRIVATE_UUID), 1),
    Row("103-unknown-video-of-theirs", (202, "unknown_video"), about("{peer}/videos/watch/" + FOREIGN_UUID), 1),
    Row("103-unknown-video-elsewhere", (202, "unknown_video"), about("{bystander}/videos/watch/" + FOREIGN_UUID), 1),
    Row(
        "103-unknown-video-elsewhere-though-open",
        (202, "unknown_video"),
        about("{bystander}/videos/watch/" + FOREIGN_UUID),
        1,
        federation={"import_unknown_videos": ImportUnknown.OPEN},
    ),
    Row(
        "103-of-a-peer-that-we-do-not-follow",
        (202, "unknown_video"),
        about("{peer}/videos/watch/" + FOREIGN_UUID),
        1,
        federation={"import_unknown_videos": ImportUnknown.FOLLOWED},
    ),
    Row("104-ten-thousand-items", (413, "body_too_large"), lambda s: s.say(s.peer.collection(ten_thousand(s)))),
    Row(
        "104-more-than-a-batch",
        ACCEPTED,
        collected("too_many_items")(lambda scene: viewers(scene, 4 * BATCH)),
        1,
        {"ours": BATCH},
    ),
    Row("104-nested", ACCEPTED, collected("nested_collection")(with_nested), 1, ONE_VIEWER),
    Row(
        "104-items-of-others",
        ACCEPTED,
        collected("forwarded", "foreign_id", "unknown_video", "bad_shape")(with_foreign),
        1,
        ONE_VIEWER,
    ),
    Row("104-another-count", ACCEPTED, collected(totalItems=7)(lambda s: viewers(s, 1)), 1, ONE_VIEWER),
    Row(
        "104-collection-of-another-actor",
        FORWARDED,
        collected("forwarded", actor="https://a.example/a")(lambda s: viewers(s, 1)),
        1,
    ),
    Row("104-items-are-no-array", (400, "bad_shape"), lambda s: s.say(s.peer.collection([], items={"a": 1})), 1),
    Row("104-empty", ACCEPTED, collected()(lambda _: []), 1),
    Row("114-line-break-in-a-key-id", (400, ""), lambda s: s.say(key_id=s.peer.actor + "\nFORGED: line")),
    Row("114-line-break-in-a-type", (202, "unsupported_type"), view(type="Like\r\nFORGED line\x1b[31m"), 1),
)
async def test_row(row: Row, build: Build) -> None:
    await check(await build(**row.federation), row)


async def test_row_103_of_the_peer_itself_where_the_policy_says_so(build: Build) -> None:
    scene = await build(import_unknown_videos=ImportUnknown.OPEN)
    scene.peer.documents[f"/videos/watch/{FOREIGN_UUID}"] = scene.peer.video_document(FOREIGN_UUID)
    before = await scene.numbers()
    assert (await about("{peer}/videos/watch/" + FOREIGN_UUID)(scene)).status == 204
    assert scene.peer.fetched == ["GET /accounts/peertube", f"GET /videos/watch/{FOREIGN_UUID}"]
    assert await scene.numbers() == before.moved(videos=1)


async def test_row_114_leaves_one_line_in_the_quarantine_and_none_in_the_log(
    build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    scene = await build()
    caplog.set_level("DEBUG")
    await view(type="Like\r\nFORGED line\x1b[31m")(scene)
    await scene.say(key_id="https://a.example/a%0d%0aFORGED")
    assert all(entry.detail.isprintable() for entry in scene.service.entrance.quarantine.newest(10))
    assert "FORGED" not in "".join(record.getMessage() for record in caplog.records if "\n" in record.getMessage())
