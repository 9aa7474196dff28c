"""What every test may stand on: a clock that waits to be told, metrics of its own, an empty database."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from servers import PostgreSQLServer, RedisCluster, RedisServer, postgresql_server, redis_cluster, redis_server

from foundation.clock import ManualClock
from foundation.database import Database
from foundation.metrics import Metrics
from service import schema


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A module that says ``EVERY_DATABASE = True`` runs its tests of the database on each kind of it; with the
    environment variable ``FEDIVIEWS_EVERY_DATABASE`` every module does."""
    module = metafunc.module
    marked = any(mark.args[0] == "database_url" for mark in metafunc.definition.iter_markers("parametrize"))
    every = getattr(module, "EVERY_DATABASE", False) or bool(os.environ.get("FEDIVIEWS_EVERY_DATABASE"))
    if every and "database_url" in metafunc.fixturenames and not marked:
        metafunc.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database: SQLite, or a real PostgreSQL where the test asks for it."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return f"sqlite:///{tmp_path}/fediviews.sqlite"
    server: PostgreSQLServer = request.getfixturevalue("_postgresql")
    server.empty()
    return server.url("postgres")


@pytest.fixture(scope="session")
def _postgresql() -> Iterator[PostgreSQLServer]:
    with postgresql_server() as server:
        yield server


@pytest.fixture
async def database(database_url: str, clock: ManualClock, metrics: Metrics) -> AsyncIterator[Database]:
    """An empty database with every table of the product."""
    tables = schema.load()
    opened = await Database.open(database_url, clock=clock, metrics=metrics)
    await opened.write(lambda tx: tx.run_sync(tables.create_all))
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def _redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture(scope="session")
def _redis_cluster() -> Iterator[RedisCluster]:
    with redis_cluster() as cluster:
        yield cluster


@pytest.fixture
def live_redis(_redis: RedisServer) -> RedisServer:
    """A real Redis with nothing in it."""
    _redis.flush()
    return _redis


@pytest.fixture
def live_redis_cluster(_redis_cluster: RedisCluster) -> RedisCluster:
    """Three real nodes with nothing in them."""
    _redis_cluster.flush()
    return _redis_cluster
