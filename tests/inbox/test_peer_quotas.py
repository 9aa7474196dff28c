"""What a peer says above its quotas: shown apart or held back, never summed and never lost without a word."""

from __future__ import annotations

import re

import pytest
from support.inbox_house import UUID, House

from federation.peers import PeerLimits, PeerPolicy
from federation.vocabulary import Collection, View
from foundation.clock import ManualClock
from foundation.database import Database
from foundation.errors import StorageUnavailable
from views.model import Video

PEER, OTHER = "https://peer.example/accounts/peertube", "https://other.example/accounts/peertube"
LIFE_MS = 60_000
FEW = PeerLimits(viewers_per_video=1_000, new_viewers_per_minute=3, videos=2, views_per_hour=2)
SECOND, THIRD = "5b0e1c1a-3f53-4a2e-9a38-8a3f6c1d8d11", "0d5c1f0a-6a2f-4a53-8c0e-7f0f3a9d1b11"


async def build(database: Database, clock: ManualClock, limits: PeerLimits = FEW, **options) -> House:
    return await House(database, clock, limits=limits, **options).start()


def view_of(house: House, video: Video, name: str, actor: str = PEER, life_ms: int | None = LIFE_MS) -> View:
    expires_ms = None if life_ms is None else house.clock.now_ms() + life_ms
    return View(f"{actor}/views/{name}", actor, video.url, expires_ms)


async def say(house: House, *views: View) -> list[str]:
    """The reasons that were added to the quarantine by these."""
    before = len(house.reasons())
    for view in views:
        await house.pipeline.apply(view, house.sender(view.actor))
    return house.reasons()[before:]


async def shown(house: House, video: Video) -> tuple[int, dict[str, int], int]:
    number = await house.viewers.shown(video)
    return number.viewers, number.peers, number.unverified


async def test_viewers_that_come_too_fast_are_shown_apart(database: Database, clock: ManualClock) -> None:
    house = await build(database, clock)
    video = await house.local()
    assert await say(house, *(view_of(house, video, str(number)) for number in range(5))) == []
    assert await shown(house, video) == (3, {"peer.example": 3}, 2)
    assert await say(house, view_of(house, video, "1", OTHER)) == []
    assert await shown(house, video) == (4, {"peer.example": 3, "other.example": 1}, 2)
    assert (
        house.metrics.registry.get_sample_value("fediviews_peer_quota_exceeded_total", {"outcome": "unverified"}) == 2
    )


async def test_who_was_here_before_is_extended_above_the_quota(database: Database, clock: ManualClock) -> None:
    house = await build(database, clock)
    video = await house.local()
    await say(house, *(view_of(house, video, str(number)) for number in range(5)))
    clock.advance(LIFE_MS - 1_000)
    await say(house, *(view_of(house, video, str(number)) for number in range(3)))
    clock.advance(2_000)
    assert await shown(house, video) == (3, {"peer.example": 3}, 0)


async def test_the_unverified_count_once_there_is_room(database: Database, clock: ManualClock) -> None:
    house = await build(database, clock, PeerLimits(new_viewers_per_minute=3))
    video = await house.local()
    await say(house, *(view_of(house, video, str(number), life_ms=300_000) for number in range(5)))
    clock.advance(61_000)
    await say(house, *(view_of(house, video, str(number), life_ms=300_000) for number in range(6)))
    number, peers, unverified = await shown(house, video)
    assert (number, peers) == (6, {"peer.example": 6})
    assert unverified in (0, 2), "those whose minute had passed may stand in both until their life ends"


async def test_far_more_are_not_even_kept(database: Database, clock: ManualClock) -> None:
    house = await build(database, clock)
    video = await house.local()
    reasons = await say(house, *(view_of(house, video, str(number)) for number in range(20)))
    assert reasons == ["too_many_viewers"] * 14
    assert await shown(house, video) == (3, {"peer.example": 3}, 3)


async def test_viewers_on_too_many_videos_are_shown_apart(database: Database, clock: ManualClock) -> None:
    house = await build(database, clock, PeerLimits(videos=2))
    videos = [await house.local(uuid) for uuid in (UUID, SECOND, THIRD)]
    await say(house, *(view_of(house, video, str(number)) for number, video in enumerate(videos)))
    assert [(await shown(house, video))[0] for video in videos] == [1, 1, 0]
    assert (await shown(house, videos[2]))[2] == 1
    clock.advance(2 * 600_000)
    await say(house, view_of(house, videos[2], "anew"))
    assert await shown(house, videos[2]) == (1, {"peer.example": 1}, 0)


async def test_views_above_the_quota_are_held_and_count_when_the_rule_has_changed(
    database: Database, clock: ManualClock
) -> None:
    house = await build(database, clock)
    video = await house.local()
    views = [view_of(house, video, str(number), life_ms=None) for number in range(5)]
    assert await say(house, *views) == ["too_many_views"] * 3
    assert await house.counted(video) == 2
    assert all(house.quarantine.holds(entry.number) for entry in house.quarantine.newest(3))
    again = await house.replay()
    assert (again.applied, again.dropped, again.left) == (0, 3, 0), "the rule is the same"
    assert refused(house) == 3, "a message that is judged again came once"
    assert len(house.quarantine) == 3
    house.peers.verdicts.reload([PeerPolicy("peer.example", max_views_per_hour=4)], open_federation=True)
    done = await house.replay(host="peer.example", reason="too_many_views")
    assert (done.applied, done.dropped) == (2, 1)
    assert len(house.quarantine) == 1, "what counts now is not listed as what was not taken"
    assert await house.counted(video) == 4
    clock.advance(3_600_000)
    assert (await house.replay()).applied == 1
    assert await house.counted(video) == 5
    assert (await house.replay()).applied == 0, "nothing is replayed twice"


def refused(house: House) -> float:
    page = house.metrics.render().decode()
    return sum(float(value) for value in re.findall(r"^fediviews_inbox_refused_total\{[^}]*\} (\S+)$", page, re.M))


async def test_a_view_that_came_again_meanwhile_counts_once(database: Database, clock: ManualClock) -> None:
    house = await build(database, clock)
    video = await house.local()
    views = [view_of(house, video, str(number), life_ms=None) for number in range(3)]
    assert await say(house, *views) == ["too_many_views"]
    clock.advance(3_600_000)
    assert await say(house, views[2]) == []
    done = await house.replay()
    assert (done.applied, done.dropped) == (0, 1)
    assert house.reasons()[-1] == "duplicate"
    assert await house.counted(video) == 3


async def test_items_of_a_collection_are_held_one_by_one(database: Database, clock: ManualClock) -> None:
    house = await build(database, clock, policies=[PeerPolicy("peer.example", accept=frozenset({"viewers"}))])
    video = await house.local()
    items = (view_of(house, video, "viewer"), view_of(house, video, "view", life_ms=None))
    await house.pipeline.apply(Collection(f"{PEER}/c/1", PEER, items, 0), house.sender(PEER))
    assert house.reasons() == ["not_accepted"]
    house.peers.verdicts.reload([], open_federation=True)
    assert (await house.replay()).applied == 1
    assert await house.counted(video) == 1


async def test_what_a_blocked_host_said_stays(database: Database, clock: ManualClock) -> None:
    house = await build(database, clock)
    video = await house.local()
    await say(house, *(view_of(house, video, str(number), life_ms=None) for number in range(3)))
    clock.advance(3_600_000)
    await house.peers.verdicts.block("peer.example")
    assert (await house.replay()).dropped == 1
    assert await house.counted(video) == 2
    await house.peers.verdicts.allow("peer.example")
    assert (await house.replay()).applied == 1


async def test_a_viewer_whose_life_is_over_is_not_raised(database: Database, clock: ManualClock) -> None:
    house = await build(database, clock, policies=[PeerPolicy("peer.example", accept=frozenset())])
    video = await house.local()
    assert await say(house, view_of(house, video, "1")) == ["not_accepted"]
    house.peers.verdicts.reload([], open_federation=True)
    clock.advance(LIFE_MS)
    assert (await house.replay()).dropped == 1
    assert house.reasons()[-1] == "expired"
    assert await shown(house, video) == (0, {}, 0)


async def test_a_database_that_is_gone_leaves_everything_held(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = await build(database, clock)
    video = await house.local()
    await say(house, *(view_of(house, video, str(number), life_ms=None) for number in range(4)))
    clock.advance(3_600_000)

    async def gone(*_: object) -> bool:
        raise StorageUnavailable("gone")

    with monkeypatch.context() as patched:
        patched.setattr(house.counter, "count_remote", gone)
        with pytest.raises(StorageUnavailable):
            await house.replay()
    assert (await house.replay()).applied == 2


async def test_what_is_held_is_bounded_in_bytes(database: Database, clock: ManualClock) -> None:
    house = await build(database, clock, quarantine_bytes=2_000)
    video = await house.local()
    await say(house, *(view_of(house, video, str(number), life_ms=None) for number in range(22)))
    held = house.quarantine.held()
    assert 1 <= len(held) < 5
    assert held[-1] == house.quarantine.newest(1)[0].number, "the newest are kept"
    held_bytes = house.metrics.registry.get_sample_value("fediviews_quarantine_held_bytes")
    assert held_bytes is not None
    assert 0 < held_bytes <= 2_000
    assert house.quarantine.drop(host="peer.example") == 20
    assert house.metrics.registry.get_sample_value("fediviews_quarantine_held_bytes") == 0
    assert house.reasons() == []


async def test_an_entry_that_goes_takes_what_is_held_along(database: Database, clock: ManualClock) -> None:
    house = await build(database, clock, quarantine_size=2)
    video = await house.local()
    await say(house, *(view_of(house, video, str(number), life_ms=None) for number in range(9)))
    assert len(house.quarantine.held()) == 2


async def test_blocking_forgets_the_unverified_too(database: Database, clock: ManualClock) -> None:
    house = await build(database, clock)
    video = await house.local()
    await say(house, *(view_of(house, video, str(number)) for number in range(5)))
    await house.viewers.forget_peer("peer.example")
    assert await shown(house, video) == (0, {}, 0)


def of_site(count: int) -> list[str]:
    return [f"https://h{number}.evil.example/accounts/peertube" for number in range(count)]


async def test_many_hosts_of_one_site_have_as_many_viewers_as_a_few(database: Database, clock: ManualClock) -> None:
    house = await build(database, clock, PeerLimits(viewers_per_video=3), hosts_per_site=2)
    video = await house.local()
    for actor in of_site(25):
        assert await say(house, *(view_of(house, video, str(number), actor) for number in range(2))) == []
    await say(house, *(view_of(house, video, str(number)) for number in range(3)))
    number, peers, unverified = await shown(house, video)
    assert (number, peers["peer.example"], unverified) == (6 + 3, 3, 44)
    house.peers.verdicts.reload([PeerPolicy("h0.evil.example")], open_federation=True)
    assert (await shown(house, video))[0] == 2 + 6 + 3, "who is named stands alone"


async def test_new_viewers_of_many_hosts_of_one_site_are_shown_apart(database: Database, clock: ManualClock) -> None:
    house = await build(database, clock, hosts_per_site=2)
    video = await house.local()
    for actor in of_site(12):
        assert await say(house, view_of(house, video, "1", actor)) == []
    assert (await shown(house, video))[0] == 2 * 3
    assert (await shown(house, video))[2] == 2 * 3
    assert await say(house, view_of(house, video, "1", of_site(13)[12])) == ["too_many_viewers"]
    assert await say(house, view_of(house, video, "1")) == []
    assert (await shown(house, video))[0] == 2 * 3 + 1


async def test_videos_of_many_hosts_of_one_site_are_bounded(database: Database, clock: ManualClock) -> None:
    house = await build(database, clock, PeerLimits(videos=1), hosts_per_site=2)
    videos = [await house.local(uuid) for uuid in (UUID, SECOND, THIRD)]
    for actor, video in zip(of_site(3), videos, strict=True):
        await say(house, view_of(house, video, "1", actor))
    assert [(await shown(house, video))[0] for video in videos] == [1, 1, 0]
    assert (await shown(house, videos[2]))[2] == 1


async def test_views_of_many_hosts_of_one_site_are_held(database: Database, clock: ManualClock) -> None:
    house = await build(database, clock, hosts_per_site=2)
    video = await house.local()
    reasons = []
    for actor in of_site(6):
        reasons += await say(house, view_of(house, video, "1", actor, life_ms=None))
    assert reasons == ["too_many_views"] * 2
    assert await house.counted(video) == 4
    assert await say(house, view_of(house, video, "1", life_ms=None)) == []


async def test_a_host_above_its_own_quota_of_videos_leaves_its_neighbours_theirs(
    database: Database, clock: ManualClock
) -> None:
    house = await build(database, clock, PeerLimits(videos=1), hosts_per_site=2)
    videos = [await house.local(uuid) for uuid in (UUID, SECOND, THIRD)]
    greedy, modest = of_site(2)
    await say(house, *(view_of(house, video, "1", greedy) for video in videos))
    await say(house, view_of(house, videos[2], "1", modest))
    assert (await shown(house, videos[2]))[0] == 1
