"""Bodies in, activities or reasons out. The numbers name rows of the hostile-input table where one is meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.vocabulary import (
    Accept,
    Announce,
    Collection,
    Create,
    Delete,
    Follow,
    OtherObject,
    Reject,
    Undo,
    UnknownActivity,
    Update,
    VideoObject,
    View,
    WatchActionObject,
    build,
    parse_activity,
)
from federation.vocabulary.contexts import PUBLIC
from federation.vocabulary.fast import read_fast
from federation.vocabulary.parse import parse_strictly
from foundation.clock import iso_ms
from foundation.errors import Refused

EXCHANGES = Path(__file__).parents[1] / "fixtures" / "peertube-6.3" / "exchanges"
ONE = "http://127.0.0.1:9001/accounts/peertube"
TWO = "http://127.0.0.1:9002/accounts/peertube"
VIDEO = "http://127.0.0.1:9001/videos/watch/769a1aec-66f1-420f-a6ba-66e89a533026"

PEER = "https://b.example/accounts/peertube"
WATCHED = "https://a.example/videos/watch/9c9de5e8-0a1e-484a-b099-e80766180a6d"


def recorded(number: int) -> bytes:
    (path,) = EXCHANGES.glob(f"{number:02}-*.json")
    body: str = json.loads(path.read_text())["request"]["body"]
    return body.encode()


def parse(body: bytes) -> Any:
    """Both readers must agree, and the short cut must never be a way around the rules."""
    strict = parse_strictly(body, max_items=10)
    assert parse_activity(body, max_items=10) == strict
    return strict


def view(**members: Any) -> dict[str, Any]:
    return {"type": "View", "id": f"{PEER}/views/1", "actor": PEER, "object": WATCHED, **members}


def reason(body: bytes | dict[str, Any]) -> str | None:
    found = parse(body if isinstance(body, bytes) else json.dumps(body).encode())
    return found.reason if isinstance(found, Refused) else None


def counter(count: Any = 1, **members: Any) -> dict[str, Any]:
    result = {"type": "InteractionCounter", "interactionType": "WatchAction", "userInteractionCount": count}
    return view(expires="2026-11-22T05:40:57.667Z", result={**result, **members})


def test_recorded_views() -> None:
    viewer = parse(recorded(28))
    assert (viewer.actor, viewer.object, viewer.counter) == (TWO, VIDEO, 1)
    assert iso_ms(viewer.expires_ms) == "2026-11-22T05:40:57.667Z"
    total = parse(recorded(30))
    assert (total.actor, total.counter, total.yours, total.published_ms) == (ONE, 2, None, None)
    assert total.id.endswith("/views/videos/1/769a1aec-66f1-420f-a6ba-66e89a533026")
    plain = parse(recorded(34))
    assert (plain.expires_ms, plain.counter) == (None, None)
    v1 = parse(recorded(37))
    assert v1.expires_ms is not None
    assert v1.counter is None


@pytest.mark.parametrize("number", [28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 64, 65, 66])
def test_real_views_take_the_short_cut(number: int) -> None:
    assert read_fast(recorded(number), 10, 1000) is not None
    assert not isinstance(parse(recorded(number)), Refused)


def test_recorded_batch() -> None:
    batch = parse(recorded(66))
    assert isinstance(batch, Collection)
    assert [type(item) for item in batch.items] == [View, View]
    assert (batch.actor, batch.dropped) == ("http://127.0.0.1:9105/accounts/peertube", 0)


def test_recorded_follow_traffic() -> None:
    follow = parse(recorded(6))
    assert follow == Follow(f"{TWO}/follows/4", TWO, ONE)
    assert parse(recorded(7)) == Accept("http://127.0.0.1:9001/accepts/follows/1", ONE, follow)
    undo = parse(recorded(52))
    assert isinstance(undo, Undo)
    assert isinstance(undo.object, Follow)


def test_recorded_announce_update_delete_and_watch_action() -> None:
    assert parse(recorded(14)) == Announce(f"{VIDEO}/announces/1", ONE, VIDEO)
    deleted = parse(recorded(51))
    assert isinstance(deleted, Delete)
    assert deleted.object == "http://127.0.0.1:9001/videos/watch/ce4c6402-93c2-48e2-9d0c-27d191760ee2"
    update = parse(recorded(43))
    assert isinstance(update, Update)
    video = update.object
    assert isinstance(video, VideoObject)
    assert (video.id, video.name, video.duration_s, video.public, video.is_live) == (
        VIDEO,
        "video sixty A",
        60,
        True,
        False,
    )
    assert [entry.type for entry in video.attributed_to] == ["Person", "Group"]
    assert video.page_url == VIDEO
    create = parse(recorded(39))
    assert isinstance(create, Create)
    action = create.object
    assert isinstance(action, WatchActionObject)
    assert (action.video, action.duration_s, action.completed) == (VIDEO, 10, True)
    assert [(section.start_s, section.end_s) for section in action.sections] == [(0, 4), (6, 12)]


def test_what_we_do_not_speak_is_known_as_such() -> None:
    assert isinstance(parse(recorded(45)), UnknownActivity)
    note = parse(recorded(48))
    assert isinstance(note, Create)
    assert isinstance(note.object, OtherObject)
    undone = parse(recorded(46))
    assert isinstance(undone.object, UnknownActivity)


def test_the_old_name_of_expires() -> None:
    found = parse(json.dumps(view(expiration="2026-11-22T05:40:57Z")).encode())
    assert found.expires_ms is not None
    assert reason(view(expires="soon", expiration="2026-11-22T05:40:57Z")) == "bad_expires"


def test_yours_stands_beside_the_counter() -> None:
    found = parse(json.dumps(counter(7, yours=3)).encode())
    assert (found.counter, found.yours) == (7, 3)
    assert reason(counter(7, yours=8)) == "bad_counter"
    assert reason(counter(7, yours=None)) == "bad_counter"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b"", "bad_json", id="52-empty"),
        pytest.param(b'{"type":"View\xff"}', "bad_json", id="57-not-utf8"),
        pytest.param(b"\xef\xbb\xbf{}", "bad_json", id="58-bom"),
        pytest.param(b'{"a":NaN}', "bad_number", id="59-nan"),
        pytest.param(b'{"a":-Infinity}', "bad_number", id="59-infinity"),
        pytest.param(b'{"a":-0}', "bad_number", id="59-minus-zero"),
        pytest.param(b'{"a":-0.0}', "bad_number", id="59-minus-zero-float"),
        pytest.param(b'{"a":1e999}', "bad_number", id="59-overflow"),
        pytest.param(b'{"a":' + b"9" * 5000 + b"}", "bad_number", id="60-digits"),
        pytest.param(b'{"a":0.' + b"9" * 5000 + b"}", "bad_number", id="60-fraction"),
        pytest.param(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too_deep", id="61-arrays"),
        pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "too_deep", id="61-objects"),
        pytest.param(b"[" * 33 + b"]" * 33, "too_deep", id="61-just-too-deep"),
        pytest.param(b"[" * 32 + b"]" * 32, "bad_shape", id="61-deep-enough"),
        pytest.param(b'{"a":1,"a":2}', "duplicate_key", id="62-duplicate"),
        pytest.param(b'{"a":{"b":1,"\\u0062":2}}', "duplicate_key", id="62-escaped-duplicate"),
        pytest.param(b'{"a":"\\ud800"}', "bad_json", id="63-surrogate"),
        pytest.param(b'{"\\ud800":1}', "bad_json", id="63-surrogate-in-name"),
        pytest.param(b'{"a":"\\u0000"}', "bad_json", id="63-nul"),
        pytest.param(b'{"a":"\x00"}', "bad_json", id="63-raw-nul"),
        pytest.param(b"[]", "bad_shape", id="64-array"),
        pytest.param(b'"text"', "bad_shape", id="64-text"),
        pytest.param(b"5", "bad_shape", id="64-number"),
        pytest.param(b"null", "bad_shape", id="64-null"),
        pytest.param(b"{}", "bad_shape", id="no-type"),
        pytest.param(b'{"type":["View"]}', "bad_shape", id="types"),
        pytest.param(b'{"type":"View"} {}', "bad_json", id="trailing"),
        pytest.param(b"{'type':1}", "bad_json", id="not-json"),
    ],
)
def test_bodies_that_are_no_activity(body: bytes, expected: str) -> None:
    found = parse(body)
    assert isinstance(found, Refused)
    assert (found.reason, found.status) == (expected, 400)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(view(actor={"id": PEER}), "bad_actor", id="97-object"),
        pytest.param(view(actor=[PEER]), "bad_actor", id="97-array"),
        pytest.param(view(actor="javascript:alert(1)"), "bad_actor", id="actor-scheme"),
        pytest.param(view(id=None), "bad_id", id="no-id"),
        pytest.param(view(id="https://b.example/" + "x" * 2000), "bad_id", id="long-id"),
        pytest.param(view(id="https://b.example/a b"), "bad_id", id="blank-in-id"),
        pytest.param(view(object={"id": WATCHED}), "bad_object", id="object"),
        pytest.param(view(expires="tomorrow"), "bad_expires", id="101-no-date"),
        pytest.param(view(expires="2026-11-22T05:40:57"), "bad_expires", id="101-no-zone"),
        pytest.param(view(expires=1795326035000), "bad_expires", id="101-number"),
        pytest.param(view(expires=None), "bad_expires", id="101-null"),
        pytest.param(view(expires=""), "bad_expires", id="101-empty"),
        pytest.param(view(expires="1960-01-01T00:00:00Z"), "bad_expires", id="101-before-time"),
        *(
            pytest.param(counter(count), "bad_counter", id=f"100-{count!r}")
            for count in (-1, 1.5, 1.0, "12abc", "7", True, None, 1e308, 2**53, 10**9, [4], {})
        ),
        pytest.param(counter(1, type="Counter"), "bad_counter", id="100-type"),
        pytest.param(counter(1, interactionType="http://schema.org/WatchAction"), "bad_counter", id="100-url"),
        pytest.param(view(expires="2026-11-22T05:40:57Z", result=None), "bad_counter", id="100-null-result"),
        pytest.param(view(expires="2026-11-22T05:40:57Z", result=[1]), "bad_counter", id="100-array-result"),
        pytest.param(view(result=counter()["result"]), "no_expires", id="result-without-expires"),
        pytest.param({**view(), "type": "Follow", "object": 5}, "bad_object", id="follow-nothing"),
        pytest.param({**view(), "type": "Create", "object": {"type": "Video"}}, "bad_video", id="hollow-video"),
        pytest.param({**view(), "type": "Accept", "object": {"type": "Follow"}}, "bad_object", id="hollow-follow"),
        pytest.param({**view(), "type": "Undo", "object": []}, "bad_object", id="undo-nothing"),
        pytest.param({"type": "Collection", "items": []}, "bad_actor", id="collection-of-nobody"),
        pytest.param({"type": "Collection", "actor": PEER, "items": {"a": 1}}, "bad_shape", id="items-object"),
    ],
)
def test_activities_that_are_refused(body: dict[str, Any], expected: str) -> None:
    assert reason(body) == expected
    compact = json.dumps(body, separators=(",", ":")).encode()
    assert reason(compact) == expected


def test_a_bad_expires_is_accepted_on_the_wire_and_dropped() -> None:
    found = parse(json.dumps(view(expires="x")).encode())
    assert isinstance(found, Refused)
    assert found.status == 202


def test_negative_zero_is_no_zero() -> None:
    body = json.dumps(counter(0)).encode()
    assert parse(body).counter == 0
    assert reason(body.replace(b'Count": 0', b'Count": -0')) == "bad_number"


@pytest.mark.parametrize("name", ["id", "type", "actor", "object", "expires", "result", "to", "@context", "signature"])
def test_a_member_named_twice_never_takes_the_short_cut(name: str) -> None:
    body = recorded(28)
    assert reason(body) is None
    members = json.loads(body)
    member = f"{json.dumps(name)}:{json.dumps(members[name], separators=(',', ':'))}".encode()
    assert reason(b"{" + member + b"," + body[1:]) == "duplicate_key"
    assert reason(body[:-1] + b"," + member + b"}") == "duplicate_key"


def test_a_member_named_twice_inside_the_result() -> None:
    body = recorded(28).replace(b'"userInteractionCount":1', b'"userInteractionCount":5,"userInteractionCount":1')
    assert reason(body) == "duplicate_key"


def test_collections_are_bounded_flat_and_judged_one_by_one() -> None:
    items = [view(), view(actor=[1]), {"type": "Collection", "items": []}, "https://b.example/x", *([view()] * 20)]
    body = {"type": "OrderedCollection", "actor": PEER, "totalItems": 3, "orderedItems": items}
    found = parse(json.dumps(body).encode())
    assert isinstance(found, Collection)
    words = [item.reason if isinstance(item, Refused) else type(item).__name__ for item in found.items]
    assert words == ["View", "bad_actor", "nested_collection", "bad_shape", *["View"] * 6]
    assert found.dropped == 14


def test_a_large_batch_takes_the_short_cut() -> None:
    views = [view(id=f"{PEER}/views/{number}") for number in range(20)]
    body = build.encode(build.collection(actor=PEER, id_=f"{PEER}/batch/1", items=views))
    assert read_fast(body, 10, 10) is not None
    found = parse(body)
    assert [item.id[-1] for item in found.items] == list("0123456789")
    assert found.dropped == 10


def test_answers_quote_the_follow_or_name_it() -> None:
    quoted = {"type": "Follow", "actor": PEER, "object": {"id": "https://a.example/accounts/peertube"}}
    body = {"type": "Reject", "id": f"{PEER}/1", "actor": PEER, "object": quoted}
    assert parse(json.dumps(body).encode()).object == Follow("", PEER, "https://a.example/accounts/peertube")
    body["object"] = "https://a.example/follows/1"
    assert parse(json.dumps(body).encode()) == Reject(f"{PEER}/1", PEER, "https://a.example/follows/1")
    body["object"] = {"type": "QuoteRequest"}
    assert isinstance(parse(json.dumps(body).encode()), UnknownActivity)


def test_undo_of_an_announce() -> None:
    announce = {"type": "Announce", "id": f"{PEER}/a/1", "actor": PEER, "object": WATCHED}
    body = {"type": "Undo", "id": f"{PEER}/2", "actor": PEER, "object": announce}
    assert parse(json.dumps(body).encode()).object == Announce(f"{PEER}/a/1", PEER, WATCHED)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**9) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
members = st.dictionaries(
    st.sampled_from(
        ["id", "type", "actor", "object", "expires", "expiration", "published", "result", "items", "to", "cc", "x"]
    ),
    st.sampled_from(["View", "Collection", "Follow", "Create", PEER, WATCHED, "2026-11-22T05:40:57Z", [], [PEER]])
    | json_values,
)


@settings(deadline=None)
@given(members.map(lambda extra: {**view(), **extra}), st.booleans())
def test_both_readers_agree_on_anything(value: dict[str, Any], compact: bool) -> None:
    text = json.dumps(value, separators=(",", ":") if compact else None, ensure_ascii=compact)
    parse(text.encode("utf-8", "surrogatepass"))


@settings(deadline=None)
@given(st.integers(0, 10_000_000), st.none() | st.integers(0, 10), st.integers(0, 4_000_000_000_000))
def test_what_we_build_we_read(total: int, yours: int | None, at_ms: int) -> None:
    yours = None if yours is None else min(yours, total)
    body = build.encode(
        build.view_total(
            actor=PEER,
            number=3,
            video_uuid="u",
            video=WATCHED,
            to=[PUBLIC, f"{PEER}/followers"],
            total=total,
            expires_ms=at_ms,
            published_ms=at_ms,
            yours=yours,
        )
    )
    assert parse(body) == View(f"{PEER}/views/videos/3/u", PEER, WATCHED, at_ms, at_ms, total, yours)
    assert read_fast(body, 1, 10_000_000) is not None


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_no_bytes_break_it(body: bytes) -> None:
    parse(body)


@settings(deadline=None)
@given(st.data())
def test_one_changed_byte_never_splits_the_readers(data: st.DataObject) -> None:
    body = bytearray(msgspec.json.encode(counter(5)))
    place = data.draw(st.integers(0, len(body) - 1))
    body[place] = data.draw(st.integers(0, 255))
    parse(bytes(body))
