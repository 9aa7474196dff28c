from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from house import FakePeer, House, MakeHouse, MakePeer

from foundation.clock import ManualClock
from foundation.database import Database


@pytest.fixture
async def make_house(database: Database, clock: ManualClock) -> AsyncIterator[MakeHouse]:
    """A started house; several share a database one after another (restarts)."""
    houses: list[House] = []

    async def make(**settings: Any) -> House:
        houses.append(House(database, clock, **settings))
        return await houses[-1].start()

    yield make
    for one in houses:
        await one.stop()


@pytest.fixture
async def house(make_house: MakeHouse) -> House:
    return await make_house()


@pytest.fixture
async def make_peer(aiohttp_server: Any, clock: ManualClock) -> MakePeer:
    async def make(**settings: Any) -> FakePeer:
        return await FakePeer(clock, **settings).start(aiohttp_server)

    return make
