"""Viewer statistics: stays saved per second, and how long answers take for a video with very many of them.

    python -m benchmarks.statistics [stays]

Saving is held against the way PeerTube 6.3 saves: one transaction per viewer, one INSERT for it and one per section,
and no sums. Queries ask about one video whose stays lie over sixty days, with a busy evening; bounds that are given cut
through minutes. PostgreSQL is measured where a server program is around.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text, insert, text

from benchmarks.load import Row
from foundation.clock import SystemClock
from foundation.database import Database, Transaction
from foundation.metrics import Metrics
from service.storage import schema
from tests.support.servers import ServerMissingError, postgresql_server
from views.catalog.catalog import Catalog
from views.counters.progress import ProgressStore
from views.model import Video, VideoDraft
from views.ports import NullAnnouncer
from views.stats import rows
from views.stats.model import Metric, Scope, Stay, Traits
from views.stats.presence import PresentViewers
from views.stats.queries import StayStatistics
from views.stats.recorder import Recorder
from views.stats.settling import settle

SAVED = 20_000
ROW_BY_ROW = 500
VIDEOS = 20
DURATION_S = 1_200
BEGIN_MS = 1_780_000_000_000
DAY_MS = 86_400_000
DAYS = 60
GOAL_MS = 200.0
BUILT_AT_ONCE = 20_000

_plain = MetaData()
PLAIN_STAYS = Table(
    "plain_stays",
    _plain,
    Column("id", Integer, primary_key=True),
    Column("video", BigInteger, index=True),
    Column("url", Text, unique=True),
    Column("start_ms", BigInteger),
    Column("end_ms", BigInteger),
    Column("country", Text),
)
PLAIN_SECTIONS = Table(
    "plain_sections",
    _plain,
    Column("id", Integer, primary_key=True),
    Column("stay", BigInteger, index=True),
    Column("start_s", BigInteger),
    Column("end_s", BigInteger),
)


def stays(count: int, videos: Sequence[int], seed: int = 1, days: float = DAYS) -> Iterator[Stay]:
    """Five sections each; a fifth of all in one evening, the others over so many days."""
    chance = random.Random(seed)
    countries = [f"{a}{b}" for a in "ABCDEFGH" for b in "ABCDEFGH"]
    for _ in range(count):
        evening = days == DAYS and chance.random() < 0.2
        at = chance.gauss(40.8 * DAY_MS, DAY_MS / 24) if evening else chance.random() * days * DAY_MS
        start = BEGIN_MS + int(at)
        edges = sorted(chance.sample(range(DURATION_S), 10))
        sections = tuple((edges[index], edges[index + 1]) for index in range(0, 10, 2))
        watched = sum(end - begin for begin, end in sections)
        # Few places and browsers make most of the viewers.
        country = chance.choice(countries[: 1 + int(chance.expovariate(0.1)) % len(countries)])
        traits = Traits(
            country,
            f"{country} {int(chance.expovariate(0.5)) % 20}",
            chance.choice(("Firefox", "Chrome", "Safari", "PeerTube Android")),
            chance.choice((None, "mobile", "tablet")),
            chance.choice(("Linux", "Windows", "Mac OS", "Android", "iOS")),
        )
        name = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        url = f"https://here.example/videos/local-viewer/{name}"
        video = chance.choice(videos)
        yield Stay(video, name, url, start, start + watched * 1_000, watched, sections, traits)


class House:
    """Everything between a stay and an answer, on one database."""

    def __init__(self, database: Database) -> None:
        clock, metrics, announcer = SystemClock(), Metrics(), NullAnnouncer()
        self.database = database
        self.catalog = Catalog(
            database, announcer, clock, "https://here.example/videos/watch/{}".format, "here.example"
        )
        progress = ProgressStore()
        present = PresentViewers(progress, clock)
        self.recorder = Recorder(
            database, progress, present, announcer, clock, metrics, secret=b"benchmark", stay_url=str
        )
        self.statistics = StayStatistics(database, self.recorder, present, self.catalog)

    async def video(self) -> Video:
        made = await self.catalog.put_local(VideoDraft(str(uuid.uuid4()), "A video", DURATION_S))
        assert isinstance(made, tuple)
        return made[0]


async def row_by_row(tx: Transaction, stay: Stay) -> None:
    """As PeerTube keeps them, with a table of sections."""
    added = await tx.execute(
        insert(PLAIN_STAYS)
        .values(video=stay.video, url=stay.url, start_ms=stay.start_ms, end_ms=stay.end_ms, country=stay.traits.country)
        .returning(PLAIN_STAYS.c.id)
    )
    number = added.scalar_one()
    for start_s, end_s in stay.sections:
        await tx.execute(insert(PLAIN_SECTIONS).values(stay=number, start_s=start_s, end_s=end_s))


async def saving(house: House) -> tuple[float, float, float]:
    """Stays per second: row by row, in bulk to one video, in bulk to many."""
    numbers = [(await house.video()).number for _ in range(VIDEOS)]
    started = time.perf_counter()
    for stay in stays(ROW_BY_ROW, numbers, seed=2):
        await house.database.write(partial(row_by_row, stay=stay))
    slow = ROW_BY_ROW / (time.perf_counter() - started)
    rates = []
    for seed, videos in ((3, numbers[:1]), (4, numbers)):
        # What is saved together has ended lately.
        made = list(stays(SAVED, videos, seed, days=2 / 24))
        started = time.perf_counter()
        assert await house.recorder.save(made) == SAVED
        rates.append(SAVED / (time.perf_counter() - started))
    return slow, rates[0], rates[1]


async def asking(house: House, count: int) -> tuple[float, list[tuple[str, float]]]:
    """Seconds it took to build and settle, and milliseconds of each question: the slowest run but the first."""
    video = await house.video()
    started, source = time.perf_counter(), stays(count, [video.number], seed=5)
    left = count
    while left:
        batch = [next(source) for _ in range(min(left, BUILT_AT_ONCE))]
        await house.database.write(partial(rows.insert, stays=batch, ours=[video.number]))
        left -= len(batch)
    await settle(house.database)
    if house.database.dialect == "postgresql":
        await house.database.write(lambda tx: tx.execute(text("ANALYZE")))
    built = time.perf_counter() - started
    scope, ask = Scope((video.number,)), house.statistics
    begin, end = BEGIN_MS + 3 * DAY_MS + 12_345_678, BEGIN_MS + int(40.8 * DAY_MS) + 34_567
    questions: list[tuple[str, Callable[[], Awaitable[object]]]] = [
        ("overall", lambda: ask.overall(scope, None, None)),
        ("overall with bounds", lambda: ask.overall(scope, begin, end)),
        ("user agents", lambda: ask.user_agents(scope, None, None)),
        ("user agents with bounds", lambda: ask.user_agents(scope, begin, end)),
        ("retention", lambda: ask.retention(video.number, DURATION_S)),
        ("viewers by the minute", lambda: ask.timeseries(scope, Metric.VIEWERS, end - DAY_MS // 10, end)),
        ("viewers by the day", lambda: ask.timeseries(scope, Metric.VIEWERS, begin, end)),
        ("watch time, ten years", lambda: ask.timeseries(scope, Metric.AGGREGATE_WATCH_TIME, end - 3650 * DAY_MS, end)),
        ("overall, every video", lambda: ask.overall(Scope(None), None, None)),
    ]
    took = []
    for what, question in questions:
        times = []
        for _ in range(3):
            asked = time.perf_counter()
            await question()
            times.append((time.perf_counter() - asked) * 1_000)
        took.append((what, max(times[1:])))
    return built, took


async def measured(name: str, url: str, count: int) -> list[Row]:
    database = await Database.open(url, clock=SystemClock(), metrics=Metrics())
    try:
        await database.write(lambda tx: tx.run_sync(schema.load().create_all))
        await database.write(lambda tx: tx.run_sync(_plain.create_all))
        house = House(database)
        slow, one, many = await saving(house)
        by_row = f"{slow:,.0f}/s row by row"
        found = [
            Row(f"{name}: saved, one video", f"{one:,.0f} stays/s", by_row, one / slow),
            Row(f"{name}: saved, {VIDEOS} videos", f"{many:,.0f} stays/s", by_row, many / slow),
        ]
        built, took = await asking(house, count)
        found.append(Row(f"{name}: {count:,} stays at one video", f"built and settled in {built:.0f} s"))
        return found + [Row(f"{name}: {what}", f"{ms:.1f} ms") for what, ms in took]
    finally:
        await database.close()


def run(_seconds: float, _rounds: int, count: int = 50_000) -> list[Row]:
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        found = asyncio.run(measured("SQLite", f"sqlite:///{Path(directory)}/statistics.sqlite", count))
        try:
            server = stack.enter_context(postgresql_server())
        except ServerMissingError as problem:
            return [*found, Row("PostgreSQL", f"not measured here: {problem}")]
        return found + asyncio.run(measured("PostgreSQL", server.url("postgres"), count))


if __name__ == "__main__":
    for row in run(0, 0, int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000):
        ratio = f"  ({row.ratio:.1f} times {row.against})" if row.ratio is not None else ""
        print(f"{row.what:<42} {row.measured}{ratio}")
