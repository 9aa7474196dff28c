"""We follow PeerTube 6.3: its video is imported, our viewers are told to it, its totals are shown."""

from __future__ import annotations

import asyncio

import pytest
from integration.conftest import MakeInstance
from integration.house import NOWHERE, Instance, holds, wait_until
from integration.peertube import VIDEO, PeerTube


@pytest.fixture
async def ours(instance: MakeInstance, peertube: PeerTube) -> Instance:
    """Follows the peer, which has announced its video."""
    made = await instance(views={"viewer_lifetime_ms": 2_000})
    await made.follow(peertube.host)
    (follow,) = await wait_until(lambda: peertube.of_type("Follow"))
    assert peertube.heard[0].target == "/accounts/peertube/inbox"
    accept = {
        "type": "Accept",
        "id": f"{peertube.url}/accepts/follows/1",
        "actor": peertube.actor,
        "object": {name: follow[name] for name in ("type", "id", "actor", "object")},
    }
    await peertube.deliver(f"{made.actor}/inbox", accept)
    assert await made.follows(peertube.host) == "accepted"
    announce = {
        "type": "Announce",
        "id": f"{peertube.video_url(VIDEO)}/announces/1",
        "actor": peertube.actor,
        "object": peertube.video_url(VIDEO),
        "to": ["https://www.w3.org/ns/activitystreams#Public"],
        "cc": [],
    }
    await peertube.deliver(made.inbox, announce)
    assert await made.viewers(VIDEO) == 0
    return made


def viewers_told(peertube: PeerTube) -> list[dict[str, object]]:
    return [view for view in peertube.of_type("View") if "expires" in view]


async def test_its_recorded_documents_become_a_video_here(ours: Instance, peertube: PeerTube) -> None:
    video = await ours.video(VIDEO)
    assert video is not None
    assert (video["name"], video["duration"], video["isLocal"]) == ("video sixty A", 60, False)
    assert (video["account"]["name"], video["channel"]["name"]) == ("root", "root_channel")
    actor = (await ours.document("/accounts/peertube")).body
    documents = [get for get in peertube.gets if "activity" in get.headers.get("accept", "")]
    assert documents
    assert all(get.is_signed_by(actor["publicKey"]["publicKeyPem"]) for get in documents)


async def test_our_viewers_are_told_in_its_shape_to_the_shared_inbox(ours: Instance, peertube: PeerTube) -> None:
    await ours.watch("anna", "bert", video=VIDEO)
    await wait_until(lambda: len(viewers_told(peertube)) == 2)
    recorded = peertube.recorded("28", "127.0.0.1:9002")
    for view in viewers_told(peertube):
        assert set(recorded) - {"signature", "@context"} <= set(view)
        assert view["to"] == [peertube.account("root")]
        assert view["cc"] == []
        assert view["actor"] == ours.actor
        assert view["object"] == peertube.video_url(VIDEO)
        assert view["result"] == recorded["result"]
        assert "anna" not in str(view)
    assert {heard.target for heard in peertube.heard[1:]} == {"/inbox"}
    assert len({str(view["id"]) for view in viewers_told(peertube)}) == 2


async def test_a_viewer_who_stays_is_told_again_under_the_same_id(ours: Instance, peertube: PeerTube) -> None:
    async def told_again() -> bool:
        await ours.watch("anna", video=VIDEO)
        return len(viewers_told(peertube)) >= 2

    await wait_until(told_again)
    first, second = viewers_told(peertube)[:2]
    assert first["id"] == second["id"]
    assert str(first["expires"]) < str(second["expires"])


async def test_a_counted_view_is_told_once(ours: Instance, peertube: PeerTube) -> None:
    assert await ours.view("anna", video=VIDEO) == "counted"
    (told,) = await wait_until(lambda: peertube.counted(peertube.video_url(VIDEO)))
    assert told.startswith(f"{ours.actor}/views/videos/")
    assert await ours.view("anna", video=VIDEO) == "ignored: already_counted"

    async def once() -> bool:
        return peertube.counted(peertube.video_url(VIDEO)) == [told]

    await holds(once, 0.3)


async def total(peertube: PeerTube, ours: Instance, count: int, life_ms: int = 60_000) -> None:
    view = peertube.view(peertube.video_url(VIDEO), "total", count=count, life_ms=life_ms)
    await peertube.deliver(ours.inbox, view)


async def test_its_total_is_shown_and_a_smaller_one_replaces_it(ours: Instance, peertube: PeerTube) -> None:
    await total(peertube, ours, 42)
    assert await ours.viewers(VIDEO) == 42
    await ours.watch("anna", video=VIDEO)
    assert await ours.viewers(VIDEO) == 43
    # Signatures name seconds: the next total has to be signed in a later one, or to arrive later.
    await total(peertube, ours, 17)
    assert await ours.viewers(VIDEO) == 18
    await total(peertube, ours, 0)
    assert await ours.viewers(VIDEO) == 1
    await ours.leave("anna", video=VIDEO)
    assert await ours.viewers(VIDEO) == 0


async def test_a_total_that_is_repeated_no_more_ends_after_its_grace(ours: Instance, peertube: PeerTube) -> None:
    started = asyncio.get_running_loop().time()
    await total(peertube, ours, 9, life_ms=2_000)
    await wait_until(lambda: ours.says(0, video=VIDEO))
    lived = asyncio.get_running_loop().time() - started
    assert 2.0 < lived < 5.0, "its life, a quarter of it, and what the peer's clock may be off by"


async def test_a_total_by_somebody_else_changes_nothing(ours: Instance, peertube: PeerTube) -> None:
    await total(peertube, ours, 5)
    async with PeerTube(peertube.clock, number=1) as stranger:
        for view in (
            stranger.view(peertube.video_url(VIDEO), "total", count=99_999),
            stranger.view(peertube.video_url(VIDEO), "viewer"),
        ):
            answer = await stranger.post(ours.inbox, view)
            assert (answer.status, answer.reason) == (202, "not_origin")
    assert await ours.viewers(VIDEO) == 5


async def test_viewers_of_protocol_v1_add_up_until_a_total_arrives(ours: Instance, peertube: PeerTube) -> None:
    for name in ("one", "two", "two"):
        await peertube.deliver(ours.inbox, peertube.view(peertube.video_url(VIDEO), name))
    assert await ours.viewers(VIDEO) == 2
    await total(peertube, ours, 7)
    assert await ours.viewers(VIDEO) == 7


async def test_its_update_renames_and_its_delete_removes(ours: Instance, peertube: PeerTube) -> None:
    update = peertube.recorded("44", "127.0.0.1:9001", {VIDEO: "ce4c6402-93c2-48e2-9d0c-27d191760ee2"})
    assert update["object"]["id"] == peertube.video_url(VIDEO)
    await peertube.deliver(ours.inbox, update, key_id=update["actor"])
    video = await ours.video(VIDEO)
    assert video is not None
    assert video["name"] == update["object"]["name"] != "video sixty A"

    delete = peertube.recorded("51", "127.0.0.1:9001")
    delete |= {"object": peertube.video_url(VIDEO), "id": f"{peertube.video_url(VIDEO)}/delete"}
    await peertube.deliver(ours.inbox, delete, key_id=delete["actor"])
    assert await ours.viewers(VIDEO) == NOWHERE


async def test_a_forwarded_activity_is_taken_and_dropped(ours: Instance, peertube: PeerTube) -> None:
    view = peertube.view(peertube.video_url(VIDEO), "viewer", actor="http://127.0.0.1:1/accounts/peertube")
    answer = await peertube.post(ours.inbox, view)
    assert (answer.status, answer.reason) == (202, "forwarded")
    assert await ours.viewers(VIDEO) == 0
