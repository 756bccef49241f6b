"""Which objects have not moved, and since when."""

from __future__ import annotations

import numpy as np

from pipeline.analytics.track_table import TrackTable
from pipeline.types import BoolArray, Float32Array, Float64Array

# An object has moved when its middle is this part of its box's longer side away from where it stood.
_PART = 0.25

Stand = tuple[float, float, float]
"""The middle of a box in pixels, x and y, and since when it is there, in seconds of media time."""


class Stillness:
    """How long objects have stood where they are, by rows of a table of tracks.

    An object stands where it was first seen until two looks, one after the other, see it somewhere else: a box that is
    wrong for one look moves nobody. Where the second of them saw it, it stands from then on.

    Args:
        table: rows of the live tracks; this adds its columns.
    """

    def __init__(self, table: TrackTable) -> None:
        self._table = table
        self._x = table.column(np.float32, fill=float("nan"))
        self._y = table.column(np.float32, fill=float("nan"))
        self._since = table.column(np.float64, fill=float("inf"))
        self._away = table.column(np.bool_)

    @property
    def since_s(self) -> Float64Array:
        """float64 by row: since when an object stands there, in media time; infinity for none."""
        since: Float64Array = self._since.values
        return since

    def update(self, xyxy: Float32Array, seen: BoolArray, pts_s: float) -> None:
        """Take in where objects are now.

        Args:
            xyxy: boxes by row, ``(rows, 4)``.
            seen: bool by row: which of them were detected in this frame.
            pts_s: media time of the frame.
        """
        left, top, right, bottom = xyxy.T
        reach = np.maximum(right - left, bottom - top)
        reach *= _PART
        # Not near where it stood nowhere yet.
        near = np.abs((left + right) / 2 - self._x.values) <= reach
        near &= np.abs((top + bottom) / 2 - self._y.values) <= reach
        outside = np.greater(seen, near)
        self._away.values &= ~near | ~seen
        if not outside.any():
            return
        rows = np.flatnonzero(outside)
        moves = self._away.values[rows] | np.isinf(self._since.values[rows])
        self._away.values[rows] = ~moves
        rows = rows[moves]
        self._x.values[rows] = (left[rows] + right[rows]) / 2
        self._y.values[rows] = (top[rows] + bottom[rows]) / 2
        self._since.values[rows] = pts_s

    def stand_of(self, row: int) -> Stand:
        """Where the object in a row stands, and since when."""
        return float(self._x.values[row]), float(self._y.values[row]), float(self._since.values[row])

    def take_stand(self, row: int, stand: Stand) -> None:
        """Have the object in a row stand where another one stood, since when it did."""
        self._x.values[row], self._y.values[row], self._since.values[row] = stand

    def close(self) -> None:
        """Give back the columns."""
        for column in (self._x, self._y, self._since, self._away):
            self._table.drop(column)
