"""How fast connections are taken while every turn of the event loop takes long."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest
from aiohttp import web

from foundation.metrics import Metrics
from service.web.listening import ACCEPTED_AT_A_TIME, ConnectionLimits, accept_more, bound_connections

COMING = 20 * ACCEPTED_AT_A_TIME


async def turns_until_all_are_in() -> int:
    metrics = Metrics()
    runner = web.AppRunner(web.Application())
    await runner.setup()
    bound_connections(runner, ConnectionLimits(COMING, COMING, 60_000), metrics)
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=COMING).start()
    await accept_more(runner, COMING)
    address = runner.addresses[0][:2]
    with contextlib.ExitStack() as stack:
        for _ in range(COMING):
            coming = stack.enter_context(socket.socket())
            coming.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                coming.connect(address)
        turns = 0
        while metrics.registry.get_sample_value("fediviews_connections") != COMING and turns < 10 * COMING:
            await asyncio.sleep(0)
            turns += 1
    await runner.cleanup()
    return turns


def test_many_connections_are_taken_in_one_turn_of_uvloop() -> None:
    uvloop = pytest.importorskip("uvloop")
    assert uvloop.run(turns_until_all_are_in()) < COMING / 2
