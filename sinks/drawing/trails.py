"""Trails: where tracks have come from."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.types import Image
from sinks.drawing.colors import Color

# Points kept per track, however long the trail and however high the frame rate.
_TRAIL_POINTS = 24
# Sub-pixel bits of trail points, so that slow objects leave smooth lines.
_SHIFT = 3


class _Trail:
    """Where one track was lately. The points lie in one array, so that drawing needs no conversion."""

    __slots__ = ("_buffer", "_start", "_stop", "_times")

    def __init__(self) -> None:
        self._buffer = np.empty((4 * _TRAIL_POINTS, 2), np.int32)
        self._times: list[float] = []
        self._start = self._stop = 0

    @property
    def points(self) -> NDArray[np.int32]:
        """int32 ``(N, 2)``, oldest first, in pixels times ``2 ** _SHIFT``."""
        return self._buffer[self._start : self._stop]

    @property
    def newest_s(self) -> float:
        return self._times[-1]

    def add(self, pts_s: float, point: NDArray[np.int32], oldest_s: float, step_s: float) -> None:
        """Append a point and let go of those before ``oldest_s``. The newest moves along until it is a step away."""
        times = self._times
        if len(times) > 1 and times[-1] - times[-2] < step_s:
            times.pop()
            self._stop -= 1
        elif self._stop == len(self._buffer):
            count = self._stop - self._start
            self._buffer[:count] = self.points
            self._start, self._stop = 0, count
        self._buffer[self._stop] = point
        self._stop += 1
        times.append(pts_s)
        while times[0] < oldest_s:
            times.pop(0)
            self._start += 1


def _draw_trail(picture: Image, points: NDArray[np.int32], color: Color, unit: float) -> None:
    """A thin line that grows thick towards the object."""
    if len(points) < 2:
        return
    cv2.polylines(picture, [points], False, color, 1, cv2.LINE_AA, _SHIFT)
    newer = points[len(points) // 2 :]
    thickness = max(1, round(2 * unit))
    if thickness > 2:
        cv2.polylines(picture, [newer], False, color, thickness, cv2.LINE_8, _SHIFT)
    elif thickness == 2:
        # A second thin line beside the first: OpenCV's thick antialiased lines cost seven times as much.
        width, height = np.abs(newer[-1] - newer[0]).tolist()
        beside = (0, 1 << _SHIFT) if width > height else (1 << _SHIFT, 0)
        cv2.polylines(picture, [newer + np.array(beside, np.int32)], False, color, 1, cv2.LINE_AA, _SHIFT)
