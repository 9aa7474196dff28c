from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from processes import Processes
from servers import RedisServer


@pytest.fixture
async def house(live_redis: RedisServer) -> AsyncIterator[Processes]:
    made = Processes(live_redis)
    yield made
    await made.close()
