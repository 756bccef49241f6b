"""SORT: a Kalman filter and an optimal assignment by overlap.

Bewley, Ge, Ott, Ramos and Upcroft, "Simple online and realtime tracking", ICIP 2016, arXiv:1602.00763.
"""

from __future__ import annotations

import numpy as np

from pipeline.types import BoolArray, Float64Array
from trackers.association import associate, overlapping_pairs, pair_iou
from trackers.base import ArrayTracker, Found

# The published noises, as variances per step, of (centre x, centre y, area, aspect ratio).
_MEASUREMENT = np.array([1.0, 1.0, 10.0, 10.0])
_PROCESS = np.array([1.0, 1.0, 1.0, 1.0])
_VELOCITY_PROCESS = np.array([0.01, 0.01, 0.0001, 0.0])
_FIRST = np.array([10.0, 10.0, 10.0, 10.0])
_FIRST_VELOCITY = np.array([10000.0, 10000.0, 10000.0, 0.0])

# Thinner boxes have no aspect ratio to speak of; they are widened to this many pixels inside the filter.
_THINNEST = 0.01


class SortTracker(ArrayTracker):
    """SORT with its published behaviour, associating within each class.

    With the default settings and frames at a regular rate this is the published algorithm to the digit: a track is
    shown while it is matched, once it has been matched ``min_hits`` frames in a row (or within the first ``min_hits``
    frames of the stream), and is let go after more than ``max_age`` frames without a match. Frames nobody looked at
    (``detections=None``) count neither way: tracks shown at the last look stay shown, at their predicted boxes.
    Prediction follows media time: a gap of three frame times predicts three steps ahead.

    Args:
        iou: least overlap of a detection with a track's prediction.
        max_age: frames that were looked at without a match before a track is let go.
        min_hits: matches in a row before a track is shown.
        min_score: detections below are ignored.
        max_unseen_s: if given, replaces ``max_age``: a track is let go when it is missing in a frame more than this
            many seconds of media time after it was last seen.
    """

    _powers = (2.0, 0.0)

    def __init__(
        self,
        *,
        iou: float = 0.3,
        max_age: int = 1,
        min_hits: int = 3,
        min_score: float = 0.0,
        max_unseen_s: float | None = None,
    ) -> None:
        self._iou, self._max_age, self._min_hits = iou, max_age, min_hits
        self._max_unseen_s = max_unseen_s
        super().__init__()
        self.lowest_score = self.start_score = min_score

    def _clear(self) -> None:
        super()._clear()
        self._looks = 0

    def _predict(self, steps: float) -> None:
        area, change = self._filter.position[:, 2], self._filter.velocity[:, 2]
        change[area + steps * change <= 0.0] = 0.0
        self._filter.predict(steps, _PROCESS, _VELOCITY_PROCESS)

    def _boxes(self) -> Float64Array:
        return _to_boxes(self._filter.position)

    def _look(self, found: Found, pts_s: float) -> BoolArray:
        self._looks += 1
        boxes = self._boxes()
        pairs = overlapping_pairs(found.boxes, boxes, found.class_id, self._rows["class_id"])
        overlap = pair_iou(found.boxes[pairs.row], boxes[pairs.column])
        taken, matched = associate(pairs, overlap, self._iou, found.class_id)
        self._seen(matched, found.select(taken), pts_s)
        self._filter.update(matched, _to_measurements(found.boxes[taken]), _MEASUREMENT)

        unmatched = np.ones(len(found.boxes), np.bool_)
        unmatched[taken] = False
        if unmatched.any():
            new = found.select(unmatched)
            self._start(new, pts_s)
            self._filter.add(_to_measurements(new.boxes), _FIRST, _FIRST_VELOCITY)

        rows = self._rows
        confirmed = (rows["streak"] >= self._min_hits) | (self._looks <= self._min_hits)
        rows["shown"] = (rows["missed"] == 0) & confirmed
        if self._max_unseen_s is None:
            return np.asarray(rows["missed"] > self._max_age)
        return np.asarray((rows["missed"] > 0) & (pts_s - rows["seen_s"] > self._max_unseen_s))


def _to_measurements(boxes: Float64Array) -> Float64Array:
    """xyxy ``(n, 4)`` to centre x, centre y, area, aspect ratio (width over height)."""
    size = np.maximum(boxes[:, 2:] - boxes[:, :2], _THINNEST)
    measured = np.empty_like(boxes)
    measured[:, :2] = (boxes[:, :2] + boxes[:, 2:]) / 2.0
    measured[:, 2] = size[:, 0] * size[:, 1]
    measured[:, 3] = size[:, 0] / size[:, 1]
    return measured


def _to_boxes(measured: Float64Array) -> Float64Array:
    """The inverse of ``_to_measurements``."""
    width = np.sqrt(measured[:, 2] * measured[:, 3])
    half = np.stack([width, measured[:, 2] / width], axis=1) / 2.0
    return np.concatenate([measured[:, :2] - half, measured[:, :2] + half], axis=1)
