"""WatchActions of other instances: the recorded ones, and what nobody should be able to say."""

from __future__ import annotations

import dataclasses
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.inbox_house import REMOTE_UUID, UUID, House
from support.recorded import load_exchange, minimal_origin

from federation.peers import EVERYTHING, PeerPolicy
from federation.vocabulary import Create, Section, WatchActionObject, parse_activity
from foundation.clock import ManualClock, iso_ms, parse_iso_ms
from foundation.database import Database
from foundation.errors import Refused
from foundation.ratelimit import WindowLimiter
from inbox.watching import MAX_AGE_MS, MAX_KEPT, MAX_SENT, MAX_STAY_MS, Plausibility, WatchActionHandler, judge, merge
from views.model import Privacy, Video
from views.stats.model import Stay, Traits

THERE = "https://there.example"
THEM = f"{THERE}/accounts/peertube"
STAY_UUID = "aa78c2b8-0707-42bc-b68d-a0e2d5f4e39d"
NOW_MS = ManualClock().now_ms()
DAY_MS = 86_400_000


@pytest.fixture
async def house(database: Database, clock: ManualClock) -> House:
    return await House(database, clock, policies=[PeerPolicy("shy.example", accept=EVERYTHING - {"views"})]).start()


def document(base: str = THERE, **changes: Any) -> dict[str, Any]:
    """A WatchAction of ten seconds that ended a minute ago."""
    return {
        "id": f"{base}/videos/local-viewer/{STAY_UUID}",
        "type": "WatchAction",
        "duration": "PT10S",
        "startTime": iso_ms(NOW_MS - 75_000),
        "endTime": iso_ms(NOW_MS - 60_000),
        "object": f"https://tube.example/videos/watch/{UUID}",
        "uuid": STAY_UUID,
        "actionStatus": "CompletedActionStatus",
        "watchSections": [{"startTimestamp": 0, "endTimestamp": 4}, {"startTimestamp": 6, "endTimestamp": 12}],
        **changes,
    }


def sections(*pairs: tuple[float, float]) -> list[dict[str, float]]:
    return [{"startTimestamp": start, "endTimestamp": end} for start, end in pairs]


async def take(house: House, thing: dict[str, Any], base: str = THERE) -> str:
    """Apply a Create of it as sent by the instance at ``base``; what came of it in one word."""
    actor = f"{base}/accounts/peertube"
    create = {"type": "Create", "id": f"{actor}/creates/1", "actor": actor, "to": [], "object": thing}
    activity = parse_activity(msgspec.json.encode(create), max_items=1)
    if isinstance(activity, Refused):
        assert activity.status == 400
        return activity.reason
    outcome = await house.handlers(activity, house.sender(actor))
    assert outcome is None or outcome.status == 202
    return "applied" if outcome is None else str(outcome.reason)


async def taken(house: House, thing: dict[str, Any]) -> Stay:
    await house.local()
    assert await take(house, thing) == "applied"
    (stay,) = house.stays.saved.values()
    return stay


async def test_a_stay_is_kept_with_everything_it_says(house: House) -> None:
    video = await house.local()
    place = {"addressCountry": "FR", "addressRegion": "Brittany"}
    assert await take(house, document(location=place)) == "applied"
    url = f"{THERE}/videos/local-viewer/{STAY_UUID}"
    assert house.stays.saved == {
        url: Stay(
            video=video.number,
            uuid=STAY_UUID,
            url=url,
            start_ms=NOW_MS - 75_000,
            end_ms=NOW_MS - 60_000,
            watch_time_s=10,
            sections=((0, 4), (6, 12)),
            traits=Traits("FR", "Brittany"),
            source="there.example",
            flagged=False,
        )
    }


@pytest.mark.parametrize(
    ("name", "watch_time_s", "seen", "flagged"),
    [
        ("39", 10, ((0, 4), (6, 12)), False),
        # Seven seconds watched within one, says PeerTube.
        ("40", 7, ((0, 7),), True),
        ("60", 14, ((0, 14),), False),
        ("received", 1, ((0, 1),), False),
    ],
)
async def test_what_peertube_sent_is_taken(
    database: Database, name: str, watch_time_s: int, seen: tuple[tuple[int, int], ...], flagged: bool
) -> None:
    sent: dict[str, Any]
    sent = minimal_origin("received-create-watch-action") if name == "received" else load_exchange(name).json
    thing = sent["object"]
    ended_ms = parse_iso_ms(thing["endTime"])
    assert ended_ms is not None
    base, _, uuid = thing["object"].partition("/videos/watch/")
    house = await House(database, ManualClock(ended_ms + 5_000), base=base).start()
    await house.local(uuid)
    for expected in (None, "duplicate"):
        activity = parse_activity(msgspec.json.encode(sent), max_items=1)
        assert isinstance(activity, Create)
        outcome = await house.handlers(activity, house.sender(sent["actor"]))
        assert (None if outcome is None else outcome.reason) == expected
    (stay,) = house.stays.saved.values()
    assert (stay.url, stay.uuid, stay.source) == (thing["id"], thing["uuid"], sent["actor"].split("/")[2])
    assert (stay.watch_time_s, stay.sections, stay.flagged) == (watch_time_s, seen, flagged)
    assert stay.end_ms == ended_ms


async def test_the_same_id_again_changes_nothing_whoever_says_what(house: House) -> None:
    first = await taken(house, document())
    assert await take(house, document(duration="PT3S")) == "duplicate"
    assert await take(house, document(), "https://mallory.example") == "foreign_id"
    assert list(house.stays.saved.values()) == [first]


async def test_whose_video_it_is_and_who_sees_it(house: House) -> None:
    await house.remote("https://else.example")
    theirs = f"https://else.example/videos/watch/{REMOTE_UUID}"
    assert await take(house, document(object=theirs)) == "unknown_object"
    assert await take(house, document()) == "unknown_video"
    await house.local(privacy=Privacy.PRIVATE)
    assert await take(house, document()) == "unknown_video"
    await house.local(privacy=Privacy.UNLISTED)
    assert await take(house, document("https://shy.example"), "https://shy.example") == "not_accepted"
    assert await take(house, document()) == "applied"
    assert house.web.asked == [], "nothing is fetched for it"


LONG = [(n * 2, n * 2 + 1) for n in range(MAX_KEPT + 1)]
HOSTILE: list[tuple[str, dict[str, Any], str]] = [
    ("id elsewhere", {"id": f"https://mallory.example/videos/local-viewer/{STAY_UUID}"}, "foreign_id"),
    ("id of ours", {"id": f"https://tube.example/videos/local-viewer/{STAY_UUID}"}, "foreign_id"),
    ("id on another port", {"id": f"https://there.example:444/videos/local-viewer/{STAY_UUID}"}, "foreign_id"),
    ("id no URL", {"id": "local-viewer"}, "bad_watch_action"),
    ("uuid no UUID", {"uuid": "1"}, "bad_watch_action"),
    ("still watching", {"actionStatus": "ActiveActionStatus"}, "not_completed"),
    ("status absent", {"actionStatus": None}, "not_completed"),
    ("no sections", {"watchSections": []}, "nothing_watched"),
    ("empty sections", {"watchSections": sections((5, 5), (0, 0))}, "nothing_watched"),
    ("less than a second", {"watchSections": sections((5.1, 5.9))}, "nothing_watched"),
    ("no watch time", {"duration": "PT0S"}, "nothing_watched"),
    ("sections no array", {"watchSections": "all"}, "bad_watch_action"),
    ("section no object", {"watchSections": [[0, 1]]}, "bad_watch_action"),
    ("negative section", {"watchSections": sections((-1, 5))}, "bad_watch_action"),
    ("section of texts", {"watchSections": [{"startTimestamp": "0", "endTimestamp": "5"}]}, "bad_watch_action"),
    ("backward section", {"watchSections": sections((0, 4), (9, 5))}, "implausible_sections"),
    ("beyond the end", {"watchSections": sections((0, 597))}, "implausible_sections"),
    ("far beyond the end", {"watchSections": sections((0, 9_999_999))}, "implausible_sections"),
    ("too many apart", {"watchSections": sections(*LONG)}, "implausible_sections"),
    ("too many", {"watchSections": sections(*[(0, 1)] * (MAX_SENT + 1))}, "implausible_sections"),
    ("ten thousand", {"watchSections": sections(*[(0, 1)] * 10_000)}, "implausible_sections"),
    ("ten thousand and one", {"watchSections": sections(*[(0, 1)] * 10_001)}, "bad_watch_action"),
    ("ends before it begins", {"endTime": iso_ms(NOW_MS - 75_001)}, "implausible_dates"),
    ("tomorrow", {"startTime": iso_ms(NOW_MS + DAY_MS), "endTime": iso_ms(NOW_MS + DAY_MS)}, "implausible_dates"),
    ("ends tomorrow", {"endTime": iso_ms(NOW_MS + DAY_MS)}, "implausible_dates"),
    ("for months", {"startTime": iso_ms(NOW_MS - 89 * DAY_MS)}, "implausible_dates"),
    ("long ago", {"startTime": iso_ms(NOW_MS - MAX_AGE_MS - 1)}, "implausible_dates"),
    ("no zone", {"startTime": "2026-01-01T00:00:00"}, "bad_watch_action"),
    ("no date", {"endTime": "yesterday"}, "bad_watch_action"),
    ("duration a number", {"duration": 10}, "bad_watch_action"),
    ("duration of a year", {"duration": "P1Y"}, "bad_watch_action"),
    ("duration endless", {"duration": "PT99999999S"}, "bad_watch_action"),
    ("country a name", {"location": {"addressCountry": "France"}}, "bad_location"),
    ("country small", {"location": {"addressCountry": "fr"}}, "bad_location"),
    ("country markup", {"location": {"addressCountry": "<b"}}, "bad_location"),
    ("region unprintable", {"location": {"addressCountry": "FR", "addressRegion": "a\u202eb"}}, "bad_location"),
    ("location a text", {"location": "FR"}, "bad_watch_action"),
    ("video no URL", {"object": "this one"}, "bad_watch_action"),
]


@pytest.mark.parametrize(("changes", "reason"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
async def test_what_nobody_may_say_is_refused_with_a_reason(house: House, changes: dict[str, Any], reason: str) -> None:
    await house.local()
    assert await take(house, document(**changes)) == reason
    assert house.stays.saved == {}


TAKEN: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("hours and minutes", {"duration": "PT0H0M9S"}, {"watch_time_s": 9}),
    ("of months", {"duration": "P1M"}, {"watch_time_s": 10}),
    ("a fraction", {"duration": "PT9.9S"}, {"watch_time_s": 9}),
    ("above its sections", {"duration": "PT1H"}, {"watch_time_s": 10, "flagged": False}),
    ("below its sections", {"duration": "PT2S"}, {"watch_time_s": 2}),
    (
        "unordered, overlapping, touching, empty",
        {"watchSections": sections((6, 8), (0, 4), (2, 5), (8, 9), (3, 3)), "duration": "PT9S"},
        {"sections": ((0, 5), (6, 9)), "watch_time_s": 9},
    ),
    ("re-watched", {"watchSections": sections((0, 6), (0, 6)), "duration": "PT12S"}, {"watch_time_s": 12}),
    (
        "the same thousand times",
        {"watchSections": sections(*[(0, 596)] * MAX_SENT), "duration": "PT596000S"},
        {"sections": ((0, 596),), "watch_time_s": 596, "flagged": True},
    ),
    ("to the very end", {"watchSections": sections((590, 596.9)), "duration": "PT6S"}, {"sections": ((590, 596),)}),
    ("region unknown", {"location": {"addressCountry": "DE", "addressRegion": None}}, {"traits": Traits("DE")}),
    ("region alone", {"location": {"addressRegion": "Saxony"}}, {"traits": Traits()}),
    ("location null", {"location": None}, {"traits": Traits()}),
    ("nowhere", {"location": {"addressCountry": "ZZ", "addressRegion": "Somewhere"}}, {"traits": Traits()}),
    ("at twice the speed", {"duration": "PT30S", "watchSections": sections((0, 30))}, {"flagged": False}),
    ("faster than any player", {"duration": "PT32S", "watchSections": sections((0, 32))}, {"flagged": True}),
    (
        "a clock ahead",
        {"startTime": iso_ms(NOW_MS + 1), "endTime": iso_ms(NOW_MS + 60_000)},
        {"start_ms": NOW_MS, "end_ms": NOW_MS},
    ),
    (
        "weeks ago",
        {"startTime": iso_ms(NOW_MS - MAX_AGE_MS), "endTime": iso_ms(NOW_MS - MAX_AGE_MS + MAX_STAY_MS)},
        {"start_ms": NOW_MS - MAX_AGE_MS, "end_ms": NOW_MS - MAX_AGE_MS + MAX_STAY_MS},
    ),
]


@pytest.mark.parametrize(("changes", "expected"), [row[1:] for row in TAKEN], ids=[row[0] for row in TAKEN])
async def test_what_can_be_believed_is_taken_as_far_as_it_can(
    house: House, changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    stay = await taken(house, document(**changes))
    assert {name: getattr(stay, name) for name in expected} == expected


def video(**changes: Any) -> Video:
    made = Video(
        number=1,
        uuid=UUID,
        url=f"https://tube.example/videos/watch/{UUID}",
        origin="tube.example",
        local=True,
        name="Big Buck Bunny",
        duration_s=60,
        is_live=False,
        channel="main",
        privacy=Privacy.PUBLIC,
        published_ms=0,
        updated_ms=0,
    )
    return dataclasses.replace(made, **changes)


def action(*pairs: tuple[float, float], **changes: Any) -> WatchActionObject:
    values: dict[str, Any] = {
        "id": f"{THERE}/videos/local-viewer/{STAY_UUID}",
        "uuid": STAY_UUID,
        "video": video().url,
        "duration_s": 10,
        "start_ms": NOW_MS - 20_000,
        "end_ms": NOW_MS - 10_000,
        "completed": True,
        "sections": tuple(Section(*pair) for pair in pairs),
    }
    return WatchActionObject(**(values | changes))


def test_a_live_has_no_end_to_go_beyond() -> None:
    told = action((7_200, 7_210))
    assert isinstance(judge(told, video(), "there.example", NOW_MS, 0, Plausibility()), Refused)
    stay = judge(told, video(is_live=True, duration_s=0), "there.example", NOW_MS, 0, Plausibility())
    assert isinstance(stay, Stay)
    assert stay.sections == ((7_200, 7_210),)


def test_instants_are_turned_into_ours() -> None:
    stay = judge(action((0, 9)), video(), "there.example", NOW_MS, -5_000, Plausibility())
    assert isinstance(stay, Stay)
    assert (stay.start_ms, stay.end_ms) == (NOW_MS - 25_000, NOW_MS - 15_000)


pairs = st.lists(st.tuples(st.integers(0, 70), st.integers(0, 70)), max_size=150)


@given(pairs, st.integers(0, 500))
def test_whatever_is_believed_is_sorted_disjoint_bounded_and_inside_the_video(
    told: list[tuple[int, int]], duration_s: int
) -> None:
    stay = judge(action(*told, duration_s=duration_s), video(), "there.example", NOW_MS, 0, Plausibility())
    backward = any(start > end or end > 60 for start, end in told)
    assert not (backward and isinstance(stay, Stay))
    if isinstance(stay, Stay):
        flat = [second for section in stay.sections for second in section]
        assert flat == sorted(set(flat))
        assert 0 < len(stay.sections) <= MAX_KEPT
        assert flat[-1] <= 60
        assert 0 < stay.watch_time_s <= min(duration_s, sum(end - start for start, end in told))


@given(pairs)
def test_merging_keeps_every_second_and_adds_none(told: list[tuple[int, int]]) -> None:
    def seconds(sections: Any) -> set[int]:
        return {second for start, end in sections for second in range(start, end)}

    assert seconds(merge(told)) == seconds(told)
    assert merge(merge(told)) == merge(told)


async def test_one_host_fills_nobodys_disk(house: House) -> None:
    await house.local()
    handler = WatchActionHandler(
        peers=house.peers,
        catalog=house.catalog,
        stays=house.stays,
        clock=house.clock,
        limiter=WindowLimiter(house.clock, limit=2, window_ms=3_600_000),
    )

    async def sent(base: str = THERE) -> str:
        uuid = str(uuid4())
        thing = document(base, id=f"{base}/videos/local-viewer/{uuid}", uuid=uuid)
        create = {"type": "Create", "id": f"{thing['id']}/activity", "actor": f"{base}/u", "object": thing}
        activity = parse_activity(msgspec.json.encode(create), max_items=1)
        assert isinstance(activity, Create), activity
        assert isinstance(activity.object, WatchActionObject), activity
        outcome = await handler(activity.object, house.sender(activity.actor))
        return "applied" if outcome is None else str(outcome.reason)

    assert [await sent() for _ in range(3)] == ["applied", "applied", "too_many_stays"]
    assert await sent("https://elsewhere.example") == "applied", "another host has a measure of its own"
    house.clock.advance(3_600_000)
    assert await sent() == "applied"
