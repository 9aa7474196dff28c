"""A host that does not say what it runs is asked again, less and less often."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from federation.peers import Software
from foundation.clock import ManualClock
from foundation.errors import FetchFailed
from foundation.http_response import HttpResponse
from foundation.metrics import Metrics
from outbox import probe as rules
from outbox.probe import AGAIN_AT_ONCE, FIRST_AT_ONCE, FIRST_RETRY_MS, RETRIES, TICK_MS, SoftwareProbe

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


class HangingHttp(SilentHttp):
    """Hosts that take the question and say nothing, for ever; others are not there."""

    def __init__(self) -> None:
        super().__init__()
        self.hosts: list[str] = []

    async def get(
        self, url: str, *, accept: str, headers: Mapping[str, str] | None = None, max_bytes: int | None = None
    ) -> HttpResponse:
        host = url.split("/")[2]
        self.hosts.append(host)
        if host.startswith("hangs"):
            await asyncio.Event().wait()
        return await super().get(url, accept=accept)


class Book:
    def __init__(self) -> None:
        self.software: Software | None = None

    def nodeinfo_due(self, host: str, now_ms: int) -> bool:
        return True

    def learn(self, host: str, document: object, now_ms: int) -> Software | None:
        return self.software


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def first_asked(probe: SoftwareProbe, http: HangingHttp, count: int) -> None:
    async with asyncio.timeout(5):
        while len(http.hosts) < count or probe._asking:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_silence_is_asked_again_with_growing_patience_and_not_for_ever() -> None:
    clock, http, book = ManualClock(), SilentHttp(), Book()
    probe = SoftwareProbe(http=http, book=book, clock=clock, metrics=Metrics())
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
    probe = SoftwareProbe(http=http, book=book, clock=clock, metrics=Metrics(), learned=learned.append)
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


async def test_hosts_that_never_say_hold_up_nobody_who_was_not_asked_yet() -> None:
    clock, http = ManualClock(), HangingHttp()
    probe = SoftwareProbe(http=http, book=Book(), clock=clock, metrics=Metrics(), first_within_ms=1)
    await probe.start()
    silent = [f"hangs{n}.example" for n in range(4 * FIRST_AT_ONCE)]
    for host in silent:
        probe.ask(host)
    await first_asked(probe, http, len(silent))
    # All of them are due again, and take what places there are for that.
    for _ in range(FIRST_RETRY_MS // TICK_MS):
        clock.advance(TICK_MS)
        await settle()
    assert len(http.hosts) == len(silent) + AGAIN_AT_ONCE
    # Nor do they come back among the new ones when somebody asks for them.
    for host in silent:
        probe.ask(host)
    probe.ask(HOST)
    await settle()
    assert http.hosts[len(silent) + AGAIN_AT_ONCE :] == [HOST]
    await probe.stop()


async def test_who_was_asked_again_least_often_is_next() -> None:
    clock, http = ManualClock(), HangingHttp()
    probe = SoftwareProbe(http=http, book=Book(), clock=clock, metrics=Metrics(), first_within_ms=1)
    await probe.start()
    for host in ("old.example", *(f"hangs{n}.example" for n in range(AGAIN_AT_ONCE))):
        probe.ask(host)
    await first_asked(probe, http, AGAIN_AT_ONCE + 1)
    for _ in range(FIRST_RETRY_MS // TICK_MS):
        clock.advance(TICK_MS)
        await settle()
    # All places are taken from now on: who was asked twice waits, and then who was asked once.
    for _ in range(2 * FIRST_RETRY_MS // TICK_MS):
        clock.advance(TICK_MS)
        await settle()
    assert [host for _, _, _, host, _ in probe._again._heap] == ["old.example"]
    probe.ask("young.example")
    for _ in range(2 * FIRST_RETRY_MS // TICK_MS):
        await settle()
        clock.advance(TICK_MS)
    await settle()
    order = [host for _, _, _, host, _ in sorted(probe._again._heap)]
    assert order == ["young.example", "old.example"]
    await probe.stop()


async def test_hosts_that_find_no_room_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MAX_WANTED", 3)
    metrics = Metrics()
    probe = SoftwareProbe(http=SilentHttp(), book=Book(), clock=ManualClock(), metrics=metrics)
    for host in ("a.example", "a.example", "b.example", "c.example", "d.example"):
        probe.ask(host)
    page = metrics.render().decode()
    assert "fediviews_software_questions_dropped_total 1.0" in page
    assert "fediviews_software_questions 3.0" in page


async def test_names_of_one_site_let_others_go_first_and_do_not_fill_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MAX_WANTED", 50)
    metrics, http = Metrics(), HangingHttp()
    probe = SoftwareProbe(http=http, book=Book(), clock=ManualClock(), metrics=metrics)
    for number in range(60):
        probe.ask(f"h{number}.evil.example")
    assert "fediviews_software_questions_dropped_total 55.0" in metrics.render().decode()
    for host in ("a.example", "b.example", "x.b.example"):
        probe.ask(host)
    await probe.start()
    await settle()
    assert http.hosts[:5] == ["h0.evil.example", "a.example", "b.example", "h1.evil.example", "x.b.example"]
    await probe.stop()
    assert not probe._first._sites
