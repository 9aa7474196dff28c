"""N live videos told to M peers: how many POSTs one period takes. The real deliverer; only the network is not there.

Peers that take Collections get all totals in one POST (M in all); those that do not get one each (N x M).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, cast

import uvloop

from benchmarks.load import Row
from foundation.clock import SystemClock
from foundation.database import Database
from foundation.metrics import Metrics
from outbox.batching import Batch
from outbox.cadence import TotalsPolicy
from outbox.deliverer import Deliverer
from outbox.durable_lane import DurableLane
from outbox.lanes import Courier
from outbox.log import ActivityLog
from outbox.posting import Outcome, Poster
from outbox.retry import Meaning, RetryPolicy
from outbox.round import Lanes
from outbox.routing import Route
from outbox.serving import DeliveryRules
from outbox.soft_lanes import TellLane, TotalsLane
from outbox.tells import TellSlots
from outbox.totals import TotalsBoard
from service.storage import schema
from views.catalog.catalog import Catalog
from views.model import Video, VideoDraft
from views.ports import NullAnnouncer
from views.shown import Shown

VIDEOS, PEERS = 50, 10
ACTOR = "https://bench.example/accounts/peertube"


class CountingPoster:
    """Delivers nothing, always."""

    def __init__(self) -> None:
        self.posts = self.activities = 0

    async def post(self, host: str, actor: str, url: str, body: bytes) -> Outcome:
        self.posts += 1
        self.activities += body.count(b'"InteractionCounter"')
        return Outcome(Meaning.DELIVERED, "status_204", 204)


class Book:
    def __init__(self, batch: bool) -> None:
        self._batch = batch
        self._hosts = tuple(f"peer{number}.example" for number in range(PEERS))

    def route(self, host: str) -> Route:
        batch = Batch.VIEWS if self._batch else Batch.NOTHING
        return Route(host, f"https://{host}/inbox", views=True, totals=True, batch=batch)

    def follower_hosts(self) -> Sequence[str]:
        return self._hosts


async def _period(directory: str, batch: bool) -> tuple[int, float]:
    """POSTs until every peer knows every total, and the CPU seconds they took."""
    clock, metrics = SystemClock(), Metrics()
    database = await Database.open(f"sqlite:///{Path(directory) / str(batch)}.sqlite", clock=clock, metrics=metrics)
    tables = schema.load()
    await database.write(lambda tx: tx.run_sync(tables.create_all))
    catalog = Catalog(database, NullAnnouncer(), clock, lambda one: f"https://bench.example/w/{one}", "bench.example")
    live: list[Video] = []
    for number in range(VIDEOS):
        put = await catalog.put_local(VideoDraft(f"9c9de5e8-0a1e-484a-b099-{number:012x}", "Benchmark", 600))
        live.append(cast("tuple[Video, bool]", put)[0])

    async def numbers(videos: Sequence[Video]) -> Sequence[Shown]:
        return [Shown(7, 7) for _ in videos]

    async def told(*_: object) -> None:
        return None

    poster, slots, board = CountingPoster(), TellSlots(), TotalsBoard(TotalsPolicy(120_000))
    log, courier = ActivityLog(database), Courier(cast(Poster, poster), clock, metrics)
    nobody = cast(Any, SimpleNamespace())
    deliverer = Deliverer(
        log=log,
        slots=slots,
        board=board,
        book=Book(batch),
        lanes=Lanes(
            DurableLane(
                log=log, courier=courier, directory=nobody, policy=RetryPolicy(), clock=clock, random=lambda: 0.0
            ),
            TellLane(actor=ACTOR, slots=slots, courier=courier, directory=nobody, told=told, clock=clock),
            TotalsLane(
                actor=ACTOR, board=board, courier=courier, numbers=numbers, video_of=catalog.by_number, clock=clock
            ),
        ),
        numbers=numbers,
        rules=DeliveryRules(),
        clock=clock,
        metrics=metrics,
        random=lambda: 0.0,
    )
    started = time.process_time()
    await deliverer.start()
    for video in live:
        deliverer.number_moved(video)
    try:
        async with asyncio.timeout(10):
            while poster.activities < VIDEOS * PEERS:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    finally:
        await deliverer.stop()
        await database.close()
    return poster.posts, time.process_time() - started


async def _measure() -> list[tuple[int, float]]:
    with TemporaryDirectory() as directory:
        return [await _period(directory, batch) for batch in (True, False)]


def run(seconds: float, rounds: int) -> list[Row]:
    (together, cpu), (single, cpu_single) = uvloop.run(_measure())
    what = f"{VIDEOS} live videos x {PEERS} peers"
    against = f"one POST per video and peer: {VIDEOS * PEERS}"
    return [
        Row(what, f"{together} POSTs, {cpu * 1e3:.0f} ms CPU", against, VIDEOS * PEERS / together, float(VIDEOS)),
        Row("  peers without Collections", f"{single} POSTs, {cpu_single * 1e3:.0f} ms CPU"),
    ]
