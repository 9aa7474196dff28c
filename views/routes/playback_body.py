"""How a video plays for its viewers, as JSON and as CSV. Pure."""

from __future__ import annotations

from typing import Any

from views.routes.stats_body import Answer
from views.routes.tabular import Cell
from views.telemetry.quality import Quality, Spread
from views.telemetry.quality_book import HOUR_MS

OFF = "Telemetry is off: what players say of how well it plays is not kept."
DOUBTFUL = "More players say how well it plays than viewers watched: this cannot be relied on."
NAMES_OF_ONE = 2
"""A player that says it in both ways is known by its session and by its address."""


def whole_hours(start_ms: int | None, end_ms: int | None) -> tuple[int | None, int | None]:
    """What is said of playing is kept by the hour: who watched is asked of the same time."""
    first_ms = None if start_ms is None else start_ms - start_ms % HOUR_MS
    return first_ms, None if end_ms is None else end_ms - end_ms % HOUR_MS + HOUR_MS - 1


def playback_answer(quality: Quality, total_viewers: int, as_of_ms: int, *, is_on: bool = True) -> Answer:
    """``total_viewers``: all of the same time, whether they said how it plays or not. Anybody may say something without
    watching: where far more do than watch there is no share and no sentence. ``is_on``: somebody asks players."""
    doubtful = quality.viewers > NAMES_OF_ONE * total_viewers
    health = DOUBTFUL if doubtful else quality.health
    numbers: dict[str, Any] = {
        "health": health if is_on or quality.viewers else OFF,
        "viewers": quality.viewers,
        "totalViewers": total_viewers,
        "representationPercent": None if doubtful else _percent(min(quality.viewers, total_viewers), total_viewers),
        "stalledViewers": quality.stalled,
        "stalledViewersPercent": None if doubtful else _percent(quality.stalled, quality.viewers),
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
