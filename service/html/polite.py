"""What our own pages have before them: a limit by address, 503 while a store is gone, and no copy kept anywhere."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

from aiohttp import web

from foundation.addresses import network_key
from foundation.errors import Refused, StorageUnavailable
from foundation.ratelimit import WindowLimiter
from foundation.web import ClientAddresses
from views.routes.replies import refusal, unavailable

Page = Callable[[web.Request], Awaitable[web.StreamResponse]]


def polite(page: Page, limiter: WindowLimiter[str] | None, address_of: ClientAddresses) -> Page:
    """``page`` with these before it; no limit when ``limiter`` is None."""

    async def answer(request: web.Request) -> web.StreamResponse:
        wait_s = None if limiter is None else limiter.hit(network_key(address_of(request)))
        if wait_s is not None:
            return refusal(Refused("rate_limited", "Too many requests, please try again later", 429, math.ceil(wait_s)))
        try:
            response = await page(request)
        except StorageUnavailable:
            return unavailable()
        response.headers["Cache-Control"] = "no-store"
        return response

    return answer
