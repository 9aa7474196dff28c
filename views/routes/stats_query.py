"""The query of a statistics request, judged parameter by parameter as PeerTube does. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from multidict import MultiMapping

from foundation.errors import Refused
from views.instants import parse_loose_iso_ms
from views.stats.model import Metric

MAX_SPAN_MS = 3_650 * 86_400_000
"""Of a timeseries (PeerTube)."""

LAST_MS = 32_503_680_000_000
"""The year 3000: bounds outside of 1970 to then are those, so that no arithmetic on calendars leaves its range."""

ONE_WITHOUT_OTHER = Refused("one_date", "Give startDate and endDate together, or neither of them", 400)
SPAN_TOO_LONG = Refused("span_too_long", "There are more than 3650 days between startDate and endDate", 400)

_METRICS = {metric.value: metric for metric in Metric}
_BAD_DATE = "Should be one ISO 8601 date"


@dataclass(frozen=True, slots=True)
class Bounds:
    """From when to when as was said, and in which form the answer is wanted. Instants are Unix milliseconds."""

    start_ms: int | None = None
    end_ms: int | None = None
    csv: bool = False

    @property
    def within(self) -> tuple[int | None, int | None]:
        """The bounds to ask with."""
        return _held(self.start_ms), _held(self.end_ms)

    def judge_span(self) -> Refused | None:
        """What a timeseries asks beyond valid dates; an end before its start is an empty series (PeerTube)."""
        if self.start_ms is None or self.end_ms is None:
            return ONE_WITHOUT_OTHER if self.start_ms is not self.end_ms else None
        return SPAN_TOO_LONG if self.end_ms - self.start_ms > MAX_SPAN_MS else None


def read_bounds(query: MultiMapping[str], bad: dict[str, str], *, dates: bool = True) -> Bounds:
    """``startDate``, ``endDate`` and ``format`` (``json`` or ``csv``); what is wrong goes into ``bad``.

    Without ``dates`` they mean nothing here and are not looked at.
    """
    start_ms = _date(query, "startDate", bad) if dates else None
    end_ms = _date(query, "endDate", bad) if dates else None
    wanted = query.get("format", "json")
    if wanted not in ("json", "csv"):
        bad["format"] = "Should be json or csv"
    return Bounds(start_ms, end_ms, wanted == "csv")


def read_metric(text: str, bad: dict[str, str]) -> Metric:
    metric = _METRICS.get(text)
    if metric is None:
        bad["metric"] = "Should be one of " + ", ".join(_METRICS)
        return Metric.VIEWERS
    return metric


def _held(instant_ms: int | None) -> int | None:
    return None if instant_ms is None else max(0, min(instant_ms, LAST_MS))


def _date(query: MultiMapping[str], name: str, bad: dict[str, str]) -> int | None:
    said = query.getall(name, [])
    if not said:
        return None
    instant_ms = parse_loose_iso_ms(said[0]) if len(said) == 1 else None
    if instant_ms is None:
        bad[name] = _BAD_DATE
    return instant_ms
