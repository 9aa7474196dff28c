"""Is this hour of a peer out of the ordinary, by its own past? Pure.

Median, median absolute deviation and the upper decile: an hour that was itself out of the ordinary moves none of them,
so that whoever cheats now and then does not become what is usual.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

ENOUGH_HOURS = 24
"""Hours in which anything came that have to be known of a peer before one of them is called unusual."""

FEW = 100
"""An hour with fewer is never unusual: ratios of small numbers say nothing."""

_SIGMA = 1.4826
"""Of a normal distribution: its standard deviation over its median absolute deviation."""

_UPPER_DECILE = 1.2816
"""Of a normal distribution: where its upper decile begins, in standard deviations."""


@dataclass(frozen=True, slots=True)
class Unusual:
    """``what`` (``viewers`` that came, or counted ``views``) were ``count`` in the hour since ``hour_ms``, where
    ``usual`` is the median. ``score``: by how many (robust) standard deviations it is more."""

    what: str
    hour_ms: int
    count: int
    usual: float
    score: float


def score(past: Sequence[int], count: int) -> float:
    """By how many robust standard deviations ``count`` is above the median of the hours in ``past``.

    The deviation is at least that of arrivals that know nothing of each other (the root of the median), and at least
    what puts the upper decile where a normal distribution has it: evenings are busier than nights.
    """
    if count < FEW or len(past) < ENOUGH_HOURS:
        return 0.0
    middle = median(past)
    deviation = _SIGMA * median(abs(each - middle) for each in past)
    busy = (sorted(past)[len(past) * 9 // 10] - middle) / _UPPER_DECILE
    return float((count - middle) / max(deviation, busy, math.sqrt(middle), 1.0))
