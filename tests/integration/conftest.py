"""Instances over real HTTP: in this process (``instance``, ``pair``) and in processes of their own (``spawn``)."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from integration.house import TOKEN, Instance, Process, wait_until
from integration.peertube import PeerTube

from federation.keys import load_or_create
from federation.own_keys import RSA_NAME
from foundation.clock import SystemClock
from foundation.principal import Role
from service.app import Service
from service.commands.demo import free_port
from service.config import Config, Federation, Listen, Secret, Storage, Token, Views
from service.config import Instance as Identity
from service.config.values import parse_origin

KEYS = 3

MakeInstance = Callable[..., Awaitable[Instance]]
"""``await instance(views={...}, federation={...}, listen={...}, peers=(...))``: started; the rest is for tests."""

Spawn = Callable[..., Process]
"""``spawn(**sections)``: not started yet; sections as in config.yaml go over those for tests."""


@pytest.fixture(scope="session")
def key_directories(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Keys of instances, made once: they take their time."""
    directories = [tmp_path_factory.mktemp("keys") for _ in range(KEYS)]
    for directory in directories:
        load_or_create(directory, RSA_NAME)
    return directories


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(limit=0, force_close=False)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield session


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


@pytest.fixture
def instance(
    tmp_path: Path, key_directories: list[Path], http: aiohttp.ClientSession, stack: AsyncExitStack
) -> MakeInstance:
    made = 0

    async def make(
        *,
        views: dict[str, Any] | None = None,
        federation: dict[str, Any] | None = None,
        listen: dict[str, Any] | None = None,
        **others: Any,
    ) -> Instance:
        nonlocal made
        port = free_port()
        directory = tmp_path / f"instance-{port}"
        shutil.copytree(key_directories[made % KEYS], directory)
        made += 1
        config = Config(
            instance=Identity(url=parse_origin(f"http://127.0.0.1:{port}")),
            listen=dataclasses.replace(Listen(shutdown_grace_ms=0, overload_lag_ms=None), port=port, **(listen or {})),
            storage=Storage(directory=directory),
            views=dataclasses.replace(VIEWS, **(views or {})),
            federation=dataclasses.replace(FEDERATION, **(federation or {})),
            tokens=(Token(name="admin", role=Role.ADMIN, value=Secret(TOKEN)),),
        )
        service = await Service.create(dataclasses.replace(config, **others))
        stack.push_async_callback(service.stop)
        await service.start()
        return Instance(service, http)

    return make


VIEWS = Views(
    viewer_lifetime_ms=60_000,
    count_view_after_ms=2_000,
    rate_limit=None,
    sessions_per_address=None,
    places_at_least=1,
    sweep_interval_ms=50,
    journal_interval_ms=100,
)
FEDERATION = Federation(
    allow_http=True,
    allow_private_addresses=True,
    announce_within_ms=150,
    retry_first_ms=100,
    retry_max_ms=400,
)


@pytest.fixture
async def pair(instance: MakeInstance) -> tuple[Instance, Instance]:
    """Two instances; the second follows the first, which has one public video."""
    origin, follower = await instance(), await instance()
    await befriend(origin, follower)
    await origin.put_video()
    await wait_until(follower.video, what="the announced video was not imported")
    return origin, follower


async def befriend(origin: Instance, follower: Instance) -> None:
    """``follower`` follows ``origin``, which knows what it runs."""
    await follower.follow(origin.host)

    async def accepted() -> bool:
        known = await origin.peer(follower.host)
        return await follower.follows(origin.host) == "accepted" and known is not None and bool(known["software"])

    await wait_until(accepted, what="the follow was not accepted")


@pytest.fixture
async def peertube(stack: AsyncExitStack) -> PeerTube:
    return await stack.enter_async_context(PeerTube(SystemClock()))


@pytest.fixture
def spawn(tmp_path: Path, key_directories: list[Path], http: aiohttp.ClientSession, stack: AsyncExitStack) -> Spawn:
    made = 0

    def make(**sections: Any) -> Process:
        nonlocal made
        port = free_port()
        home = tmp_path / f"process-{port}"
        shutil.copytree(key_directories[made % KEYS], home / "data")
        made += 1
        config = {name: {**SECTIONS.get(name, {}), **section} for name, section in sections.items() if name in SECTIONS}
        config = {**SECTIONS, **{name: section for name, section in sections.items() if name not in SECTIONS}, **config}
        url = f"http://127.0.0.1:{port}"
        config["instance"], config["listen"] = (
            {"url": url},
            {"port": port, "shutdown_grace": "1s", "overload_lag": "never"},
        )
        file = home / "config.yaml"
        file.write_text(yaml.safe_dump(config))
        process = Process(file, url, http)
        stack.push_async_callback(process.cleanup)
        return process

    return make


SECTIONS: dict[str, Any] = {
    "views": {
        "viewer_lifetime": "60s",
        "count_view_after": "2s",
        "rate_limit": "never",
        "sessions_per_address": "never",
        "places_at_least": 1,
        "sweep_interval": "50ms",
    },
    "federation": {
        "allow_http": True,
        "allow_private_addresses": True,
        "announce_within": "150ms",
        "retry_first": "100ms",
        "retry_max": "400ms",
    },
    "tokens": [{"name": "admin", "role": "admin", "value": TOKEN}],
}
