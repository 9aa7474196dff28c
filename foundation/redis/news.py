"""News between processes, as a short numbered list in Redis that everybody reads on from where it was.

A list, not publish and subscribe: it works on every kind of set-up, and whoever was away knows whether it missed
anything.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import defaultdict

from foundation.clock import Clock
from foundation.ending import end
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from foundation.news import Hear
from foundation.redis.script import script
from foundation.redis.shards import Shards

_log = logging.getLogger(__name__)

KEPT = 2_000
"""News kept; whoever was away for longer forgets all it remembers."""
MAX_WAITING = 10_000
AT_A_TIME = 500

EXCHANGE = script(
    "news",
    """
local last = tonumber(call('GET', B .. 'newsno') or 0)
if last == 0 then
  last = now * 1000
  call('SET', B .. 'newsno', text(last))
end
for i = 6, #ARGV do
  last = last + 1
  call('ZADD', B .. 'news', text(last), text(last) .. ' ' .. ARGV[4] .. ' ' .. ARGV[i])
end
if #ARGV > 5 then
  call('SET', B .. 'newsno', text(last))
  call('ZREMRANGEBYRANK', B .. 'news', 0, -2001)
end
renew('news', 'newsno')
local seen = tonumber(ARGV[5])
local first = call('ZRANGE', B .. 'news', 0, 0, 'WITHSCORES')[2]
local missed = 0
if seen > last or (seen < last and (not first or tonumber(first) > seen + 1)) then missed = 1 end
return {text(last), missed, call('ZRANGEBYSCORE', B .. 'news', '(' .. ARGV[5], '+inf')}
""",
)
"""process, number seen, news to add -> number of the last one, whether some were missed, what came since (number,
process and news each, by spaces)."""


class RedisNews:
    """As ``foundation.news.News``; read every ``period_ms``."""

    def __init__(self, shards: Shards, clock: Clock, metrics: Metrics, *, period_ms: int = 500) -> None:
        self._store = shards
        self._clock = clock
        self._period_ms = period_ms
        self._process = secrets.token_hex(8)
        self._listeners: defaultdict[str, list[Hear]] = defaultdict(list)
        self._waiting: dict[str, None] = {}
        self._seen: str | None = None
        self._task: asyncio.Task[None] | None = None
        self._told = metrics.counter("fediviews_news_told_total", "Changes told to the other processes")
        self._missed = metrics.counter("fediviews_news_missed_total", "Times that news of other processes was missed")

    def tell(self, topic: str, key: str) -> None:
        if len(self._waiting) < MAX_WAITING:
            self._waiting[f"{topic} {key}"] = None

    def hear(self, topic: str, listener: Hear) -> None:
        self._listeners[topic].append(listener)

    async def start(self) -> None:
        """Raises StorageUnavailable."""
        await self.exchange()
        self._task = asyncio.create_task(self._run(), name="news")

    async def stop(self) -> None:
        await end(self._task)
        self._task = None
        try:
            await self.exchange()
        except StorageUnavailable:
            return

    async def exchange(self) -> None:
        """Tell what waits, hear what came. Raises StorageUnavailable; what waits waits on."""
        telling = list(self._waiting)[:AT_A_TIME]
        first = self._seen is None
        answer = await self._store.run(EXCHANGE, 0, self._process, self._seen or "0", *telling)
        for news in telling:
            self._waiting.pop(news, None)
        self._told.inc(len(telling))
        last, missed, found = answer
        self._seen = last.decode()
        if first:
            return
        if missed:
            self._missed.inc()
            for topic in tuple(self._listeners):
                await self._hear(topic, "")
            return
        for line in found:
            _, process, topic, key = line.decode().split(" ", 3)
            if process != self._process:
                await self._hear(topic, key)

    async def _hear(self, topic: str, key: str) -> None:
        for listener in self._listeners.get(topic, ()):
            try:
                await listener(key)
            except StorageUnavailable as problem:
                # The memory it was about is older than it might be, until its time.
                _log.info("news of %s was of no use: %s", topic, problem)
            except Exception:
                _log.exception("a listener of news failed")

    async def _run(self) -> None:
        while True:
            await self._clock.sleep_ms(self._period_ms)
            try:
                await self.exchange()
            except StorageUnavailable:
                continue
            except Exception:
                _log.exception("news met a bug; it goes on")
