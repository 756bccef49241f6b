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
from pipeline.types import BoolArray, Float32Array, Float64Array

Point = tuple[float, float]
Units = Literal["pixels", "fraction"]
Anchor = Literal[
    "bottom_center",
    "center",
    "top_center",
    "left_center",
    "right_center",
    "top_left",
    "top_right",
    "bottom_left",
    "bottom_right",
]

# Where in the box an anchor lies, as a part of its width and height.
_ANCHORS: dict[str, Point] = {
    "bottom_center": (0.5, 1.0),
    "center": (0.5, 0.5),
    "top_center": (0.5, 0.0),
    "left_center": (0.0, 0.5),
    "right_center": (1.0, 0.5),
    "top_left": (0.0, 0.0),
    "top_right": (1.0, 0.0),
    "bottom_left": (0.0, 1.0),
    "bottom_right": (1.0, 1.0),
}
_ANCHOR_PARTS = np.array(list(_ANCHORS.values()), np.float64)


def check_anchor(anchor: str, where: str) -> None:
    """Raise ``ConfigError`` for an anchor that does not exist."""
    if anchor not in _ANCHORS:
        raise ConfigError(f"{where}: no anchor {anchor!r}; choose one of {', '.join(_ANCHORS)}")


def check_units(units: str, where: str) -> None:
    """Raise ``ConfigError`` for units that do not exist."""
    if units not in get_args(Units):
        raise ConfigError(f"{where}: no units {units!r}; choose pixels or fraction")


def check_points(points: Sequence[Point], units: str, where: str) -> Float64Array:
    """The points as float64 ``(N, 2)``.

    Raises:
        ConfigError: not pairs of finite numbers, unknown units, or a fraction outside [0, 1].
    """
    check_units(units, where)
    try:
        array = np.asarray(points, np.float64)
    except (TypeError, ValueError):
        array = np.zeros(0)
    if array.ndim != 2 or array.shape[1] != 2 or not np.isfinite(array).all():
        raise ConfigError(f"{where}: expected points as pairs [x, y] of finite numbers, got {points!r}")
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


def anchor_index(anchor: str) -> int:
    """Where an anchor is to be found in what ``anchor_points`` returns."""
    return list(_ANCHORS).index(anchor)


def anchor_points(xyxy: Float32Array) -> Float64Array:
    """Where the anchors of boxes lie.

    Args:
        xyxy: boxes ``(N, 4)`` in pixels.

    Returns:
        float64 ``(N, 9, 2)`` in pixels, each of the anchors at its ``anchor_index``.
    """
    boxes = xyxy.astype(np.float64)
    corner = boxes[:, None, :2]
    result: Float64Array = corner + _ANCHOR_PARTS * (boxes[:, None, 2:] - corner)
    return result


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


class Polygons:
    """Several polygons, tested together.

    Args:
        corners: per polygon float64 ``(V, 2)``, V at least 3.
    """

    def __init__(self, corners: Sequence[Float64Array]) -> None:
        self.count = len(corners)
        starts = [np.asarray(polygon, np.float64) for polygon in corners]
        self._start = np.concatenate([*starts, np.zeros((0, 2))])
        self._end = np.concatenate([*(np.roll(polygon, -1, axis=0) for polygon in starts), np.zeros((0, 2))])
        lengths = [len(polygon) for polygon in starts]
        self._polygon_of_edge = np.repeat(np.arange(self.count), lengths)
        self._first_edge = np.concatenate([[0], np.cumsum(lengths)])[:-1].astype(np.intp)
        # Every edge from its upper end down, so that polygons which share one do the same arithmetic on it.
        falls = self._start[:, 1] <= self._end[:, 1]
        self._top_x, self._top_y = np.where(falls, self._start.T, self._end.T)
        bottom_x, self._bottom_y = np.where(falls, self._end.T, self._start.T)
        self._run, self._rise = bottom_x - self._top_x, self._bottom_y - self._top_y

    def contains(self, points: Float64Array) -> BoolArray:
        """Which points lie inside which polygon, by the even-odd rule.

        A point on an edge belongs to the polygon on one side of it only, so polygons that share an edge share no point.

        Args:
            points: ``(N, P, 2)``, for each of the P polygons its own N points.

        Returns:
            bool ``(N, P)``.
        """
        if not self.count or not len(points):
            return np.zeros((len(points), self.count), np.bool_)
        x, y = points[:, self._polygon_of_edge, 0], points[:, self._polygon_of_edge, 1]
        level = (self._top_y <= y) & (y < self._bottom_y)
        # Multiplied out instead of divided, so that level edges need no special case.
        meets = level & ((y - self._top_y) * self._run > (x - self._top_x) * self._rise)
        inside: BoolArray = np.logical_xor.reduceat(meets, self._first_edge, axis=1)
        return inside

    def distance(self, points: Float64Array) -> Float64Array:
        """Distance in pixels from points ``(N, P, 2)`` to the nearest edge of their polygon, float64 ``(N, P)``."""
        if not self.count or not len(points):
            return np.zeros((len(points), self.count))
        along = self._end - self._start
        offset = points[:, self._polygon_of_edge] - self._start
        square = np.maximum((along * along).sum(axis=1), np.finfo(np.float64).tiny)
        part = np.clip((offset * along).sum(axis=2) / square, 0.0, 1.0)
        gap = offset - part[..., None] * along
        result: Float64Array = np.minimum.reduceat(np.hypot(gap[..., 0], gap[..., 1]), self._first_edge, axis=1)
        return result


class Segments:
    """Several directed segments, measured together.

    Args:
        start, end: float64 ``(L, 2)`` in pixels, start and end of each differ.
    """

    def __init__(self, start: Float64Array, end: Float64Array) -> None:
        self._start = np.asarray(start, np.float64).reshape(-1, 2)
        along = np.asarray(end, np.float64).reshape(-1, 2) - self._start
        self._onward = along / (along * along).sum(axis=1, keepdims=True)
        self._across = along[:, ::-1] * (-1, 1) / np.hypot(along[:, 0], along[:, 1])[:, None]

    def distance(self, points: Float64Array) -> Float64Array:
        """How far points lie beside the endless lines through the segments.

        Args:
            points: ``(N, L, 2)``, for each of the L segments its own N points.

        Returns:
            float64 ``(N, L)`` in pixels, positive on the right-hand side of someone who walks from start to end.
        """
        offset = points - self._start
        result: Float64Array = offset[..., 0] * self._across[:, 0] + offset[..., 1] * self._across[:, 1]
        return result

    def position(self, points: Float64Array) -> Float64Array:
        """Where along the segments points ``(N, L, 2)`` lie, float64 ``(N, L)``: 0 at the start and 1 at the end."""
        offset = points - self._start
        result: Float64Array = offset[..., 0] * self._onward[:, 0] + offset[..., 1] * self._onward[:, 1]
        return result
