from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from house import FEDIVIEWS, PEERTUBE, US, FakePeer, House, MakeHouse, MakePeer

from federation.peers import FollowState, PeerPolicy
from foundation.database import Transaction
from foundation.errors import Refused

ME = f"{US}/accounts/peertube"


async def test_following_a_host_goes_to_the_actors_own_inbox(house: House, make_peer: MakePeer) -> None:
    peer = await make_peer(software=PEERTUBE)
    assert await house.door.following.follow_host(peer.host) is FollowState.PENDING
    await peer.heard(lambda: bool(peer.got))
    [(path, follow)] = peer.got
    assert path == "/accounts/peertube/inbox"
    assert (follow["type"], follow["actor"], follow["object"]) == ("Follow", ME, peer.actor)
    assert follow["id"].startswith(f"{ME}/follows/")
    assert peer.all_signed
    assert await house.peers.accepted(peer.actor)
    assert await house.door.following.follow_host(peer.host) is FollowState.ACCEPTED
    await peer.heard(lambda: len(peer.got) == 2)
    assert peer.got[1][1]["id"] == follow["id"]


@pytest.mark.parametrize("spelling", ["{host}", "http://{host}", "http://{host}/", "peertube@{host}", "{actor}"])
async def test_every_way_to_name_an_instance(house: House, make_peer: MakePeer, spelling: str) -> None:
    peer = await make_peer(software=PEERTUBE)
    text = spelling.format(host=peer.host, actor=peer.actor)
    assert await house.door.following.follow_host(text) is FollowState.PENDING
    assert [record.actor for record in house.peers.following()] == [peer.actor]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "bad_host"),
        ("user:pass@@", "bad_host"),
        ("ftp://x.example/", "bad_host"),
        ("a b.example", "bad_host"),
        ("nobody.invalid", "unreachable"),
        ("us.example:8080", "unreachable"),
        ("127.0.0.1:9", "unreachable"),
    ],
)
async def test_what_cannot_be_followed(house: House, text: str, reason: str) -> None:
    outcome = await house.door.following.follow_host(text)
    assert isinstance(outcome, Refused)
    assert outcome.reason == reason


async def test_a_host_that_speaks_no_activitypub_is_told_from_one_that_is_silent(
    house: House, aiohttp_server: Callable[[web.Application], Awaitable[TestServer]]
) -> None:
    server = await aiohttp_server(web.Application())
    answers = await house.door.following.follow_host(f"127.0.0.1:{server.port}")
    silent = await house.door.following.follow_host("127.0.0.1:9")
    assert isinstance(answers, Refused)
    assert isinstance(silent, Refused)
    assert (answers.reason, answers.status) == ("no_instance_actor", 404)
    assert "speaks no ActivityPub" in answers.detail
    assert silent.status == 502
    assert "cannot be asked" in silent.detail


async def test_an_index_may_not_send_us_elsewhere(house: House, make_peer: MakePeer) -> None:
    liar, victim = await make_peer(software=PEERTUBE), await make_peer(software=PEERTUBE)
    liar_actor = type(liar).actor
    try:
        type(liar).actor = property(lambda self: f"{victim.base}/accounts/peertube")  # type: ignore[method-assign,assignment]
        outcome = await house.door.following.follow_host(liar.host)
    finally:
        type(liar).actor = liar_actor  # type: ignore[method-assign]
    assert isinstance(outcome, Refused)
    assert house.peers.following() == ()


async def test_a_blocked_host_is_not_followed(make_house: MakeHouse, make_peer: MakePeer) -> None:
    peer = await make_peer(software=PEERTUBE)
    house = await make_house(policies=[PeerPolicy(peer.host, blocked=True)])
    outcome = await house.door.following.follow_host(peer.host)
    assert isinstance(outcome, Refused)
    assert outcome.status == 403


async def test_a_block_ends_our_own_follow_and_says_so_once(house: House, make_peer: MakePeer) -> None:
    peer = await make_peer(software=PEERTUBE)
    await house.door.following.follow_host(peer.host)
    await peer.heard(lambda: bool(peer.of_type("Follow")))
    await house.door.following.part(peer.host)
    [undo] = peer.of_type("Undo")
    assert undo["object"]["id"] == peer.of_type("Follow")[0]["id"]
    assert house.peers.following() == ()


async def test_a_configured_peer_blocked_by_hand_is_not_asked_again(make_house: MakeHouse, make_peer: MakePeer) -> None:
    peer = await make_peer(software=PEERTUBE)
    house = await make_house(policies=[PeerPolicy(peer.host, follow=True)])
    await house.peers.verdicts.block(peer.host)
    assert await house.door.following.follow_configured() == 0
    assert house.peers.following() == ()
    await house.peers.verdicts.take_back(peer.host, "blocked")
    await house.door.following.follow_configured()
    assert [record.host for record in house.peers.following()] == [peer.host]


async def test_unfollowing_undoes_the_follow(house: House, make_peer: MakePeer) -> None:
    peer = await make_peer(software=PEERTUBE)
    await house.door.following.follow_host(peer.host)
    await peer.heard(lambda: bool(peer.of_type("Follow")))
    assert await house.door.following.unfollow(f"peertube@{peer.host}")
    await peer.heard(lambda: bool(peer.of_type("Undo")))
    [undo], [follow] = peer.of_type("Undo"), peer.of_type("Follow")
    assert undo["object"]["id"] == follow["id"]
    assert house.peers.following() == ()
    assert not await house.door.following.unfollow(peer.host)


async def test_peers_of_the_configuration_are_followed_as_soon_as_they_are_there(
    make_house: MakeHouse, make_peer: MakePeer
) -> None:
    peer = await make_peer(software=PEERTUBE)
    later = "127.0.0.1:9"
    await make_house(policies=[PeerPolicy(peer.host, follow=True), PeerPolicy(later, follow=True)])
    await peer.heard(lambda: bool(peer.of_type("Follow")))


async def test_follows_are_sent_again_from_time_to_time(make_house: MakeHouse, make_peer: MakePeer) -> None:
    peer = await make_peer(software=PEERTUBE)
    house = await make_house(refollow_ms=3_600_000)
    await house.door.following.follow_host(peer.host)
    await peer.heard(lambda: len(peer.of_type("Follow")) == 1)
    await house.until(lambda: len(peer.of_type("Follow")) >= 2, step_ms=600_000)
    first, second = peer.of_type("Follow")[:2]
    assert first["id"] == second["id"]
    (
        await house.database.write(lambda tx: house.peers.answered(tx, peer.actor, accepted=False))
        or pytest.fail("not known")
    )()
    assert await house.door.following.refollow() == 0


async def answer(house: House, peer: FakePeer, accepted: bool, follow_id: str = "f1") -> None:
    async def work(tx: Transaction) -> None:
        await house.door.following.answer_follow(
            tx,
            follow_id=f"{peer.base}/{follow_id}",
            actor=f"{peer.base}/accounts/peertube",
            inbox=f"{peer.base}/accounts/peertube/inbox",
            target=ME,
            accepted=accepted,
        )

    await house.database.write(work)
    house.door.announcer.committed()


@pytest.mark.parametrize(("accepted", "kind"), [(True, "Accept"), (False, "Reject")])
async def test_a_follow_is_answered_into_the_actors_own_inbox(
    house: House, make_peer: MakePeer, accepted: bool, kind: str
) -> None:
    peer = await make_peer(software=PEERTUBE)
    await answer(house, peer, accepted)
    await peer.heard(lambda: bool(peer.got))
    [(path, document)] = peer.got
    assert path == "/accounts/peertube/inbox"
    assert document["type"] == kind
    assert document["actor"] == ME
    assert document["object"] == {"type": "Follow", "id": f"{peer.base}/f1", "actor": peer.actor, "object": ME}


async def test_the_accept_comes_before_the_announces(house: House, make_peer: MakePeer) -> None:
    await house.video()
    peer = await make_peer(software=PEERTUBE)
    await answer(house, peer, True)
    await house.befriend(peer)
    await peer.heard(lambda: len(peer.got) == 2)
    assert [document["type"] for _, document in peer.got] == ["Accept", "Announce"]


async def test_removing_a_follower_tells_it(house: House, make_peer: MakePeer) -> None:
    peer = await make_peer(software=PEERTUBE)
    await house.befriend(peer)
    assert await house.door.following.remove_follower(f"peertube@{peer.host}")
    await peer.heard(lambda: bool(peer.of_type("Reject")))
    assert house.peers.followers() == ()
    assert not await house.door.following.remove_follower(peer.host)


async def test_software_is_asked_once_and_again_when_it_was_not_to_be_had(house: House, make_peer: MakePeer) -> None:
    peer = await make_peer(software=FEDIVIEWS)
    for _ in range(5):
        house.door.probe.ask(peer.host, "http")
    await house.until(lambda: house.peers.software.understands_views(peer.host) is True)
    house.door.probe.ask(peer.host, "http")
    await house.settle()
    assert peer.asked == 1
    gone = "127.0.0.1:9"
    assert await house.door.probe.probe(gone, "http") is None
    assert not house.peers.software.nodeinfo_due(gone, house.clock.now_ms())
    assert house.peers.software.nodeinfo_due(gone, house.clock.now_ms() + 3_600_000)


@pytest.mark.parametrize(
    "garbage",
    [None, [], "x", 7, {"software": None}, {"software": {"name": 3}}, {"links": [{"rel": "self", "href": 9}]}],
)
async def test_nonsense_about_software_is_no_software(house: House, make_peer: MakePeer, garbage: Any) -> None:
    peer = await make_peer(software={"x": 1})
    peer.software = garbage if garbage is not None else {}
    assert await house.door.probe.probe(peer.host, "http") is None
    assert house.peers.software.understands_views(peer.host) is None
