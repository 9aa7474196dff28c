"""History is brought in once, whatever happens meanwhile, and sums equal a full recount, on both databases."""

from __future__ import annotations

import asyncio
import io
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path as File

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundation.clock import ManualClock
from foundation.database import Database
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from tests.views.pages.naive import recounted, sums_of, visits_of
from tests.views.pages.page_house import BLOG, DAY_MS, SHOP, PageHouse, build, in_a_loop
from tests.views.pages.test_sums import _empty
from views.counters.memory import MemoryCounterStore
from views.counters.progress import ProgressStore
from views.pages.backfill import History
from views.pages.jobs import Job, Status
from views.pages.sources.access_log import AccessLog
from views.pages.sources.table import Table

EVERY_DATABASE = True

Row = tuple[int, str, str]
"""Minutes since the file begins, path, session."""

BEGIN_MS = 1_790_000_000_000


def csv(rows: Sequence[Row]) -> bytes:
    lines = [f'{BEGIN_MS + minute * 60_000},"{path}",{session}' for minute, path, session in rows]
    return "\n".join(["timestamp,path,sessionId", *lines, ""]).encode()


def history(house: PageHouse, data: bytes, name: str = "job", host: str = BLOG) -> History:
    return History(name, house.site(host), Table(), io.BytesIO(data), len(data))


async def last(jobs: AsyncIterator[Job], most: int = 10_000) -> Job:
    """The job after ``most`` steps at most: as if the process had ended, nothing of it is left but the database."""
    found = Job("")
    async for job in jobs:
        found = job
        most -= 1
        if most <= 0:
            break
    return found


async def bring_in(house: PageHouse, data: bytes, name: str = "job", host: str = BLOG) -> Job:
    return await last(house.pages.backfill.bring_in(history(house, data, name, host)))


ROWS: list[Row] = [(n * 3, f"/{n % 4}", f"s{n % 5}") for n in range(60)]


async def test_a_file_is_brought_in_once(house: PageHouse) -> None:
    data = csv(ROWS)
    steps = [job async for job in house.pages.backfill.bring_in(history(house, data))]
    assert [job.processed for job in steps] == [*range(0, 60, 7), 60]
    assert [job.cursor for job in steps] == sorted(job.cursor for job in steps)
    done = steps[-1]
    assert (done.status, done.cursor, done.unique_sessions) == (Status.DONE, len(data), 5)
    assert done.counted + done.skipped == 60
    sums = await sums_of(house.database)
    assert sums == recounted(await visits_of(house.database))
    assert await bring_in(house, data) == done
    # Also under another name: each visit is known.
    again = await bring_in(house, data, "another")
    assert (again.counted, again.skipped, again.unique_sessions) == (0, 60, 0)
    assert await sums_of(house.database) == sums


async def test_the_dedup_holds_between_file_and_beacon(house: PageHouse) -> None:
    minute = 60_000
    now = house.clock.now_ms()
    await house.view("a", "/x")
    key = house.site()
    session = (await visits_of(house.database))[0].session
    backfill = house.pages.backfill
    backfill._session_then = lambda *_: session
    lines = [f"{now + offset},/x,a" for offset in (-30 * minute, 1 - 30 * minute, 0, 30 * minute - 1, 30 * minute)]
    job = await bring_in(house, "\n".join(["timestamp,path,sessionId", *lines, ""]).encode())
    assert (job.counted, job.skipped) == (2, 3)
    assert await house.pages.queries.count(key, "/x", None, None) == 3


async def test_what_retention_would_take_away_is_not_brought_in(house: PageHouse) -> None:
    oldest_ms = house.clock.now_ms() - 400 * DAY_MS
    lines = [f"{at_ms},/x,{who}" for who, at_ms in (("a", oldest_ms - 1), ("b", oldest_ms), ("c", 915_148_800_000))]
    job = await bring_in(house, "\n".join(["timestamp,path,sessionId", *lines, ""]).encode())
    assert (job.counted, job.skipped, job.unique_sessions) == (1, 2, 1)
    assert (await house.pages.queries.totals(house.site(), None)).since_ms == oldest_ms


async def test_killed_at_any_step_it_goes_on_and_ends_alike(house: PageHouse) -> None:
    data = csv(ROWS)
    for _ in range(20):
        job = await last(house.pages.backfill.bring_in(history(house, data)), 2)
        if job.status is Status.DONE:
            break
    assert (job.status, job.processed) == (Status.DONE, 60)
    assert await sums_of(house.database) == recounted(await visits_of(house.database))


async def test_a_step_that_fails_changes_nothing(house: PageHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    from views.pages import backfill as module

    async def broken(*_: object) -> Job:
        raise StorageUnavailable("database: gone")

    with monkeypatch.context() as patched:
        patched.setattr(module, "keep", broken)
        with pytest.raises(StorageUnavailable):
            await bring_in(house, csv(ROWS))
    assert await visits_of(house.database) == []
    assert (await bring_in(house, csv(ROWS))).status is Status.DONE
    assert await sums_of(house.database) == recounted(await visits_of(house.database))


async def test_two_at_once_do_it_once(house: PageHouse, database_url: str, clock: ManualClock) -> None:
    other = await Database.open(database_url, clock=clock, metrics=Metrics())
    second = await build(other, clock, Metrics(), MemoryCounterStore(1_000), ProgressStore())
    data = csv(ROWS)
    both = await asyncio.gather(bring_in(house, data), bring_in(second, data))
    assert both[0] == both[1]
    assert (both[0].processed, both[0].unique_sessions) == (60, 5)
    visits = await visits_of(house.database)
    assert len(visits) == both[0].counted
    assert await sums_of(house.database) == recounted(visits)
    await other.close()


async def test_sums_made_anew_are_the_same_while_views_come_in(house: PageHouse) -> None:
    await bring_in(house, csv(ROWS))
    await house.view("late", "/0", referrer="r.example", country="FR", host=SHOP)
    before = await sums_of(house.database)
    job = await last(house.pages.backfill.recount(anew=True), 2)
    await house.view("meanwhile", "/0")
    assert job.status is Status.RUNNING
    # Started again, it goes on; told to begin anew, it does not begin anew what is under way.
    job = await last(house.pages.backfill.recount(anew=True))
    assert job.status is Status.DONE
    assert job.processed == len(await visits_of(house.database)) - 1
    after = await sums_of(house.database)
    assert after == recounted(await visits_of(house.database))
    assert after != before
    job = await last(house.pages.backfill.recount())
    assert (job.status, job.processed) == (Status.DONE, 0)
    assert await sums_of(house.database) == after


FILES = st.lists(
    st.lists(
        st.tuples(st.integers(0, 200), st.sampled_from(["/", "/a", "/b"]), st.sampled_from(["s1", "s2", "s3"])),
        max_size=20,
    ),
    max_size=3,
)


@given(files=FILES, stops=st.lists(st.integers(1, 4), max_size=6), batch=st.integers(1, 9))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_brought_in_equals_a_full_recount(files: list[list[Row]], stops: list[int], batch: int) -> None:
    """With views between, kills at any step, sums made anew at the end; and bringing it in again changes nothing."""

    async def run(directory: File) -> None:
        clock = ManualClock(BEGIN_MS + 100 * 60_000)
        database = await _empty(directory, clock)
        kills = list(stops)
        try:
            house = await build(database, clock, Metrics(), MemoryCounterStore(1_000), ProgressStore(), batch=batch)
            for number, rows in enumerate(files):
                await house.view("s1", "/a", referrer="r.example")
                await _through(house, csv(rows), str(number), kills)
            visits = await visits_of(database)
            assert len({(seen.path, seen.session, seen.at_ms) for seen in visits}) == len(visits)
            sums = await sums_of(database)
            assert sums == recounted(visits)
            for number, rows in enumerate(files):
                job = await bring_in(house, csv(rows), f"again {number}")
                assert job.counted == 0
            assert await sums_of(database) == sums
            await last(house.pages.backfill.recount(anew=True))
            assert await sums_of(database) == sums
        finally:
            await database.close()

    directory = File(tempfile.mkdtemp())
    try:
        in_a_loop(run(directory))
    finally:
        shutil.rmtree(directory)


async def _through(house: PageHouse, data: bytes, name: str, kills: list[int]) -> None:
    status = Status.RUNNING
    while status is not Status.DONE:
        most = kills.pop() if kills else 10_000
        status = (await last(house.pages.backfill.bring_in(history(house, data, name)), most)).status


LOG = b"""\
203.0.113.9 - - [20/Sep/2026:10:00:00 +0200] "GET /post?x=1 HTTP/1.1" 200 512 "https://search.example/?q" "Firefox"
203.0.113.9 - - [20/Sep/2026:10:05:00 +0200] "GET /post HTTP/1.1" 200 512 "-" "Firefox"
203.0.113.9 - - [20/Sep/2026:10:05:01 +0200] "GET /style.css HTTP/1.1" 200 512 "-" "Firefox"
203.0.113.9 - - [20/Sep/2026:10:06:00 +0200] "POST /post HTTP/1.1" 200 512 "-" "Firefox"
203.0.113.9 - - [20/Sep/2026:10:07:00 +0200] "GET /none HTTP/1.1" 404 512 "-" "Firefox"
203.0.113.9 - - [20/Sep/2026:10:08:00 +0200] "GET /b HTTP/1.1" 200 512 "-" "Googlebot/2.1"
blog.example 2001:db8::1 - anna [20/Sep/2026:10:09:00 +0200] "GET /b HTTP/2.0" 304 - "-" "Safari \\"x\\""
198.51.100.1 - - [20/Sep/2026:10:10:00 +0200] "GET / HTTP/1.0" 200 77
not a line at all
198.51.100.1 - - [31/Feb/2026:10:10:00 +0200] "GET / HTTP/1.0" 200 77
198.51.100.1 - - [20/Sep/2026:10:11:00 +0200] "\\x16\\x03" 400 0 "-" "-"
"""


async def test_an_access_log(house: PageHouse) -> None:
    log = AccessLog(lambda agent: "bot" in agent)
    job = await last(house.pages.backfill.bring_in(replace(history(house, LOG), source=log)))
    assert (job.status, job.processed, job.counted, job.skipped) == (Status.DONE, 11, 3, 8)
    visits = await visits_of(house.database)
    assert sorted((seen.path, seen.referrer) for seen in visits) == [
        ("/", None),
        ("/b", None),
        ("/post", "search.example"),
    ]
    assert min(seen.at_ms for seen in visits) == 1_789_891_200_000


async def test_the_key_of_a_visitor_then_is_that_of_the_beacon(clock: ManualClock) -> None:
    from views.sessions import Identity

    identity = Identity(bytes(32), clock)
    for session_id in (None, "abc"):
        today, _ = identity.visitor("blog.example", session_id, "203.0.113.9", "Firefox")
        then = clock.now_ms()
        clock.advance(3 * 86_400_000)
        assert identity.visitor_then("blog.example", session_id, "203.0.113.9", "Firefox", then) == today
        later, yesterday = identity.visitor("blog.example", session_id, "203.0.113.9", "Firefox")
        assert (later == today) is (session_id is not None)
        assert yesterday != today
