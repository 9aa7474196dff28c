"""What is turned away when there is more to do than can be done, and in which order.

Pressure is measured (see ``service.health.load``), 1.0 is where it begins to hurt. While it stays there one more kind
of load is turned away each ``UP_AFTER_MS``; when it has gone, one less each ``DOWN_AFTER_MS``. So the least valuable
kind goes first, and only as much as it takes goes at all.
"""

from __future__ import annotations

import enum

from foundation.errors import Refused
from foundation.metrics import Metrics

UP_AFTER_MS = 1_000
DOWN_AFTER_MS = 3_000
RELIEVED = 0.5
"""Below this pressure a step is taken back; between it and 1.0 everything stays as it is (hysteresis)."""

_SPREAD = 4
"""Seconds over which those who are told to come again are spread."""


class Load(enum.IntEnum):
    """Kinds of load in the order in which they are turned away: at level n, those up to n are."""

    REFRESH = 1
    """A report of a viewer that has more than half of its life left: its next one comes in time."""
    PAGE_BEACON = 2
    TELEMETRY = 3
    NEW_VIEWER = 4
    """A viewer that is not here yet, of ours or of another instance."""
    TOTAL = 5
    """Whatever else players and other instances say: known viewers, totals, counted views, follows."""


class Staircase:
    """The level at each moment, from pressure and monotonic time. Pure."""

    def __init__(self) -> None:
        self.level = 0
        self._since_ms: int | None = None
        self._rising = False

    def step(self, pressure: float, now_ms: int) -> int:
        """The level after this measurement."""
        if RELIEVED <= pressure < 1.0:
            self._since_ms = None
            return self.level
        rising = pressure >= 1.0
        if self._since_ms is None or rising is not self._rising:
            self._since_ms, self._rising = now_ms, rising
        elif now_ms - self._since_ms >= (UP_AFTER_MS if rising else DOWN_AFTER_MS):
            self._since_ms = now_ms
            self.level = min(self.level + 1, int(Load.TOTAL)) if rising else max(self.level - 1, 0)
        return self.level


class Shedder:
    """Asked on hot paths: ``allows`` compares two numbers. ``level`` 0: everything is taken."""

    def __init__(self, metrics: Metrics) -> None:
        self.level = 0
        self._stairs = Staircase()
        self._told = 0
        self.pressure = 0.0
        shed = metrics.counter(
            "fediviews_overload_shed", "Requests turned away because there was too much to do", ["load"]
        )
        self._count = {load: shed.labels(load.name.lower()).inc for load in Load}
        metrics.gauge_from("fediviews_overload_level", "How many kinds of load are turned away", lambda: self.level)
        metrics.gauge_from("fediviews_overload_pressure", "Measured pressure; 1 is too much", lambda: self.pressure)

    def allows(self, load: Load) -> bool:
        """Whether this kind of load is taken now. One that is not is counted: answer it with ``refusal``."""
        if load > self.level:
            return True
        self._count[load]()
        return False

    def refusal(self) -> Refused:
        """503 with an instant to come again, which differs from one caller to the next."""
        self._told = (self._told + 1) % _SPREAD
        return Refused("overloaded", "too much to do at the moment, come again", 503, 1 + self.level + self._told)

    def measured(self, pressure: float, now_ms: int) -> None:
        """The newest measurement, at a monotonic instant."""
        self.pressure = pressure
        self.level = self._stairs.step(pressure, now_ms)
