"""A peer that hangs, breaks, is busy, talks nonsense, is away or gone holds up nobody and misses nothing that lasts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from integration.conftest import MakeInstance, befriend
from integration.house import OTHER_UUID, Instance, wait_until
from integration.peertube import (
    VIDEO,
    PeerTube,
    Trouble,
    breaks,
    hangs,
    is_busy,
    is_closed_to_us,
    is_gone,
    talks_nonsense,
)

TROUBLES = (hangs, breaks, is_busy, is_closed_to_us, is_gone, talks_nonsense)


@pytest.fixture
async def ours(instance: MakeInstance, peertube: PeerTube) -> Instance:
    """Followed by the peer, with a video that it knows."""
    made = await instance()
    await made.put_video()
    await peertube.follow(made.url)
    await wait_until(lambda: peertube.of_type("Announce"))
    return made


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
async def test_others_hear_at_once_and_it_hears_the_newest_when_it_is_back(
    ours: Instance, peertube: PeerTube, instance: MakeInstance, trouble: Trouble
) -> None:
    healthy = await instance()
    await befriend(ours, healthy)
    await wait_until(healthy.video)
    peertube.trouble = trouble
    await ours.watch("viewer-0")
    await wait_until(lambda: peertube.turned_away, what="it was not even tried")
    for number in range(1, 5):
        await ours.watch(f"viewer-{number}")
        await wait_until(lambda wanted=number + 1: healthy.says(wanted), 3, "the healthy peer waits for the other")
    assert await ours.view("viewer-9") == "counted"
    await wait_until(lambda: healthy.says(6), 3)
    assert peertube.totals(ours.id_of()) == []

    peertube.trouble = None
    if trouble is hangs:
        # The post that hangs would hang for as long as the limit says; a peer that restarts cuts it.
        await peertube.close()
        await peertube.open()
    await wait_until(lambda: peertube.totals(ours.id_of()), what="no total when it was back")
    await wait_until(lambda: peertube.counted(ours.id_of()), what="the counted view is lost")
    assert peertube.totals(ours.id_of())[0] == 6, "the newest total, not the first that it missed"
    assert len(peertube.totals(ours.id_of())) <= 2, "no backlog of totals"
    assert len(set(peertube.counted(ours.id_of()))) == 1


async def test_who_was_away_is_told_what_lasts_in_order(ours: Instance, peertube: PeerTube) -> None:
    await peertube.close()
    await ours.put_video(OTHER_UUID, name="Published meanwhile")
    await ours.put_video(name="Renamed meanwhile")
    assert await ours.view("anna") == "counted"
    assert (await ours.ask("DELETE", f"/api/v1/videos/{OTHER_UUID}")).status == 204
    await wait_until(lambda: _in_trouble(ours, peertube))
    heard = len(peertube.activities)

    await peertube.open()
    await wait_until(lambda: peertube.of_type("Delete"))
    await wait_until(lambda: peertube.totals(ours.id_of()))
    lasting = [activity["type"] for activity in peertube.activities[heard:] if "result" not in activity]
    assert lasting in (["Announce", "Update", "View", "Delete"], ["Update", "View", "Delete"])
    assert peertube.of_type("Update")[-1]["object"]["name"] == "Renamed meanwhile"


async def test_an_origin_that_was_away_is_told_of_viewers_and_views(instance: MakeInstance, peertube: PeerTube) -> None:
    ours = await instance()
    video = peertube.video_url(VIDEO)
    brought = (await ours.ask("POST", "/api/v1/videos", {"url": video})).body["uuid"]
    await peertube.close()
    await ours.watch("anna", "bert", video=brought)
    assert await ours.view("carl", video=brought) == "counted"
    await wait_until(lambda: _in_trouble(ours, peertube))
    await peertube.open()
    await wait_until(lambda: len({view["id"] for view in peertube.of_type("View") if "expires" in view}) == 3)
    await wait_until(lambda: peertube.counted(video))
    assert len(peertube.counted(video)) == 1


async def test_a_follow_waits_for_a_peer_that_is_not_there_yet(instance: MakeInstance) -> None:
    origin, follower = await instance(), await instance()
    await follower.follow(origin.host)
    await wait_until(lambda: _accepted(follower, origin))
    await origin.service.stop()
    answer = await follower.ask("POST", "/api/v1/server/following", {"hosts": [origin.host]})
    assert 400 <= answer.status < 600
    assert answer.body["status"] == answer.status
    assert await follower.follows(origin.host) == "accepted"


async def _accepted(follower: Instance, origin: Instance) -> bool:
    return await follower.follows(origin.host) == "accepted"


async def test_its_breaker_is_shown_open_until_it_is_back(ours: Instance, peertube: PeerTube) -> None:
    async def state() -> tuple[str, int]:
        known = await ours.peer(peertube.host) or {}
        return known["breaker"], known["failureDays"]

    await peertube.close()
    await ours.put_video(name="Renamed meanwhile")
    await wait_until(lambda: _is(state, ("open", 1), ("half_open", 1)), what="it is still asked as if it were there")
    await peertube.open()
    await wait_until(lambda: peertube.of_type("Update"))
    await wait_until(lambda: _is(state, ("closed", 0)))


async def _is(state: Callable[[], Awaitable[tuple[str, int]]], *wanted: tuple[str, int]) -> bool:
    return await state() in wanted


async def _in_trouble(ours: Instance, peertube: PeerTube) -> bool:
    return bool((await ours.peer(peertube.host) or {}).get("trouble"))
