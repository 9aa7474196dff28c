"""What every test may stand on: a clock that waits to be told, metrics of its own, an empty database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from servers import RedisCluster, RedisServer, redis_cluster, redis_server

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


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/fediviews.sqlite"


@pytest.fixture
async def database(database_url: str, clock: ManualClock, metrics: Metrics) -> AsyncIterator[Database]:
    """An empty SQLite database with every table of the product."""
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
