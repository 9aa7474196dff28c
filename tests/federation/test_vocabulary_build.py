"""What we build has the shape of what was recorded: same members, same kinds of values, same context."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from federation.vocabulary import Follow, build, parse_activity
from federation.vocabulary.contexts import BASE, PUBLIC, VIDEO, VIEW, WATCH_ACTION
from foundation.clock import parse_iso_ms

FIXTURES = Path(__file__).parents[1] / "fixtures" / "peertube-6.3"
ONE = "http://127.0.0.1:9001"
ACTOR = f"{ONE}/accounts/peertube"
UUID = "769a1aec-66f1-420f-a6ba-66e89a533026"
VIDEO_ID = f"{ONE}/videos/watch/{UUID}"
FOLLOWERS = (f"{ONE}/video-channels/root_channel/followers", f"{ONE}/accounts/peertube/followers")


def recorded(number: int) -> dict[str, Any]:
    (path,) = (FIXTURES / "exchanges").glob(f"{number:02}-*.json")
    body: dict[str, Any] = json.loads(json.loads(path.read_text())["request"]["body"])
    del body["signature"]
    return body


def sent(document: build.Document) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(build.encode(document))
    return body


def instant(text: str) -> int:
    found = parse_iso_ms(text)
    assert found is not None
    return found


def test_a_total_is_peertubes_with_published() -> None:
    theirs = recorded(30)
    ours = sent(
        build.view_total(
            actor=ACTOR,
            number=1,
            video_uuid=UUID,
            video=VIDEO_ID,
            to=[PUBLIC, *FOLLOWERS],
            total=2,
            expires_ms=instant(theirs["expires"]),
            published_ms=instant("2026-11-22T05:40:50.766Z"),
        )
    )
    assert ours.pop("published") == "2026-11-22T05:40:50.766Z"
    assert ours == theirs


def test_a_viewer_is_peertubes_with_published() -> None:
    theirs = recorded(28)
    wire_id = theirs["id"].rpartition("/")[2]
    ours = sent(
        build.view_viewer(
            actor=theirs["actor"],
            number=1,
            wire_id=wire_id,
            video=VIDEO_ID,
            to=theirs["to"],
            expires_ms=instant(theirs["expires"]),
            published_ms=0,
        )
    )
    assert ours.pop("published") == "1970-01-01T00:00:00.000Z"
    assert ours == theirs


def test_a_counted_view_is_peertubes() -> None:
    theirs = recorded(34)
    view_uuid = theirs["id"].rpartition("/")[2]
    to = [PUBLIC, *FOLLOWERS]
    assert sent(build.view_counted(actor=ACTOR, number=1, view_uuid=view_uuid, video=VIDEO_ID, to=to)) == theirs


def test_a_batch_counts_in_text() -> None:
    theirs: dict[str, Any] = json.loads((FIXTURES / "minimal-origin" / "send-total-batch.json").read_text())
    items = theirs["items"]
    assert sent(build.collection(actor=theirs["actor"], id_=theirs["id"], items=items)) == theirs
    assert sent(build.collection(actor=ACTOR, id_=ACTOR, items=[]))["totalItems"] == "0"


def test_follow_and_its_answers_are_peertubes() -> None:
    theirs = recorded(6)
    assert sent(build.follow(actor=theirs["actor"], number=4, object_=ACTOR)) == theirs
    request = Follow(theirs["id"], theirs["actor"], theirs["object"])
    assert sent(build.accept(base_url=ONE, number=1, request=request)) == recorded(7)
    refusal = sent(build.reject(base_url=ONE, number=1, request=request))
    assert refusal == {**recorded(7), "type": "Reject", "id": f"{ONE}/rejects/follows/1"}
    undone = recorded(52)
    quoted = undone["object"]
    assert sent(build.undo_follow(Follow(quoted["id"], quoted["actor"], quoted["object"]))) == undone


def test_announce_delete_and_update_are_peertubes() -> None:
    theirs = recorded(14)
    assert sent(build.announce(actor=ACTOR, number=1, video=VIDEO_ID, to=theirs["to"])) == theirs
    theirs = recorded(51)
    assert sent(build.delete(actor=theirs["actor"], object_=theirs["object"], to=theirs["to"])) == theirs
    theirs = recorded(43)
    updated_ms = instant("2026-11-22T05:38:28.286Z")
    ours = sent(
        build.update(
            actor=theirs["actor"],
            object_=theirs["object"],
            updated_ms=updated_ms,
            to=theirs["to"],
            cc=theirs["cc"],
        )
    )
    assert {**ours, "@context": None} == {**theirs, "@context": None}
    # PeerTube's context has terms for members we do not write.
    assert {key: VIDEO[3][key] for key in VIDEO[3]}.items() <= theirs["@context"][3].items()


def test_create_of_a_watch_action_is_peertubes() -> None:
    theirs = recorded(39)
    assert sent(build.create(actor=theirs["actor"], object_=theirs["object"], to=theirs["to"])) == theirs
    assert theirs["@context"] == WATCH_ACTION


@pytest.mark.parametrize(
    ("document", "context"),
    [
        ({"type": "View"}, VIEW),
        ({"type": "Collection", "items": []}, BASE),
        ({"type": "Update", "object": {"type": "Video"}}, VIDEO),
        ({"type": "Announce", "object": VIDEO_ID}, BASE),
    ],
)
def test_the_context_fits(document: dict[str, Any], context: list[Any]) -> None:
    assert sent(document)["@context"] == context


def test_an_answer_to_a_follow_without_id() -> None:
    body = build.accept(base_url=ONE, number=9, request=Follow("", "https://b.example/u", ACTOR))
    assert "id" not in body["object"]
    assert not hasattr(parse_activity(build.encode(body), max_items=1), "reason")
