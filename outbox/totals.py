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

import enum
import heapq
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from itertools import islice, takewhile


class Cadence(enum.Enum):
    FAST = "fast"
    SLOW = "slow"


@dataclass(frozen=True, slots=True)
class TotalsPolicy:
    """``viewer_lifetime_ms`` is ours; totals live twice as long, and are repeated at 0.6 of it:
    the third repetition arrives before a total ends whose next two were lost without a word.

    A video's SLOW bucket holds ``burst`` changes and gains ``refills`` of them per viewer lifetime.
    """

    viewer_lifetime_ms: int
    burst: int = 2
    refills: int = 4

    @property
    def expires_after_ms(self) -> int:
        return 2 * self.viewer_lifetime_ms

    @property
    def repeat_after_ms(self) -> int:
        return self.viewer_lifetime_ms * 3 // 5

    @property
    def refill_ms(self) -> int:
        return max(1, self.viewer_lifetime_ms // self.refills)


@dataclass(frozen=True, slots=True)
class Due:
    """A video whose total a peer does not know yet; ``seq`` is what its cursor becomes when it does."""

    video: int
    seq: int


@dataclass(slots=True)
class _Entry:
    seq: int
    said: int
    """The number at the last change: what a healthy peer knows."""
    now: int
    """The number last observed."""
    changed_ms: int
    mixed: bool
    """Some peer was told another number than ``said``: the next change is due even if the number returns to it."""
    tokens: int
    refilled_ms: int
    waits: bool = False
    """It stands in the queue for a token."""


class _Board:
    """One cadence. ``live`` holds videos somebody watches, ``quiet`` those just left; both in order of last change."""

    def __init__(self, policy: TotalsPolicy, cadence: Cadence) -> None:
        self.policy = policy
        self.cadence = cadence
        self.seq = 0
        self.live: OrderedDict[int, _Entry] = OrderedDict()
        self.quiet: OrderedDict[int, _Entry] = OrderedDict()
        self.waiting: list[tuple[int, int]] = []
        self.cursors: dict[Hashable, int] = {}

    def observe(self, video: int, number: int, now_ms: int) -> None:
        entry = self.live.get(video) or self.quiet.get(video)
        if entry is None:
            if number > 0:
                entry = _Entry(0, 0, number, now_ms, False, self.policy.burst, now_ms)
                self._change(video, entry, now_ms)
            return
        entry.now = number
        if number == entry.said and not entry.mixed:
            return
        wait_ms = self._must_wait_ms(entry, now_ms)
        if wait_ms == 0:
            self._change(video, entry, now_ms)
        elif not entry.waits:
            entry.waits = True
            heapq.heappush(self.waiting, (now_ms + wait_ms, video))

    def sent(self, video: int, number: int) -> None:
        entry = self.live.get(video) or self.quiet.get(video)
        if entry is not None and number != entry.said:
            entry.mixed = True

    def forget(self, video: int) -> None:
        self.live.pop(video, None)
        self.quiet.pop(video, None)

    def tick(self, now_ms: int) -> None:
        while self.waiting and self.waiting[0][0] <= now_ms:
            _, video = heapq.heappop(self.waiting)
            entry = self.live.get(video) or self.quiet.get(video)
            if entry is not None:
                entry.waits = False
                self.observe(video, entry.now, now_ms)
        while self.live:
            video, entry = next(iter(self.live.items()))
            if now_ms - entry.changed_ms < self.policy.repeat_after_ms:
                break
            self._change(video, entry, now_ms)
        while self.quiet:
            video, entry = next(iter(self.quiet.items()))
            if now_ms - entry.changed_ms < self.policy.expires_after_ms:
                break
            del self.quiet[video]

    def next_ms(self) -> int | None:
        instants = [self.waiting[0][0]] if self.waiting else []
        for entries, after_ms in (
            (self.live, self.policy.repeat_after_ms),
            (self.quiet, self.policy.expires_after_ms),
        ):
            if entries:
                instants.append(next(iter(entries.values())).changed_ms + after_ms)
        return min(instants, default=None)

    def due(self, cursor: int) -> list[Due]:
        newer: list[Due] = []
        for entries in (self.live, self.quiet):
            newest_first: Iterator[int] = reversed(entries)
            changed = ((video, entries[video].seq) for video in newest_first)
            newer.extend(Due(video, seq) for video, seq in takewhile(lambda item: item[1] > cursor, changed))
        newer.sort(key=lambda due: due.seq)
        return newer

    def _must_wait_ms(self, entry: _Entry, now_ms: int) -> int:
        """How long until this change may be said; takes the token when it may be said now."""
        if self.cadence is Cadence.FAST or (entry.now == 0) != (entry.said == 0):
            return 0
        gained, rest_ms = divmod(now_ms - entry.refilled_ms, self.policy.refill_ms)
        if gained > 0:
            entry.tokens = min(self.policy.burst, entry.tokens + gained)
            entry.refilled_ms = now_ms - rest_ms
        if entry.tokens > 0:
            entry.tokens -= 1
            return 0
        return max(1, entry.refilled_ms + self.policy.refill_ms - now_ms)

    def _change(self, video: int, entry: _Entry, now_ms: int) -> None:
        self.seq += 1
        entry.seq, entry.said, entry.changed_ms, entry.mixed = self.seq, entry.now, now_ms, False
        entries, others = (self.live, self.quiet) if entry.said > 0 else (self.quiet, self.live)
        others.pop(video, None)
        entries[video] = entry
        entries.move_to_end(video)


class TotalsBoard:
    """Both cadences, and every peer's cursor in them. Peers are any hashable name."""

    def __init__(self, policy: TotalsPolicy) -> None:
        self.policy = policy
        self._boards = {cadence: _Board(policy, cadence) for cadence in Cadence}

    def __len__(self) -> int:
        """Videos on the board."""
        return max(len(board.live) + len(board.quiet) for board in self._boards.values())

    @property
    def version(self) -> int:
        """Grows with every change: while it stands still, nothing new is due for anybody."""
        return sum(board.seq for board in self._boards.values())

    def observe(self, video: int, number: int, now_ms: int) -> None:
        """The number shown of a video, read just now; a video first seen with nobody watching is no news."""
        for board in self._boards.values():
            board.observe(video, number, now_ms)

    def tick(self, now_ms: int) -> None:
        """Let tokens, repetitions and forgetting happen; work is proportional to what is due."""
        for board in self._boards.values():
            board.tick(now_ms)

    def next_ms(self) -> int | None:
        """The next instant at which `tick` has something to do; None while the board is empty."""
        return min((at for at in (board.next_ms() for board in self._boards.values()) if at is not None), default=None)

    def due(self, cadence: Cadence, peer: Hashable) -> list[Due]:
        """What changed after the peer's cursor, oldest change first; work is proportional to the answer."""
        board = self._boards[cadence]
        return board.due(board.cursors.get(peer, 0))

    def is_due(self, cadence: Cadence, peer: Hashable) -> bool:
        board = self._boards[cadence]
        cursor = board.cursors.get(peer, 0)
        return any(entries[next(reversed(entries))].seq > cursor for entries in (board.live, board.quiet) if entries)

    def delivered(self, cadence: Cadence, peer: Hashable, seq: int) -> None:
        """The peer took everything up to ``seq``."""
        cursors = self._boards[cadence].cursors
        cursors[peer] = max(seq, cursors.get(peer, 0))

    def sent(self, cadence: Cadence, video: int, number: int) -> None:
        """This number is about to be told to some peer (it may never learn whether it arrived)."""
        self._boards[cadence].sent(video, number)

    def watched(self, limit: int) -> list[int]:
        """Videos that somebody watches, the newest change first."""
        return list(islice(reversed(self._boards[Cadence.FAST].live), limit))

    def forget_video(self, video: int) -> None:
        """The video is private or gone: it is due for nobody."""
        for board in self._boards.values():
            board.forget(video)

    def forget_peer(self, peer: Hashable) -> None:
        """Back to the start: should the peer return, it hears every live total."""
        for board in self._boards.values():
            board.cursors.pop(peer, None)
