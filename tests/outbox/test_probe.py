"""A host that does not say what it runs is asked again, less and less often."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from federation.peers import Software
from foundation.clock import ManualClock
from foundation.errors import FetchFailed
from foundation.http_response import HttpResponse
from outbox.probe import FIRST_RETRY_MS, RETRIES, TICK_MS, SoftwareProbe

HOST = "peer.example"


class SilentHttp:
    """Nobody answers."""

    def __init__(self) -> None:
        self.asked = 0

    async def get(
        self, url: str, *, accept: str, headers: Mapping[str, str] | None = None, max_bytes: int | None = None
    ) -> HttpResponse:
        self.asked += 1
        raise FetchFailed("unreachable", "nobody there")


class Book:
    def __init__(self) -> None:
        self.software: Software | None = None

    def nodeinfo_due(self, host: str, now_ms: int) -> bool:
        return True

    def learn_software(self, host: str, document: object, now_ms: int) -> Software | None:
        return self.software


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_silence_is_asked_again_with_growing_patience_and_not_for_ever() -> None:
    clock, http, book = ManualClock(), SilentHttp(), Book()
    probe = SoftwareProbe(http=http, book=book, clock=clock)
    await probe.start()
    probe.ask(HOST)
    await settle()
    assert http.asked == 1
    asked_at = []
    for _ in range(2 * FIRST_RETRY_MS * 2**RETRIES // TICK_MS // 4):
        before = http.asked
        clock.advance(TICK_MS)
        await settle()
        asked_at += [clock.monotonic_ms()] * (http.asked - before)
    gaps = [later - earlier for earlier, later in zip([0, *asked_at], asked_at, strict=False)]
    assert gaps[:4] == [FIRST_RETRY_MS, 2 * FIRST_RETRY_MS, 4 * FIRST_RETRY_MS, 8 * FIRST_RETRY_MS]
    assert len(asked_at) <= RETRIES
    await probe.stop()


async def test_a_host_that_speaks_at_last_is_left_in_peace() -> None:
    clock, http, book = ManualClock(), SilentHttp(), Book()
    learned: list[str] = []
    probe = SoftwareProbe(http=http, book=book, clock=clock, learned=learned.append)
    await probe.start()
    probe.ask(HOST)
    await settle()
    book.software = Software("peertube", "6.3.0")
    for _ in range(40):
        clock.advance(TICK_MS)
        await settle()
    assert learned == [HOST]
    assert http.asked == 2
    await probe.stop()
