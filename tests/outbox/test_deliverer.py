from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from aiohttp import web
from house import FEDIVIEWS, LIFETIME_MS, MASTODON, PEERTUBE, US, UUIDS, House, MakeHouse, MakePeer

from federation.peers import PeerPolicy, Switch
from foundation.clock import ManualClock, iso_ms, parse_iso_ms
from foundation.database import Transaction
from foundation.httpdate import format_http_date
from outbox.batching import Batch
from outbox.breaker import BreakerState
from outbox.retry import RetryPolicy
from outbox.routing import BatchReason
from views.model import Privacy, Video
from views.ports import Tell


def totals(peer: Any, video: Video) -> list[int]:
    return [
        one["result"]["userInteractionCount"]
        for one in peer.of_type("View")
        if one["object"] == video.url and "result" in one
    ]


async def count(house: House, video: Video, name: str) -> None:
    async def work(tx: Transaction) -> None:
        await house.door.announcer.view_counted(tx, video, name, house.clock.now_ms())

    await house.database.write(work)
    house.door.announcer.committed()


async def test_a_published_video_is_announced_by_the_instance_actor(house: House, make_peer: MakePeer) -> None:
    peer = await make_peer(software=PEERTUBE)
    await house.befriend(peer)
    video = await house.video()
    await peer.heard(lambda: bool(peer.got))
    path, announce = peer.got[0]
    assert path == "/inbox"
    assert announce["type"] == "Announce"
    assert announce["actor"] == f"{US}/accounts/peertube"
    assert announce["object"] == video.url
    assert announce["id"] == f"{video.url}/announces/1"
    assert peer.all_signed


async def test_unlisted_videos_are_not_announced_and_private_ones_never_mentioned(
    house: House, make_peer: MakePeer
) -> None:
    peer = await make_peer(software=FEDIVIEWS)
    await house.befriend(peer)
    private = await house.video(0, privacy=Privacy.PRIVATE)
    unlisted = await house.video(1, privacy=Privacy.UNLISTED)
    for video in (private, unlisted):
        await count(house, video, "3f0c9a10-0000-4000-8000-000000000001")
        house.show(video, 3)
    await peer.heard(lambda: len(peer.activities) == 2)
    await house.settle()
    assert {activity["object"] for activity in peer.activities} == {unlisted.url}
    assert {activity["type"] for activity in peer.activities} == {"View"}


async def test_a_video_made_private_is_deleted_by_its_owner(house: House, make_peer: MakePeer) -> None:
    peer = await make_peer(software=PEERTUBE)
    await house.befriend(peer)
    video = await house.video()
    await peer.heard(lambda: bool(peer.of_type("Announce")))
    await house.video(privacy=Privacy.PRIVATE)
    await peer.heard(lambda: bool(peer.of_type("Delete")))
    [delete] = peer.of_type("Delete")
    assert delete["actor"] == f"{US}/accounts/owner"
    assert delete["object"] == video.url
    assert peer.all_signed


async def test_a_moved_view_count_is_one_update_however_often_it_moved(house: House, make_peer: MakePeer) -> None:
    peer = await make_peer(software=PEERTUBE)
    await house.befriend(peer)
    peer.answer = 503
    await house.video(name="First name")
    await house.until(lambda: bool(house.door.deliverer.troubled()))
    await house.video(name="Second name")
    house.clock.advance(1)
    await house.video(name="Third name")
    peer.answer = 204
    await house.until(lambda: bool(peer.of_type("Update")), step_ms=500)
    [update] = peer.of_type("Update")
    assert update["object"]["name"] == "Third name"
    assert update["object"]["updated"] == iso_ms((await house.catalog.by_uuid(update["object"]["uuid"])).updated_ms)
    assert update["actor"] == f"{US}/accounts/owner"


async def test_counted_views_reach_followers_that_understand_and_nobody_else(house: House, make_peer: MakePeer) -> None:
    tube, toot = await make_peer(software=PEERTUBE), await make_peer(software=MASTODON)
    for peer in (tube, toot):
        await house.befriend(peer)
    video = await house.video()
    await count(house, video, "3f0c9a10-0000-4000-8000-000000000001")
    house.show(video, 3)
    await tube.heard(lambda: len(tube.of_type("View")) == 2)
    await toot.heard(lambda: bool(toot.of_type("Announce")))
    await house.settle()
    assert toot.of_type("View") == []
    [view] = [view for view in tube.of_type("View") if "expires" not in view]
    assert view["id"] == f"{US}/accounts/peertube/views/videos/{video.number}/3f0c9a10-0000-4000-8000-000000000001"


async def test_views_are_held_until_the_software_is_known(house: House, make_peer: MakePeer) -> None:
    peer = await make_peer(software=None)
    await house.befriend(peer)
    video = await house.video()
    await count(house, video, "3f0c9a10-0000-4000-8000-000000000001")
    house.show(video, 3)
    await peer.heard(lambda: bool(peer.of_type("Announce")))
    await house.settle()
    assert peer.of_type("View") == []
    peer.software = PEERTUBE
    house.clock.advance(3_600_000)
    await house.door.housekeeping()
    await peer.heard(lambda: len(peer.of_type("View")) == 2)


async def test_totals_can_be_switched_on_and_off_by_configuration(make_house: MakeHouse, make_peer: MakePeer) -> None:
    toot, tube = await make_peer(software=MASTODON), await make_peer(software=PEERTUBE)
    house = await make_house(
        policies=[PeerPolicy(toot.host, totals=Switch.ON), PeerPolicy(tube.host, totals=Switch.OFF)]
    )
    for peer in (toot, tube):
        await house.befriend(peer)
    video = await house.video()
    house.show(video, 2)
    await toot.heard(lambda: totals(toot, video) == [2])
    await house.settle()
    assert totals(tube, video) == []


async def test_a_total_says_what_peertube_reads_and_what_ours_reads(house: House, make_peer: MakePeer) -> None:
    tube, fedi = await make_peer(software=PEERTUBE), await make_peer(software=FEDIVIEWS)
    for peer in (tube, fedi):
        await house.befriend(peer)
    video = await house.video()
    house.show(video, 42, **{fedi.host: 7})
    for peer in (tube, fedi):
        await peer.heard(lambda peer=peer: bool(peer.of_type("View")))
    [theirs], [ours] = tube.of_type("View"), fedi.of_type("View")
    assert theirs["result"] == {
        "interactionType": "WatchAction",
        "type": "InteractionCounter",
        "userInteractionCount": 42,
    }
    assert theirs["expires"] == iso_ms(house.clock.now_ms() + 2 * LIFETIME_MS)
    assert theirs["id"] == f"{US}/accounts/peertube/views/videos/{video.number}/{video.uuid}"
    assert theirs["to"][0] == "https://www.w3.org/ns/activitystreams#Public"
    assert ours["result"]["yours"] == 7
    assert tube.all_signed
    assert fedi.all_signed


async def test_all_that_is_due_goes_in_one_post(house: House, make_peer: MakePeer) -> None:
    peer = await make_peer(software=FEDIVIEWS)
    videos = [await house.video(n) for n in range(10)]
    for video in videos:
        house.show(video, 5)
    await house.until(lambda: len(house.door.board) == 10)
    await house.befriend(peer)
    await peer.heard(lambda: len(peer.of_type("View")) == 10)
    assert [len(document["items"]) for _, document in peer.got if document["type"] == "Collection"] == [10, 10]


async def test_a_peer_that_refuses_collections_gets_one_by_one(house: House, make_peer: MakePeer) -> None:
    peer = await make_peer(software=FEDIVIEWS)

    def no_collections(request: web.Request, body: bytes) -> web.Response:
        if b'"Collection"' in body:
            return web.Response(status=400)
        peer.got.append((request.path, msgspec.json.decode(body)))
        return web.Response(status=204)

    peer.answer = no_collections
    await house.befriend(peer)
    videos = [await house.video(n) for n in range(4)]
    for video in videos:
        house.show(video, 5)
    await peer.heard(lambda: len(peer.of_type("View")) == 4 and len(peer.of_type("Announce")) == 4)
    assert {document["type"] for _, document in peer.got} == {"View", "Announce"}


@pytest.mark.parametrize(
    ("offers", "posts"),
    [
        ({}, 2),
        ({"batchItems": 3, "maxBody": 500_000}, 84),
        ({"batchItems": 500, "maxBody": 10_000}, None),
        ({"batchItems": 500, "maxBody": 500_000}, 1),
    ],
    ids=str,
)
async def test_a_fediviews_gets_as_much_at_once_as_it_offers(
    house: House, make_peer: MakePeer, offers: dict[str, int], posts: int | None
) -> None:
    peer = await make_peer(
        software={
            "version": "2.0",
            "software": {"name": "fediviews", "version": "0.1.0"},
            "metadata": {"fediviews": {"batch": True, **offers}},
        }
    )
    origin = await house.remote_video(peer)
    await house.probed(peer)
    expires_ms = house.clock.now_ms() + 60_000
    for number in range(250):
        tell = Tell(origin, number.to_bytes(16, "big"), f"name-{number}", expires_ms)
        house.door.announcer.tell_origin(tell)
    await house.until(lambda: len(house.told) == 250)
    assert {one["id"].rpartition("/")[2] for one in peer.of_type("View")} == {f"name-{n}" for n in range(250)}
    assert posts in (None, len(peer.got))
    sizes = [len(msgspec.json.encode(document)) for _, document in peer.got]
    assert max(sizes) <= offers.get("maxBody", 100_000)
    assert max(sizes) > 3 * min(len(msgspec.json.encode(one)) for one in peer.activities) or posts == 84


async def test_peertube_gets_views_together_and_everything_else_by_itself(house: House, make_peer: MakePeer) -> None:
    peer = await make_peer(software=PEERTUBE)
    videos = [await house.video(n) for n in range(4)]
    for video in videos:
        house.show(video, 5)
    await house.until(lambda: len(house.door.board) == 4)
    await house.befriend(peer)
    await peer.heard(lambda: len(peer.of_type("View")) == 4)
    together = [document["items"] for _, document in peer.got if document["type"] == "Collection"]
    assert [[item["type"] for item in items] for items in together] == [["View"] * 4]
    assert len(peer.of_type("Announce")) == 4


async def test_a_peer_may_want_no_collections(make_house: MakeHouse, make_peer: MakePeer) -> None:
    peer = await make_peer(software=FEDIVIEWS)
    house = await make_house(policies=[PeerPolicy(peer.host, batch=Switch.OFF)])
    videos = [await house.video(n) for n in range(4)]
    for video in videos:
        house.show(video, 5)
    await house.until(lambda: len(house.door.board) == 4)
    await house.befriend(peer)
    await peer.heard(lambda: len(peer.of_type("View")) == 4)
    assert {document["type"] for _, document in peer.got} == {"View", "Announce"}


async def test_a_peer_that_breaks_on_collections_gets_totals_one_by_one(house: House, make_peer: MakePeer) -> None:
    peer = await make_peer(software=PEERTUBE)

    def breaks(request: web.Request, body: bytes) -> web.Response:
        if b'"Collection"' in body:
            return web.Response(status=500)
        peer.got.append((request.path, msgspec.json.decode(body)))
        return web.Response(status=204)

    peer.answer = breaks
    videos = [await house.video(n) for n in range(4)]
    for video in videos:
        house.show(video, 5)
    await house.until(lambda: len(house.door.board) == 4)
    await house.befriend(peer)
    await house.until(lambda: len(peer.of_type("View")) == 4, step_ms=500)
    assert {document["type"] for _, document in peer.got} == {"View", "Announce"}


async def test_a_breaker_opens_and_a_probe_that_arrives_closes_it(house: House, make_peer: MakePeer) -> None:
    peer = await make_peer(software=PEERTUBE)
    await house.befriend(peer)
    peer.answer = 503
    await house.video()
    await house.until(lambda: len(peer.verdicts) == 6, step_ms=1_000)
    await house.settle()
    standing = house.door.deliverer.standing(peer.host)
    assert standing is not None
    assert standing.breaker.state is BreakerState.OPEN
    peer.answer = 204
    await house.until(lambda: bool(peer.got), step_ms=1_000)
    await house.until(lambda: house.door.deliverer.troubled() == {})
    assert standing.breaker.state is BreakerState.CLOSED


async def test_soft_state_that_is_over_closes_no_breaker(house: House, make_peer: MakePeer) -> None:
    origin = await make_peer(software=PEERTUBE, answer=503)
    video = await house.remote_video(origin)
    house.door.announcer.tell_origin(Tell(video, b"v" * 16, "name", house.clock.now_ms() + 1_500))
    await house.until(lambda: bool(house.door.deliverer.troubled()))
    house.clock.advance(2_000)
    await house.settle()
    assert house.door.deliverer.troubled() == {origin.host: "status_503"}


async def test_keep_alive_and_the_last_zero(house: House, make_peer: MakePeer) -> None:
    peer = await make_peer(software=PEERTUBE)
    await house.befriend(peer)
    video = await house.video()
    house.show(video, 3)
    await peer.heard(lambda: totals(peer, video) == [3])
    await house.until(lambda: len(totals(peer, video)) >= 3, step_ms=5_000)
    assert set(totals(peer, video)) == {3}
    house.show(video, 0)
    await house.until(lambda: totals(peer, video)[-1] == 0, step_ms=1_000)
    sent = len(totals(peer, video))
    for _ in range(6):
        house.clock.advance(LIFETIME_MS)
        await house.settle()
    assert len(totals(peer, video)) == sent
    assert len(house.door.board) == 0


async def test_two_totals_in_a_row_that_are_lost_without_a_word_do_not_show(house: House, make_peer: MakePeer) -> None:
    peer = await make_peer(software=PEERTUBE)
    await house.befriend(peer)
    video = await house.video()
    house.show(video, 3)
    await peer.heard(lambda: totals(peer, video) == [3])
    lost: list[bytes] = []

    def lose(request: web.Request, body: bytes) -> web.Response:
        lost.append(body)
        return web.Response(status=204)

    peer.answers = [lose, lose]
    while len(totals(peer, video)) < 2:
        last = [parse_iso_ms(one["expires"]) or 0 for one in peer.of_type("View")][-1]
        assert house.clock.now_ms() < last
        house.clock.advance(1_000)
        await house.settle()
    assert len(lost) == 2


@pytest.mark.parametrize(
    ("software", "ahead_ms", "told_ahead_ms"),
    [(PEERTUBE, 600_000, 600_000), (PEERTUBE, -600_000, -600_000), (PEERTUBE, 1_900, 0), (FEDIVIEWS, 600_000, 0)],
)
async def test_what_expires_is_told_in_the_time_of_who_holds_it_against_its_own_clock(
    house: House, make_peer: MakePeer, software: Any, ahead_ms: int, told_ahead_ms: int
) -> None:
    """``ahead_ms`` is how far the peer's clock is before ours."""
    peer = await make_peer(software=software)
    now_ms = house.clock.now_ms()
    peer.headers = {"Date": format_http_date(now_ms + ahead_ms)}
    house.peers.observe_date(peer.host, now_ms + ahead_ms, now_ms)
    await house.befriend(peer)
    video, theirs = await house.video(), await house.remote_video(peer)
    house.show(video, 3)
    house.door.announcer.tell_origin(Tell(theirs, b"v" * 16, "0c9a1111-0000-4000-8000-000000000001", now_ms + 60_000))
    await peer.heard(lambda: len(peer.of_type("View")) == 2)
    told = {one["object"]: one["expires"] for one in peer.of_type("View")}
    assert told[video.url] == iso_ms(house.clock.now_ms() + 2 * LIFETIME_MS + told_ahead_ms)
    assert told[theirs.url] == iso_ms(now_ms + 60_000 + told_ahead_ms)
    [(told_tell, _)] = house.told
    assert told_tell.expires_ms == now_ms + 60_000


async def test_a_peer_that_was_down_gets_each_video_once_with_the_newest_number(
    house: House, make_peer: MakePeer
) -> None:
    peer = await make_peer(software=FEDIVIEWS)
    await house.befriend(peer)
    videos = [await house.video(n) for n in range(3)]
    await peer.heard(lambda: len(peer.of_type("Announce")) == 3)
    peer.answer = 503
    for minute in range(10):
        for video in videos:
            house.show(video, minute + 1)
        house.clock.advance(60_000)
        await house.settle()
    tried = len(peer.verdicts)
    peer.answer = 204
    await house.until(lambda: bool(peer.of_type("View")), step_ms=60_000)
    await house.settle()
    assert [totals(peer, video)[0] for video in videos] == [10, 10, 10]
    assert sum(document["type"] == "Collection" and "View" in str(document) for _, document in peer.got) <= 3
    # Backoff: not one attempt per change.
    assert tried < 25


async def test_one_hanging_peer_holds_up_nobody(make_house: MakeHouse, make_peer: MakePeer) -> None:
    hanging, healthy = await make_peer(software=FEDIVIEWS), await make_peer(software=FEDIVIEWS)
    house = await make_house(timeout_ms=60_000)
    release = asyncio.Event()

    async def hang(request: web.Request, body: bytes) -> web.Response:
        await release.wait()
        return web.Response(status=204)

    for peer in (hanging, healthy):
        await house.befriend(peer)
    hanging.answer = hang
    video = await house.video()
    house.show(video, 3)
    await healthy.heard(lambda: totals(healthy, video) == [3])
    await house.until(lambda: len(hanging.verdicts) == 1)
    async with asyncio.timeout(2):
        await house.stop()
    release.set()


async def test_who_failed_once_is_tried_before_those_that_only_hang(make_house: MakeHouse, make_peer: MakePeer) -> None:
    hanging = [await make_peer(software=FEDIVIEWS, answer=503) for _ in range(4)]
    honest = await make_peer(software=FEDIVIEWS)
    house = await make_house(timeout_ms=60_000, troubled=1)
    gates = [asyncio.Event(), asyncio.Event()]
    hangs = iter((gates[0], *[gates[1]] * 9))

    async def hang(request: web.Request, body: bytes) -> web.Response:
        await next(hangs).wait()
        return web.Response(status=503)

    for peer in (*hanging, honest):
        await house.befriend(peer)
    video = await house.video()
    await honest.heard(lambda: len(honest.of_type("Announce")) == 1)
    await house.until(lambda: len(house.door.deliverer.troubled()) == len(hanging))
    for peer in hanging:
        peer.answer = hang
    # One of them has the only place, the others wait for it already when the honest one fails.
    tried = sum(len(peer.verdicts) for peer in hanging)
    await house.until(lambda: sum(len(peer.verdicts) for peer in hanging) == tried + 1, step_ms=500)
    await house.until(lambda: b"fediviews_delivery_rounds_waiting 3.0" in house.metrics.render(), step_ms=500)
    honest.answers = [503]
    house.show(video, 3)
    await house.until(lambda: honest.host in house.door.deliverer.troubled(), step_ms=500)
    await house.until(lambda: b"fediviews_delivery_rounds_waiting 4.0" in house.metrics.render(), step_ms=500)
    gates[0].set()
    await honest.heard(lambda: totals(honest, video) == [3])
    async with asyncio.timeout(2):
        await house.stop()
    gates[1].set()


async def test_a_slow_answer_is_a_failure_and_tried_again(make_house: MakeHouse, make_peer: MakePeer) -> None:
    peer = await make_peer(software=PEERTUBE)
    house = await make_house(timeout_ms=50)

    async def hang(request: web.Request, body: bytes) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    await house.befriend(peer)
    peer.answers = [hang]
    await house.video()
    await house.until(lambda: house.door.deliverer.troubled() == {peer.host: "timeout"})
    await house.until(lambda: bool(peer.of_type("Announce")), step_ms=500)
    await house.until(lambda: house.door.deliverer.troubled() == {})


@pytest.mark.parametrize("status", [500, 503, 429, 408, 401, 403, 404, 410])
async def test_trouble_is_waited_out_in_order(house: House, make_peer: MakePeer, status: int) -> None:
    peer = await make_peer(software=PEERTUBE)
    await house.befriend(peer)
    peer.answers = [status, status]
    first, second = await house.video(0), await house.video(1)
    await house.until(lambda: len(peer.of_type("Announce")) == 2, step_ms=500)
    assert [announce["object"] for announce in peer.of_type("Announce")] == [first.url, second.url]


async def test_retry_after_is_honoured(house: House, make_peer: MakePeer) -> None:
    peer = await make_peer(software=PEERTUBE)
    await house.befriend(peer)
    peer.answers, peer.headers = [429], {"Retry-After": "600"}
    await house.video()
    await house.until(lambda: bool(house.door.deliverer.troubled()))
    for _ in range(59):
        house.clock.advance(10_000)
        await house.settle()
    assert peer.got == []
    house.clock.advance(10_000)
    await peer.heard(lambda: bool(peer.got))


async def test_a_sign_of_life_shortens_the_wait(house: House, make_peer: MakePeer) -> None:
    peer = await make_peer(software=PEERTUBE)
    await house.befriend(peer)
    peer.answers = [503] * 8
    await house.video()
    await house.until(lambda: len(peer.verdicts) == 8, step_ms=1_000)
    await house.settle()
    house.news.peer_spoke(peer.host)
    house.clock.advance(1_000)
    await peer.heard(lambda: bool(peer.got))


async def test_poison_is_set_aside_and_the_rest_passes(make_house: MakeHouse, make_peer: MakePeer) -> None:
    peer = await make_peer(software=MASTODON)
    house = await make_house(retry=RetryPolicy(first_ms=1000, poison_after=3))

    def allergic(request: web.Request, body: bytes) -> web.Response:
        if UUIDS[8].encode() in body:
            return web.Response(status=422)
        peer.got.append((request.path, msgspec.json.decode(body)))
        return web.Response(status=204)

    peer.answer = allergic
    await house.befriend(peer)
    bad, good = await house.video(8), await house.video(1)
    await peer.heard(lambda: len(peer.of_type("Announce")) == 1)
    assert peer.of_type("Announce")[0]["object"] == good.url
    assert bad.url not in str(peer.got)
    for _ in range(40):
        house.clock.advance(1_000)
        await house.settle()
    [trouble] = await house.door.queues.undelivered(10)
    assert (trouble.attempts, trouble.next_try_ms, trouble.reason) == (3, None, "status_422")
    assert len(peer.verdicts) == 4


async def test_a_message_that_breaks_the_peer_does_not_block_the_others_for_ever(
    make_house: MakeHouse, make_peer: MakePeer
) -> None:
    peer = await make_peer(software=MASTODON)
    house = await make_house(retry=RetryPolicy(first_ms=1000, poison_after=3))

    def breaks(request: web.Request, body: bytes) -> web.Response:
        if UUIDS[8].encode() in body:
            return web.Response(status=500)
        peer.got.append((request.path, msgspec.json.decode(body)))
        return web.Response(status=204)

    peer.answer = breaks
    await house.befriend(peer)
    await house.video(8)
    good = await house.video(1)
    await house.until(lambda: bool(peer.got), step_ms=500)
    assert peer.of_type("Announce")[0]["object"] == good.url


async def test_what_is_too_old_is_given_up(make_house: MakeHouse, make_peer: MakePeer) -> None:
    peer = await make_peer(software=PEERTUBE)
    house = await make_house(retry=RetryPolicy(first_ms=1000, give_up_ms=10_000))
    await house.befriend(peer)
    peer.answer = 503
    await house.video(0)
    await house.until(lambda: len(peer.verdicts) >= 1)
    house.clock.advance(10_000)
    peer.answer = 204
    second = await house.video(1)
    await house.until(lambda: bool(peer.got), step_ms=500)
    assert [announce["object"] for announce in peer.of_type("Announce")] == [second.url]


async def test_garbage_in_the_answer_does_not_matter(house: House, make_peer: MakePeer) -> None:
    peer = await make_peer(software=PEERTUBE)
    peer.answer = lambda request, body: web.Response(status=202, body=b"\xff" * 100_000)
    await house.befriend(peer)
    await house.video()
    await peer.heard(lambda: bool(peer.verdicts))
    await house.settle()
    assert house.door.deliverer.troubled() == {}


async def test_an_origin_is_told_of_our_viewers_and_says_when(house: House, make_peer: MakePeer) -> None:
    origin = await make_peer(software=PEERTUBE)
    video = await house.remote_video(origin)
    expires_ms = house.clock.now_ms() + 60_000
    tell = Tell(video, b"v" * 16, "0c9a1111-0000-4000-8000-000000000001", expires_ms)
    house.door.announcer.tell_origin(tell)
    await house.until(lambda: bool(house.told))
    assert house.told == [(tell, house.clock.now_ms())]
    [(path, view)] = origin.got
    assert path == "/inbox"
    assert view["to"] == [video.owner]
    assert view["object"] == video.url
    assert view["expires"] == iso_ms(expires_ms)
    assert view["result"]["userInteractionCount"] == 1
    assert origin.all_signed


async def test_a_viewer_that_expired_while_the_origin_was_away_is_not_told(house: House, make_peer: MakePeer) -> None:
    origin = await make_peer(software=PEERTUBE)
    video = await house.remote_video(origin)
    origin.answer = 503
    for viewer, life_ms in ((b"a" * 16, 5_000), (b"b" * 16, 900_000)):
        house.door.announcer.tell_origin(Tell(video, viewer, viewer.hex(), house.clock.now_ms() + life_ms))
    await house.until(lambda: len(origin.verdicts) >= 1)
    house.clock.advance(6_000)
    origin.answer = 204
    await house.until(lambda: bool(house.told), step_ms=500)
    await house.settle()
    assert [tell.viewer for tell, _ in house.told] == [b"b" * 16]


async def test_a_counted_view_of_a_remote_video_goes_to_its_origin_alone(house: House, make_peer: MakePeer) -> None:
    origin, follower = await make_peer(software=PEERTUBE), await make_peer(software=PEERTUBE)
    await house.befriend(follower)
    video = await house.remote_video(origin)
    await count(house, video, "3f0c9a10-0000-4000-8000-000000000002")
    await origin.heard(lambda: bool(origin.got))
    [view] = origin.of_type("View")
    assert view["to"] == [video.owner]
    assert "expires" not in view
    await house.settle()
    assert follower.got == []


async def test_nothing_durable_is_lost_by_a_restart(make_house: MakeHouse, make_peer: MakePeer) -> None:
    peer = await make_peer(software=PEERTUBE)
    before = await make_house()
    await before.befriend(peer)
    peer.answer = 503
    video = await before.video()
    await peer.heard(lambda: bool(peer.verdicts))
    await before.stop()
    peer.answer = 204
    await make_house()
    await peer.heard(lambda: bool(peer.got))
    assert peer.of_type("Announce")[0]["object"] == video.url


async def test_clocks_of_peers_are_learnt_from_answers(house: House, make_peer: MakePeer, clock: ManualClock) -> None:
    peer = await make_peer(software=PEERTUBE)
    await house.befriend(peer)
    peer.headers = {"Date": "Sun, 22 Nov 2026 05:38:21 GMT"}
    clock.set_wall(1_795_325_901_000 + 60_000)
    await house.video()
    await peer.heard(lambda: bool(peer.got))
    await house.until(lambda: house.peers.clock_offset_ms(peer.host) == 60_000)


async def test_a_new_follower_hears_our_public_videos(house: House, make_peer: MakePeer) -> None:
    videos = [await house.video(n) for n in range(3)]
    await house.video(3, privacy=Privacy.UNLISTED)
    peer = await make_peer(software=PEERTUBE)
    await house.befriend(peer)
    await peer.heard(lambda: len(peer.of_type("Announce")) == 3)
    assert {announce["object"] for announce in peer.of_type("Announce")} == {video.url for video in videos}


async def test_a_blocked_peer_hears_nothing_more(house: House, make_peer: MakePeer) -> None:
    peer = await make_peer(software=FEDIVIEWS)
    await house.befriend(peer)
    await house.peers.verdicts.block(peer.host)
    await house.until(lambda: not house.door.events._errands)
    video = await house.video()
    house.show(video, 3)
    await house.settle()
    assert peer.got == []


async def test_numbers_that_never_stand_still_are_told_once_per_pulse(house: House, make_peer: MakePeer) -> None:
    peer = await make_peer(software=FEDIVIEWS)
    await house.befriend(peer)
    videos = [await house.video(n) for n in range(3)]
    await peer.heard(lambda: len(peer.of_type("Announce")) == 3)
    number = 0

    def busy(request: web.Request, body: bytes) -> web.Response:
        nonlocal number
        number += 1
        for video in videos:
            house.show(video, number)
        peer.got.append((request.path, msgspec.json.decode(body)))
        return web.Response(status=204)

    peer.answer, before = busy, len(peer.got)
    for video in videos:
        house.show(video, 1)
    await house.until(lambda: len(peer.got) > before)
    await house.settle()
    assert len(peer.got) == before + 1
    # A third of announce_within is the pulse.
    await house.until(lambda: len(peer.got) >= before + 4, step_ms=1_000)
    assert totals(peer, videos[0])[-1] >= 3


@pytest.mark.parametrize(("status", "body"), [(404, b""), (410, b""), (200, b"<html>"), (200, b"{}")])
async def test_an_origin_whose_account_is_gone_or_nonsense_blocks_nobody(
    house: House, make_peer: MakePeer, status: int, body: bytes
) -> None:
    origin = await make_peer(software=PEERTUBE)
    broken, fine = await house.remote_video(origin), await house.remote_video(origin, 41, owner="alice")
    origin.broken["root"] = (status, body)
    await count(house, broken, "3f0c9a10-0000-4000-8000-000000000003")
    await count(house, fine, "3f0c9a10-0000-4000-8000-000000000004")
    life_ms = house.clock.now_ms() + 60_000
    for video in (broken, fine):
        house.door.announcer.tell_origin(Tell(video, b"v" * 16, "0c9a1111-0000-4000-8000-000000000001", life_ms))
    await origin.heard(lambda: len(origin.of_type("View")) == 2)
    assert {view["object"] for view in origin.of_type("View")} == {fine.url}
    await house.until(lambda: [tell.video for tell, _ in house.told] == [fine])


async def test_who_was_given_up_is_still_given_up_after_a_restart(make_house: MakeHouse, make_peer: MakePeer) -> None:
    peer = await make_peer(software=PEERTUBE)
    house = await make_house()
    await house.befriend(peer)
    peer.answer = 503
    video = await house.video()
    await house.until(lambda: len(peer.verdicts) == 7, step_ms=1_000)
    await house.settle()
    await house.stop()
    tried = len(peer.verdicts)
    again = await make_house()
    await again.settle()
    standing = again.door.deliverer.standing(peer.host)
    assert standing is not None
    assert standing.breaker.state is BreakerState.OPEN
    assert again.door.deliverer.troubled() == {peer.host: "status_503"}
    assert len(peer.verdicts) == tried
    peer.answer = 204
    again.news.peer_spoke(peer.host)
    await again.until(lambda: bool(peer.of_type("Announce")), step_ms=500)
    assert peer.of_type("Announce")[0]["object"] == video.url


async def test_who_takes_no_collections_gets_none_after_a_restart(make_house: MakeHouse, make_peer: MakePeer) -> None:
    peer = await make_peer(software=PEERTUBE)
    together: list[bytes] = []

    def picky(request: web.Request, body: bytes) -> web.Response:
        document = msgspec.json.decode(body)
        if document["type"] == "Collection":
            together.append(body)
            return web.Response(status=400)
        peer.got.append((request.path, document))
        return web.Response(status=204)

    peer.answer = picky
    house = await make_house()
    await house.befriend(peer)
    videos = [await house.video(n) for n in range(3)]
    for video in videos:
        house.show(video, 5)
    await house.until(lambda: len(peer.of_type("View")) >= 3, step_ms=500)
    assert len(together) == 1
    delivery = (await house.door.reports.read())(peer.host)
    assert (delivery.batch, delivery.batch_reason) == (Batch.NOTHING, BatchReason.REFUSED)
    await house.stop()
    again = await make_house()
    for video in videos:
        again.show(video, 6)
    await again.until(lambda: len(peer.of_type("View")) >= 6, step_ms=500)
    assert len(together) == 1


async def test_what_is_shown_of_a_peer(make_house: MakeHouse, make_peer: MakePeer) -> None:
    peer, silent = await make_peer(software=PEERTUBE), "silent.example"
    house = await make_house(retry=RetryPolicy(first_ms=60_000))
    await house.befriend(peer)
    video = await house.video()
    await peer.heard(lambda: bool(peer.of_type("Announce")))
    await house.until(lambda: house.door.deliverer.standing(peer.host) is None)
    well_ms = house.clock.now_ms()
    before = (await house.door.reports.read())(peer.host)
    assert (before.queue.waiting, before.health.arrived_ms, before.next_try_ms) == (0, well_ms, None)
    assert (before.batch, before.batch_reason) == (Batch.VIEWS, BatchReason.SOFTWARE)
    assert before.health.posts == 1
    assert before.health.bytes > 100

    house.clock.advance(5_000)
    peer.answer = 503
    await count(house, video, "0c9a1111-0000-4000-8000-000000000001")
    await house.until(lambda: bool(house.door.deliverer.troubled()))
    house.show(video, 5)
    house.door.announcer.tell_origin(
        Tell(await house.remote_video(peer), b"v" * 16, "name", house.clock.now_ms() + 600_000)
    )
    house.clock.advance(1_000)
    await house.until(lambda: len(house.door.board) == 1)
    shown = (await house.door.reports.read())(peer.host)
    assert (shown.queue.waiting, shown.queue.oldest_ms) == (1, house.clock.now_ms() - 1_000)
    assert (shown.totals, shown.viewers) == (1, 1)
    assert (shown.health.error, shown.health.error_ms) == ("status_503", house.clock.now_ms() - 1_000)
    assert (shown.health.arrived_ms, shown.health.failures) == (well_ms, 1)
    # Totals and viewers wait no longer than 45 s in the first hour.
    assert shown.next_try_ms == house.clock.now_ms() - 1_000 + 45_000
    assert shown.health.posts == 2
    nobody = (await house.door.reports.read())(silent)
    assert (nobody.batch, nobody.batch_reason) == (Batch.NOTHING, BatchReason.UNKNOWN)


async def test_an_administrator_has_it_tried_again(make_house: MakeHouse, make_peer: MakePeer) -> None:
    peer = await make_peer(software=MASTODON, answer=422)
    house = await make_house(retry=RetryPolicy(first_ms=1000, poison_after=1))
    await house.befriend(peer)
    video = await house.video()
    await house.until(lambda: len(peer.verdicts) == 1)
    await house.settle()
    [aside] = await house.door.queues.undelivered(10)
    assert aside.next_try_ms is None
    peer.answer = 204
    assert await house.door.queues.retry(peer.host) == 1
    house.door.deliverer.hurry(peer.host)
    await peer.heard(lambda: bool(peer.of_type("Announce")))
    assert peer.of_type("Announce")[0]["object"] == video.url
