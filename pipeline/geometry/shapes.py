"""Many polygons or segments at once, as arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.types import BoolArray, Float64Array


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

        >>> square = Polygons([np.array([(0, 0), (10, 0), (10, 10), (0, 10)])])
        >>> square.contains(np.array([[(5.0, 5.0)], [(12.0, 5.0)]])).tolist()
        [[True], [False]]
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
