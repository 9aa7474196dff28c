"""Viewers of ours that origins should know: one slot each, the newest wins, gone when it expires. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Protocol

from views.ports import Tell

MAX_PER_HOST = 100_000
"""Slots per origin; beyond it the oldest are dropped, to be told again when views asks for it."""

MAX_SLOTS = 1_000_000
"""Slots of all origins together; beyond it new viewers find no room until others were told or expired."""

_Slot = tuple[int, bytes]


class TellBox(Protocol):
    """Where tells wait. Several processes may share one (`outbox.shared.tells`): whatever is put anywhere is taken by
    the one that serves the origin."""

    def put(self, tell: Tell) -> int:
        """Fill or refresh the viewer's slot; returns how many found no room (0 or 1)."""

    def has(self, host: str) -> bool: ...

    def waiting(self, host: str) -> int:
        """Viewers to be told to this host, as far as this process serves it."""

    def hosts(self) -> list[str]: ...

    def take(self, host: str, limit: int, now_ms: int) -> tuple[list[Tell], int]:
        """Up to ``limit`` tells that have not expired, oldest first, out of their slots; and how many had expired."""

    def give_back(self, tells: Iterable[Tell]) -> None:
        """What could not be delivered, in front again, unless the viewer was told anew meanwhile."""

    def sweep(self, now_ms: int) -> int:
        """Forget what expired while its origin could not be reached; how many that were."""

    def forget(self, host: str) -> None: ...

    async def settle(self, tells: Iterable[Tell]) -> None:
        """These were delivered, or are given up. Raises StorageUnavailable: they are told once more then."""

    async def exchange(self) -> int:
        """Hand over and take in what other processes serve or have put; how many found no room. Raises
        StorageUnavailable; nothing is lost by that."""


class TellSlots:
    """Those of a single process: slots per origin, in the order they were first filled."""

    def __init__(self, max_per_host: int = MAX_PER_HOST, max_slots: int = MAX_SLOTS) -> None:
        self._max = max_per_host
        self._max_slots = max_slots
        self._size = 0
        self._hosts: dict[str, OrderedDict[_Slot, Tell]] = {}

    def __len__(self) -> int:
        return self._size

    def put(self, tell: Tell) -> int:
        slots, slot = self._hosts.get(tell.video.origin, OrderedDict()), _slot(tell)
        if slot not in slots:
            if self._size >= self._max_slots:
                return 1
            self._size += 1
        slots[slot] = tell
        self._hosts[tell.video.origin] = slots
        if len(slots) <= self._max:
            return 0
        slots.popitem(last=False)
        self._size -= 1
        return 1

    def has(self, host: str) -> bool:
        return host in self._hosts

    def waiting(self, host: str) -> int:
        """Viewers to be told to this host."""
        return len(self._hosts.get(host, ()))

    def hosts(self) -> list[str]:
        return list(self._hosts)

    def take(self, host: str, limit: int, now_ms: int) -> tuple[list[Tell], int]:
        slots = self._hosts.get(host)
        taken: list[Tell] = []
        expired = 0
        while slots and len(taken) < limit:
            _, tell = slots.popitem(last=False)
            self._size -= 1
            if tell.expires_ms > now_ms:
                taken.append(tell)
            else:
                expired += 1
        if not slots:
            self._hosts.pop(host, None)
        return taken, expired

    def give_back(self, tells: Iterable[Tell]) -> None:
        for tell in reversed(list(tells)):
            slots, slot = self._hosts.get(tell.video.origin, OrderedDict()), _slot(tell)
            if slot not in slots and len(slots) < self._max and self._size < self._max_slots:
                self._size += 1
                self._hosts[tell.video.origin] = slots
                slots[slot] = tell
                slots.move_to_end(slot, last=False)

    def sweep(self, now_ms: int) -> int:
        before = len(self)
        for host, slots in list(self._hosts.items()):
            for slot in [slot for slot, tell in slots.items() if tell.expires_ms <= now_ms]:
                del slots[slot]
                self._size -= 1
            if not slots:
                del self._hosts[host]
        return before - len(self)

    def forget(self, host: str) -> None:
        self._size -= len(self._hosts.pop(host, ()))

    async def settle(self, tells: Iterable[Tell]) -> None:
        """They left their slots when they were taken."""

    async def exchange(self) -> int:
        """There are no other processes."""
        return 0


def _slot(tell: Tell) -> _Slot:
    return tell.video.number, tell.viewer
