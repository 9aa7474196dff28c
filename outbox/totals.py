"""Which totals of our videos are due for whom. Pure: time comes in, nothing goes out.

Videos are kept in the order of their last change, each change with a sequence number; a peer has a cursor. Due for a
peer is what changed after its cursor, valued when it is sent: the newest number wins by construction, and memory is
videos plus peers, whatever was missed meanwhile.

There are two cadences. `Cadence.FAST` (peers of our own kind) changes whenever the number did. `Cadence.SLOW`
(PeerTube, which was made for one message per video and two minutes) changes at once between nobody and somebody, else
by a token bucket per video. Both repeat an unmoved number before it can expire at the receiver, as long as somebody
watches; nobody is said once, and stays due until the last number said before has expired everywhere.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import islice
from typing import Protocol

from outbox.cadence import Cadence, CadenceBoard, Due, TotalsPolicy


class Board(Protocol):
    """What is due for whom. Peers are hosts. Several processes may share one board (`outbox.shared_board`): each sees
    all videos, and knows what is due for the peers that it serves.
    """

    policy: TotalsPolicy

    @property
    def version(self) -> int:
        """Grows with every change: while it stands still, nothing new is due for anybody."""

    def observe(self, video: int, number: int, now_ms: int) -> None:
        """The number shown of a video, read just now; a video first seen with nobody watching is no news."""

    def tick(self, now_ms: int) -> None:
        """Let tokens, repetitions and forgetting happen; work is proportional to what is due."""

    def next_ms(self) -> int | None:
        """The next instant at which `tick` has something to do; None while the board is empty."""

    def due(self, cadence: Cadence, peer: str) -> list[Due]:
        """What changed after the peer's cursor, in an order that `delivered` may stop at anywhere; work is
        proportional to the answer."""

    def is_due(self, cadence: Cadence, peer: str) -> bool: ...

    def delivered(self, cadence: Cadence, peer: str, totals: Sequence[Due]) -> None:
        """The peer took these: the first of `due`, none left out."""

    def sent(self, cadence: Cadence, video: int, number: int) -> None:
        """This number is about to be told to some peer (it may never learn whether it arrived)."""

    def watched(self, limit: int) -> list[int]:
        """Videos that somebody watches, the newest change first."""

    def forget_video(self, video: int) -> None:
        """The video is private or gone: it is due for nobody."""

    def forget_peer(self, peer: str) -> None:
        """Back to the start: should the peer return, it hears every live total."""

    async def keep(self) -> None:
        """What was delivered so far is known to whoever serves the peers next. Raises StorageUnavailable."""

    async def exchange(self) -> None:
        """Give away and take in what changed here and in other processes. Raises StorageUnavailable."""


class TotalsBoard:
    """The board of a single process: both cadences, and every peer's cursor in them."""

    def __init__(self, policy: TotalsPolicy) -> None:
        self.policy = policy
        self._boards = {cadence: CadenceBoard(policy, cadence) for cadence in Cadence}
        self._cursors: dict[tuple[Cadence, Hashable], int] = {}

    def __len__(self) -> int:
        """Videos on the board."""
        return max(len(board.live) + len(board.quiet) for board in self._boards.values())

    @property
    def version(self) -> int:
        return sum(board.seq for board in self._boards.values())

    def observe(self, video: int, number: int, now_ms: int) -> None:
        for board in self._boards.values():
            board.observe(video, number, now_ms)

    def tick(self, now_ms: int) -> None:
        for board in self._boards.values():
            board.tick(now_ms)
            board.touched.clear()

    def next_ms(self) -> int | None:
        return min((at for at in (board.next_ms() for board in self._boards.values()) if at is not None), default=None)

    def due(self, cadence: Cadence, peer: Hashable) -> list[Due]:
        return self._boards[cadence].due(self._cursors.get((cadence, peer), 0))

    def is_due(self, cadence: Cadence, peer: Hashable) -> bool:
        return self._boards[cadence].newest() > self._cursors.get((cadence, peer), 0)

    def delivered(self, cadence: Cadence, peer: Hashable, totals: Sequence[Due]) -> None:
        newest = max((one.seq for one in totals), default=0)
        self._cursors[cadence, peer] = max(newest, self._cursors.get((cadence, peer), 0))

    def sent(self, cadence: Cadence, video: int, number: int) -> None:
        self._boards[cadence].sent(video, number)

    def watched(self, limit: int) -> list[int]:
        return list(islice(reversed(self._boards[Cadence.FAST].live), limit))

    def forget_video(self, video: int) -> None:
        for board in self._boards.values():
            board.forget(video)

    def forget_peer(self, peer: Hashable) -> None:
        for cadence in Cadence:
            self._cursors.pop((cadence, peer), None)

    async def keep(self) -> None:
        """Nobody else serves them."""

    async def exchange(self) -> None:
        """There are no other processes."""
