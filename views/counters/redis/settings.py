"""How live state is kept in Redis, the same in all processes of one instance."""

from __future__ import annotations

import math
from dataclasses import dataclass

from views.counters.base import TOLD_MEMORY_MS

SLACK_MS = 60_000
"""What a key outlives the longest life in it: sweeps come first while anybody sweeps."""


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """``prefix`` keeps instances apart that share a Redis. ``shards`` and ``prefix`` are the same in all processes of
    one instance; after a change of ``shards`` counters rebuild within one lifetime.

    ``split_at``: viewers of one source at which a video is hot (0: never). ``longest_life_ms`` bounds lives of viewers
    and totals with their grace, ``claim_life_ms`` those of claims. ``server_time``: the server's clock rules, so that
    the clocks of processes may differ; False, for tests, takes the caller's instants as they are.
    """

    prefix: str = "fediviews"
    shards: int = 16
    split_at: int = 5_000
    max_viewers: int = 5_000_000
    longest_life_ms: int = 750_000
    claim_life_ms: int = 3_600_000
    server_time: bool = True

    def share(self, room: int) -> int:
        """Of one shard; half as much again, because videos are not equally liked."""
        return room if self.shards == 1 else max(1, math.ceil(1.5 * room / self.shards))

    @property
    def ttl_ms(self) -> int:
        """Of keys with viewers, totals and tells."""
        return self.longest_life_ms + TOLD_MEMORY_MS + SLACK_MS

    @property
    def claims_ttl_ms(self) -> int:
        return self.claim_life_ms + SLACK_MS
