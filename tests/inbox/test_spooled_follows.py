"""Follows while the database is gone: taken, judged again when it is back, and never before what came first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from support.inbox_house import House, actor_document

from federation.keys import KeyPair
from federation.vocabulary import Accept, Follow, Reject, Undo
from foundation.clock import ManualClock
from foundation.database import Database
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from foundation.spool import Spool, SpoolSettings
from inbox.follows import SPOOLED, FollowHandler, OwnActors

THERE = "https://there.example"
THEM = f"{THERE}/accounts/peertube"
US = "https://tube.example/accounts/peertube"
PEM = KeyPair.generate().public_pem


class Flaky:
    """Its writes fail while ``gone``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.gone = False

    async def write(self, work: Callable[[Any], Awaitable[Any]], *, patience_ms: int | None = None) -> Any:
        if self.gone:
            raise StorageUnavailable("gone")
        return await self._database.write(work)


class Scene:
    """An inbox's follows over a database that comes and goes."""

    def __init__(self, house: House, spool: Spool, flaky: Flaky, replaying: Flaky) -> None:
        self.house, self.spool, self.flaky, self._replaying = house, spool, flaky, replaying
        self.follows = FollowHandler(
            peers=house.peers,
            actors=house.web,
            keys=house.keys,
            answers=house.answers,
            own=OwnActors(house._is_ours),
            database=flaky,  # type: ignore[arg-type]
            clock=house.clock,
            committed=house.answers.committed,
            spool=spool,
        )

    async def says(self, activity: Follow | Undo | Accept | Reject) -> str:
        handler = {Follow: self.follows.follow, Undo: self.follows.undo}.get(type(activity), self.follows.answer)
        refusal = await handler(activity, self.house.sender(THEM))  # type: ignore[operator]
        return "taken" if refusal is None else str(refusal.reason)

    async def back(self) -> None:
        self.flaky.gone = self._replaying.gone = False
        await self.spool.replay()
        self._replaying.gone = True
        assert not self.spool.pending(SPOOLED)


@pytest.fixture
async def scene(database: Database, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Scene]:
    # What replays finds the database only when told to: else it would as soon as it is back.
    house, flaky, replaying = House(database, clock), Flaky(database), Flaky(database)
    replaying.gone = True
    house.web.documents[THEM] = actor_document(THEM, kind="Application", pem=PEM)
    await house.start()
    spool = Spool(tmp_path / "spool", replaying, clock, Metrics(), SpoolSettings(retry_ms=86_400_000))  # type: ignore[arg-type]
    scene = Scene(house, spool, flaky, replaying)
    await spool.start()
    scene.flaky.gone = True
    yield scene
    await spool.stop()


def follow(number: int = 1) -> Follow:
    return Follow(f"{THEM}/follows/{number}", THEM, US)


def undo(number: int = 1) -> Undo:
    return Undo(f"{THEM}/undo/{number}", THEM, follow(number))


async def test_a_follow_is_answered_when_the_database_is_back(scene: Scene) -> None:
    assert await scene.says(follow()) == "taken"
    assert scene.house.peers.follower_count() == 0
    assert scene.house.answers.commits == 0
    await scene.back()
    assert [each.host for each in scene.house.peers.followers()] == ["there.example"]
    assert scene.house.answers.given == [(f"{THEM}/follows/1", f"{THEM}/inbox", US, True)]
    assert scene.house.answers.commits == 1


async def test_what_comes_later_waits_behind_what_came_first(scene: Scene) -> None:
    assert await scene.says(follow(1)) == "taken"
    scene.flaky.gone = False
    assert await scene.says(undo(1)) == "taken", "there is no such follow yet, but one waits"
    assert await scene.says(follow(2)) == "taken"
    assert scene.house.answers.given == []
    await scene.back()
    assert [(each.actor, each.follow_id) for each in scene.house.peers.list_followers()[0]] == [(THEM, follow(2).id)]
    assert await scene.says(undo(2)) == "taken"
    assert scene.house.peers.follower_count() == 0
    assert await scene.says(undo(2)) == "unknown_object"


async def test_who_was_blocked_meanwhile_is_told_no(scene: Scene) -> None:
    assert await scene.says(follow()) == "taken"
    await scene.house.peers.verdicts.block("there.example")
    await scene.back()
    assert scene.house.peers.follower_count() == 0
    assert [accepted for *_, accepted in scene.house.answers.given] == [False]


async def test_answers_to_our_follow_are_taken_in_order(scene: Scene) -> None:
    await scene.house.database.write(
        lambda tx: scene.house.peers.add_following(
            tx,
            actor=THEM,
            host="there.example",
            inbox=f"{THEM}/inbox",
            shared_inbox=None,
            follow_id=f"{US}/follows/1",
            object_=US,
        )
    )
    await scene.house.peers.load()
    assert await scene.says(Accept(f"{THEM}/accepts/1", THEM, f"{US}/follows/1")) == "taken"
    assert not scene.house.peers.follows("there.example")
    await scene.back()
    assert scene.house.peers.follows("there.example")
    scene.flaky.gone = True
    assert await scene.says(Reject(f"{THEM}/rejects/1", THEM, f"{US}/follows/1")) == "taken"
    await scene.back()
    assert not scene.house.peers.follows("there.example")
