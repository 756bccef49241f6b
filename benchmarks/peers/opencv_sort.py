"""SORT as one writes it with filterpy: a Kalman filter object per track, boxes matched by overlap.

A. Bewley et al., "Simple Online and Realtime Tracking", ICIP 2016. State: centre x and y, area, aspect ratio, and the
velocities of the first three.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from filterpy.kalman import KalmanFilter
from scipy.optimize import linear_sum_assignment


class SortTrack:
    """One object."""

    def __init__(self, track_id: int, box: Any, label: int) -> None:
        self.track_id = track_id
        self.label = label
        self.hits = 1
        self.missed = 0
        kalman = KalmanFilter(dim_x=7, dim_z=4)
        kalman.F[[0, 1, 2], [4, 5, 6]] = 1
        kalman.H[[0, 1, 2, 3], [0, 1, 2, 3]] = 1
        kalman.R[2:, 2:] *= 10
        kalman.P[4:, 4:] *= 1000
        kalman.P *= 10
        kalman.Q[4:, 4:] *= 0.01
        kalman.Q[6, 6] *= 0.01
        kalman.x[:4] = _measured(box)
        self._kalman = kalman

    def predict(self) -> None:
        """One frame later."""
        if self._kalman.x[2] + self._kalman.x[6] <= 0:
            self._kalman.x[6] = 0
        self._kalman.predict()
        self.missed += 1

    def update(self, box: Any) -> None:
        """It was seen."""
        self._kalman.update(_measured(box))
        self.hits += 1
        self.missed = 0

    @property
    def box(self) -> Any:
        """Left, top, right, bottom."""
        x, y, area, aspect = self._kalman.x[:4, 0]
        width = np.sqrt(max(area * aspect, 1e-9))
        height = area / width
        return np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])


class Sort:
    """A scene's tracks; boxes are matched within their class."""

    def __init__(self, max_age: int = 1, min_hits: int = 3, iou: float = 0.3) -> None:
        self._max_age = max_age
        self._min_hits = min_hits
        self._iou = iou
        self._tracks: list[SortTrack] = []
        self._frame = 0
        self._next_id = 1

    def update(self, boxes: Any, labels: Any) -> list[SortTrack]:
        """Take a frame's detections, boxes ``(N, 4)``; returns the tracks to show."""
        self._frame += 1
        for track in self._tracks:
            track.predict()
        free = set(range(len(boxes)))
        if self._tracks and len(boxes):
            overlap = _iou(np.array([track.box for track in self._tracks]), boxes)
            overlap[np.array([track.label for track in self._tracks])[:, None] != labels[None, :]] = 0
            for row, column in zip(*linear_sum_assignment(-overlap), strict=True):
                if overlap[row, column] >= self._iou:
                    self._tracks[row].update(boxes[column])
                    free.discard(int(column))
        for index in sorted(free):
            self._tracks.append(SortTrack(self._next_id, boxes[index], int(labels[index])))
            self._next_id += 1
        self._tracks = [track for track in self._tracks if track.missed <= self._max_age]
        early = self._frame <= self._min_hits
        return [track for track in self._tracks if not track.missed and (early or track.hits >= self._min_hits)]


def _measured(box: Any) -> Any:
    width, height = box[2] - box[0], box[3] - box[1]
    return np.array([[(box[0] + box[2]) / 2], [(box[1] + box[3]) / 2], [width * height], [width / max(height, 1e-9)]])


def _iou(first: Any, second: Any) -> Any:
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (first, second)]
    return common / np.maximum(areas[0][:, None] + areas[1][None, :] - common, 1e-9)
