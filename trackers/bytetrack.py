"""ByteTrack: weak detections carry on tracks that exist, but start none.

Zhang, Sun, Jiang, Yu, Weng, Yuan, Luo, Liu and Wang, "ByteTrack: multi-object tracking by associating every detection
box", ECCV 2022, arXiv:2110.06864.
"""

from __future__ import annotations

import numpy as np

from pipeline.types import BoolArray, Float64Array, IndexArray
from trackers.association import Stage, assign_in_stages, overlapping_pairs, pair_iou
from trackers.base import ArrayTracker, Found

# Standard deviations per step, as parts of the box's height: of places, and of their velocities.
_PLACE, _VELOCITY = 1.0 / 20.0, 1.0 / 160.0
# Those of the aspect ratio are absolute.
_ASPECT, _ASPECT_MEASURED, _ASPECT_VELOCITY = 0.01, 0.1, 0.00001
_FIRST_PLACE, _FIRST_VELOCITY = 2.0, 10.0

_THINNEST = 0.01


class ByteTracker(ArrayTracker):
    """Two-stage association, within each class, on a Kalman filter of (centre x, centre y, aspect ratio, height).

    Detections of at least ``min_score`` are matched first, to all confirmed tracks, by overlap times score. Weaker ones
    are then matched by overlap to the confirmed tracks that were seen at the last look and are still unmatched. Sure
    ones that are left match tracks seen once so far, and only then start new tracks. A track is shown while it is
    matched, from its second match on (or at once in the stream's first frame).

    Args:
        min_score: score from which a detection is sure enough for the first stage.
        low_score: detections below are ignored.
        start_margin: a track starts at ``min_score`` plus this.
        iou: least overlap times score in the first stage.
        low_iou: least overlap in the second stage.
        start_iou: least overlap times score with a track seen once.
        max_unseen_s: a track is let go when it is missing in a frame more than this many seconds of media time after it
            was last seen; one seen only once, as soon as it is missing.
    """

    lowest_score = 0.1

    _powers = (0.0, 1.0)

    def __init__(
        self,
        *,
        min_score: float = 0.25,
        low_score: float = 0.1,
        start_margin: float = 0.1,
        iou: float = 0.2,
        low_iou: float = 0.5,
        start_iou: float = 0.3,
        max_unseen_s: float = 1.0,
    ) -> None:
        self._min_score, self.start_score = min_score, min_score + start_margin
        self._iou, self._low_iou, self._start_iou = iou, low_iou, start_iou
        self._max_unseen_s = max_unseen_s
        super().__init__()
        self.lowest_score = min(low_score, min_score)

    def _clear(self) -> None:
        super()._clear()
        self._looks = 0

    def _predict(self, steps: float) -> None:
        velocity, height = self._filter.velocity, self._filter.position[:, 3]
        # As published, a lost box keeps its height: it must not grow without being seen.
        velocity[self._rows["missed"] > 0, 3] = 0.0
        velocity[height + steps * velocity[:, 3] < 1.0, 3] = 0.0
        self._filter.predict(steps, _variance(height, _PLACE, _ASPECT), _variance(height, _VELOCITY, _ASPECT_VELOCITY))

    def _boxes(self) -> Float64Array:
        return _to_boxes(self._filter.position)

    def _look(self, found: Found, pts_s: float) -> BoolArray:
        self._looks += 1
        taken, matched = self._associate(found)
        self._seen(matched, found.select(taken), pts_s)
        measured = _to_measurements(found.boxes[taken])
        height = self._filter.position[matched, 3]
        self._filter.update(matched, measured, _variance(height, _PLACE, _ASPECT_MEASURED))

        unmatched = found.score >= self.start_score
        unmatched[taken] = False
        if np.count_nonzero(unmatched):
            new = found.select(unmatched)
            self._start(new, pts_s)["hits"] = 2 if self._looks == 1 else 1
            first = _to_measurements(new.boxes)
            self._filter.add(
                first,
                _variance(first[:, 3], _FIRST_PLACE * _PLACE, _ASPECT),
                _variance(first[:, 3], _FIRST_VELOCITY * _VELOCITY, _ASPECT_VELOCITY),
            )
        rows = self._rows
        confirmed = rows["hits"] > 1
        rows["shown"] = confirmed & (rows["missed"] == 0)
        late = confirmed & (pts_s - rows["seen_s"] > self._max_unseen_s)
        return np.asarray((rows["missed"] > 0) & (late | ~confirmed))

    def _associate(self, found: Found) -> tuple[IndexArray, IndexArray]:
        """The three stages: pairs ``(detections, rows)``."""
        rows = self._rows
        boxes = self._boxes()
        pairs = overlapping_pairs(found.boxes, boxes, found.class_id, rows["class_id"])
        overlap = pair_iou(found.boxes[pairs.row], boxes[pairs.column])
        fused = overlap * found.score[pairs.row]
        sure, confirmed = found.score >= self._min_score, rows["hits"] > 1
        # What exceeds the minimum is what counts, so that a pair just above it is worth little.
        return assign_in_stages(
            pairs,
            (
                Stage(sure, confirmed, lambda: fused - self._iou),
                Stage(~sure, confirmed & (rows["missed"] == 0), lambda: overlap - self._low_iou),
                Stage(sure, ~confirmed, lambda: fused - self._start_iou),
            ),
        )


def _variance(height: Float64Array, part: float, aspect: float) -> Float64Array:
    """Variances ``(n, 4)``: standard deviations are ``part`` of the height, and ``aspect`` for the aspect ratio."""
    variance = np.empty((len(height), 4))
    variance[:] = ((part * height) ** 2)[:, None]
    variance[:, 2] = aspect**2
    return variance


def _to_measurements(boxes: Float64Array) -> Float64Array:
    """xyxy ``(n, 4)`` to centre x, centre y, aspect ratio (width over height), height."""
    size = np.maximum(boxes[:, 2:] - boxes[:, :2], _THINNEST)
    measured = np.empty_like(boxes)
    measured[:, :2] = (boxes[:, :2] + boxes[:, 2:]) / 2.0
    measured[:, 2] = size[:, 0] / size[:, 1]
    measured[:, 3] = size[:, 1]
    return measured


def _to_boxes(measured: Float64Array) -> Float64Array:
    """The inverse of ``_to_measurements``."""
    boxes = np.empty_like(measured)
    half_height = measured[:, 3] / 2.0
    half_width = measured[:, 2] * half_height
    boxes[:, 0], boxes[:, 1] = measured[:, 0] - half_width, measured[:, 1] - half_height
    boxes[:, 2], boxes[:, 3] = measured[:, 0] + half_width, measured[:, 1] + half_height
    return boxes
