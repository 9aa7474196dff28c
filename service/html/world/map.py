"""The map with numbers on it: a shape, a shade and a name for every country. Pure, but for reading the shapes once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec

from service.html.world.projection import project
from views.pages.centroids import CENTROIDS

SHADES = 5
LEFT_OUT = {"AQ", "TF"}
"""The far south is below the drawing."""


class _Countries(msgspec.Struct, frozen=True):
    names: dict[str, str]
    paths: dict[str, str]


@dataclass(frozen=True, slots=True)
class Shape:
    """``path`` is what SVG calls ``d``; a country too small for one has a middle (``x``, ``y``) instead.

    ``shade``: 0 for nobody, 1 to ``SHADES`` by how many there are.
    """

    code: str
    name: str
    shade: int
    count: int
    path: str = ""
    x: float = 0
    y: float = 0


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table beside the map."""

    code: str
    name: str
    shade: int
    count: int


@cache
def _countries() -> _Countries:
    raw = (Path(__file__).parent / "countries.json").read_bytes()
    return msgspec.json.decode(raw, type=_Countries)


def name_of(code: str) -> str:
    """In English, or the code itself where it is none."""
    return _countries().names.get(code, code)


def shade_of(count: int, most: int) -> int:
    """By powers of the most, so that one crowd does not make everybody else look alike."""
    if count <= 0 or most <= 0:
        return 0
    shade = 1
    while shade < SHADES and count**SHADES > most**shade:
        shade += 1
    return shade


def rows_of(counts: Iterable[tuple[str, int]]) -> list[Row]:
    """The most visited first; several counts of one country are added up."""
    summed: Counter[str] = Counter()
    for code, count in counts:
        summed[code] += count
    most = max(summed.values(), default=0)
    rows = [Row(code, name_of(code), shade_of(count, most), count) for code, count in summed.items()]
    return sorted(rows, key=lambda row: (-row.count, row.name))


def shapes_of(rows: Sequence[Row]) -> list[Shape]:
    """Every country, by code; the small ones, which lie upon others, last."""
    found: Mapping[str, Row] = {row.code: row for row in rows}
    paths = _countries().paths
    drawn = [_shape(code, found.get(code), path) for code, path in paths.items()]
    small = sorted(CENTROIDS.keys() - paths.keys() - LEFT_OUT)
    return drawn + [_shape(code, found.get(code), "") for code in small]


def _shape(code: str, row: Row | None, path: str) -> Shape:
    shade, count = (0, 0) if row is None else (row.shade, row.count)
    if path:
        return Shape(code, name_of(code), shade, count, path)
    latitude, longitude = CENTROIDS[code]
    x, y = project(longitude, latitude)
    return Shape(code, name_of(code), shade, count, "", round(x, 1), round(y, 1))
