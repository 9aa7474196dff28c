"""A LiveKit stream with a fediverse-wide viewer count: real instances, messages signed by LiveKit's own package."""

from __future__ import annotations

import time
from typing import Any

import pytest
from integration.conftest import MakeInstance, Spawn, befriend
from integration.house import UUID, Client, Instance, holds, wait_until
from support.livekit_server import KEY, ROOM, SECRET, LivekitServer, sign

from service.config import Livekit, LivekitKey, LivekitRoom, Secret

LIVEKIT = Livekit(keys=(LivekitKey(KEY, Secret(SECRET)),), rooms=(LivekitRoom(ROOM, UUID),))
QUICK = {"viewer_lifetime_ms": 1_000, "count_view_after_ms": 1_000}


async def say(client: Client, body: bytes) -> str:
    headers = {"Authorization": sign(body), "Content-Type": "application/webhook+json"}
    reply = await client.ask("POST", "/livekit/webhook", body, headers=headers)
    assert reply.status == 200, reply
    return str(reply.body["outcome"])


@pytest.fixture
def server() -> LivekitServer:
    return LivekitServer(now_s=int(time.time()))


async def live(made: Instance) -> Instance:
    await made.put_video(isLive=True, duration=0)
    return made


async def test_the_fediverse_sees_who_is_in_a_room(instance: MakeInstance, server: LivekitServer) -> None:
    ours, other = await instance(livekit=LIVEKIT), await instance()
    await befriend(ours, other)
    await live(ours)
    await wait_until(other.video)
    assert await say(ours, server.message("room_started")) == "applied"
    assert await say(ours, server.joined("host", is_publisher=True)) == "applied"
    assert await say(ours, server.joined("anna")) == "applied"
    assert await say(ours, server.joined("bert")) == "applied"
    assert await ours.viewers() == 2
    await wait_until(lambda: other.says(2))
    await ours.watch("a-player-elsewhere")
    await wait_until(lambda: other.says(3))
    assert await say(ours, server.left("anna")) == "applied"
    assert await ours.viewers() == 2
    assert await say(ours, server.message("room_finished")) == "applied"
    assert await ours.viewers() == 1
    await wait_until(lambda: other.says(1))


async def test_who_is_in_a_room_watches_until_it_leaves(instance: MakeInstance, server: LivekitServer) -> None:
    """Far beyond the life of a viewer, who would have to report; and it becomes a counted view."""
    ours = await live(await instance(livekit=LIVEKIT, views=QUICK))
    await say(ours, server.joined("anna"))
    await say(ours, server.joined("bert"))
    await holds(lambda: ours.says(2), 3)
    await wait_until(lambda: _views(ours, 2))
    await say(ours, server.left("anna"))
    await holds(lambda: ours.says(1), 2)
    assert await ours.views() == 2


async def _views(client: Client, expected: int) -> bool:
    return await client.views() == expected


async def test_a_lost_word_of_leaving_ends_at_the_limit(instance: MakeInstance, server: LivekitServer) -> None:
    livekit = Livekit(keys=LIVEKIT.keys, rooms=LIVEKIT.rooms, participant_max_ms=60_000)
    ours = await live(await instance(livekit=livekit, views=QUICK))
    server.now_s -= 58
    await say(ours, server.joined("anna"))
    assert await ours.viewers() == 1
    await wait_until(lambda: ours.says(0))


async def test_a_stage_empties_the_seat(instance: MakeInstance, server: LivekitServer) -> None:
    ours = await live(await instance(livekit=LIVEKIT))
    await say(ours, server.joined("anna"))
    await say(ours, server.track("track_published", "anna"))
    assert await ours.viewers() == 0
    await say(ours, server.track("track_unpublished", "anna"))
    assert await ours.viewers() == 1


async def test_the_same_user_in_a_room_and_in_a_player_is_one(instance: MakeInstance, server: LivekitServer) -> None:
    ours = await live(await instance(livekit=LIVEKIT))
    await say(ours, server.joined("anna"))
    token: Any = (await ours.ask("POST", f"/api/v1/videos/{UUID}/viewer-tokens", {"user": "anna"})).body["token"]
    reply = await ours.ask(
        "POST", f"/api/v1/videos/{UUID}/views", {"currentTime": 1, "viewerToken": token}, admin=False
    )
    assert reply.status == 204
    assert await ours.viewers() == 1


async def test_a_restart_forgets_nobody_in_a_room(spawn: Spawn, server: LivekitServer) -> None:
    process = spawn(
        livekit={"keys": {KEY: SECRET}, "rooms": {ROOM: UUID}},
        videos=[{"uuid": UUID, "name": "Live", "duration": "0s", "isLive": True}],
        views={"viewer_lifetime": "1s"},
    )
    client = await process.start()
    joined = server.joined("anna")
    await say(client, joined)
    assert await client.viewers() == 1
    client = await process.restart()
    await holds(lambda: client.says(1), 2)
    assert await say(client, joined) == "duplicate"
    await say(client, server.left("anna"))
    assert await client.viewers() == 0


async def test_other_keys_and_rooms_on_hup(spawn: Spawn, server: LivekitServer) -> None:
    process = spawn(
        livekit={"keys": {KEY: "a-secret-that-nobody-signs-with-any-more"}},
        videos=[{"uuid": UUID, "name": "Live", "duration": "0s", "isLive": True}],
    )
    client = await process.start()
    body = server.joined("anna")
    headers = {"Authorization": sign(body), "Content-Type": "application/webhook+json"}
    assert (await client.ask("POST", "/livekit/webhook", body, headers=headers)).status == 401
    await process.reload({"livekit": {"keys": {KEY: SECRET}, "rooms": {ROOM: UUID}}}, "configuration reloaded")
    assert await say(client, body) == "applied"
    assert await client.viewers() == 1
