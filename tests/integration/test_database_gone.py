"""PostgreSQL goes away and comes back, under processes that live or are killed: what was acknowledged is there once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from functools import partial

import aiohttp
import pytest
from integration.conftest import Spawn
from integration.house import UUID, Client, Process, wait_until
from integration.peertube import PeerTube
from integration.test_restart import Load
from support.servers import PostgreSQLServer, postgresql_server

from federation.vocabulary import Follow, build

PATIENCE_S = 60
"""Nothing here is about how fast it goes."""

eventually = partial(wait_until, timeout=PATIENCE_S)


@pytest.fixture
def server() -> Iterator[PostgreSQLServer]:
    """One of its own: these tests kill it."""
    with postgresql_server() as server:
        yield server


def storage(server: PostgreSQLServer, **more: str) -> dict[str, str]:
    return {"database": server.url("postgres"), "spool_after": "1s", **more}


async def metric(client: Client, name: str) -> float:
    said = str((await client.ask("GET", "/metrics")).body)
    return next(float(line.rpartition(" ")[2]) for line in said.splitlines() if line.startswith(f"{name} "))


async def spooled(client: Client, kind: str, at_least: int) -> bool:
    return await metric(client, f'fediviews_spool_added_total{{kind="{kind}"}}') >= at_least


async def leaves(client: Client, session: str) -> None:
    reply = await client.heartbeat(session, 6, viewEvent="leave")
    assert reply.status == 204, reply


async def written_down(client: Client) -> None:
    """Until the journal has written once more."""
    before = await metric(client, "fediviews_journal_bytes_total")

    async def more() -> bool:
        await client.heartbeat("before", 4)
        return await metric(client, "fediviews_journal_bytes_total") > before

    await eventually(more, what="the journal does not write")


async def total_viewers(client: Client) -> int:
    reply = await client.ask("GET", f"/api/v1/videos/{UUID}/stats/overall")
    return int(reply.body["totalViewers"]) if reply.status == 200 else -1


@pytest.mark.parametrize("killed", [False, True])
async def test_views_stays_and_follows_wait_for_it(
    spawn: Spawn, server: PostgreSQLServer, peertube: PeerTube, killed: bool
) -> None:
    process, other = spawn(storage=storage(server)), spawn()
    client, there = await process.start(), await other.start()
    await client.put_video()
    await there.follow(client.host)
    await eventually(there.video, what="the announced video was not imported")
    await peertube.get(f"{client.url}/accounts/peertube")
    assert await client.view("before") == "counted"

    server.kill()
    assert await client.view("anna") == "counted"
    assert await client.view("anna") == "ignored: already_counted"
    assert await there.view("bert") == "counted"
    await leaves(client, "anna")
    await leaves(there, "bert")
    await asks_to_follow(peertube, client)
    for kind, number in (("view", 2), ("stay", 2), ("follow", 1)):
        await eventually(partial(spooled, client, kind, number), what=f"not every {kind} was spooled")
    assert (await client.ask("GET", "/readyz")).status == 503
    assert await client.viewers() >= 0, "what is in memory is answered"
    if killed:
        await written_down(client)
        await process.end(signal.SIGKILL)
    server.start()
    if killed:
        await process.start()

    async def replayed() -> bool:
        return await metric(client, "fediviews_spool_entries") == 0 and await client.views() == 3

    await eventually(replayed, what="it was not replayed")
    assert await client.views() == 3
    assert peertube.host in await client.followers()
    await eventually(lambda: peertube.of_type("Accept"), what="the follow was not accepted")

    async def every_stay() -> bool:
        return await total_viewers(client) == 3

    await eventually(every_stay)
    assert await client.view("anna") == "ignored: already_counted"
    assert await metric(client, "fediviews_spool_bytes") == 0
    assert not list((process.config.parent / "data" / "spool").iterdir())

    await process.restart(signal.SIGKILL)
    assert (await client.views(), await total_viewers(client)) == (3, 3)


async def asks_to_follow(peertube: PeerTube, client: Client, number: int = 1) -> Follow:
    follow = build.follow(actor=peertube.actor, number=number, object_=client.actor)
    await peertube.deliver(client.inbox, follow)
    return Follow(follow["id"], follow["actor"], follow["object"])


async def test_what_undoes_a_follow_comes_after_it(spawn: Spawn, server: PostgreSQLServer, peertube: PeerTube) -> None:
    process = spawn(storage=storage(server))
    client = await process.start()
    await client.put_video()
    server.kill()
    follow = await asks_to_follow(peertube, client)
    await peertube.deliver(client.inbox, build.undo_follow(follow))
    await asks_to_follow(peertube, client, 2)
    await process.end(signal.SIGKILL)
    server.start()
    await process.start()
    await eventually(lambda: _replayed(client))
    assert await client.followers() == [peertube.host]

    server.kill()
    await peertube.deliver(
        client.inbox, build.undo_follow(Follow(f"{peertube.actor}/follows/2", follow.actor, follow.object))
    )
    server.start()
    await eventually(lambda: _replayed(client))
    assert await client.followers() == []


async def _replayed(client: Client) -> bool:
    return await metric(client, "fediviews_spool_entries") == 0


async def test_both_killed_in_the_middle_of_a_load_nothing_is_lost_or_doubled(
    spawn: Spawn, server: PostgreSQLServer
) -> None:
    process = spawn(storage=storage(server))
    client = await process.start()
    await client.put_video()
    load = Load(client)
    running = asyncio.create_task(load.run())
    await eventually(lambda: len(load.counted) > 50)
    server.kill()
    before = len(load.counted)
    await eventually(lambda: len(load.counted) > before + 100, what="views are not taken while the database is gone")
    await process.end(signal.SIGKILL)
    await running
    server.start()
    # Killed once more, most likely in the middle of the replay.
    await process.launch()
    await eventually(lambda: _listens(process))
    await process.end(signal.SIGKILL)
    await process.start()
    await eventually(lambda: _replayed(client))
    assert len(load.counted) <= await client.views() <= len(load.tried)


async def _listens(process: Process) -> bool:
    try:
        return (await process.client.ask("GET", "/healthz")).status == 200
    except aiohttp.ClientError:
        return False


async def test_a_silent_database_holds_nobody_up_for_long(spawn: Spawn, server: PostgreSQLServer) -> None:
    process = spawn(storage=storage(server, spool_after="200ms"))
    client = await process.start()
    await client.put_video()
    assert await client.view("before") == "counted"
    server.signal(signal.SIGSTOP)
    said = [await client.heartbeat(f"viewer-{number}", 0) for number in range(20)]
    assert {reply.status for reply in said} == {204}, "who counts no view does not need it"
    async with asyncio.timeout(PATIENCE_S):
        replies = await asyncio.gather(*(client.heartbeat(f"viewer-{number}", 4) for number in range(20)))
    # Of some it is not known whether the database got to hear: those are counted at most once, and not acknowledged.
    assert {reply.status for reply in replies} <= {204, 503}
    assert all("retry-after" in reply.headers for reply in replies if reply.status == 503)
    counted = [reply for reply in replies if reply.headers.get("x-views") == "counted"]
    assert (await client.heartbeat("late", 0)).status == 204
    assert (await client.heartbeat("late", 4)).headers["x-views"] == "counted"
    server.signal(signal.SIGCONT)
    await eventually(lambda: _replayed(client))

    async def all_there() -> bool:
        return 2 + len(counted) <= await client.views() <= 22

    await eventually(all_there)
