"""Which objects have not moved, and since when."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from pipeline.analytics.track_table import TrackTable
from pipeline.types import BoolArray, Float32Array

# An object has moved when its middle is this part of its box's longer side away from where it stood.
_PART = 0.25

# Media times are sums of floats: what is due may look early by less than this.
_ROUNDING_S = 1e-6

# Makes of left, top, right and bottom: left + right, top + bottom, and parts of right - left and bottom - top.
_SUMS = np.array([[1, 0, 1, 0], [0, 1, 0, 1], [-2 * _PART, 0, 2 * _PART, 0], [0, -2 * _PART, 0, 2 * _PART]], np.float32)

Stand = tuple[float, float, float]
"""Twice the middle of a box in pixels, x and y, and since when it is there, in seconds of media time."""


class Stillness:
    """How long objects have stood where they are, by rows of a table of tracks.

    An object stands where it was first seen until two looks, one after the other, see it somewhere else: a box that is
    wrong for one look moves nobody. Where the second of them saw it, it stands from then on.

    Args:
        table: rows of the live tracks; this adds its columns.
    """

    def __init__(self, table: TrackTable) -> None:
        self._table = table
        # Twice the middle, which is what the edges of a box add up to.
        self._x = table.column(np.float32, fill=float("nan"))
        self._y = table.column(np.float32, fill=float("nan"))
        self._since = table.column(np.float64, fill=float("inf"))
        self._away = table.column(np.bool_)
        # When an object will have stood for the next of these times, and whether it has for the first.
        self._due = table.column(np.float64, fill=float("-inf"))
        self._reached = table.column(np.bool_)
        self._lasting: tuple[float, ...] = ()
        self._sums = np.empty((4, 0), np.float32)
        self._away_from = np.empty((2, 0), np.float32)
        self._left: list[int] = []

    def ask(self, lasting: Collection[float]) -> None:
        """Have ``turned`` tell of those who stand for so long, in seconds; from now on, of every row once."""
        self._lasting = tuple(sorted(lasting))
        self._due.values[:] = float("-inf")

    def update(self, xyxy: Float32Array, seen: BoolArray, pts_s: float) -> None:
        """Take in where objects are now.

        Args:
            xyxy: boxes by row, ``(rows, 4)``, of the rows that are used.
            seen: bool by row: which of them were detected in this frame.
            pts_s: media time of the frame.
        """
        rows = len(xyxy)
        if self._sums.shape[1] < rows:
            self._sums = np.empty((4, rows), np.float32)
            self._away_from = np.empty((2, rows), np.float32)
        # Of each box twice its middle, and what of its sides it may be away: one product is quicker than eight sums.
        sums, away = self._sums[:, :rows], self._away_from[:, :rows]
        np.matmul(_SUMS, xyxy.T, out=sums)
        x, y, wide, high = sums
        reach = np.maximum(wide, high, out=wide)
        np.subtract(x, self._x.values[:rows], out=away[0])
        np.subtract(y, self._y.values[:rows], out=away[1])
        np.abs(away, out=away)
        away = np.maximum(away[0], away[1], out=away[0])
        outside = np.greater(seen, away <= reach)  # Not near where it stood nowhere yet.
        strayed = self._away.values[:rows]
        # A look that saw it where it stands makes up for the one before.
        strayed &= outside | ~seen
        out = np.flatnonzero(outside)
        if not len(out):
            return
        moves = strayed[out] | np.isinf(self._since.values[out])
        strayed[out] = ~moves
        out = out[moves]
        self._x.values[out], self._y.values[out] = x[out], y[out]
        self._since.values[out] = pts_s
        if self._lasting:
            self._due.values[out] = pts_s + self._lasting[0] - _ROUNDING_S
            self._left = out[self._reached.values[out]].tolist()
            self._reached.values[out] = False

    def turned(self, pts_s: float) -> list[int]:
        """Rows of those who have just stood for one of the times asked for, who stand there no more, or who are new."""
        due = np.flatnonzero(self._due.values[: self._table.used] <= pts_s)
        for row in due.tolist():
            since_s = self._since.values[row]
            later = [since_s + lasting_s - _ROUNDING_S for lasting_s in self._lasting]
            self._due.values[row] = next((each for each in later if each > pts_s), float("inf"))
            self._reached.values[row] = bool(later) and later[0] <= pts_s
        left, self._left = self._left, []
        return sorted({*due.tolist(), *left})

    def look_again(self, row: int) -> None:
        """Have ``turned`` tell of a row."""
        self._due.values[row] = float("-inf")

    def stands(self, row: int, lasting_s: float, pts_s: float) -> bool:
        """Whether an object has stood where it is for so long."""
        return bool(self._since.values[row] + lasting_s - _ROUNDING_S <= pts_s)

    def stand_of(self, row: int) -> Stand:
        """Where the object in a row stands, and since when."""
        return float(self._x.values[row]), float(self._y.values[row]), float(self._since.values[row])

    def take_stand(self, row: int, stand: Stand) -> None:
        """Have the object in a row stand where another one stood, since when it did."""
        self._x.values[row], self._y.values[row], self._since.values[row] = stand
        self.look_again(row)

    def close(self) -> None:
        """Give back the columns."""
        for column in (self._x, self._y, self._since, self._away, self._due, self._reached):
            self._table.drop(column)
