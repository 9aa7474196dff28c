"""Charts drawn without a script: where the line of a series goes, in units of its picture. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 600, 160
"""Units of the picture; y grows downwards."""

MAX_POINTS = 300
"""More could not be told apart: neighbours go together, as their highest."""


@dataclass(frozen=True, slots=True)
class Chart:
    """``line`` and ``area`` are paths of SVG, ``top`` is the value at the upper edge, ``ends`` name the two sides."""

    line: str
    area: str
    top: float
    ends: tuple[str, str]


def chart_of(points: Sequence[tuple[str, float]], top: float | None = None) -> Chart | None:
    """Of names and values in order, from left to right; None where there is nothing to draw."""
    if not points:
        return None
    values = thinned([value for _, value in points])
    highest = top or max(max(values), 1)
    step = WIDTH / max(1, len(values) - 1)
    places = [
        f"{at * step:.1f},{HEIGHT - HEIGHT * min(value, highest) / highest:.1f}" for at, value in enumerate(values)
    ]
    if len(places) == 1:
        places.append(f"{WIDTH},{places[0].partition(',')[2]}")
    line = "M" + "L".join(places)
    area = f"{line}L{WIDTH},{HEIGHT}L0,{HEIGHT}Z"
    return Chart(line, area, highest, (points[0][0], points[-1][0]))


def thinned(values: Sequence[float]) -> list[float]:
    size = -(-len(values) // MAX_POINTS)
    return [max(values[at : at + size]) for at in range(0, len(values), size)] if size > 1 else list(values)
