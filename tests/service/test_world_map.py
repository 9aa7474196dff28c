"""The map of the world: where places lie, who is shaded how."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.html.world.make import made
from service.html.world.map import SHADES, name_of, rows_of, shade_of, shapes_of
from service.html.world.projection import HEIGHT, WIDTH, project
from views.pages.centroids import CENTROIDS


@pytest.mark.parametrize(
    ("longitude", "latitude", "x", "y"),
    [(0, 90, WIDTH / 2, 0), (0, 0, WIDTH / 2, 243.4), (-180, 0, 0, 243.4), (180, 0, WIDTH, 243.4)],
)
def test_the_projection(longitude: float, latitude: float, x: float, y: float) -> None:
    assert project(longitude, latitude) == pytest.approx((x, y), abs=0.1)


def test_every_country_is_on_the_map_once_and_within_it() -> None:
    shapes = shapes_of([])
    codes = [shape.code for shape in shapes]
    assert len(codes) == len(set(codes))
    assert set(codes) == CENTROIDS.keys() - {"AQ", "TF"}
    for shape in shapes:
        assert shape.shade == 0
        points = re.findall(r"(-?[\d.]+),(-?[\d.]+)", shape.path) or [(shape.x, shape.y)]
        for x, y in points:
            assert 0 <= float(x) <= WIDTH, shape.code
            assert -4 <= float(y) <= HEIGHT, shape.code


@pytest.mark.parametrize("code", ["DE", "BR", "AU", "IN", "RU", "US"])
def test_a_middle_lies_in_the_frame_of_its_country(code: str) -> None:
    (shape,) = [each for each in shapes_of([]) if each.code == code]
    points = [(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+),(-?[\d.]+)", shape.path)]
    latitude, longitude = CENTROIDS[code]
    x, y = project(longitude, latitude)
    assert min(x for x, _ in points) < x < max(x for x, _ in points)
    assert min(y for _, y in points) < y < max(y for _, y in points)


def test_places_of_one_country_are_added_up() -> None:
    rows = rows_of([("FR", 3), ("DE", 4), ("FR", 5)])
    assert [(row.name, row.count, row.shade) for row in rows] == [("France", 8, 5), ("Germany", 4, 4)]
    shown = {shape.code: shape.count for shape in shapes_of(rows) if shape.shade}
    assert shown == {"FR": 8, "DE": 4}
    assert name_of("<b>") == "<b>"


@given(st.lists(st.integers(0, 10**9), min_size=1))
def test_more_is_never_lighter(counts: list[int]) -> None:
    most = max(counts)
    shades = [shade_of(count, most) for count in sorted(counts)]
    assert shades == sorted(shades)
    assert all((shade > 0) == (count > 0) for shade, count in zip(shades, sorted(counts), strict=True))
    assert shades[-1] == (SHADES if most > 1 else most)


def test_what_crosses_180_degrees_is_cut_there() -> None:
    """A square from 170 to -170 degrees becomes one at either edge."""
    corners = [[170, 0], [-340, 0], [0, 10], [340, 0], [0, -10]]
    world = {
        "transform": {"scale": [1, 1], "translate": [0, 0]},
        "arcs": [corners],
        "objects": {"countries": {"geometries": [{"type": "Polygon", "id": "242", "arcs": [[0]]}]}},
    }
    path = made(world, [["FJ", "FJI", "242"]], {"countries": {"FJ": ["Fiji", "x"]}})["paths"]["FJ"]
    xs = [[float(x) for x in re.findall(r"(-?[\d.]+),", part)] for part in path.split("M")[1:]]
    assert len(xs) == 2
    assert all(max(part) - min(part) < WIDTH / 10 for part in xs)
