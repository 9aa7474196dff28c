"""Signed deliveries beside signatures alone: in CPU time of the sending process, and per second.

The poster of the door out, over HTTP to a sink in another process that does nothing but answer 204; 32 deliveries at a
time. On a machine with two cores the sink shares them, so that the CPU time says more than the rate.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import cast

import uvloop

from benchmarks.load import CONNECTIONS, Row, answer_questions, serving
from federation.keys import KeyPair
from federation.signatures.signer import Signer
from federation.signing import RequestSigner
from federation.vocabulary import CONTENT_TYPE, PUBLIC
from federation.vocabulary.build import encode, view_viewer
from foundation.clock import SystemClock
from foundation.http import HttpClient
from foundation.metrics import Metrics
from outbox.posting import ACCEPT, Outcome, Poster
from outbox.signing import SigningPool
from service.commands.demo import free_port

ACTOR = "http://127.0.0.1/accounts/peertube"
THREADS = 2
GOAL = 0.8


HOSTS = [f"127.0.0.{number}" for number in range(1, CONNECTIONS + 1)]
"""One peer per delivery under way, as the deliverer does it."""
ANSWER = b"HTTP/1.1 204 No Content\r\nDate: Wed, 25 Nov 2026 15:00:00 GMT\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


class _Sink(asyncio.Protocol):
    """Takes every POST and does nothing else, so that the receiving end takes as little of the machine as it can."""

    def __init__(self) -> None:
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._held += data
        while (head := self._held.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._held, 0, head)
            end = head + 4 + (int(length[1]) if length else 0)
            if len(self._held) < end:
                return
            self._held = self._held[end:]
            self._transport.write(ANSWER)


async def serve(pipe: Connection) -> None:
    port = free_port()
    server = await asyncio.get_running_loop().create_server(_Sink, HOSTS, port)
    pipe.send(port)
    await answer_questions(pipe)
    server.close()


@dataclass(frozen=True, slots=True)
class Speed:
    """``cpu_us`` of this process for one."""

    per_s: float
    cpu_us: float


async def _speed(work: Callable[[str], Awaitable[object]], seconds: float) -> Speed:
    done = 0
    until = time.monotonic() + seconds

    async def one(host: str) -> None:
        nonlocal done
        while time.monotonic() < until:
            await work(host)
            done += 1

    started, cpu_s = time.monotonic(), time.process_time()
    await asyncio.gather(*(one(host) for host in HOSTS))
    return Speed(done / (time.monotonic() - started), (time.process_time() - cpu_s) / done * 1e6)


class _OneSigner:
    """Whatever is sent is signed by one signer, in one way."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    async def send(self, host: str, actor: str, attempt: Callable[[RequestSigner], Awaitable[Outcome]]) -> Outcome:
        return await attempt(self._signer)


async def _measure(port: int, seconds: float, rounds: int) -> list[tuple[Speed, ...]]:
    clock, metrics = SystemClock(), Metrics()
    signer = Signer(f"{ACTOR}#main-key", KeyPair.generate().private_key)
    http = HttpClient(clock, metrics, allow_private_addresses=True, allow_http=True, user_agent="benchmark")
    poster = Poster(
        http=http,
        signing=_OneSigner(signer),
        clock=clock,
        metrics=metrics,
        observe_date=lambda _host, _date_ms, _received_ms: None,
        threads=THREADS,
    )
    pool = SigningPool(THREADS)
    now_ms = clock.now_ms()
    video = "http://127.0.0.1/videos/watch/9c9de5e8-0a1e-484a-b099-e80766180a6d"
    view = view_viewer(
        actor=ACTOR, number=7, wire_id="v", video=video, to=[PUBLIC], expires_ms=now_ms + 120_000, published_ms=now_ms
    )
    body = encode(view)

    def inbox(host: str) -> str:
        return f"http://{host}:{port}/inbox"

    async def alone(host: str) -> None:
        signer.sign_headers("POST", inbox(host), body, clock.now_ms())
        await asyncio.sleep(0)

    async def sign(host: str) -> None:
        await pool.sign(signer, inbox(host), body, clock.now_ms())

    async def inline(host: str) -> None:
        signed = signer.sign_headers("POST", inbox(host), body, clock.now_ms())
        await http.post(inbox(host), body, headers={**signed, "Content-Type": CONTENT_TYPE, "Accept": ACCEPT})

    async def deliver(host: str) -> None:
        outcome = await poster.post(host, ACTOR, inbox(host), body)
        if not outcome.delivered:
            raise SystemExit(f"not delivered: {outcome.reason}")

    ways = (alone, sign, inline, deliver)
    try:
        await _speed(deliver, 0.3)
        return [tuple([await _speed(way, seconds) for way in ways]) for _ in range(rounds)]
    finally:
        poster.close()
        pool.close()
        await http.close()


def run(seconds: float, rounds: int) -> list[Row]:
    with serving(serve) as server:
        measured = uvloop.run(_measure(server.ready, seconds, rounds))
    alone, signing, inline, delivering = (
        Speed(statistics.median(one.per_s for one in way), statistics.median(one.cpu_us for one in way))
        for way in zip(*measured, strict=True)
    )
    cpu = [round_[0].cpu_us / round_[3].cpu_us for round_ in measured]
    rate = [round_[3].per_s / round_[1].per_s for round_ in measured]
    return [
        Row(
            "signed POSTs delivered, CPU",
            f"{delivering.cpu_us:.0f} us ({', '.join(f'{one:.0%}' for one in cpu)})",
            f"a signature alone: {alone.cpu_us:.0f} us",
            statistics.median(cpu),
            GOAL,
        ),
        Row(
            "signed POSTs delivered, rate",
            f"{delivering.per_s:.0f}/s ({', '.join(f'{one:.0%}' for one in rate)})",
            f"signing alone, {THREADS} threads: {signing.per_s:.0f}/s",
            statistics.median(rate),
        ),
        Row(
            "  signed on the event loop",
            f"{inline.per_s:.0f}/s, {inline.cpu_us:.0f} us",
            f"signed by {THREADS} threads: {delivering.per_s:.0f}/s",
            statistics.median(round_[2].per_s / round_[3].per_s for round_ in measured),
        ),
    ]
