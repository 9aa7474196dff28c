"""Things kept up to a bound, in groups: when there are too many, the heaviest group's oldest goes."""

from __future__ import annotations

import heapq
import sys
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class _Kept(Generic[V]):
    thing: V
    group: str
    cost: int


class FairStore(Generic[V]):
    """Things by number that cost at most ``bound`` together.

    Nobody loses anything to a group that has more than its own: whoever fills it drives out what it brought itself.
    Where things are said to be of a part ``within`` their group, the same holds among its parts.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._things: OrderedDict[int, _Kept[V]] = OrderedDict()
        self._groups: dict[str, OrderedDict[int, None]] = {}
        self._weights: dict[str, int] = {}
        self._parts: dict[str, FairStore[None]] = {}
        # Weights as they were at some time; what is no longer true is passed over.
        self._heaviest: list[tuple[int, int, str]] = []
        self.cost = 0

    def add(self, number: int, thing: V, group: str = "", cost: int = 1, within: str | None = None) -> list[int]:
        """Keep a thing under a new number; the numbers of what had to go for it, maybe itself."""
        self._things[number] = _Kept(thing, group, cost)
        self._groups.setdefault(group, OrderedDict())[number] = None
        if within is not None:
            self._parts.setdefault(group, FairStore(sys.maxsize)).add(number, None, within, cost)
        self._weigh(group, cost)
        gone = []
        while self.cost > self._bound:
            oldest = self._oldest_of_the_heaviest()
            self.pop(oldest)
            gone.append(oldest)
        return gone

    def pop(self, number: int) -> V | None:
        """Take a thing out."""
        kept = self._things.pop(number, None)
        if kept is None:
            return None
        del self._groups[kept.group][number]
        parts = self._parts.get(kept.group)
        if parts is not None:
            parts.pop(number)
            if not parts:
                del self._parts[kept.group]
        self._weigh(kept.group, -kept.cost)
        return kept.thing

    def newest(self) -> Iterator[V]:
        """The latest added first."""
        for number in reversed(self._things):
            yield self._things[number].thing

    def __contains__(self, number: int) -> bool:
        return number in self._things

    def __len__(self) -> int:
        return len(self._things)

    def _weigh(self, group: str, cost: int) -> None:
        self.cost += cost
        self._weights[group] = self._weights.get(group, 0) + cost
        if not self._groups[group]:
            del self._groups[group], self._weights[group]
            return
        heapq.heappush(self._heaviest, self._rank(group))
        if len(self._heaviest) > 4 * len(self._weights) + 64:
            self._heaviest = [self._rank(name) for name in self._weights]
            heapq.heapify(self._heaviest)

    def _rank(self, group: str) -> tuple[int, int, str]:
        """Among groups as heavy as each other the one with the oldest thing loses it: what is new is kept."""
        return -self._weights[group], next(iter(self._groups[group])), group

    def _oldest_of_the_heaviest(self) -> int:
        while True:
            rank = self._heaviest[0]
            if rank[2] in self._groups and rank == self._rank(rank[2]):
                parts = self._parts.get(rank[2])
                return rank[1] if parts is None else parts._oldest_of_the_heaviest()
            heapq.heappop(self._heaviest)
