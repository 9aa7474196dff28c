"""Signed deliveries per second beside how many requests the same two signing threads sign and do nothing else.

The poster of the door out, over HTTP to a sink in another process that answers 204; 32 deliveries at a time.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

import uvloop
from aiohttp import web

from benchmarks.house import listening
from benchmarks.load import CONNECTIONS, Row, answer_questions, serving
from federation.keys import KeyPair
from federation.signatures.signer import Signer
from federation.vocabulary import PUBLIC
from federation.vocabulary.build import encode, view_viewer
from foundation.clock import SystemClock
from foundation.http import HttpClient
from foundation.metrics import Metrics
from outbox.posting import Poster

ACTOR = "http://127.0.0.1/accounts/peertube"
THREADS = 2
GOAL = 0.8


async def _accept(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(status=204)


async def serve(pipe: Connection) -> None:
    app = web.Application()
    app.router.add_post("/inbox", _accept)
    async with listening(app) as port:
        pipe.send(port)
        await answer_questions(pipe)


async def _rate(work: Callable[[], Awaitable[object]], seconds: float) -> float:
    done = 0
    until = time.monotonic() + seconds

    async def one() -> None:
        nonlocal done
        while time.monotonic() < until:
            await work()
            done += 1

    started = time.monotonic()
    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    return done / (time.monotonic() - started)


async def _measure(port: int, seconds: float, rounds: int) -> list[tuple[float, float]]:
    clock, metrics = SystemClock(), Metrics()
    signer = Signer(f"{ACTOR}#main-key", KeyPair.generate().private_key)
    http = HttpClient(clock, metrics, allow_private_addresses=True, allow_http=True, user_agent="benchmark")
    poster = Poster(
        http=http,
        signer_of=lambda _actor: signer,
        clock=clock,
        metrics=metrics,
        observe_date=lambda _host, _date_ms, _received_ms: None,
        threads=THREADS,
    )
    pool = ThreadPoolExecutor(THREADS)
    loop = asyncio.get_running_loop()
    inbox, now_ms = f"http://127.0.0.1:{port}/inbox", clock.now_ms()
    video = "http://127.0.0.1/videos/watch/9c9de5e8-0a1e-484a-b099-e80766180a6d"
    view = view_viewer(
        actor=ACTOR, number=7, wire_id="v", video=video, to=[PUBLIC], expires_ms=now_ms + 120_000, published_ms=now_ms
    )
    body = encode(view)

    async def sign() -> None:
        await loop.run_in_executor(pool, signer.sign_headers, "POST", inbox, body, clock.now_ms())

    async def deliver() -> None:
        outcome = await poster.post(f"127.0.0.1:{port}", ACTOR, inbox, body)
        if not outcome.delivered:
            raise SystemExit(f"not delivered: {outcome.reason}")

    try:
        await _rate(deliver, 0.3)
        return [(await _rate(sign, seconds), await _rate(deliver, seconds)) for _ in range(rounds)]
    finally:
        poster.close()
        pool.shutdown()
        await http.close()


def run(seconds: float, rounds: int) -> list[Row]:
    with serving(serve) as server:
        measured = uvloop.run(_measure(server.ready, seconds, rounds))
    signing, delivering = (statistics.median(values) for values in zip(*measured, strict=True))
    ratio = statistics.median(posts / signatures for signatures, posts in measured)
    each = ", ".join(f"{posts / signatures:.0%}" for signatures, posts in measured)
    what = f"signing alone, {THREADS} threads: {signing:.0f}/s"
    return [Row("signed POSTs delivered", f"{delivering:.0f}/s ({each})", what, ratio, GOAL)]
