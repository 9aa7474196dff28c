"""How a video plays for its viewers, as JSON and as CSV. Pure."""

from __future__ import annotations

from typing import Any

from views.routes.stats_body import Answer
from views.routes.tabular import Cell
from views.telemetry.quality import Quality, Spread


def playback_answer(quality: Quality, total_viewers: int, as_of_ms: int) -> Answer:
    """``total_viewers``: all of the same time, whether they said how it plays or not."""
    whole = max(total_viewers, quality.viewers)
    numbers: dict[str, Any] = {
        "health": quality.health,
        "viewers": quality.viewers,
        "totalViewers": whole,
        "representationPercent": _percent(quality.viewers, whole),
        "stalledViewers": quality.stalled,
        "stalledViewersPercent": _percent(quality.stalled, quality.viewers),
        "errorViewers": quality.failed,
        "slowStartViewers": quality.slow,
        "droppingViewers": quality.dropping,
    }
    spreads = {
        "score": (quality.score, 1.0, 2),
        "stalledTimePercent": (quality.stalled_share, 100.0, 2),
        "droppedFramesPercent": (quality.dropped_share, 100.0, 2),
        "latency": (quality.latency_ms, 1.0, 0),
        "startupTime": (quality.startup_ms, 1.0, 0),
    }
    said = {name: _spread(*spread) for name, spread in spreads.items()}
    heights = [
        {"resolution": each.height, "viewers": each.viewers, "stalledViewers": each.stalled} for each in quality.heights
    ]
    rows: list[list[Cell]] = [[name, None, value] for name, value in numbers.items()]
    for name, values in said.items():
        rows += [[name, which, value] for which, value in (values or {}).items()]
    for height in heights:
        rows.append(["resolution.viewers", str(height["resolution"]), height["viewers"]])
        rows.append(["resolution.stalledViewers", str(height["resolution"]), height["stalledViewers"]])
    body = {**numbers, **said, "resolutions": heights}
    return Answer("playback", body, ("statistic", "name", "value"), rows, as_of_ms)


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 1) if whole else None


def _spread(spread: Spread | None, times: float, digits: int) -> dict[str, float] | None:
    if spread is None:
        return None
    values = {"min": spread.minimum, "median": spread.median, "max": spread.maximum, "average": spread.average}
    return {name: round(value * times, digits) for name, value in values.items()}
