"""What processes of one instance tell each other: that something changed, so that memories of it are read anew.

News is a hint. Whoever hears nothing for a while is right again by the age of its memories; news only makes it sooner.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

Hear = Callable[[str], Awaitable[None]]
"""Told the key that something happened to; an empty one: news was missed, anything may have happened."""


class News(Protocol):
    def tell(self, topic: str, key: str) -> None:
        """To the other processes, soon; never blocks, never fails."""

    def hear(self, topic: str, listener: Hear) -> None:
        """From now on, of what others tell; to be called before ``start``."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class NoNews:
    """Nobody else is there."""

    def tell(self, topic: str, key: str) -> None:
        return None

    def hear(self, topic: str, listener: Hear) -> None:
        return None

    async def start(self) -> None:
        return None

    async def stop(self) -> None:
        return None
