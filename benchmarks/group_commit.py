"""Counted views per second, each acknowledged only when it is durable, beside committing each by itself.

SQLite with ``synchronous=FULL`` on whatever disk holds the temporary directory. 64 callers at a time; the same work
once through the shared writer and once one after another.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop

from benchmarks.house import running_service
from benchmarks.load import Row
from views.model import VideoDraft

CALLERS = 64
VIDEO = "9c9de5e8-0a1e-484a-b099-e80766180a6d"


async def _rate(count: Callable[[], Coroutine[Any, Any, bool]], callers: int, seconds: float) -> float:
    counted = 0
    until = time.monotonic() + seconds

    async def caller() -> None:
        nonlocal counted
        while time.monotonic() < until:
            if not await count():
                raise SystemExit("a view was not counted")
            counted += 1

    started = time.monotonic()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return counted / (time.monotonic() - started)


async def _measure(seconds: float, rounds: int) -> list[tuple[float, float]]:
    serial = itertools.count()
    async with running_service() as service:
        put = await service.views.catalog.put_local(VideoDraft(VIDEO, "Benchmark", 600))
        assert isinstance(put, tuple)
        video = put[0]

        def count() -> Coroutine[Any, Any, bool]:
            return service.views.counter.count_local(video, next(serial).to_bytes(16, "big"))

        await _rate(count, CALLERS, 0.3)
        return [(await _rate(count, 1, seconds), await _rate(count, CALLERS, seconds)) for _ in range(rounds)]


def run(seconds: float, rounds: int) -> list[Row]:
    measured = uvloop.run(_measure(min(seconds, 2.0), rounds))
    alone, together = (statistics.median(values) for values in zip(*measured, strict=True))
    ratio = statistics.median(many / one for one, many in measured)
    return [
        Row(
            f"counted views, {CALLERS} callers",
            f"{together:.0f}/s, each durable",
            f"one caller: {alone:.0f}/s",
            ratio,
        )
    ]
