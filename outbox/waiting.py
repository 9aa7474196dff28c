"""Small helpers around waiting and storage that does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from foundation import problems
from foundation.clock import Clock
from foundation.errors import Refused, StorageUnavailable

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

RETRY_AFTER_S = 5


async def wait_for(event: asyncio.Event, clock: Clock, wait_ms: int) -> None:
    """Until the event is set, or so much time has passed."""
    if event.is_set():
        return
    waits = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(clock.sleep_ms(max(wait_ms, 1)))]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


def available(handler: Handler) -> Handler:
    """The handler, answering 503 with Retry-After while the database does not answer."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except StorageUnavailable:
            return problems.refused(Refused("storage_unavailable", "try again soon", 503, RETRY_AFTER_S))

    return answer
