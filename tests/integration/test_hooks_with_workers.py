"""Webhooks and LiveKit rooms where several processes serve one instance: whoever is asked, all is told once."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import pytest
from integration.conftest import Spawn
from integration.house import ROOT, UUID, Client, Process, command, holds, wait_until
from support.livekit_server import KEY as LIVEKIT_KEY
from support.livekit_server import ROOM, LivekitServer, sign
from support.livekit_server import SECRET as LIVEKIT_SECRET
from support.servers import RedisServer
from support.webhook_receiver import KEY, SECRET, Receiver

AT_ONCE = 40


class Workers(Process):
    """Two processes behind one port."""

    async def launch(self) -> None:
        self.starts += 1
        with self._log_file.open("wb") as log:
            self.child = await asyncio.create_subprocess_exec(
                *command("serve", self.config, "--workers", "2"), cwd=ROOT, stdout=log, stderr=log, env=dict(os.environ)
            )


@pytest.fixture
async def receiver(aiohttp_server: Any) -> Receiver:
    return await Receiver().start(aiohttp_server)


async def say(client: Client, body: bytes) -> str:
    headers = {"Authorization": sign(body), "Content-Type": "application/webhook+json", "Connection": "close"}
    reply = await client.ask("POST", "/livekit/webhook", body, headers=headers)
    assert reply.status == 200, reply
    return str(reply.body["outcome"])


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_everything_is_told_once(
    spawn: Spawn, receiver: Receiver, live_redis: RedisServer, database_url: str
) -> None:
    made = spawn(
        storage={"database": database_url, "live": live_redis.url, "lease": "1s"},
        webhooks=[{"url": receiver.url, "key": KEY, "secret": SECRET}],
        livekit={"keys": {LIVEKIT_KEY: LIVEKIT_SECRET}, "rooms": {ROOM: UUID}},
        videos=[{"uuid": UUID, "name": "Live", "duration": "0s", "isLive": True}],
        views={"viewer_lifetime": "8s"},
    )
    process = Workers(made.config, made.url, made.http)
    try:
        client = await process.start()
        server = LivekitServer(now_s=int(time.time()))
        messages = [server.joined(f"viewer-{number}") for number in range(AT_ONCE)]
        assert set(await asyncio.gather(*(say(client, body) for body in messages))) == {"applied"}
        assert set(await asyncio.gather(*(say(client, body) for body in messages))) == {"duplicate"}
        await holds(lambda: client.says(AT_ONCE), 10)
        told = [viewer["session"] for event in receiver.events("viewer_joined") for viewer in event["viewers"]]
        assert len(told) == len(set(told)) == AT_ONCE
        assert set(await asyncio.gather(*(say(client, server.left(f"viewer-{n}")) for n in range(AT_ONCE)))) == {
            "applied"
        }
        await wait_until(lambda: client.says(0))
        await wait_until(lambda: sum(event["count"] for event in receiver.events("viewer_left")) >= AT_ONCE)
        gone = [viewer["session"] for event in receiver.events("viewer_left") for viewer in event["viewers"]]
        assert sorted(gone) == sorted(told)
        assert sum(event["count"] for event in receiver.events("view_counted")) == AT_ONCE
        assert len({event["id"] for event in receiver.heard}) == len(receiver.heard)
    finally:
        await process.end()
