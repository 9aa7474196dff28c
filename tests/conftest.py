"""What every test may stand on: a clock that waits to be told, metrics of its own, an empty database."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from support.servers import PostgreSQLServer, RedisCluster, RedisServer, postgresql_server, redis_cluster, redis_server
from support.servers.existing import (
    CLUSTER_VARIABLE,
    REDIS_VARIABLE,
    ExistingPostgreSQL,
    LiveServer,
    existing_postgresql,
    existing_redis,
)

from foundation.clock import ManualClock
from foundation.database import Database
from foundation.metrics import Metrics
from service.storage import schema


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
        metafunc.parametrize(
            "database_url", ["sqlite", "every postgresql"], ids=["sqlite", "postgresql"], indirect=True
        )


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database: SQLite, or a real PostgreSQL where the test asks for it."""
    kind = getattr(request, "param", "sqlite")
    if kind == "sqlite":
        return f"sqlite:///{tmp_path}/fediviews.sqlite"
    # Who names the kind itself may do to the server what one that others use would not bear.
    named = "_any_postgresql" if kind == "every postgresql" else "_postgresql"
    server: PostgreSQLServer = request.getfixturevalue(named)
    server.empty()
    return server.url("postgres")


@pytest.fixture(scope="session")
def _postgresql() -> Iterator[PostgreSQLServer]:
    with postgresql_server() as server:
        yield server


@pytest.fixture(scope="session")
def _any_postgresql(request: pytest.FixtureRequest) -> Iterator[PostgreSQLServer | ExistingPostgreSQL]:
    existing = existing_postgresql()
    yield existing or request.getfixturevalue("_postgresql")
    if existing is not None:
        existing.empty()


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


@pytest.fixture(scope="session")
def _any_redis(request: pytest.FixtureRequest) -> Iterator[LiveServer]:
    yield from _existing(REDIS_VARIABLE, "_redis", request)


@pytest.fixture(scope="session")
def _any_cluster(request: pytest.FixtureRequest) -> Iterator[LiveServer]:
    yield from _existing(CLUSTER_VARIABLE, "_redis_cluster", request)


def _existing(variable: str, started: str, request: pytest.FixtureRequest) -> Iterator[LiveServer]:
    existing = existing_redis(variable)
    yield existing or request.getfixturevalue(started)
    if existing is not None:
        existing.flush()


@pytest.fixture
def any_redis(_any_redis: LiveServer) -> LiveServer:
    """As ``live_redis``, for tests that only use it: perhaps one that was there already."""
    _any_redis.flush()
    return _any_redis


@pytest.fixture
def any_cluster(_any_cluster: LiveServer) -> LiveServer:
    """Likewise."""
    _any_cluster.flush()
    return _any_cluster


@pytest.fixture
def live_redis_cluster(_redis_cluster: RedisCluster) -> RedisCluster:
    """Three real nodes with nothing in them."""
    _redis_cluster.flush()
    return _redis_cluster
