"""Who is in a room, whatever order messages come in, on every database."""

from __future__ import annotations

import hashlib
import itertools

import pytest
from support.livekit_server import LivekitServer

from foundation.database import Database
from inbox.livekit.messages import LivekitEvent, parse
from inbox.livekit.participants import KEPT_MS, Change, Participants

EVERY_DATABASE = True
NOW_MS = 1_800_000_000_000


def key(identity: str) -> bytes:
    return hashlib.blake2b(identity.encode(), digest_size=16).digest()


class Room:
    def __init__(self, database: Database, *also_count: str) -> None:
        self.participants = Participants(database, also_count=frozenset(also_count))
        self.server = LivekitServer(now_s=NOW_MS // 1000)

    async def take(self, body: bytes, now_ms: int = NOW_MS) -> Change:
        event = parse(body)
        assert isinstance(event, LivekitEvent)
        viewer = b"" if event.participant is None else key(event.participant.identity)
        return await self.participants.apply(event, viewer, now_ms, now_ms + 300_000)

    async def present(self) -> list[bytes]:
        found, after = [], ("", "")
        while batch := await self.participants.present(after, 2, NOW_MS + 1):
            found += [one.viewer for one in batch]
            after = (batch[-1].room_sid, batch[-1].sid)
        return sorted(found)


@pytest.fixture
def room(database: Database) -> Room:
    return Room(database)


async def test_who_comes_is_there_until_it_leaves(room: Room) -> None:
    came = await room.take(room.server.joined("anna"))
    assert [(one.room, one.viewer, one.opened_ms) for one in came.came] == [("my-room", key("anna"), NOW_MS)]
    await room.take(room.server.joined("bert"))
    assert await room.present() == sorted([key("anna"), key("bert")])
    assert await room.participants.count() == 2
    went = await room.take(room.server.left("anna"))
    assert [one.viewer for one in went.went] == [key("anna")]
    assert await room.present() == [key("bert")]


async def test_newcomers_are_left_to_who_heard_of_them(room: Room) -> None:
    await room.take(room.server.joined("anna"))
    assert await room.participants.present(("", ""), 10, NOW_MS) == []
    assert len(await room.participants.present(("", ""), 10, NOW_MS + 1)) == 1


async def test_a_message_that_is_said_again_changes_nothing(room: Room) -> None:
    joined = room.server.joined("anna")
    left = room.server.left("anna")
    assert (await room.take(joined)).came
    assert (await room.take(joined)).duplicate
    assert (await room.take(left)).went
    assert (await room.take(left)).duplicate
    assert (await room.take(joined)).duplicate
    assert await room.present() == []


async def test_who_has_left_before_it_came_does_not_come(room: Room) -> None:
    joined = room.server.joined("anna")
    assert not (await room.take(room.server.left("anna"))).went
    assert (await room.take(joined)).late
    assert await room.present() == []


async def test_nobody_comes_into_a_room_that_is_finished(room: Room) -> None:
    late = room.server.joined("late")
    await room.take(room.server.joined("anna"))
    await room.take(room.server.joined("bert"))
    went = await room.take(room.server.message("room_finished"))
    assert {one.viewer for one in went.went} == {key("anna"), key("bert")}
    assert (await room.take(late)).late
    room.server.reopen()
    assert (await room.take(room.server.joined("anna", "PA_again"))).came
    assert await room.present() == [key("anna")]


@pytest.mark.parametrize("started", [True, False])
async def test_a_lost_end_of_the_room_is_made_up_for_by_its_next_opening(room: Room, *, started: bool) -> None:
    late, joined = room.server.joined("late"), room.server.joined("bert")
    await room.take(room.server.joined("anna"))
    await room.take(joined)
    room.server.reopen(later_s=60)
    gone = {key("anna"), key("bert")}
    later_ms = NOW_MS + 60_000
    if started:
        went = await room.take(room.server.message("room_started"), later_ms)
        assert {one.viewer for one in went.went} == gone
    came = await room.take(room.server.joined("anna", "PA_again"), later_ms)
    # Anna is in the new opening, so she has not gone.
    assert {one.viewer for one in came.went} == (set() if started else {key("bert")})
    assert [one.viewer for one in came.came] == [key("anna")]
    assert (await room.take(late, later_ms)).late
    assert await room.participants.count() == 1


async def test_an_opening_ends_no_other_room_and_no_later_opening(room: Room) -> None:
    old = room.server.message("room_started"), room.server.joined("late")
    other = LivekitServer("other-room", NOW_MS // 1000 - 3600)
    await room.take(other.joined("cleo"))
    room.server.reopen(later_s=60)
    await room.take(room.server.joined("anna"), NOW_MS + 60_000)
    for message in old:
        assert not (await room.take(message, NOW_MS + 60_000)).went
    assert {key("anna"), key("cleo")} <= {
        one.viewer for one in await room.participants.present(("", ""), 10, NOW_MS + 60_001)
    }


async def test_somebody_with_two_connections_leaves_with_the_last(room: Room) -> None:
    await room.take(room.server.joined("anna", "PA_1"))
    await room.take(room.server.joined("anna", "PA_2"))
    assert not (await room.take(room.server.left("anna", "PA_1"))).went
    assert [one.viewer for one in (await room.take(room.server.left("anna", "PA_2"))).went] == [key("anna")]


async def test_who_publishes_is_no_viewer_meanwhile(room: Room) -> None:
    await room.take(room.server.joined("anna"))
    went = await room.take(room.server.track("track_published", "anna", "TR_1"))
    assert [one.viewer for one in went.went] == [key("anna")]
    assert not (await room.take(room.server.track("track_published", "anna", "TR_2"))).went
    assert await room.present() == []
    assert not (await room.take(room.server.track("track_unpublished", "anna", "TR_1"))).came
    came = await room.take(room.server.track("track_unpublished", "anna", "TR_2"))
    assert [one.viewer for one in came.came] == [key("anna")]
    assert await room.present() == [key("anna")]


async def test_everybody_counts_who_is_meant_to(database: Database) -> None:
    room = Room(database, "publishers", "agents")
    assert (await room.take(room.server.joined("anna", is_publisher=True))).came
    assert not (await room.take(room.server.track("track_published", "anna"))).went
    assert (await room.take(room.server.joined("robot", agent=True))).came
    assert not (await room.take(room.server.joined("recorder", recorder=True))).came
    assert await room.participants.count() == 3


async def test_a_lost_word_of_leaving_is_made_up_for(room: Room) -> None:
    await room.take(room.server.joined("anna"))
    assert await room.participants.lose(NOW_MS, NOW_MS) == []
    lost = await room.participants.lose(NOW_MS + 1, NOW_MS + 1)
    assert [one.viewer for one in lost] == [key("anna")]
    assert await room.present() == []


async def test_what_is_only_kept_for_late_messages_is_forgotten(room: Room) -> None:
    joined = room.server.joined("anna")
    await room.take(joined)
    await room.take(room.server.left("anna"))
    await room.take(room.server.track("track_published", "never-came"))
    await room.participants.purge(NOW_MS + KEPT_MS)
    assert (await room.take(joined)).duplicate
    await room.participants.purge(NOW_MS + KEPT_MS + 1)
    # Its token has been over for long: nobody could send it any more.
    assert (await room.take(joined)).came


async def test_every_order_of_messages_ends_alike(room: Room) -> None:
    """Anna comes, publishes, stops and leaves; Bert comes. In all orders: Bert alone is there."""
    for number, order in enumerate(itertools.permutations(range(5))):
        server = LivekitServer(f"room-{number}", NOW_MS // 1000)
        messages = [
            server.joined("anna"),
            server.track("track_published", "anna"),
            server.track("track_unpublished", "anna"),
            server.left("anna"),
            server.joined("bert"),
        ]
        for at in order:
            await room.take(messages[at])
        present = [
            one for one in await room.participants.present(("", ""), 1_000, NOW_MS + 1) if one.room == server.name
        ]
        assert [one.viewer for one in present] == [key("bert")], order
