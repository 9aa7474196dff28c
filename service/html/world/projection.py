"""Where a place lies on the map: the Equal Earth projection, in which areas keep their proportions. Pure.

Source: Šavrič, Patterson, Jenny, "The Equal Earth map projection" (2018), equations 9 and 10.
"""

from __future__ import annotations

import math

WIDTH, HEIGHT = 1000, 440
"""Of the drawing; the far south, with Antarctica, lies below it."""

_A1, _A2, _A3, _A4 = 1.340264, -0.081106, 0.000893, 0.003796
_M = math.sqrt(3) / 2
_HALF_WIDTH = 2.70663
_SCALE = WIDTH / 2 / _HALF_WIDTH
_TOP = 1.3173627591574


def project(longitude: float, latitude: float) -> tuple[float, float]:
    """Degrees to x and y of the drawing."""
    theta = math.asin(_M * math.sin(math.radians(latitude)))
    squared = theta * theta
    sixth = squared**3
    down = _A1 + 3 * _A2 * squared + sixth * (7 * _A3 + 9 * _A4 * squared)
    x = math.radians(longitude) * math.cos(theta) / (_M * down)
    y = theta * (_A1 + _A2 * squared + sixth * (_A3 + _A4 * squared))
    return WIDTH / 2 + x * _SCALE, (_TOP - y) * _SCALE
