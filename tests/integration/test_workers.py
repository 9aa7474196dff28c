"""One instance in several processes, on real Redis and PostgreSQL: one number, whoever is asked or killed."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from integration.conftest import Spawn
from integration.house import OTHER_UUID, POLL_S, UUID, Client, Process, command, holds, run, wait_until
from integration.peertube import VIDEO, PeerTube
from support.servers import PostgreSQLServer, RedisServer

LEASE_S = 1.0
WORKERS = 2
PATIENCE_S = 90
"""Every process takes a few seconds of a core to start."""
ASKED = 12
"""So many new connections reach every worker, almost surely."""

Crew = Callable[..., "CrewProcess"]


class CrewProcess(Process):
    """``fediviews serve --workers N``. ``kill_worker`` is ``kill -9`` of one of them."""

    count = WORKERS

    async def launch(self) -> None:
        self.starts += 1
        with self._log_file.open("wb") as log:
            self.child = await asyncio.create_subprocess_exec(
                *command("serve", self.config, "--workers", str(self.count)),
                cwd=Path(__file__).parent.parent.parent,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            )

    async def start(self) -> Client:
        await self.launch()
        client = self.client

        async def serves() -> bool:
            assert self.child is not None
            assert self.child.returncode is None, self.log
            try:
                return (await client.ask("GET", "/healthz")).status == 200
            except aiohttp.ClientError:
                return False

        await wait_until(serves, PATIENCE_S, "the service did not start")
        await wait_until(lambda: f"workers     {self.count}" in self.log, PATIENCE_S, "not all workers listen")
        await self.settled()
        return client

    async def settled(self) -> None:
        """Every shard is held by a living worker, and all of them know of each other."""

        async def divided() -> bool:
            page = await self.metrics()
            held = [float(value) for value in re.findall(r"^fediviews_leases_held\{[^}]*\} (\S+)$", page, re.M)]
            seen = re.findall(r"^fediviews_processes\{[^}]*\} (\S+)$", page, re.M)
            return len(held) == self.count and sum(held) == 16 and set(seen) == {f"{self.count:.1f}"}

        await wait_until(divided, PATIENCE_S, "the workers did not divide the work")

    async def metrics(self) -> str:
        reply = await self.client.ask("GET", "/metrics")
        return str(reply.body)

    def workers(self) -> list[int]:
        """Process ids, in the order of their start."""
        tasks = Path(f"/proc/{self.pid}/task")
        found = [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]
        return [pid for pid in sorted(found) if b"serve" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def kill_worker(self, index: int = 0) -> None:
        os.kill(self.workers()[index], signal.SIGKILL)

    async def everywhere(self, ask: Callable[[], Any]) -> list[Any]:
        """The answers over many connections: each goes to whichever worker takes it."""
        return list(await asyncio.gather(*(ask() for _ in range(ASKED))))


@pytest.fixture
async def crew(
    spawn: Spawn, live_redis: RedisServer, _postgresql: PostgreSQLServer
) -> AsyncIterator[Callable[..., CrewProcess]]:
    _postgresql.empty()
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=10)) as http:
        made: list[CrewProcess] = []

        def make(workers: int = WORKERS, **sections: Any) -> CrewProcess:
            storage = {"database": _postgresql.url("postgres"), "live": live_redis.url, "lease": f"{LEASE_S:.0f}s"}
            plain = spawn(storage=storage, **sections)
            process = CrewProcess(plain.config, plain.url, http)
            process.count = workers
            made.append(process)
            return process

        yield make
        for process in made:
            if process.child is not None and process.child.returncode is None:
                await process.end(signal.SIGTERM)


async def test_many_workers_are_one_instance(crew: Crew) -> None:
    """Asked over many connections, all of them say the same of viewers, views and videos."""
    process = crew()
    client = await process.start()
    await client.put_video()
    await _viewers_are_counted_once(process, client)
    await _a_view_is_counted_once(process, client)
    await _metrics_of_all_are_shown(process)
    await _pages_hear_of_what_happens_elsewhere(client)
    await _changes_of_videos_are_known(process, client)


async def _viewers_are_counted_once(process: CrewProcess, client: Client) -> None:
    for at_s in range(4):
        await asyncio.gather(*(client.heartbeat(f"viewer-{number}", at_s) for number in range(10)))
    assert set(await process.everywhere(client.viewers)) == {10}
    await asyncio.gather(*(client.leave(f"viewer-{number}") for number in range(10)))
    assert set(await process.everywhere(client.viewers)) == {0}


async def _a_view_is_counted_once(process: CrewProcess, client: Client) -> None:
    before = await client.views()
    said = await asyncio.gather(*(client.view("anna") for _ in range(6)))
    assert said.count("counted") <= 1

    async def counted() -> bool:
        await client.heartbeat("anna", 9)
        return await client.views() > before

    await wait_until(counted)
    assert set(await process.everywhere(client.views)) == {before + 1}
    await client.leave("anna")


async def _metrics_of_all_are_shown(process: CrewProcess) -> None:
    for page in await process.everywhere(process.metrics):
        workers = set(re.findall(r'^fediviews_leases_held\{worker="(\d)"\}', page, re.M))
        assert workers == {str(index) for index in range(process.count)}
        assert page.count("# TYPE fediviews_leases_held ") == 1
    verdicts = await process.client.ask("GET", "/api/v1/server/inbox")
    assert len(verdicts.body["since"]) == process.count, "each process counts since its own start"


async def _pages_hear_of_what_happens_elsewhere(client: Client) -> None:
    heard: list[int] = []

    async def listen() -> None:
        headers = {"Accept": "text/event-stream"}
        async with client.http.get(f"{client.url}/api/v1/videos/{UUID}/viewers", headers=headers) as stream:
            async for line in stream.content:
                found = re.search(rb'"viewers":\s*(\d+)', line)
                if found:
                    heard.append(int(found[1]))

    pages = [asyncio.create_task(listen()) for _ in range(6)]
    try:
        await wait_until(lambda: len(heard) >= 6)
        await client.watch("anna", "bert")
        await wait_until(lambda: heard.count(2) >= 6, 10, "a page did not hear of viewers on another worker")
    finally:
        for page in pages:
            page.cancel()
        await asyncio.gather(*pages, return_exceptions=True)


async def _changes_of_videos_are_known(process: CrewProcess, client: Client) -> None:
    async def names() -> set[str]:
        return {(found or {}).get("name", "") for found in await process.everywhere(client.video)}

    assert await names() == {"Big Buck Bunny"}
    await client.put_video(name="Sintel")

    async def renamed() -> bool:
        return await names() == {"Sintel"}

    await wait_until(renamed)
    await client.put_video(privacy="private", name="Sintel")

    async def hidden() -> bool:
        found = await process.everywhere(lambda: client.ask("GET", f"/api/v1/videos/{UUID}", admin=False))
        return {reply.status for reply in found} <= {401, 403, 404}

    await wait_until(hidden)


async def test_a_follower_hears_every_total_once_while_workers_are_killed(crew: Crew, peertube: PeerTube) -> None:
    process = crew(views={"viewer_lifetime": "60s"})
    client = await process.start()
    await client.put_video()
    await peertube.follow(client.url)
    await wait_until(lambda: peertube.of_type("Announce"))
    video = client.id_of()
    await client.watch("viewer-1")
    await wait_until(lambda: peertube.totals(video) == [1], 10)
    for number in range(2, 2 + WORKERS):
        # Whoever serves the peer is among them: each is killed once, while a number has just moved.
        process.kill_worker(0)
        await _left(client, number)
        await wait_until(lambda: 0 in peertube.totals(video)[-1:], PATIENCE_S, "nobody took the peer over")
        await process.settled()
        await _came(client, number)
        await wait_until(lambda: peertube.totals(video)[-1:] == [1], PATIENCE_S)
    totals = peertube.totals(video)
    # One POST may be under way when its worker dies: then the next one repeats it, and nothing else.
    repeats = sum(before == after for before, after in pairwise(totals))
    assert repeats <= WORKERS, totals
    await holds(lambda: _quiet(peertube, video, len(totals)), 2)


async def _left(client: Client, number: int) -> None:
    await _insist(lambda: client.leave(f"viewer-{number - 1}"))


async def _came(client: Client, number: int) -> None:
    await _insist(lambda: client.watch(f"viewer-{number}"))


async def _insist(act: Callable[[], Any]) -> None:
    """A player repeats a report that met a worker in the moment of its end."""

    async def done() -> bool:
        try:
            await act()
        except aiohttp.ClientError:
            return False
        return True

    await wait_until(done, 5)


async def _quiet(peertube: PeerTube, video: str, count: int) -> bool:
    return len(peertube.totals(video)) == count


async def test_an_origin_hears_of_each_viewer_once_under_one_name(crew: Crew, peertube: PeerTube) -> None:
    process = crew()
    client = await process.start()
    await client.follow(peertube.host)
    (follow,) = await wait_until(lambda: peertube.of_type("Follow"))
    accept = {
        "type": "Accept",
        "id": f"{peertube.url}/accepts/follows/1",
        "actor": peertube.actor,
        "object": {name: follow[name] for name in ("type", "id", "actor", "object")},
    }
    await peertube.deliver(f"{client.actor}/inbox", accept)

    async def accepted() -> bool:
        return set(await process.everywhere(lambda: client.follows(peertube.host))) == {"accepted"}

    await wait_until(accepted, 5, "a worker does not know that the follow was accepted")
    announce = {
        "type": "Announce",
        "id": f"{peertube.video_url(VIDEO)}/announces/1",
        "actor": peertube.actor,
        "object": peertube.video_url(VIDEO),
        "to": ["https://www.w3.org/ns/activitystreams#Public"],
        "cc": [],
    }
    await peertube.deliver(client.inbox, announce)

    async def known() -> bool:
        return set(await process.everywhere(lambda: client.viewers(VIDEO))) == {0}

    await wait_until(known, 8)
    names = [f"viewer-{number}" for number in range(8)]
    for _ in range(4):
        await client.watch(*names, video=VIDEO)
    await wait_until(lambda: len(_told(peertube)) >= len(names), 10)
    await holds(lambda: _so_many(peertube, len(names)), 1.5)
    assert len(set(_told(peertube))) == len(names)


async def test_all_workers_say_the_same_of_a_peer(crew: Crew, peertube: PeerTube) -> None:
    process = crew()
    client = await process.start()
    await client.put_video()
    await peertube.follow(client.url)
    await wait_until(lambda: peertube.of_type("Announce"))

    async def agreed() -> bool:
        said = set()
        for reply in await process.everywhere(lambda: client.ask("GET", "/api/v1/server/peers")):
            [peer] = [one for one in reply.body["data"] if one["host"] == peertube.host]
            delivery = peer["delivery"]
            said.add((peer["software"], peer["lastSeen"], delivery["batchReason"], delivery["lastSuccess"]))
        return len(said) == 1 and None not in said.pop()

    await wait_until(agreed, PATIENCE_S, "workers say different things of a peer")


def _told(peertube: PeerTube) -> list[str]:
    return [view["id"] for view in peertube.of_type("View") if "expires" in view]


async def _so_many(peertube: PeerTube, count: int) -> bool:
    return len(_told(peertube)) == count


async def test_acknowledged_views_survive_the_kill_of_workers(crew: Crew) -> None:
    process = crew()
    client = await process.start()
    await client.put_video()
    counted: set[str] = set()
    tried: set[str] = set()

    async def player(number: int) -> None:
        for visit in range(1, 1_000):
            name = f"player-{number}-{visit}"
            try:
                await client.heartbeat(name, 0)
                tried.add(name)
                reply = await client.heartbeat(name, 4)
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(POLL_S)
                continue
            if reply.headers.get("x-views") == "counted":
                counted.add(name)

    players = [asyncio.create_task(player(number)) for number in range(6)]
    try:
        for _ in range(3):
            before = len(counted)
            await wait_until(lambda: len(counted) > before + 30, 20)  # noqa: B023
            process.kill_worker()
            await process.settled()
    finally:
        for each in players:
            each.cancel()
        await asyncio.gather(*players, return_exceptions=True)

    async def all_there() -> bool:
        try:
            return len(counted) <= await client.views() <= len(tried)
        except aiohttp.ClientError:
            return False

    await wait_until(all_there, 10)


async def test_signals_reach_all_workers_and_they_end_with_their_parent(crew: Crew) -> None:
    process = crew(workers=2)
    client = await process.start()
    await process.reload(
        {"videos": [{"uuid": OTHER_UUID, "name": "Sintel", "duration": 888}]}, "configuration reloaded"
    )

    async def everywhere() -> bool:
        return None not in await process.everywhere(lambda: client.video(OTHER_UUID))

    await wait_until(everywhere, 10)
    pids = process.workers()
    assert await process.end(signal.SIGKILL) != 0
    await wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), 10, "workers outlive their parent")
    await process.start()
    assert await process.end(signal.SIGTERM) == 0


@pytest.mark.parametrize("live", ["memory", "redis"])
async def test_stores_of_one_process_are_refused(spawn: Spawn, live_redis: RedisServer, live: str) -> None:
    process = spawn(storage={"live": live if live == "memory" else live_redis.url})
    ran = await run("serve", process.config, "--workers", "2")
    assert ran.status == 2
    assert "PostgreSQL" in ran.err
    assert ("Redis" in ran.err) == (live == "memory")
    assert sys.executable not in ran.err
