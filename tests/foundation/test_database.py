from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from sqlalchemy import BigInteger, Column, MetaData, Table, func, select
from sqlalchemy.exc import IntegrityError

from foundation.clock import ManualClock
from foundation.database import Database, Transaction, upsert
from foundation.database_urls import driver_url
from foundation.errors import ConfigError, StorageUnavailable
from foundation.metrics import Metrics

EVERY_DATABASE = True
ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

notes = Table("notes", MetaData(), Column("n", BigInteger, primary_key=True), Column("times", BigInteger))


@pytest.fixture
async def db(database_url: str, clock: ManualClock, metrics: Metrics) -> AsyncIterator[Database]:
    opened = await Database.open(database_url, clock=clock, metrics=metrics, max_waiting=500)
    await opened.write(lambda tx: tx.run_sync(notes.metadata.create_all))
    yield opened
    await opened.close()


def note(number: int) -> Callable[[Transaction], Awaitable[int]]:
    async def work(tx: Transaction) -> int:
        await tx.execute(notes.insert().values(n=number, times=1))
        return number

    return work


async def kept(db: Database) -> list[int]:
    async with db.read() as tx:
        return list((await tx.execute(select(notes.c.n).order_by(notes.c.n))).scalars())


def metric(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, labels) or 0.0


class Gate:
    """A write that holds the writer until it is opened."""

    def __init__(self, db: Database) -> None:
        self.entered, self.opened = asyncio.Event(), asyncio.Event()
        self.task = asyncio.ensure_future(db.write(self._work))

    async def _work(self, tx: Transaction) -> None:
        self.entered.set()
        await self.opened.wait()


async def test_many_writes_share_few_commits(db: Database, metrics: Metrics) -> None:
    before = metric(metrics, "fediviews_database_commits_total")
    results = await asyncio.gather(*(db.write(note(number)) for number in range(300)))
    assert results == list(range(300))
    assert await kept(db) == list(range(300))
    assert metric(metrics, "fediviews_database_commits_total") - before <= 3
    assert metric(metrics, "fediviews_database_writes_total") >= 300


async def test_writes_run_in_the_order_of_their_calls(db: Database) -> None:
    order: list[int] = []

    def work(number: int) -> Callable[[Transaction], Awaitable[None]]:
        async def run(tx: Transaction) -> None:
            order.append(number)
            await asyncio.sleep(0)

        return run

    await asyncio.gather(*(db.write(work(number)) for number in range(50)))
    assert order == list(range(50))


async def test_equal_writes_share_their_statements(db: Database) -> None:
    calls: list[list[int]] = []

    async def together(tx: Transaction, numbers: Sequence[int]) -> list[int]:
        calls.append(list(numbers))
        await tx.execute(notes.insert(), [{"n": number, "times": 1} for number in numbers])
        return [number * 10 for number in numbers]

    gate = Gate(db)
    await gate.entered.wait()
    writing = asyncio.gather(
        *(db.write_together(together, number) for number in range(3)),
        db.write(note(7)),
        db.write_together(together, 3),
    )
    await asyncio.sleep(0)
    gate.opened.set()
    assert await writing == [0, 10, 20, 7, 30]
    assert calls == [[0, 1, 2, 3]]
    assert await kept(db) == [0, 1, 2, 3, 7]


async def test_after_a_failure_each_of_the_equal_writes_is_alone(db: Database) -> None:
    async def together(tx: Transaction, numbers: Sequence[int]) -> Sequence[int]:
        await tx.execute(notes.insert(), [{"n": number, "times": 1} for number in numbers])
        return numbers

    gate = Gate(db)
    await gate.entered.wait()
    writing = asyncio.gather(*(db.write_together(together, number) for number in (1, 2, 2, 3)), return_exceptions=True)
    await asyncio.sleep(0)
    gate.opened.set()
    results = await writing
    assert isinstance(results.pop(2), IntegrityError)
    assert results == [1, 2, 3] == await kept(db)


@pytest.mark.parametrize("culprit", [0, 3, 9])
async def test_only_the_culprit_hears_of_its_error(db: Database, metrics: Metrics, culprit: int) -> None:
    async def broken(tx: Transaction) -> int:
        await tx.execute(notes.insert().values(n=1000, times=1))
        raise LookupError("mine")

    gate = Gate(db)
    await gate.entered.wait()
    writes = [db.write(broken if number == culprit else note(number)) for number in range(10)]
    writing = asyncio.gather(*writes, return_exceptions=True)
    await asyncio.sleep(0)
    gate.opened.set()
    results = await writing
    assert isinstance(results.pop(culprit), LookupError)
    good = [number for number in range(10) if number != culprit]
    assert results == good == await kept(db)
    assert metric(metrics, "fediviews_database_group_splits_total") == 1


async def test_a_broken_rule_is_the_callers_own(db: Database) -> None:
    results = await asyncio.gather(*(db.write(note(7)) for _ in range(3)), return_exceptions=True)
    assert results[0] == 7
    assert all(isinstance(result, IntegrityError) for result in results[1:])
    assert await kept(db) == [7]


async def test_a_cancelled_caller_disturbs_nobody(db: Database) -> None:
    gate = Gate(db)
    await gate.entered.wait()
    writes = [asyncio.ensure_future(db.write(note(number))) for number in range(5)]
    await asyncio.sleep(0)
    writes[2].cancel()
    gate.task.cancel()
    await asyncio.sleep(0)
    gate.opened.set()
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [result for result in results if isinstance(result, int)] == [0, 1, 3, 4]
    assert await kept(db) == [0, 1, 3, 4]


async def test_a_cancellation_inside_a_work_does_not_end_the_writer(db: Database) -> None:
    async def cancelled(tx: Transaction) -> None:
        raise asyncio.CancelledError

    results = await asyncio.gather(db.write(cancelled), db.write(note(1)), return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert await db.write(note(2)) == 2
    assert await kept(db) == [1, 2]


async def test_a_full_queue_refuses(database_url: str, clock: ManualClock, metrics: Metrics) -> None:
    db = await Database.open(database_url, clock=clock, metrics=metrics, max_waiting=2)
    await db.write(lambda tx: tx.run_sync(notes.metadata.create_all))
    gate = Gate(db)
    await gate.entered.wait()
    waiting = [asyncio.ensure_future(db.write(note(number))) for number in range(2)]
    await asyncio.sleep(0)
    assert metric(metrics, "fediviews_database_waiting_writes") == 2
    with pytest.raises(StorageUnavailable, match="too many"):
        await db.write(note(3))
    gate.opened.set()
    assert await asyncio.gather(*waiting) == [0, 1]
    assert metric(metrics, "fediviews_database_failures_total", reason="queue_full") == 1
    await db.close()


async def test_closing_commits_what_waits_and_refuses_what_comes(
    database_url: str, db: Database, clock: ManualClock
) -> None:
    other = await Database.open(database_url, clock=clock, metrics=Metrics())
    gate = Gate(other)
    await gate.entered.wait()
    waiting = [asyncio.ensure_future(other.write(note(number))) for number in range(5)]
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(other.close())
    await asyncio.sleep(0)
    with pytest.raises(StorageUnavailable, match="closed"):
        await other.write(note(9))
    gate.opened.set()
    await closing
    assert await asyncio.gather(*waiting) == await kept(db) == list(range(5))


async def test_a_write_inside_a_write_is_a_bug(db: Database) -> None:
    async def nested(tx: Transaction) -> None:
        await db.write(note(1))

    with pytest.raises(RuntimeError, match="inside a write"):
        await db.write(nested)


async def test_a_reader_sees_what_was_acknowledged_and_cannot_write(db: Database) -> None:
    await db.write(note(1))
    assert await kept(db) == [1]
    with pytest.raises(StorageUnavailable, match="read only"):
        async with db.read() as tx:
            await tx.execute(notes.delete())
    assert await kept(db) == [1]


async def test_a_reader_keeps_its_instant(db: Database) -> None:
    counted = select(func.count()).select_from(notes)
    async with db.read() as tx:
        assert (await tx.execute(counted)).scalar_one() == 0
        await db.write(note(1))
        assert (await tx.execute(counted)).scalar_one() == 0
    assert await kept(db) == [1]


async def test_upsert(db: Database) -> None:
    async def work(tx: Transaction) -> int:
        row = upsert(tx, notes).values(n=1, times=1)
        row = row.on_conflict_do_update(index_elements=["n"], set_={"times": notes.c.times + row.excluded.times})
        return int((await tx.execute(row.returning(notes.c.times))).scalar_one())

    assert [await db.write(work) for _ in range(3)] == [1, 2, 3]


@ONLY_SQLITE
async def test_a_locked_database_is_unavailable_and_comes_back(
    db: Database, database_url: str, monkeypatch: pytest.MonkeyPatch, clock: ManualClock
) -> None:
    monkeypatch.setattr("foundation.database_engines.BUSY_TIMEOUT_MS", 1)
    impatient = await Database.open(database_url, clock=clock, metrics=Metrics())
    other = sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        results = await asyncio.gather(*(impatient.write(note(number)) for number in range(5)), return_exceptions=True)
        assert all(isinstance(result, StorageUnavailable) for result in results), results
        assert "locked" in str(results[0])
        other.execute("ROLLBACK")
        assert await impatient.write(note(6)) == 6
    finally:
        other.close()
        await impatient.close()
    assert await kept(db) == [6]


@ONLY_SQLITE
async def test_a_full_disk_is_unavailable(db: Database) -> None:
    async def small(tx: Transaction) -> None:
        pages = (await tx.exec_driver_sql("PRAGMA page_count")).scalar_one()
        await tx.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    async def large(tx: Transaction) -> None:
        await tx.execute(notes.insert(), [{"n": number, "times": number} for number in range(5000)])

    await db.write(small)
    with pytest.raises(StorageUnavailable, match="disk is full"):
        await db.write(large)
    assert await kept(db) == []


@ONLY_SQLITE
async def test_the_file_is_its_owners_alone(db: Database, database_url: str) -> None:
    await db.write(note(1))
    path = Path(database_url.removeprefix("sqlite:///"))
    for file in path.parent.glob(path.name + "*"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


async def test_a_file_that_is_no_database(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "text"
    path.write_text("this is no database, and longer than a header " * 40)
    with pytest.raises(StorageUnavailable, match="not a database"):
        await Database.open(f"sqlite:///{path}", clock=clock, metrics=Metrics())
    with pytest.raises(StorageUnavailable):
        await Database.open(f"sqlite:///{tmp_path}", clock=clock, metrics=Metrics())


@pytest.mark.parametrize("url", ["mysql://host/name", "sqlite://", "sqlite:///:memory:", "nonsense", "", "sqlite:/"])
def test_urls_that_are_not_supported(url: str) -> None:
    with pytest.raises(ConfigError, match=r"storage\.database"):
        driver_url(url)


def test_urls_that_are() -> None:
    assert driver_url("sqlite:////var/lib/x").database == "/var/lib/x"
    assert driver_url("postgresql://me@host/name").drivername == "postgresql+asyncpg"


KILLED = """
import asyncio, sys
from sqlalchemy import text
from foundation.clock import SystemClock
from foundation.database import Database
from foundation.metrics import Metrics

async def main():
    db = await Database.open(sys.argv[1], clock=SystemClock(), metrics=Metrics())
    async def one(number):
        await db.write(lambda tx: tx.execute(text("INSERT INTO notes VALUES (:n, 1)"), {"n": number}))
        print(number, flush=True)
    for start in range(0, 1_000_000, 20):
        await asyncio.gather(*(one(number) for number in range(start, start + 20)))

asyncio.run(main())
"""


async def test_what_was_acknowledged_survives_a_kill(db: Database, database_url: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, database_url, stdout=asyncio.subprocess.PIPE, env=dict(os.environ)
    )
    assert process.stdout is not None
    try:
        lines = [await asyncio.wait_for(process.stdout.readline(), 30) for _ in range(500)]
        assert lines[-1].endswith(b"\n")
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
    rest = await process.stdout.read()
    assert await process.wait() == -signal.SIGKILL
    acknowledged = {int(line) for line in b"".join([*lines, rest]).split(b"\n")[:-1]}
    assert len(acknowledged) >= 500
    assert acknowledged <= set(await kept(db))
