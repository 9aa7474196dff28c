from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from processes import Processes
from support.servers import RedisCluster, RedisServer


@pytest.fixture(params=["standalone", "cluster"])
async def house(request: pytest.FixtureRequest) -> AsyncIterator[Processes]:
    server: RedisServer | RedisCluster = request.getfixturevalue(
        "live_redis" if request.param == "standalone" else "live_redis_cluster"
    )
    made = Processes(server)
    yield made
    await made.close()
