"""Keeps who is in LiveKit's rooms among the viewers: it says once that somebody came, viewers have to be refreshed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from foundation.clock import Clock
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from inbox.livekit.participants import Change, Participants, Present
from views.model import Video
from views.sections import MAX_POSITION_S

BATCH = 500
"""Participants read at once."""
LONGEST_PERIOD_MS = 40_000
GREET_MS = 1_000

_logger = logging.getLogger(__name__)


class Videos(Protocol):
    """The part of the catalog that is needed here."""

    def peek_uuid(self, uuid: str) -> Video | None: ...

    async def by_uuid(self, uuid: str) -> Video | None: ...


class Watched(Protocol):
    """The part of ``views.watching.Watching`` that is needed here."""

    async def watched(
        self, video: Video, viewer: bytes, alternate: bytes | None, position_s: int, *, leave: bool = False
    ) -> object: ...


class RoomPresence:
    """``refresh`` reports for everybody who is there, as their players would, every ``period_ms``. ``greet`` does so
    once more for who just came, every ``greet_ms``: that proves to telemetry that it plays.

    ``rooms`` maps a room's name to the uuid of the video of ours that it is. ``participant_max_ms``: who is there for
    so long has left, and nobody said so. ``may_refresh``: of several processes one is enough, the others only count.
    """

    def __init__(
        self,
        participants: Participants,
        watching: Watched,
        videos: Videos,
        clock: Clock,
        metrics: Metrics,
        *,
        rooms: Mapping[str, str],
        participant_max_ms: int,
        viewer_lifetime_ms: int,
        may_refresh: Callable[[], bool] = lambda: True,
    ) -> None:
        self._participants = participants
        self._watching = watching
        self._videos = videos
        self._clock = clock
        self._rooms = dict(rooms)
        self._participant_max_ms = participant_max_ms
        self._may_refresh = may_refresh
        self._went: dict[tuple[str, bytes], int] = {}
        self._messages = 0
        self._greeted = 0
        self._known = 0
        self._came: dict[tuple[str, bytes], Present] = {}
        self.period_ms = max(100, min(LONGEST_PERIOD_MS, viewer_lifetime_ms // 3))
        self.greet_ms = min(GREET_MS, self.period_ms)
        metrics.gauge_from("fediviews_livekit_participants", "Participants of LiveKit's rooms", lambda: self._known)

    @property
    def known(self) -> int:
        """How many are in rooms, viewers or not, as last counted."""
        return self._known

    def replace(self, rooms: Mapping[str, str]) -> None:
        """Other rooms from now on."""
        self._rooms = dict(rooms)

    async def video(self, room: str) -> Video | None:
        """The video of ours that a room is; None for one that is not configured, or whose video does not exist."""
        uuid = self._rooms.get(room)
        if uuid is None:
            return None
        video = self._videos.peek_uuid(uuid) or await self._videos.by_uuid(uuid)
        return video if video is not None and video.local else None

    def configured(self, room: str) -> bool:
        return room in self._rooms

    async def applied(self, change: Change) -> None:
        """After a message was taken: viewers come and go at once. What a store that does not answer leaves undone, the
        next refresh does, or the viewer's own end."""
        now_ms = self._clock.now_ms()
        self._known = max(0, self._known + len(change.came) - len(change.went))
        self._messages += 1
        self._went.update({(one.room, one.viewer): self._messages for one in change.went})
        for one in change.came:
            self._went.pop((one.room, one.viewer), None)
        # Who goes before it was greeted is greeted on its way: LiveKit says that somebody came once media flows.
        hasty = [one for one in change.went if self._came.pop((one.room, one.viewer), None) is not None]
        self._came.update({(one.room, one.viewer): one for one in change.came})
        try:
            await self._report(hasty, now_ms, leave=False)
            await self._report(change.went, now_ms, leave=True)
            await self._report(change.came, now_ms, leave=False)
        except StorageUnavailable as problem:
            _logger.warning("a participant of a LiveKit room is late: %s", problem)

    async def greet(self) -> int:
        """Who came since the last time still watches; how many. This process alone does it: it took the message."""
        came, self._came = self._came, {}
        # A batch that was read before the last greeting has been reported by now.
        self._went = {who: message for who, message in self._went.items() if message > self._greeted}
        self._greeted = self._messages
        return await self._report(list(came.values()), self._clock.now_ms(), leave=False, as_of=self._messages)

    async def refresh(self) -> int:
        """Everybody who is there still watches; how many. Raises StorageUnavailable."""
        if not self._rooms or not await self._count() or not self._may_refresh():
            return 0
        now_ms = self._clock.now_ms()
        lost = await self._participants.lose(now_ms - self._participant_max_ms, now_ms)
        await self._report(lost, now_ms, leave=True)
        after, count = ("", ""), 0
        while True:
            # Newcomers are greeted by the process that heard of them: two at once would both say that they play.
            as_of = self._messages
            batch = await self._participants.present(after, BATCH, now_ms - 2 * self.greet_ms)
            # Whoever left while the batch was read or reported must not be called back.
            count += await self._report(batch, self._clock.now_ms(), leave=False, as_of=as_of)
            if len(batch) < BATCH:
                break
            after = (batch[-1].room_sid, batch[-1].sid)
        await self._count()
        return count

    async def purge(self) -> None:
        """Forget what is only kept for messages that come late."""
        await self._participants.purge(self._clock.now_ms())

    async def _count(self) -> int:
        self._known = await self._participants.count()
        return self._known

    async def _report(self, present: Sequence[Present], now_ms: int, *, leave: bool, as_of: int | None = None) -> int:
        reported = 0
        for number, one in enumerate(present, 1):
            if number % 100 == 0:
                await self._clock.sleep_ms(0)
            if as_of is not None and self._went.get((one.room, one.viewer), 0) > as_of:
                # It left after this list of who is there was made.
                continue
            video = await self.video(one.room)
            if video is None:
                continue
            position_s = min(max(0, now_ms - one.opened_ms) // 1000, MAX_POSITION_S)
            if not video.is_live:
                position_s = min(position_s, video.duration_s)
            await self._watching.watched(video, one.viewer, None, position_s, leave=leave)
            reported += 1
        return reported
