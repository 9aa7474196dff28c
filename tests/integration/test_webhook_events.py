"""Every event that webhooks may tell of, from a real service to a receiver that verifies with LiveKit's own package."""

from __future__ import annotations

from typing import Any

import pytest
from integration.conftest import MakeInstance, befriend
from integration.house import UUID, Instance, wait_until
from integration.peertube import PeerTube
from receiver import KEY, SECRET, Receiver

from service.config import Secret, Webhook


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
