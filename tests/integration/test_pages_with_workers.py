"""Pages of web sites where several processes serve one instance: one number, whoever is asked."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
from integration.conftest import Spawn
from integration.house import ROOT, Client, Process, command, wait_until
from support.servers import RedisServer

BLOG = "blog.example"
NEW = {"Connection": "close"}
"""Another connection for every request: it goes to whichever process takes it."""


class Workers(Process):
    """Two processes behind one port."""

    async def launch(self) -> None:
        self.starts += 1
        with self._log_file.open("wb") as log:
            self.child = await asyncio.create_subprocess_exec(
                *command("serve", self.config, "--workers", "2"), cwd=ROOT, stdout=log, stderr=log, env=dict(os.environ)
            )


async def say(client: Client, name: str, session: str, path: str, **more: object) -> str:
    body = {"site": BLOG, "path": path, "sessionId": session, **more}
    reply = await client.ask("POST", f"/api/v1/pages/{name}", body, headers=NEW, admin=False)
    assert reply.status == 204, reply
    return reply.headers["x-stats"]


async def stats(client: Client) -> dict[str, Any]:
    reply = await client.ask("GET", f"/api/v1/pages/stats?site={BLOG}", headers=NEW, admin=False)
    assert reply.status == 200
    return dict(reply.body)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_every_process_counts_and_knows_the_same(
    spawn: Spawn, live_redis: RedisServer, database_url: str
) -> None:
    made = spawn(
        storage={"database": database_url, "live": live_redis.url, "lease": "1s"},
        pages={"sites": [{"host": BLOG}]},
    )
    process = Workers(made.config, made.url, made.http)
    try:
        client = await process.start()
        await wait_until(lambda: "workers     2" in process.log, 90)
        said = await asyncio.gather(
            *(say(client, "views", f"s{n % 10}", f"/{n % 4}") for n in range(120)),
            *(say(client, "heartbeat", f"s{n % 10}", f"/{n % 10}") for n in range(60)),
        )
        # Ten visitors see two pages each, whoever hears of it: n % 10 and n % 4 are odd or even together.
        assert said[:120].count("counted") == 20
        answers = await asyncio.gather(*(stats(client) for _ in range(12)))
        for answer in answers:
            assert (answer["totalPageViews"], answer["uniqueVisitors"], answer["uniquePaths"]) == (20, 10, 4)
            assert answer["activeVisitors"] == 10
            assert {page["path"]: page["views"] for page in answer["pageStats"]} == {f"/{n}": 5 for n in range(4)}
        for _ in range(6):
            now = (await client.ask("GET", "/api/v1/server/now", headers=NEW)).body
            assert now["today"] | {"since": ""} == {"since": "", "views": 0, "pageViews": 20, "uniqueVisitors": 10}
            assert now["pageVisitors"] == 10
        await asyncio.gather(*(say(client, "heartbeat", f"s{n}", "/", leave=True) for n in range(4)))
        assert {answer["activeVisitors"] for answer in await asyncio.gather(*(stats(client) for _ in range(12)))} == {6}
    finally:
        await process.cleanup()
