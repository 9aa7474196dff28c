"""Where time comes from. Nothing else in the product reads a system clock.

Instants are Unix milliseconds (``int``), named ``*_ms``; so are durations inside the product. Seconds appear only in
``asyncio`` timeouts, named ``*_s``.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Clock(Protocol):
    """Wall time for what is told to others, monotonic time for intervals, and the way to wait."""

    def now_ms(self) -> int:
        """Wall clock, Unix milliseconds. May jump when the machine's clock is set."""

    def monotonic_ms(self) -> int:
        """Milliseconds that never go back; only differences mean something."""

    async def sleep_ms(self, duration_ms: int) -> None:
        """Wait; zero yields once."""


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    async def sleep_ms(self, duration_ms: int) -> None:
        await asyncio.sleep(duration_ms / 1000)


class ManualClock:
    """A clock that stands still until it is told to move; ships with the product so that hosts can test with it."""

    def __init__(self, now_ms: int = 1_800_000_000_000) -> None:
        self._now_ms = now_ms
        self._monotonic_ms = 0
        self._sleepers: list[tuple[int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic_ms(self) -> int:
        return self._monotonic_ms

    def advance(self, duration_ms: int) -> None:
        """Move both clocks forward and wake whoever's time has come."""
        self._now_ms += duration_ms
        self._monotonic_ms += duration_ms
        due = [future for at, future in self._sleepers if at <= self._monotonic_ms]
        self._sleepers = [(at, future) for at, future in self._sleepers if at > self._monotonic_ms]
        for future in due:
            if not future.done():
                future.set_result(None)

    def set_wall(self, now_ms: int) -> None:
        """Jump the wall clock alone, as an administrator or NTP would."""
        self._now_ms = now_ms

    async def sleep_ms(self, duration_ms: int) -> None:
        if duration_ms <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._monotonic_ms + duration_ms, future))
        await future


def iso_ms(instant_ms: int) -> str:
    """``2026-11-23T04:27:32.000Z``: the form PeerTube writes, always UTC with milliseconds."""
    seconds, millis = divmod(instant_ms, 1000)
    return f"{_iso_second(seconds)}.{millis:03d}Z"


@lru_cache(maxsize=1024)
def _iso_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def parse_iso_ms(text: str) -> int | None:
    """Unix milliseconds of an ISO 8601 instant that names its zone; None for anything else (RFC 3339 section 5.6)."""
    if len(text) > 40:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    if instant.tzinfo is None:
        return None
    # Not timestamp() * 1000: a float is sometimes one millisecond short.
    return (instant - _EPOCH) // _MILLISECOND
