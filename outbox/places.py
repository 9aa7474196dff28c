"""A number of places for which those wait that find none free."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from heapq import heapify, heappop, heappush

_SPARE = 64


class Places:
    """A place that becomes free goes by turns to the waiter of the lowest rank and to the one that waits longest: the
    best are served soon, and whatever others do nobody waits for ever."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: OrderedDict[int, asyncio.Future[None]] = OrderedDict()
        """By their numbers, in the order in which they came."""
        self._ranked: list[tuple[int, int]] = []
        """A heap of ranks and numbers, also of some that wait no longer."""
        self._came = 0
        self._by_rank = True

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @asynccontextmanager
    async def place(self, rank: int) -> AsyncIterator[None]:
        """Have a place; of equal ranks whoever came first."""
        await self._take(rank)
        try:
            yield
        finally:
            self._leave()

    async def _take(self, rank: int) -> None:
        if self._free > 0:
            self._free -= 1
            return
        self._came += 1
        number = self._came
        turn = self._waiting[number] = asyncio.get_running_loop().create_future()
        heappush(self._ranked, (rank, number))
        try:
            await turn
        except asyncio.CancelledError:
            self._waiting.pop(number, None)
            if not turn.cancelled():
                # It got the place in the moment in which it was broken off.
                self._leave()
            raise

    def _leave(self) -> None:
        while self._waiting:
            number = self._best() if self._by_rank else next(iter(self._waiting))
            turn = self._waiting.pop(number)
            if turn.cancelled():
                continue
            self._by_rank = not self._by_rank
            turn.set_result(None)
            self._tidy()
            return
        self._ranked.clear()
        self._free += 1

    def _best(self) -> int:
        """The number of the waiter of the lowest rank. There is one: whoever waits is in the heap."""
        while True:
            _, number = heappop(self._ranked)
            if number in self._waiting:
                return number

    def _tidy(self) -> None:
        if len(self._ranked) > 2 * len(self._waiting) + _SPARE:
            self._ranked = [one for one in self._ranked if one[1] in self._waiting]
            heapify(self._ranked)
