"""Lives of the viewers of one video from one source: who is alive, exactly, at any instant; pure."""

from __future__ import annotations

import sys
from heapq import heapify, heappop, heappush

NEVER = 2**63 - 1
"""An instant that does not come."""

_SPARSE_BYTES_PER_VIEWER = 200
"""A dict that holds more memory per entry than this is mostly holes; a fresh copy needs 37 to 110."""


class Lives:
    """Keys and the instant at which each ends, in about 100 bytes per viewer (16-byte keys, shared instants).

    Viewers of ours all get the same life, so they end in the order in which they were heard: a dict kept in refresh
    order (``_ordered``) is its own queue. What would end before the last one in it (a peer's viewers have any expiry,
    and clocks are set back) goes to ``_loose``, where a heap finds the next to end.

    Looking for the first entry of a dict walks over the holes left by everybody who was refreshed, so the walk is done
    once for many: ``_front`` holds the next keys to end, in reverse, and whoever is not in it ends at ``_horizon`` or
    later. Every step is paid by a touch or an end: all costs are O(1) amortised (O(log n) for the loose ones).
    """

    __slots__ = ("_front", "_heap", "_horizon", "_loose", "_ordered", "_tail", "due_ms")

    def __init__(self) -> None:
        self.due_ms = NEVER
        """Nobody ends before this instant; ``drain`` is needed from it on."""
        self._ordered: dict[bytes, int] = {}
        self._tail = 0
        self._front: list[bytes] = []
        self._horizon = 0
        self._loose: dict[bytes, int] = {}
        self._heap: list[tuple[int, bytes]] = []

    def __len__(self) -> int:
        """How many are kept; after ``drain(now_ms)`` how many are alive."""
        return len(self._ordered) + len(self._loose)

    def expires_ms(self, viewer: bytes) -> int:
        """When the viewer ends; 0 for a stranger."""
        return self._ordered.get(viewer, 0) or self._loose.get(viewer, 0)

    def touch(self, viewer: bytes, expires_ms: int) -> bool:
        """Add or extend; True when new. Drain first: somebody who has ended is not new while still kept."""
        ordered = self._ordered
        old = ordered.get(viewer)
        if old is not None:
            if expires_ms <= old:
                return False
            del ordered[viewer]
        elif self._loose:
            old = self._loose.get(viewer)
            if old is not None:
                if expires_ms <= old:
                    return False
                del self._loose[viewer]
        if expires_ms >= self._tail:
            ordered[viewer] = self._tail = expires_ms
        else:
            self._put_loose(viewer, expires_ms)
        if expires_ms < self.due_ms:
            self.due_ms = expires_ms
        return old is None

    def remove(self, viewer: bytes) -> bool:
        """True when the viewer was kept."""
        if self._ordered.pop(viewer, None) is not None:
            if not self._ordered:
                self._restart()
            return True
        return self._loose.pop(viewer, None) is not None

    def drain(self, now_ms: int) -> list[bytes]:
        """Forget everybody who ends at ``now_ms`` or before, and say who."""
        gone: list[bytes] = []
        self.due_ms = min(self._drain_loose(now_ms, gone), self._drain_ordered(now_ms, gone))
        return gone

    def _put_loose(self, viewer: bytes, expires_ms: int) -> None:
        self._loose[viewer] = expires_ms
        heappush(self._heap, (expires_ms, viewer))
        if len(self._heap) > 2 * len(self._loose) + 64:
            self._heap = [(instant, key) for key, instant in self._loose.items()]
            heapify(self._heap)

    def _restart(self) -> None:
        self._tail = self._horizon = 0
        self._front = []

    def _drain_loose(self, now_ms: int, gone: list[bytes]) -> int:
        heap, loose = self._heap, self._loose
        while heap:
            expires_ms, viewer = heap[0]
            if loose.get(viewer) == expires_ms:
                if expires_ms > now_ms:
                    return expires_ms
                del loose[viewer]
                gone.append(viewer)
            heappop(heap)
        return NEVER

    def _drain_ordered(self, now_ms: int, gone: list[bytes]) -> int:
        ordered, front = self._ordered, self._front
        while True:
            while front:
                expires_ms = ordered.get(front[-1], NEVER)
                if expires_ms < self._horizon:
                    if expires_ms > now_ms:
                        return expires_ms
                    gone.append(front[-1])
                    del ordered[front[-1]]
                front.pop()
            if not ordered:
                self._restart()
                return NEVER
            if now_ms < self._horizon:
                return self._horizon
            self._walk(now_ms, gone)
            ordered, front = self._ordered, self._front
            if not ordered:
                self._restart()
                return NEVER

    def _walk(self, now_ms: int, gone: list[bytes]) -> None:
        """One pass from the oldest: drop who has ended, note who is next."""
        ordered = self._ordered
        wanted = 64 + len(ordered) // 8
        ended: list[bytes] = []
        front: list[bytes] = []
        horizon = self._tail
        for viewer, expires_ms in ordered.items():
            if expires_ms <= now_ms:
                ended.append(viewer)
            elif len(front) < wanted:
                front.append(viewer)
            else:
                horizon = expires_ms
                break
        for viewer in ended:
            del ordered[viewer]
        gone += ended
        front.reverse()
        self._front, self._horizon = front, horizon
        if sys.getsizeof(ordered) > _SPARSE_BYTES_PER_VIEWER * len(ordered) + 4096:
            self._ordered = dict(ordered)
