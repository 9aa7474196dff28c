"""One cadence of totals: videos in the order of their last change, and when a change may be said. Pure."""

from __future__ import annotations

import enum
import heapq
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile


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
class Entry:
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


class CadenceBoard:
    """One cadence. ``live`` holds videos somebody watches, ``quiet`` those just left; both in order of last change."""

    def __init__(self, policy: TotalsPolicy, cadence: Cadence) -> None:
        self.policy = policy
        self.cadence = cadence
        self.seq = 0
        self.live: OrderedDict[int, Entry] = OrderedDict()
        self.quiet: OrderedDict[int, Entry] = OrderedDict()
        self.waiting: list[tuple[int, int]] = []
        self.touched: set[int] = set()
        """Videos whose entry changed in any way, for whoever keeps them elsewhere too (and empties this)."""

    def observe(self, video: int, number: int, now_ms: int) -> None:
        entry = self.entry(video)
        if entry is None:
            if number > 0:
                entry = Entry(0, 0, number, now_ms, False, self.policy.burst, now_ms)
                self._change(video, entry, now_ms)
            return
        entry.now = number
        if number == entry.said and not entry.mixed:
            return
        self.touched.add(video)
        wait_ms = self._must_wait_ms(entry, now_ms)
        if wait_ms == 0:
            self._change(video, entry, now_ms)
        elif not entry.waits:
            entry.waits = True
            heapq.heappush(self.waiting, (now_ms + wait_ms, video))

    def sent(self, video: int, number: int) -> None:
        entry = self.entry(video)
        if entry is not None and number != entry.said:
            entry.mixed = True
            self.touched.add(video)

    def forget(self, video: int) -> None:
        gone = (self.live.pop(video, None), self.quiet.pop(video, None))
        if any(gone):
            self.touched.add(video)

    def entry(self, video: int) -> Entry | None:
        return self.live.get(video) or self.quiet.get(video)

    def put(self, video: int, entry: Entry) -> None:
        """An entry as it was kept elsewhere; to be called in the order of their changes."""
        self.seq = max(self.seq, entry.seq)
        self._place(video, entry)

    def prune(self, now_ms: int) -> None:
        """Forget what nobody can know any more; for a board that is only a copy of another's."""
        for entries in (self.live, self.quiet):
            while entries:
                video, entry = next(iter(entries.items()))
                if now_ms - entry.changed_ms < 2 * self.policy.expires_after_ms:
                    break
                del entries[video]

    def tick(self, now_ms: int) -> None:
        while self.waiting and self.waiting[0][0] <= now_ms:
            _, video = heapq.heappop(self.waiting)
            entry = self.entry(video)
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
            self.forget(video)

    def next_ms(self) -> int | None:
        instants = [self.waiting[0][0]] if self.waiting else []
        for entries, after_ms in (
            (self.live, self.policy.repeat_after_ms),
            (self.quiet, self.policy.expires_after_ms),
        ):
            if entries:
                instants.append(next(iter(entries.values())).changed_ms + after_ms)
        return min(instants, default=None)

    def newest(self) -> int:
        """The number of the newest change of a video still here; 0 for none."""
        return max((entries[next(reversed(entries))].seq for entries in (self.live, self.quiet) if entries), default=0)

    def due(self, cursor: int) -> list[Due]:
        newer: list[Due] = []
        for entries in (self.live, self.quiet):
            newest_first: Iterator[int] = reversed(entries)
            changed = ((video, entries[video].seq) for video in newest_first)
            newer.extend(Due(video, seq) for video, seq in takewhile(lambda item: item[1] > cursor, changed))
        newer.sort(key=lambda due: due.seq)
        return newer

    def _must_wait_ms(self, entry: Entry, now_ms: int) -> int:
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

    def _change(self, video: int, entry: Entry, now_ms: int) -> None:
        self.seq += 1
        entry.seq, entry.said, entry.changed_ms, entry.mixed = self.seq, entry.now, now_ms, False
        self.touched.add(video)
        self._place(video, entry)

    def _place(self, video: int, entry: Entry) -> None:
        entries, others = (self.live, self.quiet) if entry.said > 0 else (self.quiet, self.live)
        others.pop(video, None)
        entries[video] = entry
        entries.move_to_end(video)
