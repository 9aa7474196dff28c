"""Keys with an instant each, given back when it comes, at a cost proportional to what is due; pure."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

K = TypeVar("K", bound=tuple[object, ...] | int)


class Agenda(Generic[K]):
    """One appointment per key: the earliest one asked for."""

    __slots__ = ("_at", "_heap")

    def __init__(self) -> None:
        self._at: dict[K, int] = {}
        self._heap: list[tuple[int, K]] = []

    def __len__(self) -> int:
        return len(self._at)

    def put(self, key: K, due_ms: int) -> None:
        """Ask for the key at ``due_ms``, unless it comes earlier anyway."""
        known = self._at.get(key)
        if known is not None and known <= due_ms:
            return
        self._at[key] = due_ms
        heappush(self._heap, (due_ms, key))
        if len(self._heap) > 2 * len(self._at) + 64:
            self._heap = [(instant, kept) for kept, instant in self._at.items()]
            heapify(self._heap)

    def pop_due(self, now_ms: int) -> list[K]:
        """Every key whose instant has come, earliest first; they are off the agenda."""
        due: list[K] = []
        heap, at = self._heap, self._at
        while heap and heap[0][0] <= now_ms:
            instant, key = heappop(heap)
            if at.get(key) == instant:
                del at[key]
                due.append(key)
        return due
