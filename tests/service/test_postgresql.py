"""``storage.database: postgresql://``: the same service, its history elsewhere; and what is seen when that is gone."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import text
from support.servers import PostgreSQLServer, RedisServer, postgresql_server

from foundation.clock import ManualClock
from foundation.database import Database
from foundation.database_engines import is_misconfigured
from foundation.database_urls import driver_url
from foundation.errors import ConfigError, StorageUnavailable
from foundation.metrics import Metrics
from foundation.principal import Role
from service.app import Service
from service.config import Config, Listen, Secret, Storage, Token, Views
from service.config.storage import parse_database, parse_live

UUID = "9c9de5e8-0a1e-484a-b099-e80766180a6d"
ADMIN = {"Authorization": "Bearer admin-token-1"}
POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def configured(tmp_path: Path, database: str, live: str = "memory") -> Config:
    storage = Storage(directory=tmp_path / "data", database=parse_database(database), live=parse_live(live))
    token = Token(name="admin", role=Role.ADMIN, value=Secret("admin-token-1"))
    views = Views(count_view_after_ms=0, rate_limit=None)
    return Config(listen=Listen(port=0, shutdown_grace_ms=0), storage=storage, views=views, tokens=(token,))


class Site:
    """A service, and what players and a host application do with it."""

    def __init__(self, client: aiohttp.ClientSession) -> None:
        self.client = client

    async def ready(self) -> tuple[int, str]:
        async with self.client.get("/readyz") as answer:
            return answer.status, await answer.text()

    async def ask(self, method: str, path: str, body: object) -> aiohttp.ClientResponse:
        async with self.client.request(method, path, json=body, headers=ADMIN) as answer:
            return answer

    async def put(self) -> int:
        return (await self.ask("PUT", f"/api/v1/videos/{UUID}", {"name": "A video", "duration": 60})).status

    async def watches(self, viewer: str) -> aiohttp.ClientResponse:
        body = {"currentTime": 1, "sessionId": viewer}
        async with self.client.post(f"/api/v1/videos/{UUID}/views", json=body) as answer:
            return answer

    async def views(self) -> int:
        async with self.client.get(f"/api/v1/videos/{UUID}") as answer:
            assert answer.status == 200
            return int((await answer.json())["views"])


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[Site]:
    service = await Service.create(config, metrics=Metrics())
    try:
        await service.start()
        async with aiohttp.ClientSession(service.url) as client:
            yield Site(client)
    finally:
        await service.stop()


@POSTGRESQL
@pytest.mark.parametrize("live", ["memory", "redis"])
async def test_what_was_counted_outlives_the_process(
    tmp_path: Path, database_url: str, live: str, request: pytest.FixtureRequest
) -> None:
    redis: RedisServer | None = request.getfixturevalue("live_redis") if live == "redis" else None
    config = configured(tmp_path, database_url, "memory" if redis is None else redis.url)
    async with running(config) as site:
        assert await site.put() == 201
        assert await site.ready() == (200, '{"status": "ok"}')
        for viewer in ("anna", "berta", "anna"):
            assert (await site.watches(viewer)).status == 204
        counted = await site.views()
    assert counted == 2
    async with running(config) as site:
        assert await site.views() == counted
        assert (await site.watches("anna")).headers["X-Views"] == "ignored: already_counted"
        assert await site.views() == counted
    assert not list((tmp_path / "data").glob("*.sqlite*"))


@pytest.fixture
def server() -> Iterator[PostgreSQLServer]:
    with postgresql_server() as server:
        yield server


async def test_while_it_is_gone_views_are_counted_and_who_changes_something_is_told_to_come_again(
    tmp_path: Path, server: PostgreSQLServer
) -> None:
    url = server.url("postgres")
    async with running(configured(tmp_path, url)) as site:
        await site.put()
        assert (await site.watches("anna")).status == 204
        server.kill()
        assert (await site.watches("berta")).headers["X-Views"] == "counted"
        refused = await site.ask("PUT", f"/api/v1/videos/{UUID}", {"name": "Another name", "duration": 60})
        assert refused.status == 503
        assert refused.headers["Retry-After"]
        status, said = await site.ready()
        assert status == 503
        assert url.partition("host=")[2] in said
        server.start()
        assert (await site.ready())[0] == 200
        assert await site.put() == 200
        assert (await site.watches("berta")).headers["X-Views"] == "ignored: already_counted"
        for _ in range(1_000):
            if await site.views() >= 2:
                break
            await asyncio.sleep(0.02)
        assert await site.views() == 2


async def test_its_restart_while_nobody_writes_costs_nothing(
    server: PostgreSQLServer, clock: ManualClock, metrics: Metrics
) -> None:
    database = await Database.open(server.url("postgres"), clock=clock, metrics=metrics)
    try:
        await database.write(lambda tx: tx.execute(text("CREATE TABLE notes (n int)")))
        server.kill()
        server.start()
        # The connection hears of the end of its peer in the turns of the loop after it.
        for _ in range(5):
            await asyncio.sleep(0)
        await database.write(lambda tx: tx.execute(text("INSERT INTO notes VALUES (1)")))
        await database.check()
    finally:
        await database.close()


@POSTGRESQL
async def test_a_statement_that_takes_too_long_is_broken_off(
    database_url: str, clock: ManualClock, metrics: Metrics
) -> None:
    database = await Database.open(database_url, clock=clock, metrics=metrics, statement_timeout_ms=50)
    try:
        with pytest.raises(StorageUnavailable, match="took too long"):
            await database.write(lambda tx: tx.execute(text("SELECT pg_sleep(30)")))
        with pytest.raises(StorageUnavailable, match="took too long"):
            async with database.read() as tx:
                await tx.execute(text("SELECT pg_sleep(30)"))
        await database.check()
        await database.write(lambda tx: tx.execute(text("SELECT 1")))
    finally:
        await database.close()


@POSTGRESQL
async def test_readers_are_bounded(database_url: str, clock: ManualClock, metrics: Metrics) -> None:
    database = await Database.open(database_url, clock=clock, metrics=metrics, readers=2)
    count = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'fediviews'")

    async def ask() -> int:
        async with database.read() as tx:
            return int((await tx.execute(count)).scalar_one())

    try:
        assert max(await asyncio.gather(*(ask() for _ in range(20)))) <= 3
    finally:
        await database.close()


async def test_nobody_there_at_the_start_is_said_with_the_place_and_without_the_password(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(StorageUnavailable) as refusal:
            await Service.create(configured(tmp_path, f"postgresql://me:hush@127.0.0.1:{port}/name"))
    assert f"postgresql://me:***@127.0.0.1:{port}/name: does not answer" in str(refusal.value)
    assert "hush" not in str(refusal.value)


@POSTGRESQL
async def test_a_database_that_is_not_there_is_said(tmp_path: Path, database_url: str) -> None:
    with pytest.raises(StorageUnavailable, match="no such database"):
        await Service.create(configured(tmp_path, database_url.replace("/postgres?", "/another?")))


@POSTGRESQL
async def test_a_server_that_is_too_old_is_said(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("foundation.database_engines.OLDEST_POSTGRESQL", 1_000)
    with pytest.raises(StorageUnavailable, match="too old"):
        await Service.create(configured(tmp_path, database_url))


@pytest.mark.parametrize("query", ["sslmode=perhaps", "sslmode=require&sslmode=allow", "password=x", "port=x"])
async def test_what_a_url_cannot_say_is_a_wrong_key(tmp_path: Path, query: str) -> None:
    with pytest.raises(ConfigError, match=r"storage\.database"):
        await Service.create(configured(tmp_path, f"postgresql://u@127.0.0.1/name?{query}"))


async def test_a_certificate_that_is_missing_is_a_wrong_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLROOTCERT", str(tmp_path / "nothing.crt"))
    with pytest.raises(ConfigError, match=r"storage\.database"):
        await Service.create(configured(tmp_path, "postgresql://u:hush@127.0.0.1:1/name?sslmode=verify-full"))


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (PermissionError(13, "Permission denied", "/root/.postgresql/postgresql.key"), True),
        (PermissionError(1, "Operation not permitted"), False),
        (ConnectionRefusedError(111, "Connect call failed"), False),
    ],
)
def test_a_certificate_that_may_not_be_read_is_told_from_a_server_that_is_not_there(error: OSError, ours: bool) -> None:
    """Of another user's home, which whoever runs the tests may perhaps read."""
    assert is_misconfigured(error, driver_url("postgresql://u@127.0.0.1/name")) is ours
    assert not is_misconfigured(error, driver_url("postgresql://u@/name?host=/run/postgresql"))


MIGRATES = """
import asyncio, sys
from foundation.clock import SystemClock
from foundation.database import Database
from foundation.metrics import Metrics
from service.storage.migrate import migrate

async def main():
    database = await Database.open(sys.argv[1], clock=SystemClock(), metrics=Metrics())
    print("ready", flush=True)
    sys.stdin.readline()
    await migrate(database)
    await database.close()

asyncio.run(main())
"""


@POSTGRESQL
async def test_ten_processes_that_start_together_migrate_once(
    database_url: str, clock: ManualClock, metrics: Metrics
) -> None:
    watching = await Database.open(database_url, clock=clock, metrics=metrics)
    pipe = asyncio.subprocess.PIPE
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", MIGRATES, database_url, stdin=pipe, stdout=pipe, stderr=pipe, env=dict(os.environ)
        )
        for _ in range(10)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert await asyncio.wait_for(process.stdout.readline(), 60) == b"ready\n"
        ended = await asyncio.wait_for(asyncio.gather(*(process.communicate(b"\n") for process in processes)), 60)
        assert [process.returncode for process in processes] == [0] * 10, ended
        async with watching.read() as tx:
            versions = (await tx.execute(text("SELECT count(*) FROM alembic_version"))).scalar_one()
            # Whoever had made a table and lost the race would have left a dead row of it behind in the catalog.
            made = await tx.execute(text("SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 'alembic_version'"))
            assert versions == 1
            assert made.scalar_one() <= 1
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()
        await watching.close()
