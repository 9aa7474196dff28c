"""``storage.live: redis``: the same service, its live state elsewhere; and what its users see when that goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from servers import RedisCluster, RedisServer, redis_server

from foundation.errors import ConfigError, StorageUnavailable
from foundation.metrics import Metrics
from foundation.principal import Role
from service.app import Service
from service.config import Config, Listen, Secret, Storage, Token
from service.config.storage import parse_live
from views.counters.redis_progress import RedisProgressStore

UUID = "9c9de5e8-0a1e-484a-b099-e80766180a6d"
ADMIN = {"Authorization": "Bearer admin-token-1"}


def configured(tmp_path: Path, live: str) -> Config:
    storage = Storage(directory=tmp_path / "data", live=parse_live(live))
    token = Token(name="admin", role=Role.ADMIN, value=Secret("admin-token-1"))
    return Config(listen=Listen(port=0), storage=storage, tokens=(token,))


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


class Site:
    """A service and a host application's view of it."""

    def __init__(self, service: Service, client: aiohttp.ClientSession) -> None:
        self.service = service
        self.client = client

    async def ready(self) -> tuple[int, dict[str, object]]:
        async with self.client.get("/readyz") as answer:
            return answer.status, await answer.json()

    async def put(self) -> None:
        body = {"name": "A video", "duration": 60}
        async with self.client.put(f"/api/v1/videos/{UUID}", json=body, headers=ADMIN) as answer:
            assert answer.status == 201

    async def watches(self, viewer: str) -> aiohttp.ClientResponse:
        body = {"currentTime": 1, "sessionId": viewer}
        async with self.client.post(f"/api/v1/videos/{UUID}/views", json=body) as answer:
            return answer

    async def viewers(self) -> int | None:
        """None: 503."""
        async with self.client.get(f"/api/v1/videos/{UUID}/viewers") as answer:
            if answer.status == 503:
                assert answer.headers["Retry-After"]
                return None
            assert answer.status == 200
            return int((await answer.json())["viewers"])


async def running(config: Config) -> AsyncIterator[Site]:
    service = await Service.create(config, metrics=Metrics())
    try:
        await service.start()
        async with aiohttp.ClientSession(service.url) as client:
            yield Site(service, client)
    finally:
        await service.stop()


@pytest.fixture
async def site(tmp_path: Path, server: RedisServer) -> AsyncIterator[Site]:
    async for site in running(configured(tmp_path, server.url.replace("unix:", "redis+unix:"))):
        yield site


async def test_viewers_are_counted_and_outlive_the_process(tmp_path: Path, server: RedisServer) -> None:
    config = configured(tmp_path, server.url)
    async for site in running(config):
        await site.put()
        assert (await site.ready())[0] == 200
        for viewer in ("anna", "berta", "anna"):
            assert (await site.watches(viewer)).status == 204
        assert await site.viewers() == 2
    async for site in running(config):
        assert await site.viewers() == 2


async def test_watch_progress_outlives_the_process(tmp_path: Path, server: RedisServer) -> None:
    config = configured(tmp_path, server.url)
    async for site in running(config):
        await site.put()
        await site.watches("anna")
    async for site in running(config):
        progress = site.service.ground.live.progress
        assert isinstance(progress, RedisProgressStore)
        assert len(await progress.all_of(1)) == 1
        assert not (tmp_path / "data" / "live").exists(), "nothing of it is written beside Redis"


async def test_while_it_is_gone_everybody_is_told_to_come_again(site: Site, server: RedisServer) -> None:
    await site.put()
    assert (await site.watches("anna")).status == 204
    server.kill()
    refused = await site.watches("anna")
    assert refused.status == 503
    assert refused.headers["Retry-After"]
    assert await site.viewers() is None
    status, said = await site.ready()
    assert status == 503
    assert str(server.socket) in str(said["causes"])
    server.start()
    assert (await site.watches("anna")).status == 204
    assert await site.viewers() == 1
    assert (await site.ready())[0] == 200


async def test_flushed_the_count_comes_back_with_the_next_signs_of_life(site: Site, server: RedisServer) -> None:
    await site.put()
    for viewer in ("anna", "berta"):
        await site.watches(viewer)
    server.flush()
    assert await site.viewers() == 0
    for viewer in ("anna", "berta"):
        assert (await site.watches(viewer)).status == 204
    assert await site.viewers() == 2


async def test_a_cluster_serves_as_well(tmp_path: Path, live_redis_cluster: RedisCluster) -> None:
    async for site in running(configured(tmp_path, live_redis_cluster.url)):
        await site.put()
        answers = await asyncio.gather(*(site.watches(f"viewer{number}") for number in range(20)))
        assert {answer.status for answer in answers} == {204}
        assert await site.viewers() == 20


async def test_nobody_there_at_the_start_is_said_with_the_place(tmp_path: Path) -> None:
    config = configured(tmp_path, f"unix://{tmp_path}/nobody.sock?password=hush")
    with pytest.raises(StorageUnavailable) as refusal:
        async for _ in running(config):
            pass
    assert f"{tmp_path}/nobody.sock" in str(refusal.value)
    assert "hush" not in str(refusal.value)


async def test_an_address_that_makes_no_sense_is_a_wrong_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"storage\.live"):
        await Service.create(configured(tmp_path, "redis://h:1?db=x"))
