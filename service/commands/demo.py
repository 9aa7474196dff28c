"""``fediviews demo``: three real instances on loopback, simulated viewers, and the same number on all of them.

Nothing is faked but the people: the instances speak HTTP with signatures, follow each other and keep their state in a
temporary directory. Lifetimes are seconds instead of minutes.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import itertools
import os
import random
import socket
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from service.app import Service
from service.config import Config, Federation, Instance, Listen, Peer, Storage, Views
from service.config.values import parse_origin
from views.model import Privacy, Video, VideoDraft

INSTANCES = ("alpha", "beta", "gamma")
VIDEOS_EACH = 2
VIEWER_LIFETIME_MS = 10_000
HEARTBEAT_S = 2.0
STAY_S = (6.0, 30.0)
SETTLE_S = 12
"""For the last so many seconds nobody comes or goes: what is announced then is what everybody shows."""
IMPORT_WITHIN_S = 30
MAX_VIEWERS = 5_000
MAX_SECONDS = 3_600


PORTS = range(10_000, 20_000)
"""Below those that the system gives to whoever asks for any: nobody is given one of these between look and use."""

_looked_at = itertools.count(os.getpid() * 5_003)


def free_port() -> int:
    """A port that nobody listens on, another one each time, and claimed against every process that asks like this."""
    for _ in PORTS:
        port = PORTS[next(_looked_at) % len(PORTS)]
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            _claim(port)
            return port
    raise OSError("no port is free")


def _claim(port: int) -> None:
    """Until the process ends, by a name that only one can have. Raises OSError when another has it."""
    if sys.platform != "linux":
        return  # There are no such names: two of these processes at once may meet each other.
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0fediviews-port-{port}")
    except OSError:
        claim.close()
        raise
    atexit.register(claim.close)


def demo_config(name: str, port: int, others: Sequence[int], directory: Path) -> Config:
    return Config(
        instance=Instance(url=parse_origin(f"http://127.0.0.1:{port}"), name=name),
        listen=Listen(port=port),
        storage=Storage(directory=directory / name),
        views=Views(
            viewer_lifetime_ms=VIEWER_LIFETIME_MS, rate_limit=None, sessions_per_address=None, sweep_interval_ms=250
        ),
        federation=Federation(
            allow_http=True,
            allow_private_addresses=True,
            announce_within_ms=1_000,
            max_expires_ms=60_000,
            refollow_interval_ms=60_000,
        ),
        peers=tuple(Peer(host=f"127.0.0.1:{other}", follow=True) for other in others),
    )


@dataclass(slots=True)
class Crowd:
    """The people: each watches one video on one instance for a while, then closes the page or just vanishes."""

    services: Sequence[Service]
    videos: Sequence[str]
    session: aiohttp.ClientSession
    wanted: int
    settling: bool = False
    here: dict[str, int] = field(default_factory=dict)
    heartbeats: int = 0
    failures: int = 0

    async def run(self) -> None:
        async with asyncio.TaskGroup() as people:
            for _ in range(self.wanted):
                people.create_task(self._person())

    async def _person(self) -> None:
        while True:
            await asyncio.sleep(random.uniform(0, 3))  # noqa: S311
            await self._visit(random.choice(self.services), random.choice(self.videos))  # noqa: S311

    async def _visit(self, service: Service, video: str) -> None:
        session, position = uuid.uuid4().hex, 0.0
        until = time.monotonic() + random.uniform(*STAY_S)  # noqa: S311
        self.here[video] = self.here.get(video, 0) + 1
        try:
            while self.settling or time.monotonic() < until:
                await self._report(service, video, {"currentTime": int(position), "sessionId": session})
                await asyncio.sleep(HEARTBEAT_S)
                position += HEARTBEAT_S
            farewell = {"currentTime": int(position), "sessionId": session, "viewEvent": "leave"}
            await self._report(service, video, farewell)
        finally:
            self.here[video] -= 1

    async def _report(self, service: Service, video: str, body: dict[str, object]) -> None:
        try:
            async with self.session.post(f"{service.url}/api/v1/videos/{video}/views", json=body) as answer:
                self.heartbeats += 1
                self.failures += answer.status != 204
        except aiohttp.ClientError:
            self.failures += 1


@asynccontextmanager
async def three_instances(directory: Path) -> AsyncIterator[list[Service]]:
    """Started, each following the other two."""
    ports = [free_port() for _ in INSTANCES]
    async with AsyncExitStack() as stack:
        services: list[Service] = []
        for name, port in zip(INSTANCES, ports, strict=True):
            others = [other for other in ports if other != port]
            service = await Service.create(demo_config(name, port, others, directory))
            stack.push_async_callback(service.stop)
            await service.start()
            services.append(service)
        for service in services:
            # Those that started first found nobody to follow yet; they would try again by themselves.
            await service.outbox.following.follow_configured()
        yield services


async def register_videos(services: Sequence[Service]) -> list[str]:
    """Two videos on each instance, announced to and imported by the others; their UUIDs."""
    uuids: list[str] = []
    for service, name in zip(services, INSTANCES, strict=True):
        for number in range(1, VIDEOS_EACH + 1):
            draft = VideoDraft(str(uuid.uuid4()), f"{name} {number}", 3_600, privacy=Privacy.PUBLIC)
            await service.views.catalog.put_local(draft)
            uuids.append(draft.uuid)
    deadline = time.monotonic() + IMPORT_WITHIN_S
    while time.monotonic() < deadline:
        known = [await service.views.catalog.by_uuid(one) for service in services for one in uuids]
        if all(video is not None for video in known):
            return uuids
        await asyncio.sleep(0.2)
    raise TimeoutError("the instances did not learn of each other's videos")


async def numbers_of(services: Sequence[Service], video: str) -> list[int]:
    """What each instance shows for a video."""
    shown: list[int] = []
    for service in services:
        known = await service.views.catalog.by_uuid(video)
        shown.append(-1 if known is None else (await service.views.viewers.shown(known)).viewers)
    return shown


def traffic(services: Sequence[Service]) -> tuple[int, int]:
    """Signed POSTs between the instances so far, and the bytes of their bodies."""
    posts = size = 0.0
    for service in services:
        registry = service.ground.metrics.registry
        for family in registry.collect():
            for sample in family.samples:
                if sample.name == "fediviews_deliveries_total":
                    posts += sample.value
                elif sample.name == "fediviews_delivered_bytes_total":
                    size += sample.value
    return int(posts), int(size)


async def table(services: Sequence[Service], crowd: Crowd, names: dict[str, str]) -> tuple[list[str], bool]:
    lines = [f"{'VIDEO':10} {'WATCHING':>8}   " + "  ".join(f"{name:>6}" for name in INSTANCES)]
    equal = True
    for video in crowd.videos:
        shown = await numbers_of(services, video)
        same = len(set(shown)) == 1
        equal = equal and same
        numbers = "  ".join(f"{number:6}" for number in shown)
        lines.append(f"{names[video]:10} {crowd.here.get(video, 0):8}   {numbers}  {'=' if same else '~'}")
    return lines, equal


async def demo(*, viewers: int, seconds: int, plain: bool) -> int:
    """0 when at the end every instance shows the same number for every video, else 1."""
    viewers, seconds = min(max(viewers, 1), MAX_VIEWERS), min(max(seconds, SETTLE_S + 5), MAX_SECONDS)
    live = not plain and sys.stdout.isatty()
    with tempfile.TemporaryDirectory(prefix="fediviews-demo-") as directory:
        async with three_instances(Path(directory)) as services:
            for service, name in zip(services, INSTANCES, strict=True):
                print(f"{name:6} {service.url}")
            print("following each other, announcing videos ...", flush=True)
            videos = await register_videos(services)
            names = {one: await _name(services[0], one) for one in videos}
            connector = aiohttp.TCPConnector(limit=64)
            async with aiohttp.ClientSession(connector=connector) as session:
                crowd = Crowd(services, videos, session, viewers)
                people = asyncio.create_task(crowd.run(), name="crowd")
                try:
                    equal = await _watch(services, crowd, names, seconds, live=live)
                finally:
                    people.cancel()
                    await asyncio.gather(people, return_exceptions=True)
            _summary(services, crowd, seconds, equal)
            return 0 if equal else 1


async def _watch(services: Sequence[Service], crowd: Crowd, names: dict[str, str], seconds: int, *, live: bool) -> bool:
    began = time.monotonic()
    equal = False
    while (elapsed := time.monotonic() - began) < seconds:
        crowd.settling = elapsed >= seconds - SETTLE_S
        lines, equal = await table(services, crowd, names)
        posts, size = traffic(services)
        phase = "nobody comes or goes" if crowd.settling else "people come and go"
        status = f"{elapsed:3.0f} s  {phase}; {posts} signed POSTs, {size / 1000:.0f} kB between instances"
        if live:
            print("\x1b[2J\x1b[H" + "\n".join([*lines, "", status, "= the same number everywhere   ~ on its way"]))
        else:
            print(f"{status}; {'the same everywhere' if equal else 'on its way'}", flush=True)
        await asyncio.sleep(1)
    lines, equal = await table(services, crowd, names)
    print("\n".join(["", *lines]))
    return equal


def _summary(services: Sequence[Service], crowd: Crowd, seconds: int, equal: bool) -> None:
    posts, size = traffic(services)
    hours = crowd.wanted * seconds / 3600
    print()
    print("every instance shows the same number" if equal else "THE NUMBERS DIFFER")
    print(f"{crowd.heartbeats} heartbeats of {crowd.wanted} viewers, {crowd.failures} refused")
    print(f"{posts} signed POSTs ({size / 1000:.0f} kB) between instances: {posts / hours:.1f} per viewer-hour")


async def _name(service: Service, video: str) -> str:
    known: Video | None = await service.views.catalog.by_uuid(video)
    return video[:8] if known is None else known.name
