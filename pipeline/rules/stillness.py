"""Which objects have not moved, and since when."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from pipeline.analytics.track_table import TrackTable
from pipeline.rules.episodes import ROUNDING_S
from pipeline.types import BoolArray, Float32Array, Float64Array, IndexArray

# An object has moved when its middle is this part of its box's longer side away from where it stood.
_PART = 0.25
# Here all middles are twice what they are, which is what two edges of a box add up to.
_REACH = np.float32(2 * _PART)

Stand = tuple[float, float, float]
"""Twice the middle of a box in pixels, x and y, and since when it is there, in seconds of media time."""


class Stillness:
    """How long objects have stood where they are, by rows of a table of tracks.

    An object stands where it was first seen until two looks, one after the other, see it somewhere else: a box that is
    wrong for one look moves nobody. Where the second of them saw it, it stands from then on.

    In each frame all boxes are compared with where they stood, which takes the time to fetch them from memory. When an
    object will have stood for one of the times asked for is found out only when it may have.

    Args:
        table: rows of the live tracks; this adds its columns.
    """

    def __init__(self, table: TrackTable) -> None:
        self._table = table
        # Who was never seen stands nowhere, and was elsewhere at the look before, so the first look is enough.
        self._x = table.column(np.float32, fill=float("inf"))
        self._y = table.column(np.float32, fill=float("inf"))
        self._since = table.column(np.float64, fill=float("inf"))
        self._strayed = table.column(np.bool_, fill=True)
        self._lasting: Float64Array = np.zeros(0)  # the times asked for
        self._shortest_s = float("inf")  # the first of them
        # How many of them an object has stood for, -1 where that is not known, and when the next may be reached: later,
        # where it has moved meanwhile.
        self._reached = table.column(np.int16, fill=-1)
        self._due = table.column(np.float64, fill=float("inf"))
        self._earliest_s = float("inf")  # nothing is due before
        self._again: list[int] = []  # rows to tell of
        self._work = np.empty((3, 0), np.float32)

    def ask(self, lasting: Collection[float]) -> None:
        """Have ``turned`` tell of those who stand for so long, in seconds; from now on, of every row once."""
        self._lasting = np.array(sorted(lasting), np.float64)
        self._shortest_s = min(lasting, default=float("inf"))
        self._reached.values[:] = -1
        self._due.values[:] = self._earliest_s = float("-inf")

    def update(self, xyxy: Float32Array, seen: BoolArray, pts_s: float) -> None:
        """Take in where objects are now.

        Args:
            xyxy: boxes by row, ``(rows, 4)``, of the rows that are used.
            seen: bool by row: which of them were detected in this frame.
            pts_s: media time of the frame.
        """
        elsewhere = self._elsewhere(xyxy)
        strayed = self._strayed.values[: len(xyxy)]
        moved = elsewhere & strayed
        moved &= seen
        # Of those who are seen the first who are elsewhere have strayed, and nobody else: a look that sees them where
        # they stand makes up for the one before.
        elsewhere |= strayed
        elsewhere &= seen
        strayed ^= elsewhere
        rows = moved.nonzero()[0]
        if len(rows):
            self._move(rows, xyxy, pts_s)

    def _elsewhere(self, xyxy: Float32Array) -> BoolArray:
        """Which boxes are not where they stood, ``(rows,)``."""
        rows = len(xyxy)
        if self._work.shape[1] < rows:
            self._work = np.empty((3, len(self._x.values)), np.float32)
        left, top, right, bottom = xyxy.T
        # As few buffers as will do, and used again: what this takes is to fetch memory.
        reach, x, y = self._work[:, :rows]
        np.subtract(right, left, out=reach)
        np.subtract(bottom, top, out=y)
        np.maximum(reach, y, out=reach)
        reach *= _REACH
        np.add(left, right, out=x)
        np.add(top, bottom, out=y)
        x -= self._x.values[:rows]
        y -= self._y.values[:rows]
        np.abs(x, out=x)
        np.abs(y, out=y)
        np.maximum(x, y, out=x)
        elsewhere: BoolArray = x > reach
        return elsewhere

    def _move(self, rows: IndexArray, xyxy: Float32Array, pts_s: float) -> None:
        """Have objects stand where their boxes are now."""
        left, top, right, bottom = xyxy.take(rows, axis=0).T
        self._x.values[rows], self._y.values[rows] = left + right, top + bottom
        self._since.values[rows] = pts_s
        reached = self._reached.values.take(rows)
        if reached.any():
            rows = rows[reached != 0]
            self._reached.values[rows] = 0
            self._due.values[rows] = due_s = pts_s + self._shortest_s - ROUNDING_S
            self._earliest_s = min(self._earliest_s, due_s)
            self._again += rows.tolist()

    def turned(self, pts_s: float) -> list[int]:
        """Rows of those who have just stood for one of the times asked for, who stand there no more, or who are new."""
        turned, self._again = set(self._again), []
        if self._earliest_s <= pts_s:
            due = self._due.values[: self._table.used]
            rows = np.flatnonzero(due <= pts_s)
            if len(rows):  # and in the next frame as well, most likely
                turned.update(self._reach(rows, pts_s))
            else:
                self._earliest_s = float(due.min(initial=np.inf))
        return sorted(turned)

    def _reach(self, rows: IndexArray, pts_s: float) -> list[int]:
        """Find when the next is due of rows that were; returns those who have stood for one."""
        since = np.minimum(self._since.values[rows], pts_s)  # Who was never seen stands nowhere before now.
        ends = since[:, None] + self._lasting - ROUNDING_S
        before, reached = self._reached.values[rows], (ends <= pts_s).sum(axis=1)
        self._reached.values[rows] = reached
        self._due.values[rows] = np.where(ends > pts_s, ends, np.inf).min(axis=1, initial=np.inf)
        turned: list[int] = rows[reached != before].tolist()
        return turned

    def look_again(self, row: int) -> None:
        """Have ``turned`` tell of a row."""
        self._again.append(row)

    def stands(self, row: int, lasting_s: float, pts_s: float) -> bool:
        """Whether an object has stood where it is for so long."""
        return bool(self._since.values[row] + lasting_s - ROUNDING_S <= pts_s)

    def stand_of(self, row: int) -> Stand:
        """Where the object in a row stands, and since when."""
        return self._x.values.item(row), self._y.values.item(row), self._since.values.item(row)

    def take_stand(self, row: int, stand: Stand) -> None:
        """Have the object in a row stand where another one stood, since when it did."""
        self._x.values[row], self._y.values[row], self._since.values[row] = stand
        self._strayed.values[row], self._reached.values[row] = False, 0
        self._due.values[row] = due_s = stand[2] + self._shortest_s - ROUNDING_S
        self._earliest_s = min(self._earliest_s, due_s)

    def close(self) -> None:
        """Give back the columns."""
        for column in (self._x, self._y, self._since, self._strayed, self._due, self._reached):
            self._table.drop(column)
