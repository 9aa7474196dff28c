"""Leases in Redis: shards are divided among the processes that live, and taken over from those that do not.

Every third of a lease each process says that it is here and renews what it holds. All of them see the same list of
processes and come to the same division of shards by themselves (rendezvous hashing: a process that comes or goes moves
few shards). A shard is let go of once what is under way in its name has ended; a killed process's shards are free when
its leases are over.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Sequence

from foundation.clock import Clock
from foundation.ending import end
from foundation.errors import StorageUnavailable
from foundation.leases import Holder, shard_of
from foundation.metrics import Metrics
from foundation.redis.script import script
from foundation.redis.shards import Shards, every

_log = logging.getLogger(__name__)

HELLO = script(
    "lease_hello",
    """
call('ZREMRANGEBYSCORE', B .. 'procs', '-inf', now)
if ARGV[5] == '0' then
  call('ZREM', B .. 'procs', ARGV[4])
else
  call('ZADD', B .. 'procs', now + ARGV[5], ARGV[4])
  renew('procs')
end
return call('ZRANGE', B .. 'procs', 0, -1)
""",
)
"""process, its life (0: it goes) -> the processes that live; asked of shard 0."""

LEASE = script(
    "lease",
    """
local known = call('GET', B .. 'lease')
local holder, token
if known then holder, token = string.match(known, '^(%S+) (%S+)$') end
if holder == ARGV[4] then
  if ARGV[5] == 'keep' then
    call('PEXPIRE', B .. 'lease', ARGV[6])
    return token
  end
  call('DEL', B .. 'lease')
  return ''
end
if holder or ARGV[5] ~= 'keep' then return '' end
local time = call('TIME')
token = string.format('%.0f', time[1] * 1000000 + time[2])
call('SET', B .. 'lease', ARGV[4] .. ' ' .. token, 'PX', ARGV[6])
return token
""",
)
"""process, ``keep`` or ``drop``, life -> the fencing token (the server's time, so that it grows over a flush as well),
or nothing: another process holds the shard, or nobody does now."""

FENCE = """
local function held(token)
  local known = call('GET', B .. 'lease')
  return known and string.match(known, ' (%S+)$') == token
end
"""
"""For scripts that write in the name of a shard: ``held(token)``."""


class RedisLeases:
    """As ``foundation.leases.Leases``."""

    def __init__(self, shards: Shards, clock: Clock, metrics: Metrics, *, lease_ms: int = 10_000) -> None:
        self.shards = shards.count
        self.process = secrets.token_hex(8)
        self._store = shards
        self._clock = clock
        self._lease_ms = lease_ms
        self._holders: list[Holder] = []
        self._tokens: dict[int, int] = {}
        self._until_ms: dict[int, int] = {}
        self._task: asyncio.Task[None] | None = None
        metrics.gauge_from("fediviews_leases_held", "Shards of the instance that this process serves", self._count)
        metrics.gauge_from(
            "fediviews_processes", "Processes of the instance, as this one sees them", lambda: self._seen
        )
        self._taken = metrics.counter("fediviews_leases_taken_total", "Shards that this process took over")
        self._failures = metrics.counter("fediviews_lease_failures_total", "Rounds of renewing that failed")
        self._seen = 0

    def holds(self, name: str) -> bool:
        return self.holds_shard(shard_of(name, self.shards))

    def holds_shard(self, shard: int) -> bool:
        until_ms = self._until_ms.get(shard)
        return until_ms is not None and self._clock.monotonic_ms() < until_ms

    def token(self, shard: int) -> int:
        return self._tokens.get(shard, 0)

    def attend(self, holder: Holder) -> None:
        self._holders.append(holder)

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="leases")

    async def stop(self) -> None:
        await end(self._task)
        self._task = None
        await asyncio.gather(*(self._lose(shard) for shard in list(self._tokens)))
        try:
            await every(self._ask(shard, "drop") for shard in range(self.shards))
            await self._store.run(HELLO, 0, self.process, 0)
        except StorageUnavailable:
            # They end by themselves.
            return

    async def _run(self) -> None:
        while True:
            try:
                await self.renew()
            except StorageUnavailable as problem:
                self._failures.inc()
                _log.warning("leases cannot be renewed: %s", problem)
            except Exception:
                self._failures.inc()
                _log.exception("leases met a bug; they go on")
            await self._lose_ended()
            await self._clock.sleep_ms(max(1, self._lease_ms // 3))

    async def renew(self) -> None:
        """One round. Raises StorageUnavailable; what is held is held until its time then."""
        living = await self._store.run(HELLO, 0, self.process, self._lease_ms)
        names = sorted(name.decode() for name in living)
        self._seen = len(names)
        mine = {shard for shard in range(self.shards) if _rightful(names, shard) == self.process}
        for shard in sorted(set(self._tokens) - mine):
            await self._lose(shard)
            await self._ask(shard, "drop")
        asked_ms = self._clock.monotonic_ms()
        wanted = sorted(mine)
        answers = await every(self._ask(shard, "keep") for shard in wanted)
        for shard, answer in zip(wanted, answers, strict=True):
            await self._take(shard, int(answer or 0), asked_ms)

    def _ask(self, shard: int, what: str) -> asyncio.Future[bytes]:
        return asyncio.ensure_future(self._store.run(LEASE, shard, self.process, what, self._lease_ms))

    async def _take(self, shard: int, token: int, asked_ms: int) -> None:
        if not token or token != self._tokens.get(shard, token):
            # Somebody else has it, or had it in between.
            await self._lose(shard)
        if not token:
            return
        # The last tenth is left to clocks that do not run alike.
        until_ms = asked_ms + self._lease_ms * 9 // 10
        if shard not in self._tokens:
            self._tokens[shard] = token
            try:
                for holder in self._holders:
                    await holder.gained(shard)
            except StorageUnavailable:
                del self._tokens[shard]
                raise
            self._taken.inc()
        self._until_ms[shard] = until_ms

    async def _lose(self, shard: int) -> None:
        self._until_ms.pop(shard, None)
        if shard in self._tokens:
            try:
                for holder in reversed(self._holders):
                    await holder.lost(shard)
            finally:
                del self._tokens[shard]

    async def _lose_ended(self) -> None:
        for shard in [shard for shard in self._tokens if not self.holds_shard(shard)]:
            await self._lose(shard)

    def _count(self) -> float:
        return float(sum(self.holds_shard(shard) for shard in self._tokens))


def _rightful(processes: Sequence[str], shard: int) -> str:
    """Who is to hold the shard: all come to the same."""
    return max(processes, key=lambda name: hashlib.blake2b(f"{name} {shard}".encode(), digest_size=8).digest())
