"""What each kind of activity does, once its sender is proven."""

from __future__ import annotations

from typing import Any

import pytest
from support.inbox_house import REMOTE_UUID, UUID, House, actor_document, video_document

from federation.keys import KeyPair, RemoteKey
from federation.peers import EVERYTHING, FollowState, PeerPolicy
from federation.vocabulary import (
    Accept,
    Activity,
    Announce,
    Create,
    Delete,
    Follow,
    OtherObject,
    Reject,
    Undo,
    UnknownActivity,
    Update,
    VideoObject,
    read_video,
)
from foundation.clock import ManualClock
from foundation.database import Database
from foundation.errors import Refused
from inbox.follows import FETCHES_PER_MINUTE
from views.model import Video

THERE, PEER = "https://there.example", "https://peer.example"
THEM, MALLORY = f"{THERE}/accounts/peertube", f"{PEER}/accounts/mallory"
US = "https://tube.example/accounts/peertube"
REMOTE_URL = f"{THERE}/videos/watch/{REMOTE_UUID}"
PEM = KeyPair.generate().public_pem


@pytest.fixture
async def house(database: Database, clock: ManualClock) -> House:
    house = House(database, clock, policies=[PeerPolicy("shy.example", accept=EVERYTHING - {"announces"})])
    house.web.documents |= {
        THEM: actor_document(THEM, kind="Application", pem=PEM),
        REMOTE_URL: video_document(THERE),
    }
    return await house.start()


async def take(house: House, activity: Activity, actor: str = THEM) -> str:
    """Apply it as sent by ``actor``; what came of it in one word."""
    outcome = await house.handlers(activity, house.sender(actor))
    assert outcome is None or outcome.status in (202, 429, 503)
    return "applied" if outcome is None else str(outcome.reason)


def id_(name: str, actor: str = THEM) -> str:
    return f"{actor}/{name}"


def follow(actor: str = THEM, object_: str = US, number: int = 1) -> Follow:
    return Follow(f"{actor}/follows/{number}", actor, object_)


def vouched(base: str = THERE, **changes: Any) -> VideoObject:
    video = read_video(video_document(base, **changes))
    assert isinstance(video, VideoObject)
    return video


# Follow


async def test_a_follow_is_kept_and_accepted_in_one_go(house: House) -> None:
    assert await take(house, follow()) == "applied"
    assert [(one.host, one.inbox) for one in house.peers.followers()] == [("there.example", f"{THERE}/inbox")]
    assert house.answers.given == [(f"{THEM}/follows/1", f"{THEM}/inbox", US, True)]
    assert house.answers.commits == 1
    # Who asks again has missed the answer, and is still one follower.
    assert await take(house, follow()) == "applied"
    assert house.peers.follower_count() == 1
    assert len(house.answers.given) == 2


async def test_follows_are_answered_by_what_came_with_the_key(house: House) -> None:
    assert isinstance(await house.keys.get(THEM), RemoteKey)
    for number in range(3):
        assert await take(house, follow(number=number)) == "applied"
    assert house.web.asked == [THEM]


async def test_only_what_can_be_followed_is(house: House) -> None:
    assert await take(house, follow(object_="https://tube.example/accounts/nobody")) == "unknown_object"
    assert await take(house, follow(object_=THEM)) == "unknown_object"
    assert house.peers.follower_count() == 0
    assert house.answers.given == []


async def test_one_too_many_is_told_no(database: Database, clock: ManualClock) -> None:
    house = await House(database, clock, max_followers=1).start()
    house.web.documents |= {
        THEM: actor_document(THEM, pem=PEM),
        MALLORY: actor_document(MALLORY, pem=PEM),
    }
    assert await take(house, follow()) == "applied"
    assert await take(house, follow(MALLORY), MALLORY) == "too_many_followers"
    assert house.peers.follower_count() == 1
    assert [accepted for *_, accepted in house.answers.given] == [True, False]


async def test_a_follower_that_cannot_be_asked_is_to_try_again(house: House) -> None:
    outcome = await house.handlers(follow(MALLORY), house.sender(MALLORY))
    assert isinstance(outcome, Refused)
    assert (outcome.status, outcome.retry_after_s) == (503, 30)
    assert house.peers.follower_count() == 0


async def test_followers_whose_key_is_elsewhere_cost_only_so_many_fetches(house: House, clock: ManualClock) -> None:
    """Some servers keep keys in documents of their own: then an actor has to be asked for where it lives."""
    key = {"id": f"{THEM}/main-key", "owner": THEM, "publicKeyPem": PEM}
    house.web.documents[THEM] = actor_document(THEM, publicKey=key)
    outcomes = [await take(house, follow(number=number)) for number in range(FETCHES_PER_MINUTE + 10)]
    assert outcomes == ["applied"] * FETCHES_PER_MINUTE + ["too_many_requests"] * 10
    # And one to learn that the key is not there.
    assert len(house.web.asked) == FETCHES_PER_MINUTE + 1
    clock.advance(60_000)
    assert await take(house, follow()) == "applied"


# Accept and Reject


ANSWERS = [
    # what is answered, by whom, outcome
    (Follow(f"{US}/follows/1", US, THEM), THEM, "applied"),
    (Follow("", US, THEM), THEM, "applied"),
    (f"{US}/follows/1", THEM, "applied"),
    (f"{US}/follows/99", THEM, "applied"),  # as in PeerTube, the actor alone decides
    (Follow(f"{US}/follows/1", US, THEM), MALLORY, "not_owner"),
    (f"{US}/follows/1", MALLORY, "unknown_object"),
    (Follow(f"{US}/follows/1", US, MALLORY), THEM, "not_owner"),
]


@pytest.mark.parametrize("kind", [Accept, Reject])
@pytest.mark.parametrize(("quoted", "actor", "outcome"), ANSWERS)
async def test_an_answer_counts_from_whom_was_asked(
    house: House, kind: type[Accept] | type[Reject], quoted: Follow | str, actor: str, outcome: str
) -> None:
    await house.follow(THEM, accepted=False)
    assert await take(house, kind(id_("answer", actor), actor, quoted), actor) == outcome
    (record,) = house.peers.following()
    answered = FollowState.ACCEPTED if kind is Accept else FollowState.REJECTED
    assert record.state is (answered if outcome == "applied" else FollowState.PENDING)
    assert house.peers.follows("there.example") is (outcome == "applied" and kind is Accept)


async def test_an_answer_nobody_asked_for(house: House) -> None:
    assert await take(house, Accept(id_("answer"), THEM, f"{US}/follows/1")) == "unknown_object"


# Undo


UNDONE = [
    (Follow(f"{THEM}/follows/1", THEM, US), THEM, "applied"),
    (Follow("", THEM, US), THEM, "applied"),
    (f"{THEM}/follows/1", THEM, "applied"),
    (f"{THEM}/follows/2", THEM, "unknown_object"),
    (Follow(f"{THEM}/follows/1", THEM, "https://tube.example/accounts/other"), THEM, "unknown_object"),
    (Follow(f"{THEM}/follows/1", THEM, US), MALLORY, "not_owner"),
    (f"{THEM}/follows/1", MALLORY, "unknown_object"),
    (UnknownActivity(f"{THEM}/likes/1", THEM, "Like"), THEM, "unsupported_type"),
    (Announce(f"{THEM}/announces/1", THEM, REMOTE_URL), THEM, "unsupported_type"),
]


@pytest.mark.parametrize(("undone", "actor", "outcome"), UNDONE)
async def test_only_the_follower_takes_its_follow_back(house: House, undone: Any, actor: str, outcome: str) -> None:
    await house.followed_by(THEM, f"{THEM}/follows/1")
    assert await take(house, Undo(id_("undo", actor), actor, undone), actor) == outcome
    assert house.peers.follower_count() == (0 if outcome == "applied" else 1)


# Announce and Create


@pytest.mark.parametrize("created", [False, True])
async def test_a_peer_we_follow_brings_its_videos(house: House, created: bool) -> None:
    await house.follow(THEM)
    said = Create(id_("c"), THEM, vouched()) if created else Announce(id_("a"), THEM, REMOTE_URL)
    assert await take(house, said) == "applied"
    # What was inside a Create is not believed: the document is fetched from where it lives.
    assert house.web.asked == [REMOTE_URL]
    assert await house.catalog.by_url(REMOTE_URL) is not None
    assert await take(house, said) == "applied"
    assert house.web.asked == [REMOTE_URL]


async def test_who_may_not_announce_makes_us_fetch_nothing(house: House) -> None:
    assert await take(house, Announce(id_("a"), THEM, REMOTE_URL)) == "not_followed"
    await house.follow(THEM, accepted=False)
    assert await take(house, Announce(id_("a"), THEM, REMOTE_URL)) == "not_followed"
    await house.follow(MALLORY)
    assert await take(house, Announce(id_("a", MALLORY), MALLORY, REMOTE_URL), MALLORY) == "not_owner"
    shy = "https://shy.example/accounts/peertube"
    await house.follow(shy)
    assert await take(house, Announce(id_("a", shy), shy, "https://shy.example/v/1"), shy) == "not_accepted"
    assert house.web.asked == []


async def test_an_announced_video_that_is_no_good_is_dropped(house: House) -> None:
    await house.follow(THEM)
    assert await take(house, Announce(id_("a"), THEM, f"{THERE}/videos/watch/{UUID}")) == "video_gone"
    house.web.documents[REMOTE_URL] = video_document(PEER)
    assert await take(house, Announce(id_("a"), THEM, REMOTE_URL)) == "bad_video"


@pytest.mark.parametrize("thing", [OtherObject(f"{THERE}/n/1", "Note"), f"{THERE}/n/1"])
async def test_other_things_may_be_created_without_us(house: House, thing: Any) -> None:
    await house.follow(THEM)
    assert await take(house, Create(id_("c"), THEM, thing)) == "unsupported_type"
    assert house.web.asked == []


# Update


async def test_a_videos_host_says_what_is_new(house: House) -> None:
    before = await house.remote(THERE)
    said = vouched(name="Renamed", views=40, updated="2024-01-01T00:00:00Z")
    assert await take(house, Update(id_("u"), THEM, said)) == "applied"
    video = await house.catalog.by_number(before.number)
    assert isinstance(video, Video)
    assert (video.name, video.views) == ("Renamed", 40)
    # News that are older than what is known change nothing.
    assert await take(house, Update(id_("u2"), THEM, vouched(name="Old"))) == "replaced"
    video = await house.catalog.by_number(before.number)
    assert isinstance(video, Video)
    assert video.name == "Renamed"


async def test_an_update_of_what_is_not_theirs(house: House) -> None:
    video = await house.remote(THERE)
    ours = await house.local()
    assert await take(house, Update(id_("u", MALLORY), MALLORY, vouched(name="Mine")), MALLORY) == "not_owner"
    own = vouched("https://tube.example", uuid=UUID, id=ours.url, name="Mine")
    assert await take(house, Update(id_("u", MALLORY), MALLORY, own), MALLORY) == "unknown_video"
    assert await take(house, Update(id_("u"), THEM, vouched(uuid=UUID, id=f"{THERE}/x"))) == "unknown_video"
    assert await house.catalog.by_number(video.number) == video
    assert await house.catalog.by_number(ours.number) == ours


async def test_an_update_that_says_nonsense_is_dropped(house: House) -> None:
    await house.remote(THERE)
    said = vouched(uuid=UUID, id=REMOTE_URL, updated="2024-01-01T00:00:00Z")
    assert await take(house, Update(id_("u"), THEM, said)) == "uuid_changed"


async def test_an_actor_that_changed_is_asked_for_its_key(house: House) -> None:
    first = await house.keys.get(THEM)
    house.web.documents[THEM] = actor_document(THEM, pem=KeyPair.generate().public_pem)
    assert await take(house, Update(id_("u"), THEM, OtherObject(THEM, "Application"))) == "applied"
    second = await house.keys.get(THEM)
    assert isinstance(first, RemoteKey)
    assert isinstance(second, RemoteKey)
    assert first.public_key != second.public_key
    # Not again and again.
    assert await take(house, Update(id_("u"), THEM, OtherObject(THEM, "Application"))) == "applied"
    assert len(house.web.asked) == 2
    assert await take(house, Update(id_("u"), THEM, OtherObject(MALLORY, "Person"))) == "unsupported_type"
    assert await take(house, Update(id_("u"), THEM, THEM)) == "unsupported_type"


# Delete


async def test_an_origin_takes_its_video_away(house: House) -> None:
    video = await house.remote(THERE)
    ours = await house.local()
    assert await take(house, Delete(id_("d", MALLORY), MALLORY, video.url), MALLORY) == "not_owner"
    assert await take(house, Delete(id_("d", MALLORY), MALLORY, ours.url), MALLORY) == "unknown_object"
    assert await house.catalog.by_url(video.url) == video
    assert await take(house, Delete(id_("d"), THEM, video.url)) == "applied"
    assert await house.catalog.by_url(video.url) is None
    assert await take(house, Delete(id_("d"), THEM, video.url)) == "unknown_object"
    assert await house.catalog.by_url(ours.url) == ours


async def test_an_actor_that_says_good_bye_is_forgotten(house: House) -> None:
    assert isinstance(await house.keys.get(THEM), RemoteKey)
    await house.followed_by(THEM, f"{THEM}/follows/1")
    await house.follow(THEM)
    assert await take(house, Delete(id_("d", MALLORY), MALLORY, THEM), MALLORY) == "unknown_object"
    assert house.peers.follower_count() == 1
    assert await take(house, Delete(id_("d"), THEM, THEM)) == "applied"
    assert house.peers.follower_count() == 0
    assert house.peers.following() == ()
    assert len(house.keys) == 0


async def test_what_means_nothing_to_us_is_dropped(house: House) -> None:
    assert await take(house, UnknownActivity(id_("like"), THEM, "Like")) == "unsupported_type"


async def test_who_makes_room_for_a_newcomer_is_told(database: Database, clock: ManualClock) -> None:
    house = await House(database, clock, max_followers=2).start()
    second = THEM.rpartition("/")[0] + "/second"
    house.web.documents |= {name: actor_document(name, pem=PEM) for name in (THEM, second, MALLORY)}
    assert await take(house, follow()) == "applied"
    assert await take(house, follow(second), second) == "applied"
    assert await take(house, follow(MALLORY), MALLORY) == "applied"
    assert [accepted for *_, accepted in house.answers.given] == [True, True, False, True]
    followers, count = house.peers.list_followers()
    assert (count, {record.actor for record in followers}) == (2, {THEM, MALLORY})
