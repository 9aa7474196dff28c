"""The four cases over real parts: whose View moves which number, for how long, and why another moves none."""

from __future__ import annotations

from typing import Any

import pytest
from support.inbox_house import MAX_EXPIRES_MS, REMOTE_UUID, UUID, House, video_document

from federation.peers import EVERYTHING, PeerPolicy
from federation.vocabulary import View
from foundation.clock import ManualClock
from foundation.database import Database
from inbox.unknown import IMPORTS_PER_MINUTE, ImportPolicy
from inbox.viewing import MAX_PUBLISHED_AHEAD_MS
from views.model import LOCAL, Privacy, Video

THERE, PEER = "https://there.example", "https://peer.example"
ORIGIN_ACTOR, PEER_ACTOR = f"{THERE}/accounts/peertube", f"{PEER}/accounts/peertube"
LIFE_MS = 60_000
REMOTE_URL = f"{THERE}/videos/watch/{REMOTE_UUID}"


@pytest.fixture
async def house(database: Database, clock: ManualClock) -> House:
    return await House(database, clock).start()


async def say(
    house: House,
    video: Video | str,
    actor: str = PEER_ACTOR,
    *,
    id_: str = "1",
    life_ms: int | None = LIFE_MS,
    ago_ms: int = 0,
    signed_ms: int | None = None,
    **members: Any,
) -> str:
    """Apply a View of this actor; its outcome in one word. ``life_ms`` None: a counted view."""
    sender = house.sender(actor, ago_ms=ago_ms, signed_ms=signed_ms)
    url = video if isinstance(video, str) else video.url
    view = View(f"{actor}/views/{id_}", actor, url, None if life_ms is None else sender.signed_ms + life_ms, **members)
    outcome = await house.views(view, sender)
    assert outcome is None or outcome.status == 202
    return "applied" if outcome is None else str(outcome.reason)


# Case C: a viewer of a peer, on our video


async def test_a_peers_viewers_are_added_one_by_one_whatever_they_claim(house: House) -> None:
    video = await house.local()
    assert await say(house, video, id_="1", counter=1) == "applied"
    assert await say(house, video, id_="2") == "applied"
    assert await say(house, video, id_="3", counter=5_000) == "applied"
    assert await say(house, video, ORIGIN_ACTOR, id_="1") == "applied"
    shown = await house.viewers.shown(video)
    assert (shown.viewers, shown.peers) == (4, {"peer.example": 3, "there.example": 1})


async def test_the_same_id_again_extends(house: House, clock: ManualClock) -> None:
    video = await house.local()
    assert await say(house, video) == "applied"
    clock.advance(LIFE_MS - 1)
    assert await say(house, video) == "applied"
    assert await house.number(video) == 1
    clock.advance(LIFE_MS - 1)
    assert await house.number(video) == 1
    clock.advance(1)
    assert await house.number(video) == 0


async def test_an_id_belongs_to_whom_it_came_from(house: House) -> None:
    """Two hosts cannot take each other's viewers over, for a host's viewers are counted apart."""
    video = await house.local()
    view = View(f"{PEER_ACTOR}/views/1", PEER_ACTOR, video.url, house.clock.now_ms() + LIFE_MS)
    for actor in (PEER_ACTOR, ORIGIN_ACTOR):
        assert await house.views(view, house.sender(actor)) is None
    assert await house.number(video) == 2


async def test_viewers_above_the_quota_are_shown_apart(database: Database, clock: ManualClock) -> None:
    policy = PeerPolicy("there.example", max_viewers_per_video=1)
    house = await House(database, clock, quota=2, policies=[policy]).start()
    video = await house.local()
    for number in range(5):
        assert await say(house, video, id_=str(number)) == "applied"
        assert await say(house, video, ORIGIN_ACTOR, id_=str(number)) == "applied"
    shown = await house.viewers.shown(video)
    assert (shown.viewers, shown.unverified) == (3, 7)
    assert shown.peers == {"peer.example": 2, "there.example": 1}


# Case D: what an origin says about its video


async def test_an_origins_total_is_the_number_and_ours_are_added_once(house: House) -> None:
    video = await house.remote(THERE)
    assert await say(house, video, ORIGIN_ACTOR, counter=42) == "applied"
    assert await house.number(video) == 42
    await house.viewers.watching(video, b"a" * 16)
    assert await house.number(video) == 43
    # One of ours is in the next total, says the origin.
    assert await say(house, video, ORIGIN_ACTOR, counter=43, yours=1) == "applied"
    assert await house.number(video) == 43
    assert await say(house, video, ORIGIN_ACTOR, counter=0, yours=0) == "applied"
    assert await house.number(video) == 1


async def test_viewers_of_protocol_v1_count_until_a_total_arrives(house: House, clock: ManualClock) -> None:
    video = await house.remote(THERE)
    for id_ in ("1", "2", "1"):
        assert await say(house, video, ORIGIN_ACTOR, id_=id_) == "applied"
    assert await house.number(video) == 2
    clock.advance(1)
    assert await say(house, video, ORIGIN_ACTOR, id_="t", counter=7) == "applied"
    assert await house.number(video) == 7
    assert await say(house, video, ORIGIN_ACTOR, id_="3") == "applied"
    assert await house.number(video) == 7


@pytest.mark.parametrize("members", [{"counter": 9}, {"counter": 0}, {}, {"life_ms": None}])
async def test_nobody_else_speaks_for_an_origin(house: House, members: dict[str, Any]) -> None:
    video = await house.remote(THERE)
    assert await say(house, video, ORIGIN_ACTOR, id_="t", counter=3) == "applied"
    assert await say(house, video, PEER_ACTOR, **members) == "not_origin"
    assert await house.number(video) == 3
    assert await house.counted(video) == 12


async def test_an_account_elsewhere_speaks_for_the_video_that_names_it(house: House) -> None:
    video = await house.remote(THERE, owner="https://accounts.example/alice")
    assert await say(house, video, "https://accounts.example/alice", counter=5) == "applied"
    assert await house.number(video) == 5
    assert await say(house, video, "https://accounts.example/mallory", counter=9) == "not_origin"
    unowned = await house.remote(THERE, UUID, owner="")
    assert await say(house, unowned, "https://accounts.example/alice", counter=5) == "not_origin"


TOTALS = [
    # (published, signed) of the first and the second total, in ms before now; which count stays
    ((None, 3_000), (None, 2_000), 2),
    ((None, 2_000), (None, 3_000), 1),
    ((None, 2_000), (None, 2_000), 2),
    ((5_000, 1_000), (4_000, 2_000), 2),
    ((4_000, 2_000), (5_000, 1_000), 1),
    ((4_000, 1_000), (4_000, 1_000), 2),
    ((None, 3_000), (2_000, 9_000), 2),
    ((2_000, 9_000), (None, 3_000), 1),
]


@pytest.mark.parametrize(("first", "second", "kept"), TOTALS)
async def test_totals_are_ordered_by_when_they_were_said(
    house: House, first: tuple[int | None, int], second: tuple[int | None, int], kept: int
) -> None:
    video = await house.remote(THERE)
    now_ms = house.clock.now_ms()
    outcomes = []
    for count, (published, signed) in enumerate((first, second), 1):
        published_ms = None if published is None else now_ms - published
        outcomes.append(await say(house, video, ORIGIN_ACTOR, counter=count, ago_ms=signed, published_ms=published_ms))
    assert outcomes == ["applied", "applied" if kept == 2 else "replaced"]
    assert await house.number(video) == kept


async def test_a_total_published_ahead_of_its_signature_stands_in_nobodys_way(house: House, clock: ManualClock) -> None:
    video = await house.remote(THERE)
    ahead_ms = clock.now_ms() + 365 * 86_400_000
    assert await say(house, video, ORIGIN_ACTOR, counter=500, published_ms=ahead_ms) == "applied"
    clock.advance(MAX_PUBLISHED_AHEAD_MS)
    assert await say(house, video, ORIGIN_ACTOR, counter=2, published_ms=clock.now_ms()) == "applied"
    assert await house.number(video) == 2


async def test_a_captured_total_does_not_come_back_when_the_newer_one_is_over(house: House, clock: ManualClock) -> None:
    video = await house.remote(THERE)
    signed_ms = clock.now_ms()
    first = {"counter": 1_000, "life_ms": 240_000, "signed_ms": signed_ms}
    assert await say(house, video, ORIGIN_ACTOR, **first) == "applied"
    clock.advance(1_000)
    assert await say(house, video, ORIGIN_ACTOR, counter=3, life_ms=4_000) == "applied"
    clock.advance(10_000)
    await house.store.sweep(clock.now_ms())
    assert await say(house, video, ORIGIN_ACTOR, **first) == "replaced"
    assert await house.number(video) == 0
    assert await say(house, video, ORIGIN_ACTOR, counter=4) == "applied"


async def test_a_captured_total_does_not_replace_one_of_the_same_second(house: House) -> None:
    video = await house.remote(THERE)
    said = [await say(house, video, ORIGIN_ACTOR, id_=str(count), counter=count) for count in (50, 51, 51, 50)]
    assert said == ["applied", "applied", "applied", "replaced"]
    assert await house.number(video) == 51


# Time


@pytest.mark.parametrize("offset_ms", [0, 1_999, -600_000, 600_000, 1_700_000])
@pytest.mark.parametrize("total", [False, True])
async def test_a_life_is_measured_by_our_clock(house: House, clock: ManualClock, offset_ms: int, total: bool) -> None:
    """``offset_ms``: how far the peer's clock is behind ours."""
    video = await (house.remote(THERE) if total else house.local())
    house.peers.observe_date("there.example", clock.now_ms() - offset_ms, clock.now_ms())
    counter = 1 if total else None
    said = await say(house, video, ORIGIN_ACTOR, signed_ms=clock.now_ms() - offset_ms, counter=counter)
    assert said == "applied"
    felt_ms = LIFE_MS - (offset_ms if abs(offset_ms) < 2_000 else 0)
    grace_ms = LIFE_MS // 4 if total else 0
    clock.advance(felt_ms + grace_ms - 1)
    assert await house.number(video) == 1
    clock.advance(1)
    assert await house.number(video) == 0


@pytest.mark.parametrize("life_ms", [MAX_EXPIRES_MS + 1, 10**11])
async def test_a_long_life_is_cut(house: House, clock: ManualClock, life_ms: int) -> None:
    video = await house.local()
    assert await say(house, video, life_ms=life_ms, ago_ms=10_000) == "applied"
    clock.advance(MAX_EXPIRES_MS - 10_001)
    assert await house.number(video) == 1
    clock.advance(1)
    assert await house.number(video) == 0


@pytest.mark.parametrize(("life_ms", "ago_ms"), [(0, 0), (-1, 0), (LIFE_MS, LIFE_MS), (10**11, MAX_EXPIRES_MS)])
@pytest.mark.parametrize("counter", [None, 5])
async def test_a_life_that_was_over_on_arrival_changes_nothing(
    house: House, life_ms: int, ago_ms: int, counter: int | None
) -> None:
    video = await house.remote(THERE)
    assert await say(house, video, ORIGIN_ACTOR, life_ms=life_ms, ago_ms=ago_ms, counter=counter) == "expired"
    assert await house.number(video) == 0


# Counted views


async def test_a_counted_view_counts_once(house: House) -> None:
    video = await house.local()
    assert await say(house, video, id_="a", life_ms=None) == "applied"
    assert await say(house, video, id_="a", life_ms=None) == "duplicate"
    assert await say(house, video, id_="b", life_ms=None) == "applied"
    # An id is worth as much as the actor that says it.
    assert await say(house, video, f"{PEER}/accounts/other", id_="a", life_ms=None) == "applied"
    assert await house.counted(video) == 3
    assert await house.number(video) == 0


async def test_a_remote_videos_total_of_views_is_its_origins(house: House) -> None:
    video = await house.remote(THERE)
    assert await say(house, video, ORIGIN_ACTOR, id_="a", life_ms=None) == "applied"
    assert await say(house, video, ORIGIN_ACTOR, id_="a", life_ms=None) == "duplicate"
    assert await house.counted(video) == 12


# What is not there, and what is not wanted


@pytest.mark.parametrize("life_ms", [LIFE_MS, None])
async def test_a_private_video_does_not_exist(house: House, life_ms: int | None) -> None:
    video = await house.local(privacy=Privacy.PRIVATE)
    assert await say(house, video, life_ms=life_ms) == "unknown_video"
    assert await say(house, house.video_url(REMOTE_UUID), life_ms=life_ms) == "unknown_video"
    assert await house.number(video) == 0
    assert await house.counted(video) == 0


async def test_an_unlisted_video_is_counted(house: House) -> None:
    video = await house.local(privacy=Privacy.UNLISTED)
    assert await say(house, video) == "applied"
    assert await house.number(video) == 1


@pytest.mark.parametrize("left_out", ["viewers", "views", "totals"])
async def test_what_the_administrator_left_out_is_not_taken(
    database: Database, clock: ManualClock, left_out: str
) -> None:
    policy = PeerPolicy("there.example", accept=EVERYTHING - {left_out})
    house = await House(database, clock, policies=[policy]).start()
    ours, theirs = await house.local(), await house.remote(THERE)
    outcomes = {
        "viewers": {
            await say(house, ours, ORIGIN_ACTOR),
            await say(house, theirs, ORIGIN_ACTOR, id_="v1"),
        },
        "views": {
            await say(house, ours, ORIGIN_ACTOR, life_ms=None),
            await say(house, theirs, ORIGIN_ACTOR, id_="b", life_ms=None),
        },
        "totals": {await say(house, theirs, ORIGIN_ACTOR, counter=1)},
    }
    assert outcomes == {kind: {"not_accepted" if kind == left_out else "applied"} for kind in outcomes}
    assert await say(house, ours, PEER_ACTOR) == "applied"


# Videos that we do not know


IMPORTS = [
    # policy, do we follow the sender, who says it, outcome, is anything fetched
    (ImportPolicy.NEVER, True, ORIGIN_ACTOR, "unknown_video", False),
    (ImportPolicy.FOLLOWED, False, ORIGIN_ACTOR, "unknown_video", False),
    (ImportPolicy.FOLLOWED, True, ORIGIN_ACTOR, "applied", True),
    (ImportPolicy.FOLLOWED, True, PEER_ACTOR, "unknown_video", False),
    (ImportPolicy.OPEN, False, ORIGIN_ACTOR, "applied", True),
    (ImportPolicy.OPEN, True, PEER_ACTOR, "unknown_video", False),
]


@pytest.mark.parametrize(("policy", "followed", "actor", "outcome", "fetched"), IMPORTS)
async def test_whose_view_makes_us_fetch_a_video(
    database: Database,
    clock: ManualClock,
    policy: ImportPolicy,
    followed: bool,
    actor: str,
    outcome: str,
    fetched: bool,
) -> None:
    house = await House(database, clock, imports=policy, documents={REMOTE_URL: video_document(THERE)}).start()
    if followed:
        for one in (ORIGIN_ACTOR, PEER_ACTOR):
            await house.follow(one)
    assert await say(house, REMOTE_URL, actor, counter=6) == outcome
    assert house.web.asked == ([REMOTE_URL] if fetched else [])
    video = await house.catalog.by_url(REMOTE_URL)
    assert (video is not None) is fetched
    if video is not None:
        assert await house.number(video) == 6


@pytest.fixture
async def eager(database: Database, clock: ManualClock) -> House:
    return await House(database, clock, imports=ImportPolicy.OPEN).start()


async def test_a_view_of_a_video_of_ours_that_is_not_there_fetches_nothing(eager: House) -> None:
    assert await say(eager, eager.video_url(UUID)) == "unknown_video"
    assert eager.web.asked == []


async def test_a_view_is_about_an_id_and_not_about_a_page(eager: House) -> None:
    page = f"{THERE}/w/short"
    eager.web.documents |= {page: video_document(THERE), REMOTE_URL: video_document(THERE)}
    assert await say(eager, page, ORIGIN_ACTOR) == "unknown_video"
    video = await eager.catalog.by_url(REMOTE_URL)
    assert video is not None
    assert await eager.number(video) == 0


async def test_a_redirect_leads_to_nobody_elses_video(eager: House) -> None:
    theirs = f"{PEER}/videos/watch/{REMOTE_UUID}"
    eager.web.moved[REMOTE_URL] = theirs
    eager.web.documents[theirs] = video_document(PEER)
    assert await say(eager, REMOTE_URL, ORIGIN_ACTOR) == "unknown_video"
    assert await eager.catalog.by_url(theirs) is None


async def test_what_was_left_out_by_the_administrator_is_not_imported(database: Database, clock: ManualClock) -> None:
    policy = PeerPolicy("there.example", accept=EVERYTHING - {"announces"})
    house = await House(database, clock, imports=ImportPolicy.OPEN, policies=[policy]).start()
    assert await say(house, REMOTE_URL, ORIGIN_ACTOR) == "unknown_video"
    assert house.web.asked == []


async def test_one_host_makes_us_fetch_only_so_often(eager: House, clock: ManualClock) -> None:
    for number in range(3 * IMPORTS_PER_MINUTE):
        assert await say(eager, f"{THERE}/videos/watch/{number}", ORIGIN_ACTOR) == "unknown_video"
    assert len(eager.web.asked) == IMPORTS_PER_MINUTE
    clock.advance(60_000)
    eager.web.documents[REMOTE_URL] = video_document(THERE)
    assert await say(eager, REMOTE_URL, ORIGIN_ACTOR) == "applied"


async def test_viewers_of_a_peer_are_kept_under_its_host(house: House) -> None:
    video = await house.local()
    await house.viewers.watching(video, b"v" * 16)
    assert await say(house, video) == "applied"
    reading = await house.store.read(video.number, house.clock.now_ms())
    assert (reading.local, reading.peers) == (1, {"peer.example": 1})
    assert LOCAL not in reading.peers
