"""``python -m service.html.world.make COUNTRIES CODES NAMES`` makes ``countries.json``, what the map is drawn from.

COUNTRIES: ``countries-110m.json`` of the npm package world-atlas 2.0.2 (Natural Earth 1:110m admin-0, public domain);
CODES, NAMES: ``codes.json`` and ``langs/en.json`` of i18n-iso-countries 7.14.0 (MIT), for ISO 3166-1 codes and names.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from service.html.world.map import LEFT_OUT
from service.html.world.projection import project

Point = tuple[float, float]
WITHOUT_NUMBER = {"Kosovo": "XK", "N. Cyprus": "CY", "Somaliland": "SO"}
"""Shapes that have no ISO number here, and the code under which visitors from there are counted."""


def _arcs(world: Any) -> list[list[Point]]:
    """Delta-coded, quantized arcs (TopoJSON, section 2.1.4) in degrees."""
    (sx, sy), (tx, ty) = world["transform"]["scale"], world["transform"]["translate"]
    arcs = []
    for arc in world["arcs"]:
        x = y = 0
        points = []
        for dx, dy in arc:
            x, y = x + dx, y + dy
            points.append((x * sx + tx, y * sy + ty))
        arcs.append(points)
    return arcs


def _ring(arcs: Sequence[Sequence[Point]], numbers: Sequence[int]) -> list[Point]:
    points: list[Point] = []
    for number in numbers:
        arc = arcs[number] if number >= 0 else arcs[~number][::-1]
        points += arc[1:] if points else arc
    return points


def _unwrapped(ring: Sequence[Point]) -> list[Point]:
    """Neighbours are never half a world apart: what crosses 180 degrees goes on beyond it."""
    found = [ring[0]]
    turn = 0
    for (before, _), (longitude, latitude) in pairwise(ring):
        turn += 360 if longitude - before < -180 else -360 if longitude - before > 180 else 0
        found.append((longitude + turn, latitude))
    return found


def _cut(ring: Sequence[Point], edge: float, side: int) -> list[Point]:
    """The part at one side of a meridian (Sutherland and Hodgman)."""
    found: list[Point] = []
    for (ax, ay), (bx, by) in zip(ring, [*ring[1:], ring[0]], strict=True):
        inside, next_inside = (ax - edge) * side <= 0, (bx - edge) * side <= 0
        if inside:
            found.append((ax, ay))
        if inside != next_inside:
            found.append((edge, ay + (by - ay) * (edge - ax) / (bx - ax)))
    return found


def _parts(ring: Sequence[Point]) -> Iterator[list[Point]]:
    for shift in (0, 360, -360):
        moved = [(longitude + shift, latitude) for longitude, latitude in _unwrapped(ring)]
        west = _cut(moved, 180, 1)
        part = _cut(west, -180, -1) if west else []
        if len(part) > 2:
            yield part


def _path(ring: Sequence[Point]) -> str:
    points = [project(*point) for point in ring]
    words = list(dict.fromkeys(f"{x:.1f},{y:.1f}" for x, y in points))
    return f"M{' '.join(words)}Z" if len(words) > 2 else ""


def made(world: Any, codes: Any, names: Any) -> dict[str, dict[str, str]]:
    """``names`` by code, and ``paths`` by code."""
    code_of = {numeric: alpha2 for alpha2, _, numeric, *_ in codes}
    arcs = _arcs(world)
    paths: dict[str, str] = {}
    for shape in world["objects"]["countries"]["geometries"]:
        code = code_of.get(shape.get("id", "")) or WITHOUT_NUMBER[shape["properties"]["name"]]
        if code in LEFT_OUT:
            continue
        polygons = shape["arcs"] if shape["type"] == "MultiPolygon" else [shape["arcs"]]
        rings = [_ring(arcs, ring) for polygon in polygons for ring in polygon]
        paths[code] = paths.get(code, "") + "".join(_path(part) for ring in rings for part in _parts(ring))
    said = {code: name if isinstance(name, str) else name[0] for code, name in names["countries"].items()}
    return {"names": dict(sorted(said.items())), "paths": dict(sorted(paths.items()))}


if __name__ == "__main__":
    sources = [json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:4]]
    target = Path(__file__).parent / "countries.json"
    text = json.dumps(made(*sources), ensure_ascii=False, indent=0, separators=(",", ":"))
    target.write_text(text + "\n", encoding="utf-8")
