"""Writes that cannot wait: what is certain when they give up, and what is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import BigInteger, Column, MetaData, Table, func, select, text

from foundation.clock import ManualClock
from foundation.database import Database, Transaction
from foundation.errors import OutcomeUnknown, StorageUnavailable
from foundation.metrics import Metrics

EVERY_DATABASE = True

notes = Table("notes", MetaData(), Column("n", BigInteger, primary_key=True))


@pytest.fixture
async def db(database_url: str, clock: ManualClock, metrics: Metrics) -> AsyncIterator[Database]:
    opened = await Database.open(database_url, clock=clock, metrics=metrics)
    await opened.write(lambda tx: tx.run_sync(notes.metadata.create_all))
    yield opened
    await opened.close()


class Slow:
    """A write that is under way until it is let go."""

    def __init__(self, db: Database, patience_ms: int | None = None) -> None:
        self.begun, self.go = asyncio.Event(), asyncio.Event()
        self.task = asyncio.ensure_future(db.write(self._work, patience_ms=patience_ms))

    async def _work(self, tx: Transaction) -> None:
        await tx.execute(notes.insert().values(n=0))
        self.begun.set()
        await self.go.wait()


async def note(db: Database, number: int, patience_ms: int | None = 20) -> None:
    await db.write(lambda tx: tx.execute(notes.insert().values(n=number)), patience_ms=patience_ms)


async def kept(db: Database) -> list[int]:
    async with db.read() as tx:
        return list((await tx.execute(select(notes.c.n).order_by(notes.c.n))).scalars())


async def test_who_gives_up_before_it_began_was_not_done_and_will_not_be(db: Database) -> None:
    slow = Slow(db)
    await slow.begun.wait()
    with pytest.raises(StorageUnavailable) as given_up:
        await note(db, 1)
    assert not isinstance(given_up.value, OutcomeUnknown)
    patient = asyncio.ensure_future(note(db, 2, None))
    await asyncio.sleep(0)
    slow.go.set()
    await slow.task
    await patient
    assert await kept(db) == [0, 2]


async def test_others_need_not_wait_for_the_same_and_all_is_well_afterwards(db: Database) -> None:
    slow = Slow(db)
    await slow.begun.wait()
    with pytest.raises(StorageUnavailable):
        await note(db, 1)
    with pytest.raises(StorageUnavailable):
        await asyncio.wait_for(note(db, 2, 3_600_000), 20)
    slow.go.set()
    await slow.task
    await note(db, 3, 3_600_000)
    assert await kept(db) == [0, 3]


async def test_of_what_is_under_way_nobody_knows_the_outcome(db: Database) -> None:
    slow = Slow(db, patience_ms=20)
    with pytest.raises(OutcomeUnknown):
        await slow.task
    slow.go.set()
    await note(db, 1, None)
    assert await kept(db) == [0, 1]


async def test_patience_that_is_not_needed_changes_nothing(db: Database) -> None:
    await asyncio.gather(*(note(db, number, 3_600_000) for number in range(50)))
    assert await kept(db) == list(range(50))


SLOW_COMMIT = """
CREATE FUNCTION wait_a_while() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(30); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON notes DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION wait_a_while();
"""


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_connection_lost_in_the_middle_of_a_commit_says_so_and_repeats_nothing(
    db: Database, database_url: str, clock: ManualClock
) -> None:
    async def prepare(tx: Transaction) -> None:
        for statement in SLOW_COMMIT.strip().split(";\nCREATE CONSTRAINT"):
            await tx.execute(text(statement if statement.startswith("CREATE F") else "CREATE CONSTRAINT" + statement))

    await db.write(prepare)
    writes = [asyncio.ensure_future(note(db, number, None)) for number in range(3)]
    watching = await Database.open(database_url, clock=clock, metrics=Metrics())
    committing = "FROM pg_stat_activity WHERE query = 'COMMIT;' AND state = 'active'"
    try:
        async with asyncio.timeout(20):
            for _ in range(10_000):
                async with watching.read() as tx:
                    if await tx.scalar(text(f"SELECT count(*) {committing}")):
                        break
        async with watching.read() as tx:
            await tx.execute(text(f"SELECT pg_terminate_backend(pid) {committing}"))
        ended = await asyncio.gather(*writes, return_exceptions=True)
        assert [type(each) for each in ended] == [OutcomeUnknown] * 3
        await db.write(lambda tx: tx.execute(text("DROP TRIGGER slow ON notes")))
        async with watching.read() as tx:
            assert await tx.scalar(select(func.count()).select_from(notes)) == 0
    finally:
        await watching.close()
