"""How hard it is to keep up: the lag of the event loop, and how much waits for the stores."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence

from foundation.clock import Clock
from foundation.shedding import Load, Shedder

PERIOD_MS = 100
_PROBE_S = 0.05
_MEMORY_S = 0.4
"""How far the running mean looks back: one slow moment is not an overload."""

log = logging.getLogger("fediviews.overload")


class LagMean:
    """The running mean of lags. What is measured rarely, because nobody gets round to it, weighs as much as the time
    for which it stands: otherwise the mean would lag most where there is most to do. Pure."""

    def __init__(self) -> None:
        self.lag_ms = 0.0
        self._at_s: float | None = None

    def add(self, lag_ms: float, at_s: float) -> float:
        """The mean after this measurement, at an instant of one clock."""
        elapsed_s = _MEMORY_S if self._at_s is None else max(0.0, at_s - self._at_s)
        self._at_s = at_s
        self.lag_ms += (1 - math.exp(-elapsed_s / _MEMORY_S)) * (lag_ms - self.lag_ms)
        return self.lag_ms


class LoadGauge:
    """``measure`` belongs into the task table, every ``PERIOD_MS``.

    ``full_lag_ms`` is the lag at which the pressure is 1 (None: it is never measured); ``depths`` say how full queues
    are, each as a share of what is still comfortable.
    """

    def __init__(
        self, shedder: Shedder, clock: Clock, full_lag_ms: int | None, depths: Sequence[Callable[[], float]] = ()
    ) -> None:
        self._shedder = shedder
        self._clock = clock
        self._full_lag_ms = full_lag_ms
        self._depths = tuple(depths)
        self._lag = LagMean()

    async def measure(self) -> None:
        if self._full_lag_ms is None:
            return
        # By the loop's own time, whatever clock the house lives by: how late it wakes us is what is asked.
        loop = asyncio.get_running_loop()
        due_s = loop.time() + _PROBE_S
        await asyncio.sleep(_PROBE_S)
        now_s = loop.time()
        lag_ms = self._lag.add(max(0.0, (now_s - due_s) * 1000), now_s)
        before = self._shedder.level
        pressure = max([lag_ms / self._full_lag_ms, *(depth() for depth in self._depths)])
        self._shedder.measured(pressure, self._clock.monotonic_ms())
        if self._shedder.level != before:
            self._say(before, pressure)

    def _say(self, before: int, pressure: float) -> None:
        level = self._shedder.level
        if level > before:
            log.warning("too much to do (pressure %.1f): turning away %s too", pressure, Load(level).name.lower())
        else:
            log.info("less to do (pressure %.1f): taking %s again", pressure, Load(before).name.lower())
