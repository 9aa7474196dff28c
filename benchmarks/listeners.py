"""Thousands who listen to a number: event streams and Socket.IO, at one video or spread over many.

The service runs in a process of its own, as configured by default but for its bounds of listeners and rates, and it
turns nothing away, so that a busy machine is seen in the numbers; listeners are raw connections in this one. Viewers
come while they listen, so that numbers only grow: whoever has heard of n has heard of every change up to n.

Not part of ``python -m benchmarks``: ``python -m benchmarks.listeners --most 5000``.
"""

from __future__ import annotations

import argparse
import asyncio
import bisect
import functools
import itertools
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import aiohttp
import uvloop

from benchmarks.heartbeat import HEADERS
from benchmarks.house import MANY, running_service
from benchmarks.listener_kinds import KINDS, Listener, subscribe, uuid_of
from benchmarks.load import Server, answer_questions, post, serving
from service.commands.demo import free_port
from service.config import Listen, Views
from service.web.listening import room_for
from views.model import VideoDraft

VIDEOS = 500
MOVE_EVERY_S = 0.1
AT_ONCE = 500
"""Connections being made at a time in a storm."""

PATIENCE_S = 60
PAGE_BYTES = 4_096
SLOW_BUFFER_BYTES = 4_096


async def serve(port: int, most: int, pipe: Connection) -> None:
    views = Views(rate_limit=MANY, sessions_per_address=None, viewer_lifetime_ms=3_600_000)
    # The other connections: whoever moves numbers and whoever is asked meanwhile.
    listen = Listen(port=port, max_connections=most + 1_000, max_streams=most, max_sockets=most, overload_lag_ms=None)
    async with running_service(views, listen) as service:
        numbers = {}
        for index in range(VIDEOS):
            put = await service.views.catalog.put_local(VideoDraft(uuid_of(index), "Benchmark", 0, is_live=True))
            assert isinstance(put, tuple)
            numbers[index] = put[0].number
        pipe.send(numbers)
        metrics = service.ground.metrics
        await answer_questions(pipe, {"memory": _memory_bytes, "metrics": lambda: metrics.render()[0].decode()})


def _memory_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE_BYTES


async def connect(port: int, listeners: Sequence[Listener]) -> float:
    """All of them listen; seconds that took."""
    loop = asyncio.get_running_loop()
    turns, started = asyncio.Semaphore(AT_ONCE), time.monotonic()

    async def one(listener: Listener) -> None:
        async with turns:
            await loop.create_connection(lambda: listener, "127.0.0.1", port)
            await listener.listening

    await asyncio.wait_for(asyncio.gather(*map(one, listeners)), PATIENCE_S)
    return time.monotonic() - started


# Who makes numbers move, and who asks meanwhile


class Asker:
    """One keep-alive connection that reports viewers."""

    async def connect(self, port: int) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)

    async def report(self, video: int, session: str, position: int) -> float:
        """Seconds until the answer was there."""
        started = time.monotonic()
        body = b'{"currentTime":%d,"sessionId":"%s"}' % (position, session.encode())
        self._writer.write(post(f"/api/v1/videos/{uuid_of(video)}/views", body, HEADERS))
        head = await self._reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 204"):
            raise SystemExit(f"a report was answered with {head!r}")
        return time.monotonic() - started

    def close(self) -> None:
        self._writer.close()


_viewers = itertools.count()


@dataclass(slots=True)
class Changes:
    """When each video's number became what."""

    at: dict[int, list[float]] = field(default_factory=dict)

    async def make(self, port: int, videos: Sequence[int], seconds: float) -> None:
        """One video moves every ``MOVE_EVERY_S``; each of many once a second, evenly."""
        asker, started, turn = Asker(), time.monotonic(), 0
        every_s = MOVE_EVERY_S if len(videos) == 1 else 1 / len(videos)
        await asker.connect(port)
        while (due := started + turn * every_s) < started + seconds:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            video = videos[turn % len(videos)]
            # Taken before the report: what the report itself takes is part of the way to the listeners.
            self.at.setdefault(video, []).append(time.monotonic())
            await asker.report(video, f"comes-{next(_viewers)}", 1)
            turn += 1
        asker.close()


async def heartbeats(port: int, seconds: float) -> list[float]:
    """Of one viewer who is here, at most a hundred a second."""
    asker, until, took = Asker(), time.monotonic() + seconds, []
    await asker.connect(port)
    while time.monotonic() < until:
        took.append(await asker.report(VIDEOS - 1, "here", len(took)))
        await asyncio.sleep(0.01)
    asker.close()
    return took


# What comes out


def quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def last_heard(listeners: Sequence[Listener], changes: Changes, base: dict[int, int]) -> list[float]:
    """Of each change: how long until the last of its listeners had heard of it."""
    delays = []
    for video, times in changes.at.items():
        there = [each for each in listeners if each.video == video and each.numbers]
        for index, at in enumerate(times):
            wanted, last = base.get(video, 0) + index + 1, 0.0
            for each in there:
                heard = bisect.bisect_left(each.numbers, wanted)
                last = max(last, each.times[heard] - at) if heard < len(each.times) else float("inf")
            if there:
                delays.append(last)
    return delays


async def measure(server: Server, port: int, kind: str, count: int, videos: int, seconds: float, slow: int) -> None:
    """One line of the table."""
    calm = await _moving(server, port, Changes(), range(videos), seconds)
    memory, cpu = server.ask("memory"), server.ask("cpu")
    listeners = [
        KINDS[kind](index, index % videos, server.ready[index % videos], reads=index >= slow) for index in range(count)
    ]
    took = await connect(port, listeners)
    storm = f"storm {took:.1f} s, {(server.ask('cpu') - cpu) / count * 1e3:.2f} ms CPU each"
    refused = sum(bool(each.refused) for each in listeners)
    await asyncio.sleep(1.5)
    before = sum(len(each.numbers) for each in listeners)
    base = await numbers_now(port, videos)
    busy = await _moving(server, port, Changes(), range(videos), seconds)
    await asyncio.sleep(2.5)
    reading = listeners[slow:]
    heard = sum(len(each.numbers) for each in listeners) - before
    delays = last_heard(reading, busy.changes, base)
    late = [delay for delay in delays if delay == float("inf")]
    each_kb = (server.ask("memory") - memory) / count / 1e3
    gaps = [b - a for each in reading for a, b in zip(each.times[1:], each.times[2:], strict=False)]
    print(
        f"{kind:9} {count:6} at {videos:3}: CPU {busy.cpu:.2f} s/s ({calm.cpu:.2f} without), "
        f"{(busy.cpu - calm.cpu) * seconds / max(1, heard) * 1e6:.0f} µs per message, {each_kb:.1f} kB each; "
        f"{heard / len(reading) / (seconds + 1):.2f} messages/s each (shortest gap p1 {quantile(gaps, 0.01):.2f} s); "
        f"to the last p50 {quantile(delays, 0.5) * 1e3:.0f} p99 {quantile(delays, 0.99) * 1e3:.0f} "
        f"max {max(delays, default=0) * 1e3:.0f} ms; heartbeat p50 {quantile(busy.took, 0.5) * 1e3:.1f} p99 "
        f"{quantile(busy.took, 0.99) * 1e3:.1f} ms (without {quantile(calm.took, 0.5) * 1e3:.1f}, "
        f"{quantile(calm.took, 0.99) * 1e3:.1f}); {storm}"
        + (f"; {refused} REFUSED" if refused else "")
        + (f"; {len(late)} changes NOT HEARD by all" if late else "")
        + (f"; {slow} never read, {sum(e.lost.done() for e in listeners[:slow])} cut off" if slow else ""),
        flush=True,
    )
    for each in listeners:
        each.transport.abort()
    # Gone ones are noticed when they are written to.
    for _ in range(3):
        await _moving(server, port, Changes(), range(videos), 1)


async def numbers_now(port: int, videos: int) -> dict[int, int]:
    numbers = {}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        for video in range(videos):
            async with http.get(f"/api/v1/videos/{uuid_of(video)}/viewers") as answer:
                numbers[video] = (await answer.json())["viewers"]
    return numbers


@dataclass(frozen=True, slots=True)
class Moved:
    cpu: float
    took: list[float]
    changes: Changes


async def _moving(server: Server, port: int, changes: Changes, videos: Sequence[int], seconds: float) -> Moved:
    cpu, started = server.ask("cpu"), time.monotonic()
    took, _ = await asyncio.gather(heartbeats(port, seconds), changes.make(port, videos, seconds))
    spent = server.ask("cpu") - cpu
    return Moved(spent / (time.monotonic() - started), took, changes)


async def polling(port: int, number: int) -> None:
    """The fall-back, once: one client that polls hears numbers at most once a second too."""
    url, times = "/socket.io/?EIO=4&transport=polling", []
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        async with http.get(url) as answer:
            url += "&sid=" + json.loads((await answer.text())[1:])["sid"]
        for said in ("40/live-videos,", subscribe(number)):
            await (await http.post(url, data=said)).read()
        moving = asyncio.create_task(Changes().make(port, [0], 5))
        while not moving.done():
            async with http.get(url) as answer:
                if "views-change" in await answer.text():
                    times.append(time.monotonic())
        await moving
    gaps = [b - a for a, b in itertools.pairwise(times)]
    print(f"polling: {len(times)} numbers in 5 s, shortest gap {min(gaps):.2f} s", flush=True)


async def restart(port: int, kind: str, count: int) -> None:
    """The service ends and begins again under all of them."""

    def listeners(server: Server) -> list[Listener]:
        return [KINDS[kind](index, index % VIDEOS, server.ready[index % VIDEOS]) for index in range(count)]

    with serving(functools.partial(serve, port, count)) as server:
        there = listeners(server)
        await connect(port, there)
        server.stop()
        started = time.monotonic()
        await asyncio.wait_for(asyncio.gather(*(each.lost for each in there)), PATIENCE_S)
        let_go_s = time.monotonic() - started
    with serving(functools.partial(serve, port, count)) as server:
        cpu, there = server.ask("cpu"), listeners(server)
        back_s = await connect(port, there)
        cpu, refused = server.ask("cpu") - cpu, sum(bool(each.refused) for each in there)
        print(
            f"restart, {kind}: {count} were let go within {let_go_s:.1f} s of its end, and all back {back_s:.1f} s "
            f"({cpu:.1f} s CPU) after it began to listen again; {refused} refused",
            flush=True,
        )
        for each in there:
            each.transport.abort()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=5_000, help="listeners at most")
    parser.add_argument("--seconds", type=float, default=8, help="length of each measurement, 60 at most")
    parser.add_argument("--kind", choices=KINDS, action="append", help="both unless said")
    options = parser.parse_args()
    most, seconds, kinds = room_for(options.most), min(60, options.seconds), options.kind or list(KINDS)
    counts = sorted({count for count in (1_000, 5_000, 10_000) if count <= most} | {most})
    port = free_port()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    with serving(functools.partial(serve, port, most)) as server:
        for kind in kinds:
            for count in counts:
                for videos in (1, VIDEOS):
                    uvloop.run(measure(server, port, kind, count, videos, seconds, 0))
            uvloop.run(measure(server, port, kind, counts[0], 1, seconds, counts[0] // 100))
        uvloop.run(polling(port, server.ready[0]))
    for kind in kinds:
        uvloop.run(restart(port, kind, counts[-1]))


if __name__ == "__main__":
    main()
