"""Places for what runs at once, with a share for each group; whoever finds none free waits in line for a while."""

from __future__ import annotations

import asyncio
from collections import Counter

WAITING_PER_PLACE = 8
"""The line is so many times as long as there are places: in all, and for every share."""

_Keys = tuple[tuple[int, str], ...]


class Places:
    """``total`` places. Who takes one names its groups, one per entry of ``shares``, and counts in each; None: in none.

    One group's members cannot take more than its share, nor wait in more than its share of the line. Of those that
    wait, whose groups have the fewest places comes first.
    """

    def __init__(self, total: int, shares: tuple[int, ...], patience_ms: int) -> None:
        self._total = total
        self._shares = shares
        self._patience_s = patience_ms / 1000
        self._count = 0
        self._taken: Counter[tuple[int, str]] = Counter()
        self._line: dict[asyncio.Future[None], _Keys] = {}
        self._waiting: Counter[tuple[int, str]] = Counter()

    def take(self, *groups: str | None) -> bool:
        """Whether there was a free place; call :meth:`leave` with the same groups after use."""
        keys = _keys(groups)
        if not self._fits(keys):
            return False
        self._count += 1
        self._taken.update(keys)
        return True

    async def wait(self, *groups: str | None) -> bool:
        """As :meth:`take`, but waits in line for up to the patience, where the line is not too long already."""
        if self.take(*groups):
            return True
        keys = _keys(groups)
        if len(self._line) >= WAITING_PER_PLACE * self._total or any(
            self._waiting[key] >= WAITING_PER_PLACE * self._shares[key[0]] for key in keys
        ):
            return False
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line[turn] = keys
        self._waiting.update(keys)
        try:
            await asyncio.wait((turn,), timeout=self._patience_s)
        except asyncio.CancelledError:
            if turn.done():
                self.leave(*groups)
            raise
        finally:
            self._leave_line(turn)
        return turn.done()

    def leave(self, *groups: str | None) -> None:
        """Give a place back: to whoever in line comes first."""
        self._count -= 1
        _discount(self._taken, _keys(groups))
        while self._count < self._total:
            fitting = [(turn, keys) for turn, keys in self._line.items() if self._fits(keys)]
            if not fitting:
                return
            turn, keys = min(fitting, key=lambda waiting: sum(self._taken[key] for key in waiting[1]))
            self._count += 1
            self._taken.update(keys)
            self._leave_line(turn)
            turn.set_result(None)

    def has_room(self, *groups: str | None) -> bool:
        """Whether :meth:`take` would find a place."""
        return self._fits(_keys(groups))

    def held_by(self, number: int, group: str) -> int:
        """How many places the members of a group have; ``number`` says which of the groups it is."""
        return self._taken[(number, group)]

    def __len__(self) -> int:
        """How many are taken."""
        return self._count

    def _fits(self, keys: _Keys) -> bool:
        return self._count < self._total and all(self._taken[key] < self._shares[key[0]] for key in keys)

    def _leave_line(self, turn: asyncio.Future[None]) -> None:
        keys = self._line.pop(turn, None)
        if keys is not None:
            _discount(self._waiting, keys)


def _keys(groups: tuple[str | None, ...]) -> _Keys:
    return tuple((number, group) for number, group in enumerate(groups) if group is not None)


def _discount(counts: Counter[tuple[int, str]], keys: _Keys) -> None:
    for key in keys:
        counts[key] -= 1
        if not counts[key]:
            del counts[key]
