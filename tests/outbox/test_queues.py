from __future__ import annotations

import pytest

from foundation.clock import ManualClock
from foundation.database import Database, Transaction
from outbox import queues as module
from outbox.log import FOLLOWERS, Activity, ActivityLog, Kind
from outbox.queues import Queue, Queues

EVERY_DATABASE = True
ALICE, BOB, CARL = "alice.example", "bob.example", "carl.example"


class Book:
    """A log that says one thing per second."""

    def __init__(self, database: Database, clock: ManualClock) -> None:
        self.log, self.queues = ActivityLog(database), Queues(database)
        self._database, self.clock = database, clock

    async def say(self, *names: str, audience: str = FOLLOWERS) -> None:
        for name in names:
            self.clock.advance(1_000)
            one = Activity(f"https://us.example/{name}", Kind.VIEW, "v", "https://us.example/a", b"{}", audience)

            async def work(tx: Transaction, one: Activity = one) -> None:
                await self.log.append(tx, one, self.clock.now_ms())

            await self._database.write(work)

    async def follow(self, *hosts: str) -> None:
        for host in hosts:
            await self._database.write(lambda tx, host=host: self.log.start_following(tx, host))

    async def take(self, host: str, count: int) -> None:
        items = await self.log.pending(host, count, self.clock.now_ms())
        await self.log.delivered(host, items[:count], self.clock.now_ms())

    async def refuse(self, host: str, *, set_aside: bool) -> None:
        [item] = await self.log.pending(host, 1, self.clock.now_ms())
        next_ms = self.clock.now_ms() + 60_000
        await self.log.postpone(host, item, reason="status_422", next_try_ms=next_ms, set_aside=set_aside)


@pytest.fixture
def book(database: Database, clock: ManualClock) -> Book:
    return Book(database, clock)


async def test_what_each_host_is_owed(book: Book) -> None:
    start_ms = book.clock.now_ms()
    await book.follow(ALICE, BOB)
    await book.say("one", "two", "three")
    await book.say("for-carl", audience=CARL)
    await book.say("for-bob", audience=BOB)
    await book.take(ALICE, 2)
    assert await book.queues.all() == {
        ALICE: Queue(1, start_ms + 3_000),
        BOB: Queue(4, start_ms + 1_000),
        CARL: Queue(1, start_ms + 4_000),
    }
    await book.take(BOB, 4)
    await book.take(ALICE, 1)
    await book.take(CARL, 1)
    assert await book.queues.all() == {}


async def test_what_is_not_taken_waits_or_is_set_aside(book: Book) -> None:
    start_ms = book.clock.now_ms()
    await book.follow(ALICE)
    await book.say("waits", "aside", "next")
    await book.refuse(ALICE, set_aside=False)
    await book.refuse(ALICE, set_aside=True)
    assert await book.queues.all() == {ALICE: Queue(2, start_ms + 1_000, set_aside=1)}
    aside, waits = await book.queues.undelivered(10, ALICE)
    assert (aside.activity_id, aside.next_try_ms, aside.reason) == ("https://us.example/aside", None, "status_422")
    assert (waits.activity_id, waits.attempts) == ("https://us.example/waits", 1)
    assert waits.next_try_ms == book.clock.now_ms() + 60_000
    assert await book.queues.undelivered(10, BOB) == []
    assert len(await book.queues.undelivered(1)) == 1


async def test_retry_brings_back_and_drop_gives_up(book: Book) -> None:
    await book.follow(ALICE, BOB)
    await book.say("one", "two")
    for host in (ALICE, BOB):
        await book.refuse(host, set_aside=True)
        await book.refuse(host, set_aside=True)
    assert await book.log.pending(ALICE, 10, book.clock.now_ms()) == []
    assert await book.queues.retry(ALICE, "https://us.example/two") == 1
    [again] = await book.log.pending(ALICE, 10, book.clock.now_ms())
    assert again.attempts == 1
    assert await book.queues.retry(ALICE) == 2
    assert len(await book.log.pending(ALICE, 10, book.clock.now_ms())) == 2
    assert await book.queues.drop(ALICE, "https://us.example/one") == 1
    assert await book.queues.drop(ALICE) == 1
    assert await book.queues.drop(ALICE) == 0
    assert await book.queues.retry(ALICE, "https://us.example/nothing") == 0
    assert await book.queues.all() == {BOB: Queue(set_aside=2)}


async def test_what_is_counted_of_the_common_log_is_bounded(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_COUNTED", 2)
    start_ms = book.clock.now_ms()
    await book.follow(ALICE, BOB)
    await book.say("one", "two", "three")
    await book.take(BOB, 2)
    assert await book.queues.all() == {ALICE: Queue(2, start_ms + 1_000), BOB: Queue(1, start_ms + 3_000)}
