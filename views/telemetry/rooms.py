"""When a video begins to be watched and when nobody watches it any more; how many watched it at most in between."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from foundation.clock import Clock
from foundation.errors import StorageUnavailable
from views.model import Video
from views.shown import Shown
from views.telemetry.room_rows import RoomChanges, RoomRow, RoomRows
from views.telemetry.subjects import Room

AT_ONCE = 1_000
"""Videos looked at in one round."""

PEAKS_FOR_MS = 60_000
"""How long a process among several believes what it remembers of peaks: another may have closed the room."""


class Numbers(Protocol):
    """The part of ``views.viewers.Viewers`` that is needed here."""

    async def shown_many(self, videos: Sequence[Video]) -> Sequence[Shown]: ...


class Videos(Protocol):
    """The part of ``views.catalog.catalog.Catalog`` that is needed here."""

    async def by_number(self, number: int) -> Video | None: ...


class RoomSayer(Protocol):
    """The part of ``Telemetry`` that says it."""

    def say_room_started(self, room: Room) -> None: ...

    def say_room_ended(self, room: Room) -> None: ...

    def say_viewers_peak(self, room: Room, viewers: int) -> None: ...


class Rooms:
    """``touched`` whenever a number may have moved; ``look`` about once a second.

    ``sole``: this process alone sees every viewer, so that it says a start at once, before it says who came. Else the
    rows in the database decide which process says it, up to one look late.
    """

    def __init__(
        self,
        say: RoomSayer,
        numbers: Callable[[], Numbers],
        videos: Videos,
        rows: RoomRows,
        clock: Clock,
        *,
        sole: bool,
    ) -> None:
        self._say = say
        self._numbers = numbers
        self._videos = videos
        self._rows = rows
        self._clock = clock
        self._sole = sole
        self._open: dict[int, Room] = {}
        self._held: dict[int, Room] = {}
        self._released: set[int] = set()
        self._peaks: dict[int, int] = {}
        self._touched: dict[int, Video] = {}
        self._unwritten: dict[int, Room] = {}
        self._peaks_since_ms = 0
        self.closing: Callable[[Collection[Video]], None] = lambda _: None
        """Called before the end of these is said: whoever else is still held there has left."""

    def __len__(self) -> int:
        """Rooms that this process knows to be open."""
        return len(self._open)

    async def start(self, watched: Sequence[int]) -> None:
        """Rooms that were open when the last run ended are open still; the next look closes those nobody watches.
        ``watched``: videos with viewers. Raises StorageUnavailable."""
        for row in await self._rows.load():
            video = await self._videos.by_number(row.video)
            if video is None:
                await self._rows.apply(RoomChanges(close=(row.video,), release=(row.video,)))
                continue
            if self._sole:
                room = self._open[row.video] = Room(video, row.started_ms)
                if row.held:
                    self._held[row.video] = room
                self._peaks[row.video] = row.peak
            self._touched[row.video] = video
        for number in watched:
            video = await self._videos.by_number(number)
            if video is not None:
                self._touched[number] = video

    # What is heard; none of these blocks

    def touched(self, video: Video) -> None:
        """Its viewers may have come or gone."""
        self._touched[video.number] = video

    def entered(self, video: Video, now_ms: int) -> Room:
        """A viewer of ours came: the room it is in."""
        room = self._open.get(video.number)
        if room is None:
            room = Room(video, now_ms if self._sole else 0)
            if self._sole:
                self._begin(room)
        self._touched[video.number] = video
        return room

    def room(self, video: Video) -> Room:
        return self._open.get(video.number) or Room(video)

    def hold(self, room: Room) -> None:
        """A media server says that its room is open: it ends with ``release``, not before."""
        number = room.video.number
        room = self._open.get(number) or Room(room.video, room.started_ms or self._clock.now_ms(), room.name)
        self._held[number] = room
        self._released.discard(number)
        if self._sole and number not in self._open:
            self._begin(room)
        if self._sole:
            self._unwritten[number] = room
        self._touched[number] = room.video

    def release(self, room: Room) -> None:
        """It is over there; here it ends when the last viewer is gone."""
        self._held.pop(room.video.number, None)
        self._released.add(room.video.number)
        self._touched[room.video.number] = room.video

    # What time brings

    async def look(self) -> None:
        """Say what began, peaked and ended since the last look. Raises StorageUnavailable: the next look knows it."""
        while batch := [self._touched.pop(number) for number in list(self._touched)[:AT_ONCE]]:
            try:
                await self._look_at(batch)
            except StorageUnavailable:
                for video in batch:
                    self._touched.setdefault(video.number, video)
                raise
            if len(batch) < AT_ONCE:
                return

    async def _look_at(self, videos: Sequence[Video]) -> None:
        now_ms = self._clock.now_ms()
        if not self._sole and now_ms - self._peaks_since_ms > PEAKS_FOR_MS:
            self._peaks.clear()
            self._peaks_since_ms = now_ms
        shown = await self._numbers().shown_many(videos)
        watched = {video.number: each for video, each in zip(videos, shown, strict=True) if each.local}
        here = {video.number: video for video in videos}
        opening = [self._row(video, now_ms) for video in videos if self._should_open(video, watched)]
        closing = [number for number in here if number not in watched and number not in self._held]
        if self._sole:
            closing = [number for number in closing if number in self._open]
        peaks = [
            (video.number, each.viewers)
            for video, each in zip(videos, shown, strict=True)
            if each.viewers > self._peaks.get(video.number, 0) and (each.local or video.number in self._held)
        ]
        released = [number for number in here if number in self._released]
        if not (opening or closing or peaks or released):
            return
        news = await self._rows.apply(RoomChanges(opening, closing, peaks, released))
        self._released.difference_update(released)
        for row in opening:
            self._unwritten.pop(row.video, None)
            if not self._sole and row.held:
                # It is in the row, where the process finds it that hears of its end.
                self._held.pop(row.video, None)
            if row.video in news.opened and row.video not in self._open:
                self._begin(Room(here[row.video], row.started_ms), written=True)
        ended = dict.fromkeys(closing, 0) if self._sole else news.closed
        if ended:
            self.closing([here[number] for number in ended])
        for number, started_ms in ended.items():
            self._end(self._open.get(number) or Room(here[number], started_ms))
        # Somebody may have come to it meanwhile.
        self._touched.update({number: here[number] for number in ended})
        for number, viewers in peaks:
            self._peaks[number] = viewers
            if number in news.peaked:
                self._say.say_viewers_peak(self.room(here[number]), viewers)

    def _should_open(self, video: Video, watched: dict[int, Shown]) -> bool:
        number = video.number
        if number not in watched and number not in self._held:
            return False
        return not self._sole or number in self._unwritten or number not in self._open

    def _row(self, video: Video, now_ms: int) -> RoomRow:
        room = self._held.get(video.number) or self._open.get(video.number)
        started_ms = now_ms if room is None else room.started_ms or now_ms
        return RoomRow(video.number, started_ms, video.number in self._held)

    def _begin(self, room: Room, *, written: bool = False) -> None:
        number = room.video.number
        if self._sole:
            self._open[number] = room
            if not written:
                self._unwritten[number] = room
        self._say.say_room_started(room)

    def _end(self, room: Room) -> None:
        number = room.video.number
        self._open.pop(number, None)
        self._peaks.pop(number, None)
        self._say.say_room_ended(room)
