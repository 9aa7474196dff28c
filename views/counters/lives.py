"""Lives of the viewers of one video from one source: who is alive, exactly, at any instant; pure."""

from __future__ import annotations

import sys
from heapq import heapify, heappop, heappush

NEVER = 2**63 - 1
"""An instant that does not come."""

_LOOSE_BYTES = 64
"""A dict that holds more than this per entry was left wide by people who came and went; a fresh one needs 27 to 60."""


class Lives:
    """Keys and the instant at which each ends, in about 100 bytes per viewer (16-byte keys, shared instants).

    One dict, changed in place, so a refresh leaves no hole in it. Beside it a heap of those few that end before
    ``_horizon``; all others end there or later. When the horizon is reached, one pass over the dict finds who ends
    before the next one, which is a quarter of the longest remaining life away: somebody who is refreshed in time never
    enters the heap, and every pass is paid for by the sign of life that each viewer has to give four passes later at
    the latest. Ends may come in any order, and clocks may be set back: that only makes the heap longer for a while.
    """

    __slots__ = ("_ends", "_heap", "_horizon", "_tail", "_window", "due_ms")

    def __init__(self) -> None:
        self.due_ms = NEVER
        """Nobody ends before this instant; ``drain`` is needed from it on."""
        self._ends: dict[bytes, int] = {}
        self._heap: list[tuple[int, bytes]] = []
        self._horizon = 0
        self._tail = 0
        self._window = 0

    def __len__(self) -> int:
        """How many are kept; after ``drain(now_ms)`` how many are alive."""
        return len(self._ends)

    def expires_ms(self, viewer: bytes) -> int:
        """When the viewer ends; 0 for a stranger."""
        return self._ends.get(viewer, 0)

    def touch(self, viewer: bytes, expires_ms: int) -> bool:
        """Add or extend; True when new. Drain first: somebody who has ended is not new while still kept."""
        ends = self._ends
        old = ends.get(viewer)
        if old is None:
            if not ends:
                self._horizon = self._tail = self.due_ms = expires_ms
        elif expires_ms <= old:
            return False
        ends[viewer] = expires_ms
        if expires_ms > self._tail:
            self._tail = expires_ms
        if expires_ms < self._horizon:
            self._end_soon(viewer, expires_ms)
        return old is None

    def remove(self, viewer: bytes) -> bool:
        """True when the viewer was kept."""
        if self._ends.pop(viewer, None) is None:
            return False
        if not self._ends:
            self._heap = []
            self.due_ms = NEVER
        return True

    def drain(self, now_ms: int) -> list[bytes]:
        """Forget everybody who ends at ``now_ms`` or before, and say who."""
        ends = self._ends
        gone = self._look_ahead(now_ms) if ends and now_ms >= self._horizon else []
        heap = self._heap
        while heap and heap[0][0] <= now_ms:
            expires_ms, viewer = heappop(heap)
            if ends.get(viewer) == expires_ms:
                gone.append(viewer)
                del ends[viewer]
        if not ends:
            self._heap = []
            self.due_ms = NEVER
        else:
            self.due_ms = min(heap[0][0], self._horizon) if heap else self._horizon
        return gone

    def _end_soon(self, viewer: bytes, expires_ms: int) -> None:
        heappush(self._heap, (expires_ms, viewer))
        if len(self._heap) > 2 * len(self._ends) + 64:
            horizon = self._horizon
            self._heap = [(end, key) for key, end in self._ends.items() if end < horizon]
            heapify(self._heap)
        if expires_ms < self.due_ms:
            self.due_ms = expires_ms

    def _look_ahead(self, now_ms: int) -> list[bytes]:
        """One pass: take out who has ended, put on the heap who ends before the next horizon."""
        ends = self._ends
        self._window = max(1, (self._tail - now_ms) // 4, self._window // 2)
        horizon = self._horizon = now_ms + self._window
        near = [(end, viewer) for viewer, end in ends.items() if end < horizon]
        gone = [viewer for end, viewer in near if end <= now_ms]
        for viewer in gone:
            del ends[viewer]
        self._heap = [entry for entry in near if entry[0] > now_ms] if gone else near
        heapify(self._heap)
        if sys.getsizeof(ends) > _LOOSE_BYTES * len(ends) + 4096:
            # Not dict(ends): that may copy the width as well.
            self._ends = {viewer: end for viewer, end in ends.items()}  # noqa: C416
        return gone
