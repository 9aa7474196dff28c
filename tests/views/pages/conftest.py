"""Houses of pages over every live store."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from foundation.clock import ManualClock
from foundation.database import Database
from foundation.metrics import Metrics
from foundation.redis.link import RedisLink
from tests.views.pages.page_house import PageHouse, build
from views.counters.memory import MemoryCounterStore
from views.counters.progress import ProgressStore
from views.counters.redis.progress import RedisProgressStore
from views.counters.redis.settings import RedisSettings
from views.counters.redis.store import RedisCounterStore


@pytest.fixture
async def house(database: Database, clock: ManualClock, metrics: Metrics) -> PageHouse:
    return await build(database, clock, metrics, MemoryCounterStore(1_000), ProgressStore())


@pytest.fixture(params=["memory", "redis"])
async def live_house(
    request: pytest.FixtureRequest, database: Database, clock: ManualClock, metrics: Metrics
) -> AsyncIterator[PageHouse]:
    if request.param == "memory":
        yield await build(database, clock, metrics, MemoryCounterStore(1_000), ProgressStore())
        return
    link = RedisLink(request.getfixturevalue("live_redis").url, metrics=Metrics())
    settings = RedisSettings(prefix="test:pages", shards=4, longest_life_ms=120_000, server_time=False)
    counters = RedisCounterStore(link, clock, settings)
    await counters.start()
    yield await build(database, clock, metrics, counters, RedisProgressStore(link, clock, settings))
    await counters.close()
