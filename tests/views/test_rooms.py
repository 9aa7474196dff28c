"""When a video is spoken of to those who listen: at once, then not before the gap is over, and once more after it."""

from __future__ import annotations

import asyncio

import pytest

from views.routes.rooms import Room, Rooms

NEVER_S = 3_600.0


async def due(rooms: Rooms[str]) -> list[Room[str]]:
    async with asyncio.timeout(5):
        return list(await rooms.due())


async def nothing_is_due(rooms: Rooms[str]) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await rooms.due()


async def test_at_once_and_not_again_within_the_gap() -> None:
    rooms: Rooms[str] = Rooms(NEVER_S, NEVER_S)
    rooms.enter(1, "anna")
    rooms.enter(1, "bert")
    rooms.moved(1)
    rooms.moved(2)
    (room,) = await due(rooms)
    assert (room.number, room.listeners(), room.begin()) == (1, ("anna", "bert"), True)
    rooms.moved(1)
    await nothing_is_due(rooms)
    rooms.leave(1, "anna")
    rooms.leave(1, "bert")
    assert rooms.numbers() == ()


async def test_what_moved_within_the_gap_is_said_once_after_it() -> None:
    rooms: Rooms[str] = Rooms(0.001, NEVER_S)
    rooms.enter(1, "anna")
    rooms.moved(1)
    (room,) = await due(rooms)
    assert room.begin()
    rooms.moved(1)
    rooms.moved(1)
    (again,) = await due(rooms)
    assert again is room
    assert again.begin()
    await nothing_is_due(rooms)


async def test_what_moves_before_it_is_said_is_not_said_again() -> None:
    rooms: Rooms[str] = Rooms(NEVER_S, NEVER_S)
    rooms.enter(1, "anna")
    rooms.moved(1)
    (room,) = await due(rooms)
    rooms.moved(1)
    assert room.begin()
    assert await due(rooms) == []


async def test_silence_is_broken_with_nothing_new() -> None:
    rooms: Rooms[str] = Rooms(0.001, 0.001)
    rooms.enter(1, "anna")
    for _ in range(3):
        (room,) = await due(rooms)
        assert not room.begin()


async def test_whoever_left_is_not_spoken_to() -> None:
    rooms: Rooms[str] = Rooms(NEVER_S, NEVER_S)
    rooms.enter(1, "anna")
    rooms.enter(2, "bert")
    rooms.moved(1)
    rooms.moved(2)
    rooms.leave(1, "anna")
    rooms.leave(1, "nobody")
    assert [room.number for room in await due(rooms)] == [2]
    assert list(rooms.everybody()) == ["bert"]
