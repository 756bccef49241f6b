"""Points, polygons and segments, over arrays.

Coordinates are pixels of the displayed image, x to the right and y down. What a user gives may be in ``"pixels"`` or in
``"fraction"`` of the frame: x of its width, y of its height, and lengths (such as a hysteresis) of its shorter side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from pipeline.errors import ConfigError
from pipeline.types import Float64Array

Point = tuple[float, float]
Units = Literal["pixels", "fraction"]


# Whether edges cross takes a look at each pair of them; areas of what is farther away would overflow.
MOST_POINTS = 500
FARTHEST = 1_000_000


def check_units(units: str, where: str) -> None:
    """Raise ``ConfigError`` for units that do not exist."""
    if units not in get_args(Units):
        raise ConfigError(f"{where}: no units {units!r}; choose pixels or fraction")


def check_points(points: Sequence[Point], units: str, where: str) -> Float64Array:
    """The points as float64 ``(N, 2)``.

    Raises:
        ConfigError: not pairs of finite numbers, unknown units, a fraction outside [0, 1], or too many or too far ones.
    """
    check_units(units, where)
    try:
        array = np.asarray(points, np.float64)
    except (TypeError, ValueError):
        array = np.zeros(0)
    if array.ndim != 2 or array.shape[1] != 2 or not np.isfinite(array).all():
        raise ConfigError(f"{where}: expected points as pairs [x, y] of finite numbers, got {points!r}")
    if len(array) > MOST_POINTS or np.abs(array).max(initial=0) > FARTHEST:
        raise ConfigError(f"{where}: expected at most {MOST_POINTS} points, none beyond {FARTHEST:,}")
    if units == "fraction" and ((array < 0) | (array > 1)).any():
        bad = array[((array < 0) | (array > 1)).any(axis=1)][0].tolist()
        raise ConfigError(f"{where}: the fraction {bad} is outside [0, 1]; say units: pixels if it is in pixels")
    return array


def check_polygon(corners: Sequence[Point], units: str, where: str) -> Float64Array:
    """The corners as float64 ``(V, 2)``.

    Raises:
        ConfigError: as ``check_points``, or fewer than three corners, crossing edges, or no area.
    """
    polygon = check_points(corners, units, where)
    if len(polygon) < 3:
        raise ConfigError(f"{where}: a polygon needs three corners or more, got {len(polygon)}")
    if _edges_cross(polygon):
        raise ConfigError(f"{where}: the polygon's edges cross; list its corners in order around it")
    if polygon_area(polygon) == 0:
        raise ConfigError(f"{where}: the polygon encloses no area; its corners lie in one line")
    if units == "pixels" and polygon.max() <= 1:
        raise ConfigError(f"{where}: the polygon is smaller than a pixel; say units: fraction if that was meant")
    return polygon


def check_length(length: float, where: str) -> None:
    """Raise ``ConfigError`` for a distance that is negative or not finite."""
    if not (math.isfinite(length) and length >= 0):
        raise ConfigError(f"{where}: expected a distance of 0 or more, got {length!r}")


class Placement:
    """Where shapes lie that were drawn in pixels, when the picture's size changes under them.

    What is in pixels was drawn in pictures of the size that came first. In a picture of another size it keeps its place
    in the picture: x and y are scaled with the sides, lengths with the side that shrank more.
    """

    def __init__(self) -> None:
        self._drawn: tuple[int, int] | None = None
        self._scale = np.ones(2)

    def fit(self, width: int, height: int) -> tuple[int, int] | None:
        """Go on to pictures of that size; returns the size drawn in where it is another one."""
        drawn = self._drawn = self._drawn or (width, height)
        self._scale = np.array([width / drawn[0], height / drawn[1]])
        return None if drawn == (width, height) else drawn

    def points(self, points: Float64Array, units: str, width: int, height: int) -> Float64Array:
        """Points ``(N, 2)`` in pixels of a picture of that size, which was the last one given to ``fit``."""
        return points_to_pixels(points, units, width, height) * (1.0 if units == "fraction" else self._scale)

    def length(self, length: float, units: str, width: int, height: int) -> float:
        """A distance in such pixels."""
        return length_to_pixels(length, units, width, height) * (
            1.0 if units == "fraction" else float(self._scale.min())
        )


def points_to_pixels(points: Float64Array, units: str, width: int, height: int) -> Float64Array:
    """Points ``(N, 2)`` in pixels of a frame of that size."""
    return points * np.array([width, height], np.float64) if units == "fraction" else points


def length_to_pixels(length: float, units: str, width: int, height: int) -> float:
    """A distance in pixels; a fraction is one of the frame's shorter side."""
    return length * min(width, height) if units == "fraction" else length


def polygon_area(polygon: Float64Array) -> float:
    """Area enclosed by the corners ``(V, 2)``, by the shoelace formula."""
    x, y = polygon.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def _edges_cross(polygon: Float64Array) -> bool:
    """Whether two edges that are not neighbours meet, so that the corners do not go around an area once."""
    count = len(polygon)
    following = np.roll(polygon, -1, axis=0)
    for i in range(count):
        for j in range(i + 2, count):
            neighbours = i == 0 and j == count - 1
            if not neighbours and _segments_meet(polygon[i], following[i], polygon[j], following[j]):
                return True
    return False


def _turn(a: Float64Array, b: Float64Array, c: Float64Array) -> float:
    """Positive where a, b, c turn right on the screen, negative where left, 0 where they are in line."""
    return float(np.sign((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])))


def _segments_meet(a: Float64Array, b: Float64Array, c: Float64Array, d: Float64Array) -> bool:
    turns = _turn(a, b, c), _turn(a, b, d), _turn(c, d, a), _turn(c, d, b)
    if turns[0] != turns[1] and turns[2] != turns[3]:
        return True
    # All in line: they meet where their extents overlap.
    return not any(turns) and bool(
        (np.maximum(np.minimum(a, b), np.minimum(c, d)) <= np.minimum(np.maximum(a, b), np.maximum(c, d))).all()
    )
