"""Our best tracker: ByteTrack's stages on buffered, height-aware overlaps.

What it takes from where, each kept because it raised the figures of docs/tracking.md:

- Weak detections carry on tracks that exist, but start none: Zhang et al., "ByteTrack: multi-object tracking by
  associating every detection box", ECCV 2022, arXiv:2110.06864.
- Sure detections are matched in a cascade of buffered overlaps, boxes enlarged a little, then more, so that a fast or
  badly predicted object still meets its track: Yang, Odashima, Masui and Jiang, "Hard to track objects with irregular
  motions and similar appearances? Make it easier by buffering the matching space", WACV 2023, arXiv:2211.14317.
- Overlaps are multiplied by how well the heights agree, which tells people at differing distances apart: Yang et al.,
  "Hybrid-SORT: weak cues matter for online multi-object tracking", AAAI 2024, arXiv:2308.00783.
- Noise is relative to the size of the box: Wojke, Bewley and Paulus, "Simple online and realtime tracking with a deep
  association metric", ICIP 2017, arXiv:1703.07402.

Observation-centric momentum and re-update (Cao et al., "Observation-centric SORT", CVPR 2023, arXiv:2203.14360) and
score-aware noise (Du et al., "GIAOTracker", ICCVW 2021, arXiv:2202.11983) were measured too and left out: on these
filters they cost more than they gained.
"""

from __future__ import annotations

import numpy as np

from pipeline.types import BoolArray, Float64Array, IndexArray
from trackers.association import Stage, assign_in_stages, overlapping_pairs, pair_iou
from trackers.base import ArrayTracker, Found

# Standard deviations of (centre x, centre y, width, height) per step, as parts of the square root of the box's area.
_MEASUREMENT = np.array([0.05, 0.05, 0.15, 0.15]) ** 2
_PROCESS = np.array([0.015, 0.015, 0.05, 0.05]) ** 2
_VELOCITY_PROCESS = np.array([0.01, 0.01, 0.008, 0.008]) ** 2
_FIRST = (1.2 * np.array([0.05, 0.05, 0.15, 0.15])) ** 2
_FIRST_VELOCITY = (10.0 * np.array([0.01, 0.01, 0.008, 0.008])) ** 2

# Boxes are at least this many pixels wide and high inside the filter.
_THINNEST = 1.0


class BufferedTracker(ArrayTracker):
    """Two-stage association by buffered overlap, within each class, on a filter of centre, width and height.

    Each frame, in this order: sure detections with confirmed tracks by overlap of boxes enlarged by ``buffer``, what is
    left of both by overlap of boxes enlarged by ``wide_buffer``, weak detections with confirmed tracks that are left,
    sure detections with tracks not confirmed yet. Sure ones that still are alone start tracks. A track is confirmed,
    and shown whenever it is matched, from its ``min_hits``-th match on; at once in the stream's first frame.

    Args:
        min_score: score from which a detection is sure.
        low_score: detections below are ignored.
        start_margin: a track starts at ``min_score`` plus this.
        buffer: a box is enlarged on each side by this part of its width and height.
        wide_buffer: the same for the second round.
        iou: least buffered overlap of a sure detection with a track's prediction.
        low_iou: least buffered overlap of a weak one.
        min_hits: matches before a track is confirmed; until then it is let go as soon as it is missing in a frame.
        max_unseen_s: a confirmed track is let go when it is missing in a frame more than this many seconds of media
            time after it was last seen.
    """

    lowest_score = 0.07

    def __init__(
        self,
        *,
        min_score: float = 0.25,
        low_score: float = 0.07,
        start_margin: float = 0.3,
        buffer: float = 0.1,
        wide_buffer: float = 0.5,
        iou: float = 0.2,
        low_iou: float = 0.5,
        min_hits: int = 3,
        max_unseen_s: float = 1.5,
    ) -> None:
        self._min_score, self.start_score = min_score, min_score + start_margin
        self._near, self._wide = _enlarging(buffer), _enlarging(wide_buffer)
        self._iou, self._low_iou = iou, low_iou
        self._min_hits, self._max_unseen_s = min_hits, max_unseen_s
        super().__init__()
        self.lowest_score = min(low_score, min_score)

    def _clear(self) -> None:
        super()._clear()
        self._looks = 0

    def _predict(self, steps: float) -> None:
        size, change = self._filter.position[:, 2:], self._filter.velocity[:, 2:]
        change[size + steps * change <= _THINNEST] = 0.0
        area = (size[:, 0] * size[:, 1])[:, None]
        self._filter.predict(steps, area * _PROCESS, area * _VELOCITY_PROCESS)

    def _boxes(self) -> Float64Array:
        return np.asarray(self._filter.position @ _BOXING)

    def _look(self, found: Found, pts_s: float) -> BoolArray:
        self._looks += 1
        taken, matched = self._associate(found)
        self._seen(matched, found.score[taken], pts_s)
        size = self._filter.position[matched, 2:]
        measured = _to_measurements(found.boxes[taken])
        self._filter.update(matched, measured, (size[:, 0] * size[:, 1])[:, None] * _MEASUREMENT)

        unmatched = found.score >= self.start_score
        unmatched[taken] = False
        if np.count_nonzero(unmatched):
            new = found.select(unmatched)
            self._start(new, pts_s)["hits"] = self._min_hits if self._looks == 1 else 1
            first = _to_measurements(new.boxes)
            area = (first[:, 2] * first[:, 3])[:, None]
            self._filter.add(first, area * _FIRST, area * _FIRST_VELOCITY)
        rows = self._rows
        confirmed, missing = rows["hits"] >= self._min_hits, rows["missed"] > 0
        rows["shown"] = confirmed & ~missing
        return np.asarray(missing & (~confirmed | (pts_s - rows["seen_s"] > self._max_unseen_s)))

    def _associate(self, found: Found) -> tuple[IndexArray, IndexArray]:
        """The four rounds: pairs ``(detections, rows)``."""
        rows, boxes = self._rows, self._boxes()
        wide_found, wide_boxes = found.boxes @ self._wide, boxes @ self._wide
        pairs = overlapping_pairs(wide_found, wide_boxes, found.class_id, rows["class_id"])
        detected, predicted = found.boxes[pairs.row], boxes[pairs.column]
        alike = _height_agreement(detected, predicted)
        overlap = pair_iou(detected @ self._near, predicted @ self._near)
        value = overlap * alike
        sure_value = value * (overlap >= self._iou)

        def wide_value() -> Float64Array:
            wide_overlap = pair_iou(wide_found[pairs.row], wide_boxes[pairs.column])
            return np.asarray(wide_overlap * alike * (wide_overlap >= self._iou))

        sure, confirmed = found.score >= self._min_score, rows["hits"] >= self._min_hits
        return assign_in_stages(
            pairs,
            (
                Stage(sure, confirmed, lambda: sure_value),
                Stage(sure, confirmed, wide_value),
                Stage(~sure, confirmed, lambda: value * (overlap >= self._low_iou)),
                Stage(sure, ~confirmed, lambda: sure_value),
            ),
        )


def _enlarging(part: float) -> Float64Array:
    """What to multiply xyxy ``(n, 4)`` by to add ``part`` of the width and height on each side."""
    return np.eye(4) * (1.0 + 2.0 * part) - np.tile(np.eye(2), (2, 2)) * part


def _height_agreement(one: Float64Array, other: Float64Array) -> Float64Array:
    """Intersection over union of the boxes' vertical extents, pair by pair, in (0, 1]: never quite 0."""
    shared = np.minimum(one[:, 3], other[:, 3]) - np.maximum(one[:, 1], other[:, 1])
    spanned = np.maximum(one[:, 3], other[:, 3]) - np.minimum(one[:, 1], other[:, 1])
    return np.asarray(np.maximum(shared / np.maximum(spanned, _THINNEST), 1e-6))


# From xyxy to centre x, centre y, width, height, and back.
_MEASURING = np.array([[0.5, 0.0, -1.0, 0.0], [0.0, 0.5, 0.0, -1.0], [0.5, 0.0, 1.0, 0.0], [0.0, 0.5, 0.0, 1.0]])
_BOXING = np.linalg.inv(_MEASURING)


def _to_measurements(boxes: Float64Array) -> Float64Array:
    """xyxy ``(n, 4)`` to centre x, centre y, width, height."""
    measured = boxes @ _MEASURING
    np.maximum(measured[:, 2:], _THINNEST, out=measured[:, 2:])
    return np.asarray(measured)
