"""Events put together: fewer, and still in an order that tells the truth about every viewer."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from outbox.webhooks.bodies import Event, with_dropped
from outbox.webhooks.gathering import MAX_VIEWERS, Gatherer
from views.model import Privacy, Video
from views.notices import (
    Notice,
    PeerDown,
    PeerUp,
    TotalReceived,
    VideoFinished,
    VideoStarted,
    ViewCounted,
    ViewerAborted,
    ViewerJoined,
    ViewerLeft,
    ViewersPeak,
)

NOW_MS = 1_800_000_000_000


def video(number: int = 1) -> Video:
    uuid = f"9c9de5e8-0a1e-484a-b099-e8076618{number:04x}"
    url = f"https://tube.example/videos/watch/{uuid}"
    return Video(number, uuid, url, "tube.example", True, "Bunny", 596, False, "main", Privacy.PUBLIC, 1, 1)


def said(event: Event, dropped: int = 0) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(with_dropped(event.body, dropped))
    return decoded


def gathered(*notices: Notice) -> list[dict[str, Any]]:
    gatherer = Gatherer()
    for notice in notices:
        assert gatherer.add(notice)
    return [said(event) for event in gatherer.take()]


def joined(session: str, of: int = 1) -> ViewerJoined:
    return ViewerJoined(video(of), NOW_MS, f"VI_{session}", f"VS_{session}")


def left(session: str, of: int = 1) -> ViewerLeft:
    return ViewerLeft(video(of), NOW_MS + 5_000, f"VI_{session}", f"VS_{session}", NOW_MS)


def test_a_body_says_what_happened() -> None:
    (event,) = gathered(left("a"))
    assert event.pop("id").startswith("EV_")
    assert event == {
        "event": "viewer_left",
        "createdAt": NOW_MS // 1000 + 5,
        "at": "2027-01-15T08:00:05.000Z",
        "video": {
            "id": 1,
            "uuid": video().uuid,
            "url": video().url,
            "name": "Bunny",
            "channel": "main",
            "isLive": False,
            "isLocal": True,
            "privacy": "public",
        },
        "viewers": [
            {
                "id": "VI_a",
                "session": "VS_a",
                "at": "2027-01-15T08:00:05.000Z",
                "joinedAt": "2027-01-15T08:00:00.000Z",
                "duration": 5.0,
            }
        ],
        "count": 1,
        "numDropped": 0,
    }


def test_viewers_who_come_together_are_one_event_of_at_most_a_hundred() -> None:
    events = gathered(*(joined(str(n)) for n in range(2 * MAX_VIEWERS + 50)))
    assert [event["count"] for event in events] == [MAX_VIEWERS, MAX_VIEWERS, 50]
    assert [viewer["id"] for event in events for viewer in event["viewers"]] == [f"VI_{n}" for n in range(250)]


def test_comings_and_goings_of_others_do_not_part_an_event() -> None:
    events = gathered(joined("a"), left("x"), joined("b"), left("y"))
    assert [(event["event"], event["count"]) for event in events] == [("viewer_joined", 2), ("viewer_left", 2)]


def test_who_leaves_and_comes_again_has_left_first() -> None:
    events = gathered(left("a"), joined("a"), left("a"))
    assert [event["event"] for event in events] == ["viewer_left", "viewer_joined", "viewer_left"]


def test_nothing_passes_the_beginning_or_the_end_of_a_video() -> None:
    started, finished = VideoStarted(video(), NOW_MS), VideoFinished(video(), NOW_MS, NOW_MS - 1000)
    events = gathered(joined("a"), left("a"), finished, started, joined("b"))
    words = [event["event"] for event in events]
    assert words == ["viewer_joined", "viewer_left", "video_finished", "video_started", "viewer_joined"]


def test_of_peaks_and_totals_the_newest_is_told() -> None:
    events = gathered(
        ViewersPeak(video(), NOW_MS, 5),
        TotalReceived(video(2), NOW_MS, "other.example", 7),
        ViewersPeak(video(), NOW_MS, 6),
        TotalReceived(video(2), NOW_MS, "other.example", 0),
    )
    assert [(event["event"], event["viewersCount"]) for event in events] == [("viewers_peak", 6), ("total_received", 0)]
    assert events[1]["host"] == "other.example"


def test_views_are_summed_by_who_told_of_them() -> None:
    events = gathered(
        ViewCounted(video(), NOW_MS, "", 7),
        ViewCounted(video(), NOW_MS, "other.example", 8),
        ViewCounted(video(), NOW_MS, "", 9),
    )
    assert [(event["count"], event["views"], event["host"]) for event in events] == [
        (2, 9, None),
        (1, 8, "other.example"),
    ]


def test_peers_have_no_video() -> None:
    events = gathered(PeerDown("other.example", NOW_MS, "timeout"), PeerUp("other.example", NOW_MS))
    assert [event["event"] for event in events] == ["peer_down", "peer_up"]
    assert (events[0]["host"], events[0]["reason"]) == ("other.example", "timeout")
    assert all("video" not in event for event in events)


def test_it_holds_no_more_than_its_bound() -> None:
    gatherer = Gatherer(limit=3)
    assert [gatherer.add(joined(str(n))) for n in range(4)] == [True, True, True, False]
    assert len(gatherer) == 3
    assert len(gatherer.take()) == 1
    assert gatherer.add(joined("again"))


_STEPS = st.lists(st.tuples(st.sampled_from(["join", "leave", "abort", "peak"]), st.integers(0, 4)), max_size=60)


@given(_STEPS)
def test_every_viewer_is_told_of_in_its_order(steps: list[tuple[str, int]]) -> None:
    gatherer = Gatherer()
    expected: dict[str, list[str]] = {}
    for step, who in steps:
        notice: Notice
        match step:
            case "join":
                notice = joined(str(who))
            case "leave":
                notice = left(str(who))
            case "abort":
                notice = ViewerAborted(video(), NOW_MS, f"VI_{who}", f"VS_{who}")
            case _:
                gatherer.add(ViewersPeak(video(), NOW_MS, who))
                continue
        expected.setdefault(f"VS_{who}", []).append(notice.event)
        gatherer.add(notice)
    told: dict[str, list[str]] = {}
    for event in map(said, gatherer.take()):
        for viewer in event.get("viewers", ()):
            told.setdefault(viewer["session"], []).append(event["event"])
    assert told == expected
