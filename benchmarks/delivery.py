"""What delivering totals costs, and whom a hanging peer holds up. The real deliverer and real signatures; no network.

One period is every total told once to every follower: in Collections as any server takes them, and one POST for each,
in the same run. Where that would take too long, some of the followers are served and the rest is reckoned. Lag is from
the change of a number to the POST that says it, with 1 000 peers that answer after 5 ms, and none, one or fifty that
never do (given up after 7 s, as in the service).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import uvloop

from benchmarks.load import Row
from federation.keys import KeyPair
from federation.signatures.signer import Signer
from foundation.clock import SystemClock
from foundation.metrics import Metrics
from outbox.batching import Batch
from outbox.cadence import Cadence, TotalsPolicy
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
from views.model import Privacy, Video
from views.shown import Shown

SIZES = tuple((videos, peers) for videos in (1, 50, 1_000) for peers in (10, 100, 1_000))
"""Videos and followers."""
MOST_TOTALS, MOST_POSTS = 50_000, 3_000
"""Told in one period of Collections, sent in one of single POSTs; beyond it followers are left out."""
PEERS, HANGING = 1_000, (0, 1, 50)
MOVES = 6
ANSWER_S, HANG_S = 0.005, 7.0
NOW_MS = 1_800_000_000_000
ACTOR = "https://bench.example/accounts/peertube"
DELIVERED = Outcome(Meaning.DELIVERED, "status_204", 204)


@dataclass
class World:
    """Answers every POST, after ``answer_s``; those to ``hanging`` hosts never."""

    numbers: dict[int, int]
    answer_s: float = 0.0
    hanging: frozenset[str] = frozenset()
    signer: Signer | None = None
    posts: int = 0
    size: int = 0
    totals: int = 0
    moved_s: dict[int, float] = field(default_factory=dict)
    lags: list[float] = field(default_factory=list)

    async def post(self, host: str, actor: str, url: str, body: bytes) -> Outcome:
        if host in self.hanging:
            await asyncio.sleep(HANG_S)
            return Outcome(Meaning.LATER, "timeout")
        if self.signer is not None:
            self.signer.sign_headers("POST", url, body, NOW_MS)
        self.posts += 1
        self.size += len(body)
        self.totals += body.count(b'"userInteractionCount"')
        if self.moved_s:
            count = int(body.rpartition(b'"userInteractionCount":')[2].partition(b"}")[0])
            self.lags.append(time.monotonic() - self.moved_s[count])
            await asyncio.sleep(self.answer_s)
        return DELIVERED

    async def shown(self, videos: Sequence[Video]) -> Sequence[Shown]:
        return [Shown(self.numbers[video.number], 0) for video in videos]

    # In place of the log.

    async def owed(self) -> Sequence[str]:
        return ()

    async def heads(self, seq: int) -> dict[str, int]:
        return {}


class Book:
    def __init__(self, peers: int, batch: Batch) -> None:
        self._batch = batch
        self._hosts = tuple(f"peer{number}.example" for number in range(peers))

    def route(self, host: str) -> Route:
        inbox = f"https://{host}/inbox"
        return Route(host, inbox, views=True, totals=True, cadence=Cadence.FAST, batch=self._batch)

    def follower_hosts(self) -> Sequence[str]:
        return self._hosts


def _videos(count: int) -> list[Video]:
    url = "https://bench.example/videos/watch/9c9de5e8-0a1e-484a-b099-{:012x}"
    return [
        Video(n, url[-36:], url.format(n), "bench.example", True, "v", 60, True, "c", Privacy.PUBLIC, 0, 0)
        for n in range(1, count + 1)
    ]


def _deliverer(world: World, videos: Sequence[Video], peers: int, batch: Batch = Batch.EVERYTHING) -> Deliverer:
    clock, metrics, nobody = SystemClock(), Metrics(), cast(Any, SimpleNamespace())
    slots, board, log = TellSlots(), TotalsBoard(TotalsPolicy(120_000)), cast(ActivityLog, world)
    courier = Courier(cast(Poster, world), clock, metrics)
    numbered = {video.number: video for video in videos}

    async def video_of(number: int) -> Video | None:
        return numbered.get(number)

    async def told(*_: object) -> None:
        return None

    lanes = Lanes(
        DurableLane(log=log, courier=courier, directory=nobody, policy=RetryPolicy(), clock=clock, random=lambda: 0.0),
        TellLane(actor=ACTOR, slots=slots, courier=courier, directory=nobody, told=told, clock=clock),
        TotalsLane(actor=ACTOR, board=board, courier=courier, numbers=world.shown, video_of=video_of, clock=clock),
    )
    return Deliverer(
        log=log,
        slots=slots,
        board=board,
        book=Book(peers, batch),
        lanes=lanes,
        numbers=world.shown,
        rules=DeliveryRules(announce_within_ms=300),
        clock=clock,
        metrics=metrics,
        random=lambda: 0.0,
    )


@dataclass(frozen=True, slots=True)
class Period:
    """One POST, one signature."""

    posts: float
    megabytes: float
    cpu_s: float

    @property
    def text(self) -> str:
        return f"{self.posts:.0f} POSTs, {self.megabytes:.2f} MB, {self.cpu_s:.3g} s CPU"


async def _period(count: int, peers: int, batch: Batch, signer: Signer) -> Period:
    """What one period takes."""
    served = min(peers, max(1, (MOST_TOTALS if batch is Batch.EVERYTHING else MOST_POSTS) // count))
    videos = _videos(count)
    world = World({video.number: 7 for video in videos}, signer=signer)
    deliverer = _deliverer(world, videos, served, batch)
    started = time.process_time()
    await deliverer.start()
    for video in videos:
        deliverer.number_moved(video)
    try:
        async with asyncio.timeout(60):
            while world.totals < count * served:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    finally:
        await deliverer.stop()
    share = peers / served
    return Period(world.posts * share, world.size * share / 1e6, (time.process_time() - started) * share)


async def _lags(hanging: int) -> list[float]:
    """Seconds, sorted, of every peer that answers; the first move, which finds the hanging ones, among them."""
    [video] = _videos(1)
    hosts = frozenset(f"peer{number * (PEERS // max(hanging, 1))}.example" for number in range(hanging))
    world = World({1: 0}, ANSWER_S, hosts)
    deliverer = _deliverer(world, [video], PEERS)
    await deliverer.start()
    try:
        for move in range(1, MOVES + 1):
            world.numbers[1], world.moved_s[move] = move, time.monotonic()
            deliverer.number_moved(video)
            async with asyncio.timeout(20):
                while len(world.lags) < move * (PEERS - hanging):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
    finally:
        await deliverer.stop()
    return sorted(world.lags)


def run(seconds: float, rounds: int) -> list[Row]:
    rows = []
    signer = Signer(f"{ACTOR}#main-key", KeyPair.generate().private_key)
    for videos, peers in SIZES:
        together = uvloop.run(_period(videos, peers, Batch.EVERYTHING, signer))
        singly = uvloop.run(_period(videos, peers, Batch.NOTHING, signer))
        rows.append(
            Row(
                f"{videos} videos x {peers} followers",
                together.text,
                f"CPU of one POST each: {singly.text}",
                singly.cpu_s / together.cpu_s,
            )
        )
    for hanging in HANGING:
        lags = uvloop.run(_lags(hanging))
        p50, p99 = lags[len(lags) // 2], lags[len(lags) * 99 // 100]
        measured = f"lag p50 {p50 * 1e3:.0f} ms, p99 {p99 * 1e3:.0f} ms, longest {lags[-1] * 1e3:.0f} ms"
        rows.append(Row(f"{PEERS} peers, {hanging} hanging", measured))
    return rows
