"""Every event that webhooks may tell of, from a real service to a receiver that verifies with LiveKit's own package."""

from __future__ import annotations

import dataclasses
import signal
import time
from typing import Any

import pytest
from integration.conftest import MakeInstance, Spawn, befriend
from integration.house import UUID, Instance, wait_until
from integration.peertube import PeerTube
from support.livekit_server import KEY as LIVEKIT_KEY
from support.livekit_server import ROOM, LivekitServer, sign
from support.livekit_server import SECRET as LIVEKIT_SECRET
from support.webhook_receiver import KEY, SECRET, Receiver

from foundation.clock import SystemClock
from service.building.webhooks import try_hooks
from service.config import Config, Livekit, LivekitKey, LivekitRoom, Secret, Webhook


@pytest.fixture
async def receiver(aiohttp_server: Any) -> Receiver:
    return await Receiver().start(aiohttp_server)


def hook(receiver: Receiver) -> Webhook:
    return Webhook(url=receiver.url, key=KEY, secret=Secret(SECRET))


@pytest.fixture
async def ours(instance: MakeInstance, receiver: Receiver) -> Instance:
    made = await instance(webhooks=(hook(receiver),))
    await made.put_video()
    return made


def words(receiver: Receiver) -> list[str]:
    return [event["event"] for event in receiver.events()]


async def test_a_viewer_comes_plays_and_leaves(ours: Instance, receiver: Receiver) -> None:
    """And the video begins with it and ends with it: in this order, of one video."""
    await ours.heartbeat("anna", 0)
    await wait_until(lambda: receiver.events("video_started"))
    assert receiver.events("viewer_joined") == []
    assert await ours.view("anna") == "counted"
    await wait_until(lambda: receiver.events("viewer_joined"))
    await ours.leave("anna")
    await wait_until(lambda: receiver.events("video_finished"))
    told = words(receiver)
    assert sorted(told) == sorted(
        ["video_started", "viewers_peak", "viewer_joined", "view_counted", "viewer_left", "video_finished"]
    )
    assert told[0] == "video_started"
    assert told.index("viewer_joined") < told.index("viewer_left") < told.index("video_finished")
    (came,), (went,) = receiver.events("viewer_joined"), receiver.events("viewer_left")
    assert came["viewers"][0]["session"] == went["viewers"][0]["session"]
    assert came["viewers"][0]["id"] == went["viewers"][0]["id"]
    assert went["viewers"][0]["duration"] >= 0
    assert receiver.events("viewers_peak")[0]["viewersCount"] == 1
    assert "startedAt" in receiver.events("video_finished")[0]
    assert "anna" not in str(receiver.heard)


async def test_a_viewer_whose_time_is_over_has_left(instance: MakeInstance, receiver: Receiver) -> None:
    ours = await instance(webhooks=(hook(receiver),), views={"viewer_lifetime_ms": 1_000})
    await ours.put_video()
    await ours.heartbeat("anna", 0)
    await ours.heartbeat("anna", 1)
    await wait_until(lambda: receiver.events("viewer_left"))
    assert [len(event["viewers"]) for event in receiver.events("viewer_joined", "viewer_left")] == [1, 1]
    assert receiver.events("viewer_aborted") == []


async def test_a_viewer_who_never_plays_has_aborted(instance: MakeInstance, receiver: Receiver) -> None:
    ours = await instance(webhooks=(hook(receiver),), views={"viewer_lifetime_ms": 1_000})
    await ours.put_video()
    await ours.heartbeat("anna", 0)
    await wait_until(lambda: receiver.events("viewer_aborted"))
    assert receiver.events("viewer_joined", "viewer_left") == []


async def test_viewers_of_a_livekit_room_come_and_go(instance: MakeInstance, receiver: Receiver) -> None:
    livekit = Livekit(keys=(LivekitKey(LIVEKIT_KEY, Secret(LIVEKIT_SECRET)),), rooms=(LivekitRoom(ROOM, UUID),))
    ours = await instance(webhooks=(hook(receiver),), livekit=livekit)
    await ours.put_video(isLive=True, duration=0)
    server = LivekitServer(now_s=int(time.time()))
    for body in (
        server.message("room_started"),
        server.joined("anna"),
        server.joined("bert"),
        server.message("participant_connection_aborted", participant=server.participant("carl")),
        server.left("anna"),
        server.message("room_finished"),
    ):
        headers = {"Authorization": sign(body), "Content-Type": "application/webhook+json"}
        assert (await ours.ask("POST", "/livekit/webhook", body, headers=headers)).status == 200
    await wait_until(lambda: receiver.events("video_finished"))
    told = words(receiver)
    assert told[0] == "video_started"
    assert told[-1] == "video_finished"
    counts = {
        word: sum(event["count"] for event in receiver.events(word)) for word in told if word.startswith("viewer_")
    }
    assert counts == {"viewer_joined": 2, "viewer_left": 2, "viewer_aborted": 1}


async def test_a_counted_view(ours: Instance, receiver: Receiver) -> None:
    assert await ours.view("anna") == "counted"
    await wait_until(lambda: receiver.events("view_counted"))
    (event,) = receiver.events("view_counted")
    assert (event["count"], event["views"], event["host"]) == (1, 1, None)
    assert event["video"]["uuid"] == UUID


async def test_what_the_origin_of_a_video_says(instance: MakeInstance, receiver: Receiver) -> None:
    origin, follower = await instance(), await instance(webhooks=(hook(receiver),))
    await befriend(origin, follower)
    await origin.put_video()
    await wait_until(follower.video)
    await origin.watch("anna", "bert")
    await wait_until(lambda: any(event["viewersCount"] == 2 for event in receiver.events("total_received")))
    event = receiver.events("total_received")[-1]
    assert (event["host"], event["video"]["isLocal"]) == (origin.host, False)


async def test_a_peer_goes_down_and_comes_back(ours: Instance, receiver: Receiver, peertube: PeerTube) -> None:
    await peertube.follow(ours.url)
    await wait_until(lambda: peertube.of_type("Announce"))
    await peertube.close()
    await ours.watch("anna")
    await wait_until(lambda: receiver.events("peer_down"), 20)
    await peertube.open()
    await wait_until(lambda: receiver.events("peer_up"), 20)
    words = [(event["event"], event["host"]) for event in receiver.events("peer_down", "peer_up")]
    assert words == [("peer_down", peertube.host), ("peer_up", peertube.host)]
    assert receiver.events("peer_down")[0]["reason"] == "unreachable"


async def test_an_administrator_sees_how_it_does_and_tests_it(ours: Instance, receiver: Receiver) -> None:
    tested = (await ours.ask("POST", "/api/v1/server/webhooks/test")).body["data"]
    assert [(one["delivered"], one["status"]) for one in tested] == [(True, 200)]
    assert [event["event"] for event in receiver.events()] == ["test"]
    await ours.view("anna")
    await wait_until(lambda: receiver.events("view_counted"))

    async def listed() -> Any:
        one = (await ours.ask("GET", "/api/v1/server/webhooks")).body["data"][0]
        return one if any(each["event"] == "view_counted" for each in one["recent"]) else None

    one = await wait_until(listed)
    assert one["url"] == receiver.url
    assert (one["dropped"], one["failures"], one["lastError"]) == (0, 0, None)
    assert one["sent"] >= 1
    assert SECRET not in str(one)


def yaml_of(receiver: Receiver, **more: Any) -> list[dict[str, Any]]:
    return [{"url": receiver.url, "key": KEY, "secret": SECRET, **more}]


VIDEO = [{"uuid": UUID, "name": "Big Buck Bunny", "duration": "596s"}]


async def test_a_counted_view_survives_being_killed(spawn: Spawn, receiver: Receiver) -> None:
    receiver.answer = lambda _: 503
    process = spawn(webhooks=yaml_of(receiver, include=["view_counted"]), videos=VIDEO)
    client = await process.start()
    assert await client.view("anna") == "counted"
    await process.end(signal.SIGKILL)
    receiver.answer = lambda _: 200
    await process.start()
    await wait_until(lambda: receiver.events("view_counted"))
    assert [event["count"] for event in receiver.events()] == [1]


async def test_receivers_change_on_hup(spawn: Spawn, receiver: Receiver) -> None:
    process = spawn(videos=VIDEO)
    client = await process.start()
    assert await client.view("anna") == "counted"
    await process.reload({"webhooks": yaml_of(receiver, include=["view_counted"])}, "configuration reloaded: webhooks")
    assert await client.view("bert") == "counted"
    await wait_until(lambda: receiver.events("view_counted"))
    assert [event["views"] for event in receiver.events()] == [2]


async def test_without_a_running_service(receiver: Receiver) -> None:
    """As ``fediviews doctor`` does it."""
    private = dataclasses.replace(hook(receiver), allow_private_addresses=True)
    config = Config(webhooks=(private, hook(receiver)))
    tried = [(one.delivered, one.reason) for _, one in await try_hooks(config, SystemClock())]
    assert tried == [(True, "status_200"), (False, "scheme_refused")]
    assert words(receiver) == ["test"]
