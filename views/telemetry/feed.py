"""From signs of life of our viewers to participants: who came, plays, was silent, went."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Protocol

from foundation.clock import Clock
from views.counters.base import CounterStore
from views.counters.progress import ProgressKeeper, ProgressStore, awaited
from views.model import LOCAL, Video
from views.sections import decode, plays
from views.telemetry.guard import ReferenceGuard
from views.telemetry.names import SessionNames
from views.telemetry.rooms import Rooms
from views.telemetry.subjects import Participant
from views.telemetry.telemetry import Telemetry
from views.telemetry.worker import Key

_AT_ONCE = 200
"""Departed viewers asked about at once."""


class Videos(Protocol):
    """The part of ``views.catalog.catalog.Catalog`` that is needed here."""

    def peek_number(self, number: int) -> Video | None: ...

    async def by_number(self, number: int) -> Video | None: ...


class _Page:
    """An event stream that holds its viewer, until nobody is counted at its video any more."""

    __slots__ = ("guard", "participant")

    def __init__(self, participant: Participant) -> None:
        self.participant = participant
        self.guard: ReferenceGuard | None = None


class NullFeed:
    """For a house without telemetry."""

    def reported(
        self, video: Video, viewer: bytes, now_ms: int, *, is_new: bool, played: bool, plays: bool, silent_ms: int
    ) -> None:
        return None

    def left(self, video: Video, viewer: bytes, now_ms: int, *, played: bool, since_ms: int) -> None:
        return None


class ViewerFeed:
    """Keeps nothing of a viewer but the hold on its participant. Whether it is new, is gone, or has played is what the
    live store and its watch progress say, so that of several processes the one that sees it happen says it, once.

    ``max_held`` bounds the holds; a viewer beyond is spoken of all the same. ``resume_after_ms``: the silence after
    which one who is still here has resumed.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        rooms: Rooms,
        names: SessionNames,
        store: CounterStore,
        progress: ProgressStore | ProgressKeeper,
        videos: Videos,
        clock: Clock,
        *,
        resume_after_ms: int,
        max_held: int = 100_000,
    ) -> None:
        self._telemetry = telemetry
        self._rooms = rooms
        self._names = names
        self._store = store
        self._progress = awaited(progress)
        self._videos = videos
        self._clock = clock
        self._resume_after_ms = resume_after_ms
        self._max_held = max_held
        self._held: dict[Key, ReferenceGuard] = {}
        self._pages: dict[Key, list[_Page]] = {}
        self._unsaid: list[tuple[int, bytes]] = []
        rooms.closing = self._nobody_counted

    def reported(
        self, video: Video, viewer: bytes, now_ms: int, *, is_new: bool, played: bool, plays: bool, silent_ms: int
    ) -> None:
        """A viewer of ours gave a sign of life, ``silent_ms`` after the last one; it had ``played`` before, and
        ``plays`` now. Called with every report of a player."""
        if played == plays and not is_new and silent_ms < self._resume_after_ms:
            return
        self._moved(video, viewer, now_ms, is_new, plays and not played, plays)

    def watching(self, video: Video, viewer: bytes, now_ms: int, *, is_new: bool) -> None:
        """Somebody trusted (a host application) says that its viewer plays."""
        if is_new:
            self._moved(video, viewer, now_ms, True, True, True)

    def left(self, video: Video, viewer: bytes, now_ms: int, *, played: bool, since_ms: int) -> None:
        """It said so, and was here; ``since_ms`` is the first report of its watch progress."""
        self._rooms.touched(video)
        self._gone(video, self._names.participant(video.number, viewer, now_ms, active=played, joined_ms=since_ms))

    def listening(self, video: Video, viewer: bytes) -> Callable[[], None]:
        """Its page listens to the number of viewers: it has not left before that ends too. Call the answer then."""
        page = _Page(self._names.participant(video.number, viewer, self._clock.now_ms()))
        key = (video.number, page.participant.sid)
        self._pages.setdefault(key, []).append(page)
        self._keep(video, page)

        def ended() -> None:
            pages = self._pages.get(key, [])
            if page in pages:
                pages.remove(page)
                if not pages:
                    del self._pages[key]
            self._let_go(video, page)

        return ended

    async def look(self) -> int:
        """Say who departed since the last look, because its time was over; how many. Raises StorageUnavailable: those
        whose video or progress could not be asked for are said the next time."""
        departed = [*self._unsaid, *self._store.departed()]
        self._unsaid = []
        problem: BaseException | None = None
        for at in range(0, len(departed), _AT_ONCE):
            batch = departed[at : at + _AT_ONCE]
            answers = await asyncio.gather(*(self._departed(*each) for each in batch), return_exceptions=True)
            for each, answer in zip(batch, answers, strict=True):
                if answer is not None:
                    problem = answer
                    self._unsaid.append(each)
            await self._clock.sleep_ms(0)
        if problem is not None:
            raise problem
        return len(departed)

    def forget_video(self, video: Video) -> None:
        """It is gone, or its viewers were forgotten: whoever this process followed there has left."""
        self._held = {key: guard for key, guard in self._held.items() if key[0] != video.number}
        for key, pages in self._pages.items():
            if key[0] == video.number:
                for page in pages:
                    page.guard = None
        self._telemetry.empty(self._rooms.room(video))
        self._rooms.touched(video)

    def tidy(self) -> None:
        """Let go of participants whose going another process saw; to be called once in a while."""
        self._held = {key: guard for key, guard in self._held.items() if self._telemetry.knows(key)}

    def _nobody_counted(self, videos: Collection[Video]) -> None:
        """They are about to be over: who is held there by an open page alone has left before."""
        numbers = {video.number: video for video in videos}
        for key, pages in self._pages.items():
            if key[0] in numbers and key not in self._held:
                for page in pages:
                    self._let_go(numbers[key[0]], page)

    def _keep(self, video: Video, page: _Page) -> None:
        guard = page.guard = ReferenceGuard()
        room = self._rooms.room(video)
        self._telemetry.participant_joined(room, page.participant, should_send_event=False, guard=guard)

    def _let_go(self, video: Video, page: _Page) -> None:
        guard, page.guard = page.guard, None
        if guard is not None:
            self._telemetry.let_go(self._rooms.room(video), page.participant, guard)

    def _moved(self, video: Video, viewer: bytes, now_ms: int, is_new: bool, begins_to_play: bool, plays: bool) -> None:
        telemetry, participant = self._telemetry, self._names.participant(video.number, viewer, now_ms)
        if not is_new and not begins_to_play:
            telemetry.participant_resumed(self._rooms.room(video), participant, reason="silence")
            return
        if is_new:
            room, guard = self._rooms.entered(video, now_ms), self._hold(video, participant)
            telemetry.participant_joined(room, participant, guard=guard)
            for page in self._pages.get((video.number, participant.sid), ()):
                if page.guard is None:
                    self._keep(video, page)
        else:
            room, guard = self._rooms.room(video), self._held.get((video.number, participant.sid))
        if plays:
            telemetry.participant_active(room, participant, guard=guard)

    def _hold(self, video: Video, participant: Participant) -> ReferenceGuard | None:
        key = (video.number, participant.sid)
        guard = self._held.get(key)
        if guard is None and len(self._held) < self._max_held:
            guard = self._held[key] = ReferenceGuard()
        return guard

    def _gone(self, video: Video, participant: Participant) -> None:
        guard = self._held.pop((video.number, participant.sid), None)
        self._telemetry.participant_left(self._rooms.room(video), participant, guard=guard)

    async def _departed(self, number: int, viewer: bytes) -> None:
        now_ms = self._clock.now_ms()
        video = self._videos.peek_number(number) or await self._videos.by_number(number)
        if video is None or await self._store.has(number, LOCAL, viewer, now_ms):
            return
        self._rooms.touched(video)
        participant = self._names.participant(number, viewer, now_ms)
        key = (number, participant.sid)
        if not self._telemetry.saw_come(key):
            # Another process, or an earlier run, may have seen it come or play: its watch progress tells.
            blob = await self._progress.get(number, viewer)
            progress = None if blob is None else decode(blob)
            # Without any a host application has spoken for it, which says that it plays.
            active = key not in self._held if progress is None else plays(progress, video.is_live)
            since_ms = 0 if progress is None else progress.first_ms
            participant = self._names.participant(number, viewer, now_ms, active=active, joined_ms=since_ms)
        self._gone(video, participant)
