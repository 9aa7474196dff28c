"""Time that passes as soon as nobody has anything to do: hours of an event loop in seconds, in an order that a seed
decides. Nothing on it may wait for a thread or a socket."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

BEGINNING_MS = 1_800_000_000_000
"""The wall clock's first instant."""


class Stuck(Exception):
    """Everybody waits for something that time does not bring."""


class _Jump(selectors.DefaultSelector):
    """Instead of waiting, says that the time is over."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise Stuck
        self.now_s += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio loop whose ``time`` jumps to the next timer."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)
        self._clock_resolution = 1e-6

    def time(self) -> float:
        return self._jump.now_s


class VirtualClock:
    """A `foundation.clock.Clock` of the running virtual loop; ``skew_ms`` is how wrong its wall clock is."""

    def __init__(self, loop: asyncio.AbstractEventLoop, skew_ms: int = 0) -> None:
        self._loop = loop
        self._skew_ms = skew_ms

    def now_ms(self) -> int:
        return BEGINNING_MS + self._skew_ms + self.monotonic_ms()

    def monotonic_ms(self) -> int:
        return round(self._loop.time() * 1_000)

    async def sleep_ms(self, duration_ms: int) -> None:
        await asyncio.sleep(duration_ms / 1_000)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end on a virtual loop of its own; tasks left over are cancelled."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
