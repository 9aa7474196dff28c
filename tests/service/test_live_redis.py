"""``storage.live: redis``: the same service, its live state elsewhere; and what its users see when that goes away."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from support.servers import RedisCluster, RedisServer, redis_server

from foundation.errors import ConfigError, StorageUnavailable
from foundation.metrics import Metrics
from foundation.principal import Role
from service.app import Service
from service.config import Config, Listen, Secret, Storage, Token, Views
from service.config.storage import parse_live
from views.counters.redis.progress import RedisProgressStore
from views.model import VideoDraft

UUID = "9c9de5e8-0a1e-484a-b099-e80766180a6d"
OTHER = "5b0e1c1a-3f53-4a2e-9a38-8a3f6c1d8d11"
NUMBERS = (f"/api/v1/videos/{UUID}/viewers", f"/api/v1/videos/{UUID}", "/api/v1/videos?sort=createdAt")
ADMIN = {"Authorization": "Bearer admin-token-1"}


def configured(tmp_path: Path, live: str) -> Config:
    storage = Storage(directory=tmp_path / "data", live=parse_live(live))
    token = Token(name="admin", role=Role.ADMIN, value=Secret("admin-token-1"))
    return Config(listen=Listen(port=0), storage=storage, views=Views(rate_limit=None), tokens=(token,))


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

    async def put(self, video: str = UUID) -> None:
        body = {"name": "A video", "duration": 60}
        async with self.client.put(f"/api/v1/videos/{video}", json=body, headers=ADMIN) as answer:
            assert answer.status == 201

    async def watches(self, viewer: str) -> aiohttp.ClientResponse:
        body = {"currentTime": 1, "sessionId": viewer}
        async with self.client.post(f"/api/v1/videos/{UUID}/views", json=body) as answer:
            return answer

    async def viewers(self, video: str = UUID) -> int | None:
        """None: 503."""
        async with self.client.get(f"/api/v1/videos/{video}/viewers") as answer:
            if answer.status == 503:
                assert answer.headers["Retry-After"]
                return None
            assert answer.status == 200
            return int((await answer.json())["viewers"])

    async def known(self, path: str) -> tuple[int, str]:
        """The number that an answer shows, and of which instant it is."""
        async with self.client.get(path) as answer:
            assert answer.status == 200
            said = await answer.json()
            said = said["data"][0] if "data" in said else said
            return int(said["viewers"]), str(said["asOf"])


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


async def test_while_it_is_gone_reports_are_refused_and_numbers_are_the_last_known(
    site: Site, server: RedisServer
) -> None:
    await site.put()
    await site.put(OTHER)
    assert (await site.watches("anna")).status == 204
    at_last = {path: await site.known(path) for path in NUMBERS}
    server.kill()
    for _ in range(2):
        refused = await site.watches("anna")
        assert refused.status == 503
        assert refused.headers["Retry-After"]
        for path in NUMBERS:
            assert await site.known(path) == (1, max(at_last.values())[1]), path
    assert await site.viewers(OTHER) == 0, "it was in the list"
    status, said = await site.ready()
    assert status == 503
    assert str(server.socket) in str(said["causes"])
    server.start()
    assert (await site.watches("anna")).status == 204
    assert await site.viewers() == 1
    assert (await site.ready())[0] == 200
    for path in NUMBERS:
        assert (await site.known(path))[1] > at_last[path][1], path


async def test_what_nobody_asked_for_before_is_not_known(site: Site, server: RedisServer) -> None:
    await site.service.views.catalog.put_local(VideoDraft(UUID, "A video", 60))
    server.kill()
    assert await site.viewers() is None


async def test_a_stream_goes_on_with_the_last_known_number(site: Site, server: RedisServer) -> None:
    await site.put()
    await site.watches("anna")
    assert await site.viewers() == 1
    server.kill()
    headers = {"Accept": "text/event-stream"}
    async with site.client.get(f"/api/v1/videos/{UUID}/viewers", headers=headers) as stream:
        assert await stream.content.readline() == b"event: views-change\n"
        assert b'"viewers":1' in await stream.content.readline()
        server.start()
        await stream.content.readline()
        for viewer in ("anna", "berta", "carla"):
            assert (await site.watches(viewer)).status == 204
        assert await stream.content.readline() == b"event: views-change\n"


async def test_its_silence_holds_nobody_up_for_long_and_nothing_piles_up(site: Site, server: RedisServer) -> None:
    await site.put()
    assert (await site.watches("anna")).status == 204
    assert await site.viewers() == 1
    server.signal(signal.SIGSTOP)
    async with asyncio.timeout(60):
        refused = await asyncio.gather(*(site.watches(f"viewer{number}") for number in range(100)))
        assert {answer.status for answer in refused} == {503}
        assert set(await asyncio.gather(*(site.viewers() for _ in range(100)))) == {1}
    assert b"fediviews_live_store_waiting 0.0" in site.service.ground.metrics.render()
    server.signal(signal.SIGCONT)
    answers = await asyncio.gather(*(site.watches(f"viewer{number}") for number in range(100)))
    assert {answer.status for answer in answers} == {204}
    async with asyncio.timeout(60):
        for _ in range(1_000):
            if await site.viewers() == 101:
                break
            await asyncio.sleep(0.02)
    assert await site.viewers() == 101


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
