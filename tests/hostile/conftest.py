"""The scene on which every bad input is tried."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from hostile.peer import FakePeer
from hostile.scene import BATCH, BODY_LIMIT, TOKEN, Build, Scene, free_port

from foundation.clock import ManualClock
from foundation.principal import Role
from service.app import Service
from service.config import (
    Config,
    Federation,
    Instance,
    Listen,
    Livekit,
    Pages,
    Rate,
    Secret,
    Site,
    Storage,
    Token,
    Views,
)
from service.config.values import parse_origin


@pytest.fixture(scope="session")
def furnished_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an instance's first start leaves behind (its key, its empty tables), made once and copied."""
    directory = tmp_path_factory.mktemp("instance")

    async def first_start() -> None:
        service = await Service.create(Config(listen=Listen(port=0), storage=Storage(directory=directory)))
        await service.start()
        await service.stop()

    asyncio.run(first_start())
    return directory


@pytest.fixture
async def build(tmp_path: Path, furnished_directory: Path, clock: ManualClock) -> AsyncIterator[Build]:
    """``await build(**federation)``: a furnished scene; ``listen`` and ``livekit`` are sections that differ."""
    async with AsyncExitStack() as stack:

        async def make(
            *,
            listen: dict[str, Any] | None = None,
            livekit: Livekit | None = None,
            sites: tuple[Site, ...] = (),
            **federation: Any,
        ) -> Scene:
            port = free_port()
            directory = tmp_path / f"service-{port}"
            shutil.copytree(furnished_directory, directory)
            settings: dict[str, Any] = {
                "allow_http": True,
                "allow_private_addresses": True,
                "batch_max_items": BATCH,
                "peer_requests": Rate(100_000, 10_000),
                **federation,
            }
            config = Config(
                instance=Instance(url=parse_origin(f"http://127.0.0.1:{port}")),
                listen=Listen(
                    port=port,
                    **{"max_body_bytes": BODY_LIMIT, "body_timeout_ms": 300, "shutdown_grace_ms": 0, **(listen or {})},
                ),
                storage=Storage(directory=directory),
                views=Views(rate_limit=None),
                federation=Federation(**settings),
                livekit=livekit or Livekit(),
                pages=Pages(sites=sites),
                tokens=(Token(name="admin", role=Role.ADMIN, value=Secret(TOKEN)),),
            )
            peer = await stack.enter_async_context(FakePeer(clock))
            bystander = await stack.enter_async_context(FakePeer(clock, number=1))
            service = await Service.create(config, clock=clock)
            stack.push_async_callback(service.stop)
            await service.start()
            scene = Scene(service, clock, peer, bystander)
            await scene.furnish()
            return scene

        yield make
