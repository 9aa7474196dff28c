from __future__ import annotations

import pytest

from foundation.clock import ManualClock
from foundation.database import Database, Transaction
from outbox.log import FOLLOWERS, Activity, ActivityLog, Kind, Logged
from outbox.queues import Queues

ALICE, BOB = "alice.example", "bob.example"


EVERY_DATABASE = True


def activity(name: str, kind: Kind = Kind.VIEW, *, audience: str = FOLLOWERS, subject: str = "v") -> Activity:
    return Activity(f"https://us.example/{name}", kind, subject, "https://us.example/a", name.encode(), audience)


class Book:
    def __init__(self, database: Database, clock: ManualClock) -> None:
        self.log = ActivityLog(database)
        self.queues = Queues(database)
        self._database = database
        self._clock = clock

    async def say(self, *activities: Activity) -> None:
        async def work(tx: Transaction) -> None:
            for one in activities:
                await self.log.append(tx, one, self._clock.now_ms())

        await self._database.write(work)

    async def follow(self, host: str) -> None:
        await self.log.number()
        await self._database.write(lambda tx: self.log.start_following(tx, host))

    async def unfollow(self, host: str) -> None:
        await self._database.write(lambda tx: self.log.stop_following(tx, host))

    async def owed(self, host: str, limit: int = 10) -> list[Logged]:
        return await self.log.pending(host, limit, self._clock.now_ms())

    async def names(self, host: str, limit: int = 10) -> list[str]:
        return [logged.body.decode() for logged in await self.owed(host, limit)]


@pytest.fixture
def book(database: Database, clock: ManualClock) -> Book:
    return Book(database, clock)


async def test_followers_hear_what_is_said_after_they_came(book: Book) -> None:
    await book.say(activity("before"))
    await book.follow(ALICE)
    await book.say(activity("one"), activity("two"), activity("for-bob", audience=BOB))
    assert await book.names(ALICE) == ["one", "two"]
    assert await book.names(BOB) == ["for-bob"]
    assert await book.names("stranger.example") == []


async def test_one_row_however_many_followers(book: Book) -> None:
    for host in (ALICE, BOB):
        await book.follow(host)
    await book.say(activity("one"))
    heads = await book.log.heads(0)
    assert list(heads) == [FOLLOWERS]
    assert await book.log.owed() == [ALICE, BOB]


async def test_the_cursor_moves_over_what_was_delivered(book: Book) -> None:
    await book.follow(ALICE)
    await book.say(*(activity(str(n)) for n in range(5)))
    first = await book.owed(ALICE, 2)
    await book.log.delivered(ALICE, first, 1)
    assert await book.names(ALICE) == ["2", "3", "4"]
    await book.log.delivered(ALICE, first, 1)
    assert await book.names(ALICE) == ["2", "3", "4"]


async def test_a_host_that_follows_later_hears_nothing_older(book: Book) -> None:
    await book.say(activity("for-alice", audience=ALICE), activity("for-followers"))
    await book.follow(ALICE)
    await book.follow(ALICE)
    await book.say(activity("later"))
    assert await book.names(ALICE) == ["for-alice", "later"]
    await book.unfollow(ALICE)
    assert await book.names(ALICE) == ["for-alice"]
    assert await book.log.followers_known() == set()


async def test_an_update_replaces_earlier_updates_and_a_delete_everything(book: Book) -> None:
    await book.follow(ALICE)
    await book.say(
        activity("announce", Kind.ANNOUNCE),
        activity("update-1", Kind.UPDATE),
        activity("other", Kind.UPDATE, subject="w"),
        activity("update-2", Kind.UPDATE),
    )
    assert await book.names(ALICE) == ["announce", "other", "update-2"]
    await book.say(activity("delete", Kind.DELETE))
    assert await book.names(ALICE) == ["other", "delete"]


async def test_the_same_id_again_moves_to_the_end(book: Book) -> None:
    await book.follow(ALICE)
    await book.say(activity("one"), activity("two"), activity("one"))
    assert await book.names(ALICE) == ["two", "one"]


async def test_an_exception_is_tried_alone_later_and_others_pass(book: Book, clock: ManualClock) -> None:
    await book.follow(ALICE)
    await book.say(activity("bad"), activity("good"))
    bad, good = await book.owed(ALICE)
    await book.log.postpone(ALICE, bad, reason="status_400", next_try_ms=clock.now_ms() + 1000)
    assert await book.names(ALICE) == ["good"]
    await book.log.delivered(ALICE, [good], 1)
    assert await book.names(ALICE) == []
    assert await book.log.next_try_ms(ALICE) == clock.now_ms() + 1000
    assert await book.log.owed() == [ALICE]
    clock.advance(1000)
    again = await book.owed(ALICE)
    assert [(one.body, one.attempts) for one in again] == [(b"bad", 1)]
    await book.log.postpone(ALICE, again[0], reason="status_400", next_try_ms=0, set_aside=True)
    assert await book.names(ALICE) == []
    assert await book.log.owed() == []
    [trouble] = await book.queues.undelivered(10)
    assert (trouble.host, trouble.reason, trouble.attempts, trouble.next_try_ms) == (ALICE, "status_400", 2, None)


async def test_an_exception_that_is_delivered_is_gone(book: Book, clock: ManualClock) -> None:
    await book.follow(ALICE)
    await book.say(activity("bad"))
    [bad] = await book.owed(ALICE)
    await book.log.postpone(ALICE, bad, reason="x", next_try_ms=clock.now_ms())
    [again] = await book.owed(ALICE)
    await book.log.delivered(ALICE, [again], 1)
    assert await book.names(ALICE) == []
    assert await book.queues.undelivered(10) == []


async def test_purge_keeps_what_somebody_still_needs(book: Book, clock: ManualClock) -> None:
    for host in (ALICE, BOB):
        await book.follow(host)
    await book.say(activity("one"), activity("two"), activity("for-alice", audience=ALICE))
    await book.log.delivered(ALICE, await book.owed(ALICE), 1)
    await book.log.delivered(BOB, (await book.owed(BOB))[:1], 1)
    assert await book.log.purge(0) == 2
    assert await book.names(BOB) == ["two"]
    await book.log.delivered(BOB, await book.owed(BOB), 1)
    assert await book.log.purge(0) == 1
    # Numbers are not given again, or cursors would hide what comes.
    await book.say(activity("three"))
    assert await book.names(ALICE) == ["three"]
    clock.advance(1000)
    assert await book.log.purge(clock.now_ms()) == 1
    assert await book.names(ALICE) == []


async def test_purge_keeps_exceptions_until_they_are_too_old(book: Book, clock: ManualClock) -> None:
    await book.follow(ALICE)
    await book.say(activity("bad"))
    [bad] = await book.owed(ALICE)
    await book.log.postpone(ALICE, bad, reason="x", next_try_ms=0, set_aside=True)
    assert await book.log.purge(0) == 0
    clock.advance(1)
    assert await book.log.purge(clock.now_ms()) == 1
    assert await book.queues.undelivered(10) == []


async def test_forgetting_a_host(book: Book, database: Database) -> None:
    await book.follow(ALICE)
    await book.say(activity("for-alice", audience=ALICE), activity("all"))
    await database.write(lambda tx: book.log.forget(tx, ALICE))
    assert await book.names(ALICE) == []
    assert await book.log.owed() == []
