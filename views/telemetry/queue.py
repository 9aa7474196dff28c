"""The queue behind telemetry: callers put operations on it and go on; one task runs them in their order.

Three classes, each with its own answer to a queue that is full. Samples and records lose their oldest. Lifecycle
operations are never lost: beyond the bound one that is said again takes the place of the one that waits under the same
key, so that no more wait than there are participants to speak of, and the last word about each is heard.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from functools import partial
from typing import NamedTuple

from foundation.clock import Clock
from foundation.ending import end
from foundation.metrics import Metrics

Op = Callable[[], None]

AT_ONCE = 500
"""Operations run before others have their turn, …"""

AT_ONCE_MS = 5
"""… or as many as begin within this time."""

_log = logging.getLogger(__name__)


class OpClass(enum.Enum):
    LIFECYCLE = "lifecycle"
    """Rooms and participants come and go, statistics are flushed."""
    RECORD = "record"
    """Something happened that is only written down."""
    SAMPLE = "sample"


class _Waiting(NamedTuple):
    sequence: int
    since_ms: int
    op: Op
    key: Hashable


class OpsQueue:
    """``put`` never blocks and never raises; after ``stop`` it does nothing. ``max_waiting`` bounds each class."""

    def __init__(self, clock: Clock, metrics: Metrics, *, max_waiting: int = 10_000) -> None:
        self._clock = clock
        self._max_waiting = max_waiting
        self._sequence = 0
        self._lifecycle: OrderedDict[int, _Waiting] = OrderedDict()
        self._newest: dict[Hashable, int] = {}
        self._others: dict[OpClass, deque[_Waiting]] = {OpClass.RECORD: deque(), OpClass.SAMPLE: deque()}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopped = False
        self._in_op = False
        waiting = metrics.gauge("fediviews_telemetry_ops_waiting", "Telemetry operations that wait.", ["class"])
        dropped = metrics.counter("fediviews_telemetry_ops_dropped", "Telemetry operations lost unrun.", ["class"])
        self._dropped = {kind: dropped.labels(kind.value) for kind in OpClass}
        for kind in OpClass:
            waiting.labels(kind.value).set_function(partial(self.waiting, kind))
        self._coalesced = metrics.counter(
            "fediviews_telemetry_ops_coalesced", "Lifecycle operations that a later one of the same key replaced."
        )
        self._failed = metrics.counter("fediviews_telemetry_ops_failed", "Telemetry operations that raised.")
        metrics.gauge_from(
            "fediviews_telemetry_ops_oldest_age_seconds",
            "How long the oldest telemetry operation has waited.",
            lambda: self.oldest_age_ms() / 1000,
        )

    def put(self, kind: OpClass, op: Op, key: Hashable = None) -> None:
        """``key`` is for lifecycle operations: what a later one of the same key makes needless."""
        if self._stopped and not self._in_op:
            return
        self._sequence += 1
        waiting = _Waiting(self._sequence, self._clock.monotonic_ms(), op, key)
        if kind is OpClass.LIFECYCLE:
            self._put_lifecycle(waiting)
        else:
            others = self._others[kind]
            others.append(waiting)
            if len(others) > self._max_waiting:
                others.popleft()
                self._dropped[kind].inc()
        self._wake.set()

    def waiting(self, kind: OpClass) -> int:
        return len(self._lifecycle if kind is OpClass.LIFECYCLE else self._others[kind])

    def __len__(self) -> int:
        return sum(map(self.waiting, OpClass))

    def oldest_age_ms(self) -> int:
        heads = self._heads()
        return self._clock.monotonic_ms() - min(head.since_ms for head in heads) if heads else 0

    # Life

    def start(self) -> None:
        """Harmless when it runs already."""
        if self._task is None and not self._stopped:
            self._task = asyncio.create_task(self._run(), name="telemetry")

    async def stop(self, limit_ms: int) -> None:
        """Run what waits, for no longer than ``limit_ms``; the rest is lost and counted. Harmless when not started."""
        self._stopped = True
        await end(self._task)
        self._task = None
        deadline_ms = self._clock.monotonic_ms() + limit_ms
        while self and self._clock.monotonic_ms() < deadline_ms:
            self.run(AT_ONCE)
            await self._clock.sleep_ms(0)
        for kind in OpClass:
            self._dropped[kind].inc(self.waiting(kind))
        self._lifecycle.clear()
        self._newest.clear()
        for others in self._others.values():
            others.clear()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self.run(AT_ONCE):
                await self._clock.sleep_ms(0)

    def run(self, most: int) -> int:
        """Run up to ``most`` operations, fewer when they take long; how many."""
        until_ms = self._clock.monotonic_ms() + AT_ONCE_MS
        done = 0
        while done < most and (waiting := self._next()) is not None:
            done += 1
            self._in_op = True
            try:
                waiting.op()
            except Exception:
                self._failed.inc()
                _log.exception("an operation of telemetry failed")
            finally:
                self._in_op = False
            if self._clock.monotonic_ms() > until_ms:
                break
        return done

    # Inside

    def _put_lifecycle(self, waiting: _Waiting) -> None:
        if waiting.key is not None:
            earlier = self._newest.get(waiting.key)
            if earlier is not None and len(self._lifecycle) >= self._max_waiting:
                del self._lifecycle[earlier]
                self._coalesced.inc()
            self._newest[waiting.key] = waiting.sequence
        self._lifecycle[waiting.sequence] = waiting

    def _heads(self) -> list[_Waiting]:
        heads = [others[0] for others in self._others.values() if others]
        if self._lifecycle:
            heads.append(next(iter(self._lifecycle.values())))
        return heads

    def _next(self) -> _Waiting | None:
        heads = self._heads()
        if not heads:
            return None
        first = min(heads)
        if self._lifecycle.pop(first.sequence, None) is None:
            for others in self._others.values():
                if others and others[0] is first:
                    others.popleft()
        elif self._newest.get(first.key) == first.sequence:
            del self._newest[first.key]
        return first
