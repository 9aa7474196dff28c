"""Instances whose history lies elsewhere: PostgreSQL, and PostgreSQL with Redis, beside one on SQLite and memory."""

from __future__ import annotations

import signal

import pytest
from integration.conftest import MakeInstance, Spawn
from integration.house import NOWHERE, wait_until
from support.servers import RedisServer

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.mark.parametrize("live", ["memory", "redis"])
async def test_one_number_on_both_and_a_kill_loses_nothing(
    spawn: Spawn, instance: MakeInstance, database_url: str, live: str, request: pytest.FixtureRequest
) -> None:
    redis: RedisServer | None = request.getfixturevalue("live_redis") if live == "redis" else None
    storage = {"database": database_url, "live": "memory" if redis is None else redis.url, "lease": "1s"}
    process, other = spawn(storage=storage), await instance()
    client = await process.start()
    await client.put_video()
    await other.follow(client.host)
    await wait_until(other.video, what="the announced video was not imported")
    await client.watch("anna")
    await other.watch("bert", "carl")
    await wait_until(lambda: client.says(3))
    await wait_until(lambda: other.says(3))
    assert await client.view("anna") == "counted"
    assert await other.view("bert") == "counted"

    async def two_views() -> bool:
        return await client.views() == 2

    await wait_until(two_views, what="the other instance's view did not arrive")
    await process.restart(signal.SIGKILL)
    assert await client.views() == 2
    assert await client.followers() == [other.host]
    assert await client.view("anna") == "ignored: already_counted"
    await client.put_video(duration=600)
    await client.ask("DELETE", f"/api/v1/videos/{(await client.video() or {})['uuid']}")
    await wait_until(lambda: other.says(NOWHERE), what="the deletion was not told after the restart")


async def test_a_wrong_address_is_one_clear_line(spawn: Spawn, database_url: str) -> None:
    process = spawn(storage={"database": database_url.replace("fediviews@", "nobody:hush@")})
    await process.launch()
    assert await process.ended() == 1
    assert "postgresql://nobody:***@" in process.log
    assert "not let in" in process.log
    assert "Traceback" not in process.log
    assert len(process.log.strip().splitlines()) == 1, process.log
