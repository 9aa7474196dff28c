from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from federation.peers import (
    Follower,
    FollowState,
    PeerKind,
    PeerLimits,
    PeerPolicy,
    Peers,
    SignatureMode,
    Software,
    Switch,
    Way,
)
from federation.peers.model import DecidedBy
from federation.peers.policies import ALLOWED, BLOCKED
from federation.ports import NullPeerEvents
from foundation.clock import ManualClock
from foundation.database import Database, Transaction
from foundation.errors import Refused

EVERY_DATABASE = True

OURS = "https://our.example/accounts/peertube"
PEERTUBE = {"software": {"name": "peertube", "version": "6.3.0"}}
FEDIVIEWS = {
    "software": {"name": "fediviews", "version": "0.1.0"},
    "metadata": {"fediviews": {"yours": True, "batch": True}},
}


class News(NullPeerEvents):
    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def follower_added(self, host: str) -> None:
        self.told.append(("follower_added", host))

    def follower_removed(self, host: str) -> None:
        self.told.append(("follower_removed", host))

    def following_accepted(self, host: str) -> None:
        self.told.append(("following_accepted", host))

    def peer_blocked(self, host: str) -> None:
        self.told.append(("peer_blocked", host))


@pytest.fixture
def news() -> News:
    return News()


@pytest.fixture
def make(database: Database, clock: ManualClock, news: News) -> Callable[..., Peers]:
    def build(*policies: PeerPolicy, **options: Any) -> Peers:
        return Peers(database, clock, news, policies=policies, own_host="our.example", **options)

    return build


def reason(refusal: Refused | None) -> str | None:
    return None if refusal is None else refusal.reason


def may_follow(peers: Peers, host: str, name: str = "peertube") -> Refused | None:
    return peers.may_follow(host, f"https://{host}/accounts/{name}", OURS)


async def follow_us(
    peers: Peers, database: Database, host: str, name: str = "peertube", *, shared: bool = True, number: int = 1
) -> None:
    actor = f"https://{host}/accounts/{name}"

    async def work(tx: Transaction) -> Callable[[], None]:
        return await peers.add_follower(
            tx,
            actor=actor,
            host=host,
            inbox=f"{actor}/inbox",
            shared_inbox=f"https://{host}/inbox" if shared else None,
            follow_id=f"{actor}/follows/{number}",
            object_=OURS,
        )

    (await database.write(work))()


async def we_follow(peers: Peers, database: Database, host: str) -> str:
    actor = f"https://{host}/accounts/peertube"

    async def work(tx: Transaction) -> Callable[[], None]:
        return await peers.add_following(
            tx,
            actor=actor,
            host=host,
            inbox=f"{actor}/inbox",
            shared_inbox=None,
            follow_id=f"{OURS}/follows/1",
            object_=OURS,
        )

    (await database.write(work))()
    return actor


def test_who_may_speak(make: Callable[..., Peers]) -> None:
    peers = make(PeerPolicy("friend.example"), PeerPolicy("bad.example", blocked=True))
    assert peers.may_speak("anybody.example") is None
    assert reason(peers.may_speak("bad.example")) == "blocked"
    assert reason(peers.may_speak("our.example")) == "own_host"
    closed = make(PeerPolicy("friend.example"), open_federation=False)
    assert closed.may_speak("friend.example") is None
    assert reason(closed.may_speak("anybody.example")) == "not_listed"
    assert reason(closed.may_speak("")) == "not_listed"


def test_what_is_taken_and_how_much(make: Callable[..., Peers]) -> None:
    strict = PeerPolicy("some.example", accept=frozenset({"views"}), max_viewers_per_video=0)
    peers = make(strict, limits=PeerLimits(viewers_per_video=70))
    assert peers.accepts("some.example", "views")
    assert not peers.accepts("some.example", "viewers")
    assert peers.accepts("other.example", "totals")
    assert (peers.quota("some.example"), peers.quota("other.example")) == (0, 70)


async def test_verdicts_outlive_a_restart(make: Callable[..., Peers], news: News) -> None:
    peers = make(open_federation=False)
    await peers.load()
    await peers.verdicts.block("bad.example")
    await peers.verdicts.allow("good.example")
    again = make(open_federation=False)
    await again.load()
    for registry in (peers, again):
        assert reason(registry.may_speak("bad.example")) == "blocked"
        assert registry.may_speak("good.example") is None
    await again.verdicts.allow("bad.example")
    assert again.may_speak("bad.example") is None
    assert news.told == [("peer_blocked", "bad.example")]


async def test_what_a_host_runs_is_learnt_from_another_process(make: Callable[..., Peers], clock: ManualClock) -> None:
    here, there = make(), make()
    await here.load()
    await there.load()
    here.observe_signed("tube.example", clock.now_ms(), clock.now_ms())
    here.software.learn("tube.example", PEERTUBE, clock.now_ms())
    clock.advance(1_000)
    there.observe_signed("tube.example", clock.now_ms(), clock.now_ms())
    there.software.learn("tube.example", None, clock.now_ms())
    await here.share()
    await there.share()
    await here.share()
    assert here.describe("tube.example") == there.describe("tube.example")
    assert there.software.takes_batches("tube.example")
    assert there.describe("tube.example").last_seen_ms == clock.now_ms()
    again = make()
    await again.load()
    assert again.software.of("tube.example") == here.software.of("tube.example"), "not forgotten by who never heard it"


async def test_the_later_word_of_what_a_host_runs_holds(make: Callable[..., Peers], clock: ManualClock) -> None:
    here, there = make(), make()
    here.software.learn("tube.example", PEERTUBE, clock.now_ms())
    await here.share()
    await there.share()
    clock.advance(10_000)
    there.software.learn("tube.example", FEDIVIEWS, clock.now_ms())
    await there.share()
    here.observe_date("tube.example", clock.now_ms(), clock.now_ms())
    await here.share()
    for registry in (here, there):
        assert registry.software.kind("tube.example") is PeerKind.FEDIVIEWS


async def test_more_hosts_than_fit_are_not_taken_over(make: Callable[..., Peers], clock: ManualClock) -> None:
    here, there = make(), make(max_peers=3)
    for number in range(9):
        here.observe_date(f"h{number}.example", clock.now_ms(), clock.now_ms() + number)
    await here.share()
    await there.share()
    assert [view.host for view in there.list_peers()] == ["h6.example", "h7.example", "h8.example"]


async def test_a_verdict_is_taken_back_and_nothing_of_it_is_left(make: Callable[..., Peers], news: News) -> None:
    peers = make(open_federation=False)
    await peers.load()
    await peers.verdicts.block("noisy.example")
    assert await peers.verdicts.take_back("noisy.example", ALLOWED) is None
    assert reason(peers.may_speak("noisy.example")) == "blocked", "another verdict was meant"
    assert await peers.verdicts.take_back("noisy.example", BLOCKED) is None
    await peers.verdicts.allow("good.example")
    await peers.verdicts.take_back("good.example", BLOCKED)
    assert peers.may_speak("good.example") is None
    await peers.verdicts.take_back("good.example", ALLOWED)
    again = make(open_federation=False)
    await again.load()
    for registry in (peers, again):
        for host in ("noisy.example", "good.example"):
            assert reason(registry.may_speak(host)) == "not_listed", "it may not do more than it could before"
            assert registry.describe(host).verdict is None
    assert news.told == [("peer_blocked", "noisy.example")]


async def test_whose_verdict_holds_can_be_seen(make: Callable[..., Peers]) -> None:
    peers = make(PeerPolicy("a.example", blocked=True), PeerPolicy("b.example", blocked=False), PeerPolicy("c.example"))
    await peers.verdicts.block("c.example")
    await peers.verdicts.allow("d.example")
    seen = {host: peers.describe(f"{host}.example") for host in "abcde"}
    assert {host: (view.verdict, view.decided_by) for host, view in seen.items()} == {
        "a": ("blocked", DecidedBy.CONFIGURATION),
        "b": ("allowed", DecidedBy.CONFIGURATION),
        "c": ("blocked", DecidedBy.HAND),
        "d": ("allowed", DecidedBy.HAND),
        "e": (None, None),
    }
    assert reason(await peers.verdicts.take_back("a.example", BLOCKED)) == "config_decides"
    assert reason(await peers.verdicts.take_back("our.example", BLOCKED)) == "bad_host"


async def test_yaml_blocks_cannot_be_lifted_at_run_time(make: Callable[..., Peers]) -> None:
    peers = make(PeerPolicy("bad.example", blocked=True))
    assert reason(await peers.verdicts.allow("bad.example")) == "config_decides"
    assert reason(peers.may_speak("bad.example")) == "blocked"


async def test_yaml_lets_speak_whom_it_does_not_block(make: Callable[..., Peers], news: News) -> None:
    peers = make(PeerPolicy("friend.example", blocked=False))
    assert reason(await peers.verdicts.block("friend.example")) == "config_decides"
    assert peers.may_speak("friend.example") is None
    assert news.told == []


async def test_a_listed_peer_of_which_yaml_says_nothing_can_be_blocked(make: Callable[..., Peers], news: News) -> None:
    peers = make(PeerPolicy("friend.example"))
    assert await peers.verdicts.block("friend.example") is None
    assert await peers.verdicts.block("friend.example") is None
    assert reason(peers.may_speak("friend.example")) == "blocked"
    assert news.told == [("peer_blocked", "friend.example")]
    peers.verdicts.reload([PeerPolicy("friend.example", blocked=False)], open_federation=True)
    assert peers.may_speak("friend.example") is None


async def test_another_process_hears_of_a_block(make: Callable[..., Peers], news: News) -> None:
    here, there = make(), make()
    await here.load()
    await there.load()
    await here.verdicts.block("bad.example")
    assert there.may_speak("bad.example") is None
    for _ in range(2):
        await there.verdicts.refresh()
    assert reason(there.may_speak("bad.example")) == "blocked"
    assert news.told == [("peer_blocked", "bad.example")] * 2, "each of them once"
    await here.verdicts.allow("bad.example")
    await there.verdicts.refresh()
    assert there.may_speak("bad.example") is None


def test_a_peers_own_limits_go_first(make: Callable[..., Peers]) -> None:
    own = PeerPolicy("some.example", max_new_viewers_per_minute=1, max_videos=0)
    peers = make(own, limits=PeerLimits(4, 5, 6, 7))
    assert peers.limits("some.example") == PeerLimits(4, 1, 0, 7)
    assert peers.limits("other.example") == PeerLimits(4, 5, 6, 7)


def test_a_reload_tells_whom_it_blocks(make: Callable[..., Peers], news: News) -> None:
    peers = make(PeerPolicy("old.example", blocked=True))
    peers.verdicts.reload(
        [PeerPolicy("old.example", blocked=True), PeerPolicy("new.example", blocked=True)], open_federation=False
    )
    assert news.told == [("peer_blocked", "new.example")]
    assert reason(peers.may_speak("other.example")) == "not_listed"
    peers.verdicts.reload([], open_federation=True)
    assert peers.may_speak("old.example") is None


def test_software_decides_who_hears_totals(make: Callable[..., Peers]) -> None:
    peers = make(
        PeerPolicy("off.example", totals=Switch.OFF, batch=Switch.OFF), PeerPolicy("on.example", totals=Switch.ON)
    )
    assert peers.software.kind("tube.example") is PeerKind.UNKNOWN
    assert peers.software.understands_views("tube.example") is None
    assert peers.software.wants_totals("tube.example") is None
    peers.software.learn("tube.example", PEERTUBE, 5)
    peers.software.learn("off.example", FEDIVIEWS, 5)
    peers.software.learn("blog.example", {"software": {"name": "mastodon", "version": "4"}}, 5)
    assert peers.software.kind("tube.example") is PeerKind.PEERTUBE
    assert (peers.software.wants_totals("tube.example"), peers.software.takes_batches("tube.example")) == (True, True)
    assert peers.software.appends_viewers("tube.example")
    assert not peers.software.says_yours("tube.example")
    assert (peers.software.wants_totals("off.example"), peers.software.takes_batches("off.example")) == (False, False)
    assert peers.software.says_yours("off.example")
    assert (peers.software.wants_totals("on.example"), peers.software.wants_totals("blog.example")) == (True, False)


def test_nodeinfo_is_read_daily_and_hourly_while_unknown(make: Callable[..., Peers]) -> None:
    peers = make()
    assert peers.software.nodeinfo_due("tube.example", 0)
    assert peers.software.learn("tube.example", None, 0) is None
    assert not peers.software.nodeinfo_due("tube.example", 3_599_999)
    assert peers.software.nodeinfo_due("tube.example", 3_600_000)
    peers.software.learn("tube.example", PEERTUBE, 0)
    assert not peers.software.nodeinfo_due("tube.example", 86_399_999)
    peers.software.learn("tube.example", None, 86_400_000)
    assert peers.software.of("tube.example") == Software("peertube", "6.3.0")


async def test_what_was_learnt_outlives_a_restart(make: Callable[..., Peers], clock: ManualClock) -> None:
    peers = make()
    now_ms = clock.now_ms()
    peers.software.learn("a.example", FEDIVIEWS, now_ms)
    peers.observe_date("a.example", now_ms - 60_000, now_ms)
    peers.observe_signed("b.example", now_ms, now_ms)
    await peers.save()
    await peers.save()
    again = make()
    await again.load()
    assert again.software.of("a.example") == Software("fediviews", "0.1.0", yours=True, batch=True)
    assert again.clock_offset_ms("a.example") == 60_000
    assert (again.clock_offset_ms("b.example"), again.clock_offset_ms("c.example")) == (0, 0)
    assert [(peer.host, peer.last_seen_ms) for peer in again.list_peers()] == [
        ("a.example", now_ms),
        ("b.example", now_ms),
    ]
    assert await again.purge_peers(now_ms + 1) == 2


async def test_memory_of_hosts_is_bounded_and_keeps_whom_we_need(
    make: Callable[..., Peers], database: Database
) -> None:
    peers = make(PeerPolicy("listed.example"), max_peers=5)
    await follow_us(peers, database, "follower.example")
    for host in ("listed.example", "follower.example", *(f"h{number}.example" for number in range(50))):
        peers.observe_signed(host, 0, 0)
    seen = {peer.host for peer in peers.list_peers() if peer.last_seen_ms is not None}
    assert seen == {"listed.example", "follower.example", "h47.example", "h48.example", "h49.example"}


async def test_followers_are_told_once_per_host(make: Callable[..., Peers], database: Database, news: News) -> None:
    peers = make()
    await follow_us(peers, database, "b.example", "alice", shared=False)
    assert peers.followers() == (Follower("b.example", "https://b.example/accounts/alice/inbox"),)
    await follow_us(peers, database, "b.example")
    await follow_us(peers, database, "a.example")
    expected = (Follower("a.example", "https://a.example/inbox"), Follower("b.example", "https://b.example/inbox"))
    assert peers.followers() == expected
    assert peers.followers() is peers.followers()
    again = make()
    await again.load()
    assert again.followers() == expected
    records, total = again.list_followers(1, 1)
    assert (total, [record.actor for record in records]) == (3, ["https://b.example/accounts/peertube"])
    assert [host for _kind, host in news.told] == ["b.example", "b.example", "a.example"]


async def test_following_again_is_news_only_under_a_new_id(
    make: Callable[..., Peers], database: Database, news: News
) -> None:
    peers = make()
    await follow_us(peers, database, "b.example")
    await follow_us(peers, database, "b.example")
    assert news.told == [("follower_added", "b.example")]
    await follow_us(peers, database, "b.example", number=2)
    assert news.told == [("follower_added", "b.example")] * 2
    assert peers.follower_count() == 1


async def test_nothing_moves_before_the_commit(make: Callable[..., Peers], database: Database, news: News) -> None:
    peers = make()

    async def work(tx: Transaction) -> None:
        actor = "https://b.example/u"
        await peers.add_follower(
            tx, actor=actor, host="b.example", inbox=actor, shared_inbox=None, follow_id=actor, object_=OURS
        )
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.write(work)
    await peers.load()
    assert (peers.followers(), news.told) == ((), [])


async def test_a_follower_leaves(make: Callable[..., Peers], database: Database, news: News) -> None:
    peers = make()
    await follow_us(peers, database, "b.example")
    await follow_us(peers, database, "b.example", "alice")
    await follow_us(peers, database, "c.example")
    actor = "https://b.example/accounts/peertube"
    assert not await peers.remove_follower("https://c.example/x", OURS)
    assert not await peers.remove_follower(actor, "https://our.example/other")
    assert await peers.remove_follower(actor, OURS)
    assert await peers.remove_follower(
        "https://b.example/accounts/alice", follow_id="https://b.example/accounts/alice/follows/1"
    )
    assert await peers.remove_actor("https://c.example/accounts/peertube")
    assert not await peers.remove_actor("https://c.example/accounts/peertube")
    assert news.told[3:] == [("follower_removed", "b.example"), ("follower_removed", "c.example")]
    again = make()
    await again.load()
    assert again.follower_count() == 0


async def test_blocked_followers_hear_nothing_until_allowed(make: Callable[..., Peers], database: Database) -> None:
    peers = make()
    await follow_us(peers, database, "b.example")
    await peers.verdicts.block("b.example")
    assert peers.followers() == ()
    assert reason(may_follow(peers, "b.example")) == "blocked"
    await peers.verdicts.allow("b.example")
    assert [follower.host for follower in peers.followers()] == ["b.example"]


async def test_followers_are_bounded(make: Callable[..., Peers], database: Database) -> None:
    peers = make(max_followers=3, max_followers_per_host=2)
    await follow_us(peers, database, "b.example", "one")
    await follow_us(peers, database, "b.example", "two")
    assert reason(may_follow(peers, "b.example")) == "too_many_followers"
    assert may_follow(peers, "b.example", "two") is None, "who follows already may say so again"
    assert may_follow(peers, "c.example") is None
    await follow_us(peers, database, "c.example")
    assert may_follow(peers, "d.example") is None, "b.example has more than its share"
    await peers.verdicts.allow("b.example")
    assert reason(may_follow(peers, "d.example")) == "too_many_followers"


async def test_our_follow_is_answered(make: Callable[..., Peers], database: Database, news: News) -> None:
    peers = make()
    assert not await peers.accepted("https://b.example/accounts/peertube")
    actor = await we_follow(peers, database, "b.example")
    assert [record.state for record in peers.following()] == [FollowState.PENDING]
    assert not peers.follows("b.example")
    assert await peers.accepted(actor)
    assert peers.follows("b.example")
    await we_follow(peers, database, "b.example")
    assert peers.follows("b.example")
    again = make()
    await again.load()
    assert again.follows("b.example")
    (await database.write(lambda tx: peers.answered(tx, actor, accepted=False)) or pytest.fail("not known"))()
    assert not peers.follows("b.example")
    assert peers.describe("b.example").following is FollowState.REJECTED
    await we_follow(peers, database, "b.example")
    assert [record.state for record in peers.following()] == [FollowState.PENDING]
    (await database.write(lambda tx: peers.remove_following(tx, actor)))()
    assert (peers.following(), peers.list_following()) == ((), ([], 0))
    assert news.told == [("following_accepted", "b.example")]


async def test_how_a_host_wants_requests_signed_is_kept(make: Callable[..., Peers], clock: ManualClock) -> None:
    peers = make(PeerPolicy("told.example", signatures=SignatureMode.RFC9421))
    assert peers.signing.way("told.example") is Way.RFC9421
    assert peers.signing.way("new.example") is Way.CAVAGE
    assert peers.signing.other_ways("new.example", Way.CAVAGE, 401, old_key=False) == (Way.RFC9421,)
    peers.signing.learn_way("new.example", Way.RFC9421)
    peers.signing.learn_way("old.example", Way.OLD_KEY)
    peers.signing.learn_way("vain.example", None)
    assert peers.signing.way("old.example") is Way.OLD_KEY
    assert peers.signing.other_ways("vain.example", Way.CAVAGE, 401, old_key=True) == ()
    await peers.save()
    again = make()
    await again.load()
    assert again.signing.way("new.example") is Way.RFC9421
    assert again.signing.way("old.example") is Way.CAVAGE
    clock.advance(8 * 86_400_000)
    assert again.signing.way("new.example") is Way.CAVAGE


async def test_nobody_blocks_or_allows_our_own_host(make: Callable[..., Peers], news: News) -> None:
    peers = make()
    assert reason(await peers.verdicts.block("our.example")) == "bad_host"
    assert reason(await peers.verdicts.allow("our.example")) == "bad_host"
    assert (news.told, peers.list_peers()) == ([], [])
