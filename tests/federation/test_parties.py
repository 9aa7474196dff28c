"""All hosts of one site together are believed as much as a few of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.peers import PeerLimits, PeerPolicy, Peers
from federation.peers.parties import Parties
from federation.ports import NullPeerEvents
from foundation.clock import ManualClock
from foundation.database import Database

OURS = "https://our.example/accounts/peertube"
PARTIES = Parties(lambda host: host == "known.club.example", PeerLimits(10, 20, 30, 40), 3)
HOSTS = st.dictionaries(
    st.sampled_from([f"{name}.club.example" for name in ("a", "b", "c", "d", "known")] + ["other.example"]),
    st.integers(0, 10),
)


def test_whoever_is_known_by_name_stands_alone() -> None:
    assert PARTIES.of("a.club.example") == PARTIES.of("b.club.example:8443") == "*.club.example"
    assert PARTIES.of("known.club.example") == "known.club.example"
    assert PARTIES.limits == PeerLimits(30, 60, 90, 120)


def test_many_hosts_of_one_site_are_believed_as_much_as_a_few() -> None:
    many = {f"{number}.club.example": 10 for number in range(25)} | {"known.club.example": 9, "other.example": 10}
    believed = PARTIES.believed(many)
    assert sum(count for host, count in believed.items() if host[0].isdigit()) == 30
    assert (believed["known.club.example"], believed["other.example"]) == (9, 10)


def test_the_small_ones_of_a_site_lose_last() -> None:
    claimed = {"a.club.example": 2, "b.club.example": 10, "c.club.example": 10, "d.club.example": 10}
    assert PARTIES.believed(claimed) == {
        "a.club.example": 2,
        "b.club.example": 9,
        "c.club.example": 9,
        "d.club.example": 10,
    }


@given(viewers=HOSTS)
def test_nobody_gains_and_no_site_is_above_its_limit(viewers: dict[str, int]) -> None:
    believed = PARTIES.believed(viewers)
    assert believed.keys() == viewers.keys()
    assert all(0 <= believed[host] <= count for host, count in viewers.items())
    of_site = [host for host in viewers if PARTIES.of(host) == "*.club.example"]
    claimed = sum(viewers[host] for host in of_site)
    assert sum(believed[host] for host in of_site) == min(30, claimed)
    assert all(believed[host] == viewers[host] for host in viewers if host not in of_site)


async def test_followers_of_one_site_are_bounded_too(database: Database, clock: ManualClock) -> None:
    listed = [PeerPolicy("listed.club.example")]
    peers = Peers(
        database,
        clock,
        NullPeerEvents(),
        policies=listed,
        own_host="our.example",
        max_followers_per_host=2,
        hosts_per_site=2,
    )
    for number in range(4):
        host = f"{number}.club.example"
        actor = f"https://{host}/actor"
        assert peers.may_follow(host, actor, OURS) is None
        apply = await database.write(
            lambda tx, host=host, actor=actor: peers.add_follower(
                tx,
                actor=actor,
                host=host,
                inbox=f"{actor}/inbox",
                shared_inbox=None,
                follow_id=f"{actor}/f",
                object_=OURS,
            )
        )
        apply()
    refused = peers.may_follow("5.club.example", "https://5.club.example/actor", OURS)
    assert refused is not None
    assert refused.reason == "too_many_followers"
    assert peers.may_follow("0.club.example", "https://0.club.example/actor", OURS) is None, "it follows already"
    assert peers.may_follow("other.example", "https://other.example/actor", OURS) is None
    assert peers.may_follow("listed.club.example", "https://listed.club.example/actor", OURS) is None
    await peers.verdicts.allow("5.club.example")
    assert peers.may_follow("5.club.example", "https://5.club.example/actor", OURS) is None


@pytest.mark.parametrize("host", ["listed.club.example", "allowed.club.example", "followed.club.example"])
async def test_who_is_named(database: Database, clock: ManualClock, host: str) -> None:
    listed = [PeerPolicy("listed.club.example")]
    peers = Peers(database, clock, NullPeerEvents(), policies=listed, own_host="our.example")
    await peers.verdicts.allow("allowed.club.example")
    actor = "https://followed.club.example/actor"
    apply = await database.write(
        lambda tx: peers.add_following(
            tx,
            actor=actor,
            host="followed.club.example",
            inbox=f"{actor}/inbox",
            shared_inbox=None,
            follow_id=f"{OURS}/f",
            object_=OURS,
        )
    )
    apply()
    assert peers.parties.of(host) == host
    assert peers.parties.of("somebody.club.example") == "*.club.example"


def test_names_that_a_provider_gives_away_are_believed_as_much_as_some_hosts() -> None:
    parties = Parties(lambda host: host.startswith("known."), PeerLimits(10, 20, 30, 40), 3, 5)
    assert parties.of("a.vercel.app:8443") == "**.vercel.app"
    assert [circle.name for circle in parties.circles("x.a.vercel.app")] == ["*.a.vercel.app", "**.vercel.app"]
    assert parties.of("known.vercel.app") == "known.vercel.app"
    assert parties.circles("tube.example") == (("*.tube.example", 3, PARTIES.limits),)
    many = {f"{number}.{name}.vercel.app": 10 for number in range(4) for name in "abcdef"}
    believed = parties.believed({**many, "quiet.vercel.app": 2, "known.vercel.app": 10, "other.example": 10})
    assert sum(believed[host] for host in many) + believed["quiet.vercel.app"] == 50
    assert (believed["quiet.vercel.app"], believed["known.vercel.app"], believed["other.example"]) == (2, 10, 10)


@given(viewers=st.dictionaries(st.integers(0, 30).map(lambda n: f"{n % 3}.{n % 7}.github.io"), st.integers(0, 10)))
def test_no_site_and_no_provider_is_above_its_limit(viewers: dict[str, int]) -> None:
    parties = Parties(lambda host: False, PeerLimits(4, 20, 30, 40), 2, 3)
    own = {host: min(4, count) for host, count in viewers.items()}
    believed = parties.believed(own)
    assert all(0 <= believed[host] <= own[host] for host in own)
    assert sum(believed.values()) <= 12
    assert sum(own.values()) > 12 or sum(believed.values()) == sum(
        min(8, sum(own[host] for host in own if parties.circles(host)[0].name == site))
        for site in {parties.circles(host)[0].name for host in own}
    )


async def test_who_has_the_most_makes_room_for_who_has_few(database: Database, clock: ManualClock) -> None:
    peers = Peers(database, clock, NullPeerEvents(), own_host="our.example", max_followers=6, max_followers_per_host=3)

    async def follow(host: str, name: str) -> list[str]:
        """Whose places it took."""
        actor = f"https://{host}/{name}"
        assert peers.may_follow(host, actor, OURS) is None
        gone = peers.displaced_by(host, actor, OURS)
        told = {"actor": actor, "host": host, "inbox": f"{actor}/inbox", "follow_id": f"{actor}/f", "object_": OURS}
        if gone:
            displaced = await database.write(lambda tx: peers.displace(tx, gone))
            assert displaced is not None
            displaced()
        (await database.write(lambda tx: peers.add_follower(tx, shared_inbox=None, **told)))()
        return [record.actor.removeprefix("https://") for record in gone]

    def may_follow(host: str, name: str) -> bool:
        return peers.may_follow(host, f"https://{host}/{name}", OURS) is None

    for name in ("1", "2", "3"):
        assert await follow("loud.vercel.app", name) == []
    assert await follow("calm.vercel.app", "1") == []
    assert await follow("tube.example", "1") == []
    assert await follow("tube.example", "2") == []
    assert not may_follow("other.vercel.app", "1"), "the largest is refused first"
    assert await follow("newcomer.example", "1") == ["loud.vercel.app/3"]
    assert await follow("newcomer.example", "2") == ["loud.vercel.app/2"]
    assert not may_follow("newcomer.example", "3"), "all have as many"
    assert not may_follow("tube.example", "3")
    assert await follow("late.example", "1") != []
    assert peers.follower_count() == 6
    assert may_follow("tube.example", "1"), "it follows already"
    await peers.verdicts.allow("allowed.example")
    assert len(await follow("allowed.example", "1")) == 1
    assert peers.follower_count() == 6


async def test_a_lowered_bound_sends_nobody_away_by_the_hundred(database: Database, clock: ManualClock) -> None:
    many = Peers(database, clock, NullPeerEvents(), own_host="our.example")
    for number in range(30):
        actor = f"https://{number % 3}.club.example/{number}"
        told = {"actor": actor, "host": f"{number % 3}.club.example", "inbox": f"{actor}/in", "follow_id": f"{actor}/f"}
        told |= {"object_": OURS}
        apply = await database.write(lambda tx, told=told: many.add_follower(tx, shared_inbox=None, **told))
        apply()
    fewer = Peers(database, clock, NullPeerEvents(), own_host="our.example", max_followers=5)
    await fewer.load()
    assert len(fewer.displaced_by("tube.example", "https://tube.example/1", OURS)) == 10
