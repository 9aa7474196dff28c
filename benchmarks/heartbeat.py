"""Heartbeats per second beside a bare JSON handler, in one run: what counting costs on top of HTTP.

    python benchmarks/heartbeat.py [seconds per round] [rounds]

A child process serves both on one core (uvloop, aiohttp, journal on), this process sends over keep-alive connections.
The ratio is taken from the server's own CPU time per request, so the sender's share of the machine does not matter;
requests per second are printed beside it. The goal is 60 % of a bare handler. That one stands once on a fixed path and
once on a path with an id in it: what aiohttp takes to find such a route is not ours.
"""

from __future__ import annotations

import asyncio
import ipaddress
import multiprocessing
import statistics
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import msgspec
import uvloop
from aiohttp import web

from foundation.clock import SystemClock
from foundation.database import Database
from foundation.errors import Refused
from foundation.metrics import Metrics
from foundation.ratelimit import WindowLimiter
from foundation.tokens import TokenBook
from service import schema
from views.catalog import Catalog
from views.counters.journal import Journal, JournalSettings
from views.counters.memory import MemoryCounterStore
from views.counters.progress import ProgressStore
from views.counters.restoring import Restoring
from views.counting import ViewCounter
from views.model import Video, VideoDraft
from views.ports import NullAnnouncer
from views.routes import setup_routes
from views.routes.services import ApiSettings, ViewsApi
from views.sessions import Identity, ViewerTokens
from views.telling import Telling
from views.viewers import Viewers
from views.watching import Watching, WatchingRules

CONNECTIONS = 32
VIEWERS = 20_000
VIDEO = "9c9de5e8-0a1e-484a-b099-e80766180a6d"
SECRET = bytes(32)
NO_VIEWS = WatchingRules(count_view_after_ms=86_400_000)
"""A viewer sends 720 heartbeats an hour and counts once: here every one is of the 719."""


class NoImporter:
    async def import_video(self, url: str) -> Video | Refused:
        return Refused("video_unavailable", url, 502)


class Body(msgspec.Struct):
    currentTime: int  # noqa: N815
    sessionId: str  # noqa: N815


async def bare(request: web.Request) -> web.Response:
    """The least a JSON endpoint does."""
    msgspec.json.decode(await request.read(), type=Body)
    return web.Response(status=204)


async def house(directory: Path) -> tuple[ViewsApi, Journal]:
    clock, metrics, announcer = SystemClock(), Metrics(), NullAnnouncer()
    tables = schema.load()
    database = await Database.open(f"sqlite:///{directory}/bench.sqlite", clock=clock, metrics=metrics)
    await database.write(lambda tx: tx.run_sync(tables.create_all))
    journal = Journal(JournalSettings(directory), clock, metrics)
    store = MemoryCounterStore(recorder=journal, metrics=metrics)
    progress = ProgressStore(recorder=journal, metrics=metrics)
    await journal.start(Restoring(store, progress, clock.now_ms()))
    catalog = Catalog(
        database, announcer, clock, lambda uuid: f"https://bench.example/videos/watch/{uuid}", "bench.example"
    )
    await catalog.put_local(VideoDraft(VIDEO, "Benchmark", 0, is_live=True))
    viewers = Viewers(store, announcer, catalog, Telling(SECRET), clock, quota_of=lambda _host: 0, metrics=metrics)
    counter = ViewCounter(database, catalog, store, announcer, clock, metrics)
    api = ViewsApi(
        clock,
        metrics,
        catalog,
        viewers,
        counter,
        Watching(viewers, counter, progress, clock, metrics, NO_VIEWS),
        Identity(SECRET, clock),
        TokenBook(),
        ViewerTokens(SECRET, clock),
        NoImporter(),
        ApiSettings(trusted_proxies=(ipaddress.ip_network("127.0.0.1/32"),)),
        WindowLimiter(clock, 1_000_000_000, 10_000),
    )
    return api, journal


async def serve(pipe: Connection) -> None:
    with TemporaryDirectory() as directory:
        api, journal = await house(Path(directory))
        app = web.Application()
        setup_routes(app.router, api)
        app.router.add_post("/bare", bare)
        app.router.add_post("/api/v1/videos/{id}/bare", bare)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        pipe.send(runner.addresses[0][1])
        loop = asyncio.get_running_loop()
        while await loop.run_in_executor(None, pipe.recv) == "cpu":
            pipe.send(time.process_time())
        await runner.cleanup()
        await journal.stop()


def child(pipe: Connection) -> None:
    uvloop.run(serve(pipe))


class Sender(asyncio.Protocol):
    """One keep-alive connection: the next request goes out when the answer is there."""

    def __init__(self, path: str, number: int, started: float) -> None:
        self.path, self.viewer, self.started = path.encode(), number, started
        self.answers = self.failures = 0
        self.stopped = asyncio.get_running_loop().create_future()
        self.stopping = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transport is no subclass of asyncio's.
        self.transport = cast(asyncio.Transport, transport)
        self.send()

    def send(self) -> None:
        self.viewer = (self.viewer + CONNECTIONS) % VIEWERS
        body = b'{"currentTime":%d,"sessionId":"session-of-viewer-%d"}' % (time.monotonic() - self.started, self.viewer)
        self.transport.write(
            b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json; charset=UTF-8\r\n"
            b"X-Forwarded-For: 192.0.2.1\r\nContent-Length: %d\r\n\r\n%b" % (self.path, len(body), body)
        )

    def data_received(self, data: bytes) -> None:
        self.answers += 1
        self.failures += not data.startswith(b"HTTP/1.1 204")
        if self.stopping:
            self.transport.close()
        else:
            self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.stopped.done():
            self.stopped.set_result(None)


async def load(port: int, path: str, seconds: float, started: float) -> int:
    loop = asyncio.get_running_loop()
    pairs = [
        await loop.create_connection(lambda number=number: Sender(path, number, started), "127.0.0.1", port)  # type: ignore[misc]
        for number in range(CONNECTIONS)
    ]
    senders = [sender for _, sender in pairs]
    await asyncio.sleep(seconds)
    for sender in senders:
        sender.stopping = True
    await asyncio.wait_for(asyncio.gather(*(sender.stopped for sender in senders)), 10)
    failures = sum(sender.failures for sender in senders)
    if failures:
        raise SystemExit(f"{failures} answers of {path} were not 204")
    return sum(sender.answers for sender in senders)


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=child, args=(theirs,), daemon=True)
    server.start()
    port = ours.recv()
    started = time.monotonic()

    def cpu() -> float:
        ours.send("cpu")
        return float(ours.recv())

    fixed, same, heartbeat = "bare, fixed path", "bare, path with an id", "heartbeat"
    paths = {
        fixed: "/bare",
        same: f"/api/v1/videos/{VIDEO}/bare",
        heartbeat: f"/api/v1/videos/{VIDEO}/views",
    }
    microseconds: dict[str, list[float]] = {name: [] for name in paths}
    rates: dict[str, list[float]] = {name: [] for name in paths}
    for path in paths.values():
        uvloop.run(load(port, path, min(seconds, 1.0), started))
    for _ in range(rounds):
        for name, path in paths.items():
            before, since = cpu(), time.monotonic()
            answers = uvloop.run(load(port, path, seconds, started))
            rates[name].append(answers / (time.monotonic() - since))
            microseconds[name].append((cpu() - before) / answers * 1e6)
    ours.send("stop")
    server.join(10)
    for name in paths:
        print(f"{name:22} {statistics.median(microseconds[name]):7.1f} us CPU  {statistics.median(rates[name]):9.0f}/s")
    for name in (fixed, same):
        ratio = statistics.median(microseconds[name]) / statistics.median(microseconds[heartbeat])
        print(f"of {name:22} {ratio:4.0%}")


if __name__ == "__main__":
    main()
