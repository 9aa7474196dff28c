"""SQL for everyone: one engine, reads from a pool, writes through one group-committing writer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncConnection

T = TypeVar("T")

Transaction = AsyncConnection
"""An open transaction; whoever holds one neither commits nor rolls back."""

metadata = MetaData()
"""Every table of the product; the packages define theirs in ``tables.py``."""


class Database(Protocol):
    def read(self) -> AbstractAsyncContextManager[Transaction]: ...

    async def write(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run ``work`` in a transaction and return its result once that is durable."""
