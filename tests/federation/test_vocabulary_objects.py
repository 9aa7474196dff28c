from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from federation.vocabulary import VideoObject, WatchActionObject, read_video, read_video_document
from federation.vocabulary.objects import read_duration_s, read_watch_action
from foundation.errors import Refused

FIXTURES = Path(__file__).parents[1] / "fixtures" / "peertube-6.3"
MINIMAL: dict[str, Any] = json.loads((FIXTURES / "minimal-origin" / "video.json").read_text())
ACTION: dict[str, Any] = json.loads((FIXTURES / "minimal-origin" / "received-create-watch-action.json").read_text())[
    "object"
]


def test_the_smallest_video_peertube_takes() -> None:
    video = read_video_document(json.dumps(MINIMAL).encode())
    assert isinstance(video, VideoObject)
    assert (video.uuid, video.duration_s, video.views) == ("976b008d-6b2a-4598-a342-c9ec2fed4d90", 60, 0)
    assert (video.public, video.unlisted, video.page_url) == (True, False, None)
    assert video.updated_ms == video.published_ms


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"type": "Note"}, "not a Video"),
        ({"id": "urn:x"}, "id"),
        ({"name": " "}, "name"),
        ({"duration": "60"}, "duration"),
        ({"duration": None}, "duration"),
        ({"views": -1}, "views"),
        ({"views": 1.5}, "views"),
        ({"views": True}, "views"),
        ({"attributedTo": []}, "attributedTo"),
    ],
)
def test_videos_that_are_refused(change: dict[str, Any], fault: str) -> None:
    assert read_video({**MINIMAL, **change}) == Refused("bad_video", fault)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"to": [], "cc": ["https://www.w3.org/ns/activitystreams#Public"]}, (False, True)),
        ({"to": "as:Public"}, (True, False)),
        ({"to": ["https://a.example/followers"]}, (False, False)),
        ({"to": [], "cc": []}, (False, False)),
    ],
)
def test_who_may_see_a_video(change: dict[str, Any], expected: tuple[bool, bool]) -> None:
    video = read_video({**MINIMAL, **change})
    assert isinstance(video, VideoObject)
    assert (video.public, video.unlisted) == expected


def test_spellings_of_other_versions() -> None:
    changed = {**MINIMAL, "identifier": MINIMAL["uuid"].upper(), "attributedTo": ["https://a.example/c/main"]}
    del changed["uuid"]
    changed["url"] = [{"mediaType": "video/mp4", "href": "https://a.example/x"}, "https://a.example/w/1"]
    video = read_video(changed)
    assert isinstance(video, VideoObject)
    assert (video.uuid, video.page_url) == (MINIMAL["uuid"], "https://a.example/w/1")
    assert [(entry.id, entry.type) for entry in video.attributed_to] == [("https://a.example/c/main", "")]


def test_a_live_stream_may_have_no_duration() -> None:
    live = {**MINIMAL, "isLiveBroadcast": True}
    del live["duration"]
    video = read_video(live)
    assert isinstance(video, VideoObject)
    assert (video.is_live, video.duration_s) == (True, 0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT60S", 60),
        ("PT0S", 0),
        ("PT1H2M3.9S", 3723),
        ("P1DT1S", 86401),
        ("PT1,5M", 90),
        ("PT0.25H", 900),
        ("P1W", 604_800),
        ("P1M", 2_592_000),
        ("PT1M", 60),
        ("P1Y", None),
        ("P5", None),
        ("PT5", None),
        ("P1S", None),
        ("P1DT", None),
        ("PT1S1M", None),
        (" PT1S", None),
        ("PT١S", None),
        ("PT", None),
        ("P", None),
        ("", None),
        ("PT-5S", None),
        ("PT1e3S", None),
        ("60", None),
        ("PT99999999999S", None),
        ("PT99999999S", None),
        (60, None),
    ],
)
def test_durations(text: object, seconds: int | None) -> None:
    assert read_duration_s(text) == seconds


def test_a_recorded_watch_action() -> None:
    action = read_watch_action(ACTION)
    assert isinstance(action, WatchActionObject)
    assert (action.uuid, action.country) == ("0828b04f-5db3-4101-b65d-ee7ca85e7bd9", None)
    placed = read_watch_action({**ACTION, "location": {"addressCountry": "FR", "addressRegion": None}})
    assert isinstance(placed, WatchActionObject)
    assert (placed.country, placed.subdivision) == ("FR", None)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"id": 1}, "id"),
        ({"uuid": "x"}, "uuid"),
        ({"object": None}, "object"),
        ({"duration": "PTS"}, "duration"),
        ({"endTime": "now"}, "startTime or endTime"),
        ({"watchSections": None}, "watchSections"),
        ({"watchSections": [{"startTimestamp": -1, "endTimestamp": 2}]}, "watchSections"),
        ({"watchSections": [{"startTimestamp": True, "endTimestamp": 2}]}, "watchSections"),
        ({"watchSections": [5]}, "watchSections"),
        ({"watchSections": [{"startTimestamp": 0, "endTimestamp": 1}] * 10_001}, "watchSections"),
        ({"location": "FR"}, "location"),
    ],
)
def test_watch_actions_that_are_refused(change: dict[str, Any], fault: str) -> None:
    assert read_watch_action({**ACTION, **change}) == Refused("bad_watch_action", fault)
