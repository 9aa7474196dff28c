"""Who does what when several processes serve one instance: work goes by a name, and one of them holds that name.

Names are spread over shards; a process holds a shard for a short time and renews it. What has to be done by one
process at a time (sweeping a video's totals, delivering to a host, a task of the whole house) asks ``holds`` first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Holder:
    """What has to happen when a shard comes and goes. ``gained`` ends before anybody is told that it is held (raises
    StorageUnavailable: not yet then); ``lost`` ends before others may have it, where that is still in our hands."""

    gained: Callable[[int], Awaitable[None]]
    lost: Callable[[int], Awaitable[None]]


class Leases(Protocol):
    """``shards`` is the same in all processes of an instance."""

    @property
    def shards(self) -> int: ...

    def holds(self, name: str) -> bool:
        """Whether this process does what goes by this name. Without news from the store, no longer than the lease."""

    def holds_shard(self, shard: int) -> bool:
        """As ``holds``, for what is numbered: a video's shard is its number modulo ``shards``."""

    def token(self, shard: int) -> int:
        """The fencing token of a held shard: greater with every holder. What is written in the shard's name says it,
        so that a process that was stopped for a while and woke up cannot write any more. It is there while a shard is
        being let go of; 0 when it is not ours."""

    def attend(self, holder: Holder) -> None:
        """From now on; to be called before ``start``."""

    async def start(self) -> None:
        """Begin to take shards."""

    async def stop(self) -> None:
        """Let go of everything, at once and in order."""


@lru_cache(maxsize=100_000)
def shard_of(name: str, shards: int) -> int:
    # A CRC is linear: names that differ in a digit would often share its lowest bits.
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % shards


class Alone:
    """The leases of a single process: it does everything."""

    shards = 1

    def holds(self, name: str) -> bool:
        return True

    def holds_shard(self, shard: int) -> bool:
        return True

    def token(self, shard: int) -> int:
        return 1

    def attend(self, holder: Holder) -> None:
        return None

    async def start(self) -> None:
        return None

    async def stop(self) -> None:
        return None
