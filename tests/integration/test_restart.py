"""A process killed at any moment, or stopped, and started again: what was promised is neither lost nor doubled."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web
from hostile.peer import FakePeer
from integration.conftest import MakeInstance, Spawn
from integration.house import OTHER_UUID, UUID, Client, holds, wait_until
from integration.peertube import VIDEO, PeerTube, breaks

from foundation.clock import SystemClock


@dataclass
class Load:
    """Players who come all the time: every one of them says two things, the second makes a view."""

    client: Client
    seen: dict[str, float] = field(default_factory=dict)
    """When a viewer's first report was acknowledged (monotonic seconds)."""
    counted: set[str] = field(default_factory=set)
    """Whose view was acknowledged as counted."""
    tried: set[str] = field(default_factory=set)
    """Who said something that would be a view, answered or not."""

    async def run(self) -> None:
        async with asyncio.TaskGroup() as players:
            for number in range(8):
                players.create_task(self._come(number))

    async def _come(self, player: int) -> None:
        visit = 0
        while True:
            visit += 1
            name = f"player-{player}-{visit}"
            try:
                reply = await self.client.heartbeat(name, 0)
                self.seen[name] = time.monotonic()
                assert reply.status == 204
                self.tried.add(name)
                reply = await self.client.heartbeat(name, 4)
                assert reply.status == 204
                if reply.headers["x-views"] == "counted":
                    self.counted.add(name)
            except aiohttp.ClientError:
                return


async def test_kill_in_the_middle_of_a_load_loses_no_acknowledged_view_and_doubles_none(spawn: Spawn) -> None:
    process = spawn()
    client = await process.start()
    await client.put_video()
    load = Load(client)
    running = asyncio.create_task(load.run())
    began = time.monotonic()
    await wait_until(lambda: len(load.counted) > 200 and time.monotonic() - began > 2.5, 20)
    await process.end(signal.SIGKILL)
    killed = time.monotonic()
    await running

    await process.start()
    views = await client.views()
    assert len(load.counted) <= views <= len(load.tried)
    viewers = await client.viewers()
    certain = sum(at < killed - 1.5 for at in load.seen.values())
    assert certain <= viewers <= len(load.tried | set(load.seen))
    assert certain > 0

    # Everybody goes on watching: those who were counted are not counted again, whenever that was.
    outcomes = [await client.view(name) for name in sorted(load.counted)]
    assert set(outcomes) == {"ignored: already_counted"}
    assert await client.views() == views
    assert len(load.seen.keys() | load.tried) >= await client.viewers() >= len(load.counted)


async def test_a_stop_loses_nothing_and_takes_no_time(spawn: Spawn) -> None:
    process = spawn()
    client = await process.start()
    await client.put_video()
    names = [f"viewer-{number}" for number in range(30)]
    await client.watch(*names)
    assert await client.view("viewer-0") == "counted"
    began = time.monotonic()
    assert await process.end(signal.SIGTERM) == 0
    assert time.monotonic() - began < 5

    await process.start()
    assert (await client.viewers(), await client.views()) == (30, 1)
    await client.watch(*names)
    assert await client.viewers() == 30, "the same viewers are the same after a restart"
    assert await client.view("viewer-0") == "ignored: already_counted"


async def test_an_open_event_stream_does_not_hold_up_a_stop(spawn: Spawn) -> None:
    process = spawn()
    client = await process.start()
    await client.put_video()
    stream = f"{client.url}/api/v1/videos/{UUID}/viewers"
    async with client.http.get(stream, headers={"Accept": "text/event-stream"}) as events:
        assert events.status == 200
        began = time.monotonic()
        assert await process.end(signal.SIGTERM) == 0
        assert time.monotonic() - began < 5


async def test_viewers_told_before_a_kill_are_the_same_at_the_origin_after_it(
    spawn: Spawn, instance: MakeInstance
) -> None:
    origin = await instance()
    await origin.put_video()
    process = spawn()
    client = await process.start()
    await client.follow(origin.host)
    await wait_until(client.video)
    names = [f"viewer-{number}" for number in range(5)]
    assert await client.view("viewer-0") == "counted"
    await wait_until(lambda: _views(origin, 1))
    await client.watch(*names)
    await wait_until(lambda: origin.says(5))
    await process.restart(signal.SIGKILL)
    await client.watch(*names)

    async def five_on_both() -> bool:
        await client.watch(*names)
        return await client.viewers() == 5 and await origin.viewers() == 5

    await wait_until(five_on_both)
    await holds(five_on_both, 0.5)
    assert await origin.views() == 1
    assert await client.view("viewer-0") == "ignored: already_counted"


async def test_an_origin_that_is_killed_says_its_numbers_again(spawn: Spawn, instance: MakeInstance) -> None:
    process = spawn()
    client = await process.start()
    await client.put_video()
    follower = await instance()
    await follower.follow(process.client.host)
    await wait_until(follower.video)
    await client.watch("anna")
    await follower.watch("bert")
    await wait_until(lambda: follower.says(2))
    await wait_until(lambda: client.says(2))
    await _written_down(client)
    await process.end(signal.SIGKILL)
    await follower.watch("carl")
    await process.start()
    await wait_until(lambda: client.says(3), 10, "a viewer that came while the origin was away is not told to it")
    await wait_until(lambda: follower.says(3))


async def test_what_was_not_delivered_is_delivered_after_a_kill(spawn: Spawn, peertube: PeerTube) -> None:
    process = spawn()
    client = await process.start()
    await client.put_video()
    await peertube.follow(client.url)
    await wait_until(lambda: peertube.of_type("Announce"))
    await wait_until(lambda: _knows_software(client, peertube))
    brought = (await client.ask("POST", "/api/v1/videos", {"url": peertube.video_url(VIDEO)})).body["uuid"]
    await peertube.close()
    assert await client.view("anna") == "counted"
    assert await client.view("anna", video=brought) == "counted"
    await client.put_video(OTHER_UUID)
    await process.restart(signal.SIGKILL)
    await peertube.open()
    ours, theirs = client.id_of(), peertube.video_url(VIDEO)
    await wait_until(
        lambda: peertube.counted(ours) and peertube.counted(theirs) and len(peertube.of_type("Announce")) > 1
    )
    await holds(lambda: _once(peertube, ours, theirs), 0.3)
    assert peertube.of_type("Announce")[-1]["object"] == client.id_of(OTHER_UUID)


async def test_a_follow_before_a_kill_is_answered_after_it(spawn: Spawn, peertube: PeerTube) -> None:
    process = spawn()
    client = await process.start()
    await client.put_video()
    peertube.trouble = breaks
    await peertube.follow(client.url)
    await process.restart(signal.SIGKILL)
    assert await client.followers() == [peertube.host]
    peertube.trouble = None
    await wait_until(lambda: peertube.of_type("Accept"))
    await wait_until(lambda: peertube.of_type("Announce"))


async def _once(peertube: PeerTube, *videos: str) -> bool:
    return all(len(peertube.counted(video)) == 1 for video in videos)


async def test_reload_changes_peers_and_tokens_and_keeps_viewers(spawn: Spawn, instance: MakeInstance) -> None:
    origin, friend = await instance(), await instance()
    await origin.put_video()
    process = spawn()
    client = await process.start()
    await client.put_video(OTHER_UUID)
    await friend.follow(client.host)
    await wait_until(lambda: friend.video(OTHER_UUID))
    await client.watch("anna", video=OTHER_UUID)
    await friend.watch("bert", "carl", video=OTHER_UUID)
    await wait_until(lambda: client.says(3, video=OTHER_UUID))

    new_token = "another-token-of-an-administrator"
    changes = {
        "peers": [{"host": origin.host, "follow": True}, {"host": friend.host, "block": True}],
        "tokens": [{"name": "admin", "role": "admin", "value": new_token}],
    }
    await process.reload(changes, "configuration reloaded")
    assert (await client.ask("GET", "/api/v1/server/peers")).status == 401
    renewed = Client(client.url, client.http, new_token)
    assert (await renewed.ask("GET", "/api/v1/server/peers")).status == 200
    await wait_until(lambda: renewed.says(1, video=OTHER_UUID), what="the viewers of a blocked peer are still here")
    await wait_until(renewed.video, what="the new peer is not followed")

    await process.reload({"peers": [{"host": origin.host, "follow": "perhaps"}]}, "was not reloaded")
    assert "peers[0].follow" in process.log
    assert (await renewed.ask("GET", "/api/v1/server/peers")).status == 200
    assert (await renewed.peer(friend.host) or {})["blocked"] is True
    before = process.config.read_text()
    for nothing in ("", "# all of it\n# is a comment\n", "{}\n"):
        process.config.write_text(nothing)
        await process.reload({}, "was not reloaded")
        assert "says nothing" in process.log
        assert (await renewed.ask("GET", "/api/v1/server/peers")).status == 200
        assert (await renewed.peer(friend.host) or {})["blocked"] is True
    process.config.write_text(before)
    await process.reload({"peers": [], "listen": {"port": 1}}, "need a restart")
    assert await renewed.viewers(OTHER_UUID) >= 1


async def test_a_port_in_use_is_one_clear_error(spawn: Spawn) -> None:
    first, second = spawn(), spawn()
    await first.start()
    port = first.url.rpartition(":")[2]
    second.config.write_text(re.sub(r"(port: |127\.0\.0\.1:)\d+", rf"\g<1>{port}", second.config.read_text()))
    await second.launch()
    assert await second.ended() == 2
    assert f"cannot listen on 127.0.0.1:{port}" in second.log
    assert "Traceback" not in second.log
    assert len(second.log.strip().splitlines()) == 1, second.log


async def test_two_processes_on_one_data_directory_is_one_clear_error(spawn: Spawn) -> None:
    first, second = spawn(), spawn()
    client = await first.start()
    await client.put_video()
    await client.watch("anna")
    config = second.config.read_text() + f"\nstorage: {{directory: {first.config.parent / 'data'}}}\n"
    second.config.write_text(config)
    await second.launch()
    assert await second.ended() == 1
    assert "another process" in second.log
    assert "Traceback" not in second.log
    assert len(second.log.strip().splitlines()) == 1, second.log
    assert await client.viewers() == 1
    assert await client.view("anna") == "counted"


async def test_a_known_peer_is_believed_after_a_restart_though_its_host_cannot_be_asked(spawn: Spawn) -> None:
    process = spawn()
    client = await process.start()
    await client.put_video()
    video, inbox = f"{client.url}/videos/watch/{UUID}", f"{client.url}/inbox"
    async with FakePeer(SystemClock()) as known:
        assert (await known.post(inbox, known.view(video, "anna"))).status == 204
        assert await process.end(signal.SIGTERM) == 0
        await process.start()
        asked = len(known.fetched)

        async def down(_: web.Request) -> web.StreamResponse:
            return web.Response(status=503)

        known.responders["/accounts/peertube"] = down
        answer = await known.post(inbox, known.view(video, "bert"))
        assert (answer.status, answer.reason) == (204, "")
        assert len(known.fetched) == asked
    assert await client.viewers() == 2


async def _views(client: Client, number: int) -> bool:
    return await client.views() == number


async def _knows_software(client: Client, peertube: PeerTube) -> bool:
    return bool((await client.peer(peertube.host) or {}).get("software"))


async def _written_down(client: Client) -> None:
    """Until the journal has written once more: what was said before is in it then."""

    async def written() -> float:
        told = str((await client.ask("GET", "/metrics")).body)
        line = next(line for line in told.splitlines() if line.startswith("fediviews_journal_bytes_total "))
        return float(line.split()[1])

    before = await written()

    async def more() -> bool:
        await client.watch("anna")
        return await written() > before

    await wait_until(more, what="the journal does not write")
