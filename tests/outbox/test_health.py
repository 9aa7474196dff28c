"""What was learnt of hosts by delivering to them outlives the process, and no more than that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.clock import ManualClock
from foundation.database import Database
from outbox.batching import BatchMemory, Doubt
from outbox.breaker import DAY_MS, BreakerState
from outbox.health import Health, Now, doubt_of, health_of, standing_of
from outbox.health_book import HealthBook
from outbox.ledger import Ledger
from outbox.posting import Outcome
from outbox.retry import Meaning
from outbox.standing import FORGET_FAILURE_MS, FORGET_OPEN_MS, Standing, TroublePolicy

EVERY_DATABASE = True
FAILURE = Outcome(Meaning.LATER, "status_503", 503)
POLICY = TroublePolicy()


def failing(times: int, now_ms: int = 0) -> Standing:
    standing = Standing()
    for _ in range(times):
        standing.begins()
        standing.failed(FAILURE, POLICY, lambda: 0.0, now_ms)
    return standing


# Between the clocks


@given(st.integers(1, 20), st.integers(0, 10**9), st.integers(-(10**9), 10**9))
def test_trouble_comes_back_as_it_was(failures: int, passed_ms: int, other_clock_ms: int) -> None:
    """The monotonic clock of the next process begins anywhere."""
    standing = failing(failures, 5_000)
    kept = health_of("h", Now(10**12, 5_000), standing=standing)
    later = Now(10**12 + passed_ms, other_clock_ms)
    again = standing_of(kept, later)
    life_ms = FORGET_FAILURE_MS if failures < POLICY.breaker.open_after else FORGET_OPEN_MS
    if passed_ms > life_ms:
        assert again is None
        return
    assert again is not None
    assert (again.failures, again.breaker.state) == (failures, standing.breaker.state)
    assert later.monotonic_ms - again.failed_ms == passed_ms
    left_ms = standing.not_before_ms - 5_000 - passed_ms
    assert again.not_before_ms - later.monotonic_ms == min(left_ms, DAY_MS)
    assert again.soft_before_ms <= again.not_before_ms


def test_a_probe_under_way_was_no_answer() -> None:
    standing = failing(6)
    standing.begins()
    assert standing.breaker.state is BreakerState.HALF_OPEN
    again = standing_of(health_of("h", Now(0, 0), standing=standing), Now(1, 1))
    assert again is not None
    assert again.breaker.state is BreakerState.OPEN


def test_a_wall_clock_that_was_set_back_silences_nobody_for_ever() -> None:
    kept = health_of("h", Now(10**12, 0), standing=failing(6))
    again = standing_of(kept, Now(10**12 - 365 * DAY_MS, 0))
    assert again is not None
    assert again.not_before_ms <= DAY_MS


def test_days_of_failure_go_on_and_count_once() -> None:
    kept = health_of("h", Now(10 * DAY_MS + 1_000, 0), standing=failing(6))
    same_day = standing_of(kept, Now(10 * DAY_MS + 2_000, 77_777))
    next_day = standing_of(kept, Now(11 * DAY_MS + 2_000, 77_777))
    for standing, days in ((same_day, 1), (next_day, 2)):
        assert standing is not None
        standing.failed(FAILURE, POLICY, lambda: 0.0, 77_800)
        assert standing.breaker.days == days


@given(st.integers(1, 5), st.integers(0, 2 * DAY_MS))
def test_refused_collections_are_remembered_for_as_long(refusals: int, passed_ms: int) -> None:
    memory = BatchMemory()
    for _ in range(refusals):
        memory.refused("h", 1_000)
    kept = health_of("h", Now(10**12, 1_000), doubt=memory.get("h"))
    recalled = BatchMemory()
    doubt = doubt_of(kept, Now(10**12 + passed_ms, 0))
    assert doubt is not None
    recalled.recall("h", doubt)
    assert recalled.may_try("h", 0) == memory.may_try("h", 1_000 + passed_ms)


def test_what_this_process_learnt_of_collections_stands() -> None:
    memory = BatchMemory()
    memory.broke("h", 0)
    memory.recall("h", Doubt(refusals=3, until_ms=10**9))
    assert memory.may_try("h", 0)


# In the database


class Run:
    """One process after another over the same rows."""

    def __init__(
        self,
        database: Database,
        clock: ManualClock,
        *,
        max_hosts: int = 100,
        serves: Callable[[str], bool] | None = None,
    ) -> None:
        self.ledger, self.batches, self.standings = Ledger(clock), BatchMemory(), dict[str, Standing]()
        self.book = HealthBook(
            database=database,
            ledger=self.ledger,
            batches=self.batches,
            clock=clock,
            live=self.standings.get,
            serves=serves,
            max_hosts=max_hosts,
        )


async def test_a_restart_remembers(database: Database, clock: ManualClock) -> None:
    first = Run(database, clock)
    first.standings["dead.example"] = failing(7, clock.monotonic_ms())
    first.ledger.posted("dead.example", 1_000)
    first.ledger.failed("dead.example", "status_503")
    first.ledger.posted("picky.example", 500)
    first.ledger.arrived("picky.example")
    first.batches.refused("picky.example", clock.monotonic_ms())
    assert await first.book.save() == 2

    clock.advance(30_000)
    second = Run(database, clock)
    await second.book.load()
    assert second.book.troubled() == ["dead.example"]
    standing = second.book.recall("dead.example")
    assert standing is not None
    assert (standing.failures, standing.last_error) == (7, "status_503")
    assert second.book.recall("picky.example") is None
    assert not second.batches.may_try("picky.example", clock.monotonic_ms())
    account = second.ledger.get("picky.example")
    assert account is not None
    assert account.arrived_ms == clock.now_ms() - 30_000
    dead = (await second.book.everybody())("dead.example")
    assert (dead.error, dead.failures) == ("status_503", 7)


async def test_who_recovered_is_not_in_trouble_again(database: Database, clock: ManualClock) -> None:
    run = Run(database, clock)
    run.standings["h"] = failing(7, clock.monotonic_ms())
    run.ledger.failed("h", "status_503")
    await run.book.save()
    clock.advance(1_000)
    # It took something, nothing is left to do, and its standing was dropped: before anything was saved, and after.
    del run.standings["h"]
    run.ledger.arrived("h")
    assert run.book.recall("h") is None
    await run.book.save()
    assert (await run.book.read())["h"].failures == 0
    assert run.book.troubled() == []


async def test_a_word_of_a_host_in_trouble_is_kept_although_nothing_was_sent(
    database: Database, clock: ManualClock
) -> None:
    run = Run(database, clock)
    run.standings["h"] = failing(7, clock.monotonic_ms())
    run.ledger.failed("h", "status_503")
    await run.book.save()
    run.standings["h"].spoke(POLICY)
    await run.book.save()
    assert (await run.book.read())["h"].breaker is BreakerState.CLOSED


async def test_nothing_is_lost_when_the_database_does_not_answer(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(database, clock)
    run.ledger.arrived("h")

    async def fails(work: object) -> None:
        raise OSError

    with monkeypatch.context() as broken:
        broken.setattr(Database, "write", lambda self, work: fails(work))
        with pytest.raises(OSError):
            await run.book.save()
    assert await run.book.save() == 1
    assert "h" in await run.book.read()


async def test_only_who_serves_a_host_writes_about_it(database: Database, clock: ManualClock) -> None:
    hosts = {"mine.example": "mine", "theirs.example": "theirs"}
    mine = Run(database, clock, serves=lambda host: hosts[host] == "mine")
    theirs = Run(database, clock, serves=lambda host: hosts[host] == "theirs")
    theirs.ledger.failed("theirs.example", "timeout")
    await theirs.book.save()
    mine.ledger.failed("theirs.example", "status_500")
    mine.ledger.arrived("mine.example")
    assert await mine.book.save() == 1
    shown = await mine.book.everybody()
    assert shown("theirs.example").error == "timeout"
    assert shown("mine.example").arrived_ms == clock.now_ms()


async def test_who_takes_over_knows_what_was_kept_before(database: Database, clock: ManualClock) -> None:
    holder = "first"
    first = Run(database, clock, serves=lambda _: holder == "first")
    second = Run(database, clock, serves=lambda _: holder == "second")
    first.ledger.failed("h", "timeout")
    first.standings["h"] = failing(6, clock.monotonic_ms())
    holder = "second"
    # Let go of: it is written once more, by whoever had it.
    assert await first.book.save() == 0
    assert await first.book.save(lambda host: host == "h") == 1
    await second.book.load()
    standing = second.book.recall("h")
    assert standing is not None
    assert (standing.failures, standing.breaker.state) == (6, BreakerState.OPEN)
    clock.advance(1_000)
    second.ledger.failed("h", "status_500")
    await second.book.save()
    holder = "first"
    await first.book.load()
    assert (await first.book.everybody())("h").error == "status_500"


async def test_rows_are_bounded_the_oldest_go(database: Database, clock: ManualClock) -> None:
    run = Run(database, clock, max_hosts=2)
    for number in range(4):
        run.ledger.arrived(f"{number}.example")
        await run.book.save()
        clock.advance(1_000)
    assert await run.book.purge(0) == 2
    assert sorted(await run.book.read()) == ["2.example", "3.example"]
    assert await run.book.purge(clock.now_ms()) == 2


def test_health_of_a_host_that_nothing_is_known_of() -> None:
    assert replace(health_of("h", Now(5, 1)), kept_ms=0) == Health("h")
