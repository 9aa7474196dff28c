"""Everything the service does by itself, as one readable table, and the runner that owns it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from foundation.clock import Clock
from foundation.ending import end
from foundation.leases import Alone, Leases
from foundation.metrics import Metrics

log = logging.getLogger("fediviews.tasks")


@dataclass(frozen=True, slots=True)
class Task:
    """``run`` is called every ``period_ms`` milliseconds, the first time one period after start; runs never overlap.

    ``once``: where several processes serve the instance, one of them does it for all.
    """

    name: str
    run: Callable[[], Awaitable[object]]
    period_ms: int
    once: bool = False


class TaskRunner:
    """Runs the table. A failing run is logged and counted; the next one comes at its time."""

    def __init__(self, tasks: Sequence[Task], clock: Clock, metrics: Metrics, leases: Leases | None = None) -> None:
        self._leases = leases or Alone()
        self._table = tuple(tasks)
        self._clock = clock
        self._running: list[asyncio.Task[None]] = []
        self._failures = metrics.counter("fediviews_task_failures_total", "Failed runs of periodic tasks", ["task"])
        for task in self._table:
            self._failures.labels(task.name)

    async def start(self) -> None:
        self._running = [asyncio.create_task(self._loop(task), name=f"task:{task.name}") for task in self._table]

    async def stop(self) -> None:
        await end(*self._running)
        self._running = []

    async def _loop(self, task: Task) -> None:
        failures = self._failures.labels(task.name)
        while True:
            await self._clock.sleep_ms(task.period_ms)
            if task.once and not self._leases.holds(f"task {task.name}"):
                continue
            try:
                await task.run()
            except Exception as problem:
                # A periodic task must survive whatever one run met: a store that is gone, a peer's odd answer.
                failures.inc()
                log.warning("task %s failed: %s: %s", task.name, type(problem).__name__, problem)
