"""Who listens to which video, and which video is to be spoken of when: at once, but at most once in a while."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

AT_A_TIME = 100
"""Listeners that are written to before others have their turn: some 2 ms."""

BEHIND_BYTES = 4_096
"""Unread, besides what the operating system takes: who has not read so much is passed over."""

BEHIND_S = 30.0
"""Who has been passed over for so long is cut off."""

L = TypeVar("L")


def behind(transport: asyncio.WriteTransport, since_s: float | None) -> tuple[float | None, bool]:
    """Since when (the loop's time) this connection has more unread than it should, and whether that is too long."""
    if transport.get_write_buffer_size() <= BEHIND_BYTES:
        return None, False
    now_s = asyncio.get_running_loop().time()
    return (now_s, False) if since_s is None else (since_s, now_s - since_s >= BEHIND_S)


class Room(Generic[L]):
    """The listeners of one video, in the order in which they came."""

    __slots__ = ("_gap_s", "_listeners", "_moved", "_quiet_s", "_rests", "_rooms", "_timer", "number")

    def __init__(self, rooms: Rooms[L], number: int, gap_s: float, quiet_s: float) -> None:
        self.number = number
        self._rooms = rooms
        self._gap_s = gap_s
        self._quiet_s = quiet_s
        self._listeners: dict[L, None] = {}
        self._moved = self._rests = False
        self._timer = asyncio.get_running_loop().call_later(quiet_s, self._quiet)

    def listeners(self) -> Sequence[L]:
        return tuple(self._listeners)

    def begin(self) -> bool:
        """It is spoken of now; whether there is anything new. The next time is a gap away."""
        moved, self._moved, self._rests = self._moved, False, True
        self._rooms.spoken_of(self)
        self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._gap_s, self._rested)
        return moved

    def enter(self, listener: L) -> None:
        self._listeners[listener] = None

    def leave(self, listener: L) -> bool:
        """Whether that was the last one."""
        self._listeners.pop(listener, None)
        if not self._listeners:
            self._timer.cancel()
        return not self._listeners

    def moved(self) -> None:
        self._moved = True
        if not self._rests:
            self._rooms.speak(self)

    def _rested(self) -> None:
        self._rests = False
        if self._moved:
            self._rooms.speak(self)
        else:
            left_s = max(0.0, self._quiet_s - self._gap_s)
            self._timer = asyncio.get_running_loop().call_later(left_s, self._quiet)

    def _quiet(self) -> None:
        self._rooms.speak(self)


class Rooms(Generic[L]):
    """Every room with a listener in it. ``gap_s``: at least so long between two times that one is spoken of;
    ``quiet_s``: it is spoken of after so much silence even when nothing moved. A room costs one timer."""

    def __init__(self, gap_s: float, quiet_s: float) -> None:
        self._gap_s = gap_s
        self._quiet_s = quiet_s
        self._rooms: dict[int, Room[L]] = {}
        self._due: dict[Room[L], None] = {}
        self._wake = asyncio.Event()

    def enter(self, number: int, listener: L) -> None:
        room = self._rooms.get(number)
        if room is None:
            room = self._rooms[number] = Room(self, number, self._gap_s, self._quiet_s)
        room.enter(listener)

    def leave(self, number: int, listener: L) -> None:
        room = self._rooms.get(number)
        if room is not None and room.leave(listener):
            del self._rooms[number]
            self._due.pop(room, None)

    def moved(self, number: int) -> None:
        room = self._rooms.get(number)
        if room is not None:
            room.moved()

    def numbers(self) -> Sequence[int]:
        return tuple(self._rooms)

    def everybody(self) -> Iterator[L]:
        for room in self._rooms.values():
            yield from room.listeners()

    def speak(self, room: Room[L]) -> None:
        """It is due."""
        self._due[room] = None
        self._wake.set()

    def spoken_of(self, room: Room[L]) -> None:
        """What made it due again before it was begun is in what is said now."""
        self._due.pop(room, None)

    async def due(self) -> Sequence[Room[L]]:
        """Waits until there are any; each is begun by the caller."""
        await self._wake.wait()
        self._wake.clear()
        due, self._due = tuple(self._due), {}
        return due
