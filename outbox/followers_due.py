"""Which followers lack totals: numbers that moved are read once per pulse, followers looked at when one changed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from foundation.clock import Clock
from foundation.errors import StorageUnavailable
from outbox.routing import RouteBook
from outbox.soft_lanes import Numbers
from outbox.totals import Board
from views.model import Video


class FollowersDue:
    """A host ``in`` it is due. ``pulse_ms``: how long numbers that moved gather before they are read.

    ``moved`` is asked once per pulse where several processes share the board: the videos that this one decides about
    and whose number may have moved anywhere. What ``number_moved`` says then comes that way too.
    """

    def __init__(
        self,
        *,
        board: Board,
        book: RouteBook,
        numbers: Numbers,
        clock: Clock,
        pulse_ms: int,
        moved: Callable[[], Awaitable[Sequence[Video]]] | None = None,
    ) -> None:
        self._board = board
        self._book = book
        self._numbers = numbers
        self._clock = clock
        self._pulse_every_ms = max(1, pulse_ms)
        self._pulse_ms = 0
        self._ask_moved = moved
        self._moved: dict[int, Video] = {}
        # In their order, so that a simulation repeats itself.
        self._due: dict[str, None] = {}
        self._unwelcomed: set[str] = set()
        self._followers: Sequence[str] = ()
        self._scanned = -1
        self._rescan = True

    def __contains__(self, host: str) -> bool:
        return host in self._due

    def hosts(self) -> Sequence[str]:
        return tuple(self._due)

    def number_moved(self, video: Video) -> bool:
        """Note it; whether it is the first since the last pulse (the rest waits for the pulse with it). O(1)."""
        if not (video.federated and video.local) or self._ask_moved is not None:
            return False
        first = not self._moved
        self._moved[video.number] = video
        return first

    def look_again(self) -> None:
        """A follower came, left, or its software became known."""
        self._rescan = True

    def hold(self, host: str) -> None:
        """Nothing for this host until ``welcome``: it would drop the totals of videos not announced to it."""
        self._unwelcomed.add(host)

    def welcome(self, host: str) -> None:
        self._unwelcomed.discard(host)
        self._rescan = True

    def is_welcome(self, host: str) -> bool:
        return host not in self._unwelcomed

    def done(self, host: str) -> None:
        """It has everything, or is to get nothing."""
        self._due.pop(host, None)

    def next_ms(self) -> int | None:
        """The next monotonic instant at which ``gather`` has something to do by itself; None for none."""
        board_ms = self._board.next_ms()
        instants = [] if board_ms is None else [board_ms]
        pulses = self._moved or self._ask_moved is not None
        return min([*instants, self._pulse_ms] if pulses else instants, default=None)

    async def gather(self) -> None:
        """Take in what moved. Raises StorageUnavailable; nothing is lost by that."""
        now_ms = self._clock.monotonic_ms()
        if self._ask_moved is None:
            if self._moved and self._pulse_ms <= now_ms:
                self._pulse_ms = now_ms + self._pulse_every_ms
                await self._read_moved()
            self._board.tick(self._clock.monotonic_ms())
        elif self._pulse_ms <= now_ms:
            self._pulse_ms = now_ms + self._pulse_every_ms
            self._moved |= {video.number: video for video in await self._ask_moved()}
            await self._read_moved()
            self._board.tick(self._clock.monotonic_ms())
            await self._board.exchange()
        self._scan()

    async def _read_moved(self) -> None:
        moved, self._moved = self._moved, {}
        videos = list(moved.values())
        if not videos:
            return
        try:
            numbers = await self._numbers(videos)
        except StorageUnavailable:
            self._moved = moved | self._moved
            raise
        for video, number in zip(videos, numbers, strict=True):
            self._board.observe(video.number, number.viewers, self._clock.monotonic_ms())

    def _scan(self) -> None:
        followers, version = self._book.follower_hosts(), self._board.version
        if not self._rescan and version == self._scanned and followers == self._followers:
            return
        self._rescan, self._scanned, self._followers = False, version, followers
        self._due.clear()
        self._unwelcomed.intersection_update(followers)
        for host in followers:
            if host in self._unwelcomed:
                continue
            route = self._book.route(host)
            if route.totals and not route.blocked and self._board.is_due(route.cadence, host):
                self._due[host] = None
