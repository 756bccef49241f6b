"""The default tracker: buffered, height-aware overlaps, and thresholds that follow the detector's own scores.

What it takes from where; docs/tracking.md says what each was measured to gain, and what was tried and left out:

- Detections that are not to be trusted carry on tracks that exist, but start none: Zhang et al., "ByteTrack:
  multi-object tracking by associating every detection box", ECCV 2022, arXiv:2110.06864.
- Detections are matched in a cascade of buffered overlaps, boxes enlarged a little, then more, so that a fast or badly
  predicted object still meets its track: Yang, Odashima, Masui and Jiang, "Hard to track objects with irregular motions
  and similar appearances? Make it easier by buffering the matching space", WACV 2023, arXiv:2211.14317.
- Overlaps are multiplied by how well the heights agree, which tells people at differing distances apart: Yang et al.,
  "Hybrid-SORT: weak cues matter for online multi-object tracking", AAAI 2024, arXiv:2308.00783.
- Noise is relative to the size of the box: Wojke, Bewley and Paulus, "Simple online and realtime tracking with a deep
  association metric", ICIP 2017, arXiv:1703.07402; and less where the detector is surer: Du et al., "GIAOTracker",
  ICCVW 2021, arXiv:2202.11983.
- Motion is taken to be less even where detections lie apart from where they are expected, again and again to the same
  side, for a filter whose noises are right leaves innovations that are not correlated: Mehra, "On the identification of
  variances and adaptive Kalman filtering", IEEE Transactions on Automatic Control 15, 1970.
"""

from __future__ import annotations

import numpy as np

from pipeline.types import BoolArray, Float64Array, IndexArray
from trackers.association import Stage, assign_in_stages, overlapping_pairs, pair_iou
from trackers.base import TRACK, ArrayTracker, Found
from trackers.scores import ScoreScale

# Standard deviations of (centre x, centre y, width, height) per step, as parts of the square root of the box's area.
_MEASUREMENT = np.array([0.05, 0.05, 0.15, 0.15]) ** 2
_PROCESS = np.array([0.015, 0.015, 0.05, 0.05]) ** 2
_VELOCITY_PROCESS = np.array([0.01, 0.01, 0.008, 0.008]) ** 2
_FIRST = (1.2 * np.array([0.05, 0.05, 0.15, 0.15])) ** 2
_FIRST_VELOCITY = (10.0 * np.array([0.01, 0.01, 0.008, 0.008])) ** 2

# Boxes are at least this many pixels wide and high inside the filter.
_THINNEST = 1.0


# What a track carries beside what all do: whether it was confirmed by lasting rather than by its scores; the fading
# sums of its scores and of their number; the last innovation, by its deviation; and how uneven place and size change.
_ROW = np.dtype(
    [
        *TRACK.descr,
        ("confirmed", np.bool_),
        ("faint", np.bool_),
        ("scores", np.float64),
        ("scored", np.float64),
        ("innovation", np.float64, 4),
        ("uneven", np.float64, 2),
    ]
)

# A track starts at this part of the typical score.
_START = 0.85
# Seconds without a miss after which what never scored as high as that is an object too, if there is no other about.
_STEADY_S = 1.0
# Of the detections that score as much as what is trusted, and as the mean of a track that is believed, or more, these
# parts are on tracks.
_TRUSTED, _BELIEVED = 1 / 2, 2 / 3
# The mean fades with this time constant, in seconds.
_MEMORY_S = 10.0
# The measurement's variance is less by this part times the score.
_SURER = 0.5
# How uneven a motion is: the fading mean of products of successive innovations of one sign, where each counts by this
# part and as no more than so much. It begins at what chance gives; above the last of these noise grows by its square.
_FOLLOWED, _MOST, _BY_CHANCE, _UNEVEN = 0.2, 10.0, 0.5, 1.5


class BufferedTracker(ArrayTracker):
    """Association by buffered overlap, within each class, on a filter of centre, width and height.

    Detections below ``min_score`` start nothing; down to ``low_score`` they carry on tracks that exist. How much more
    is needed is not fixed, but learned from the stream's own scores (`trackers.scores`): to *start* a track, 0.85 of
    the score that is typical of the detector; to be *trusted*, the score from which on at least half of its detections
    are on tracks; for a track to be *believed*, a mean score from which on two of three are, or the typical one now.

    Each frame, in this order: trusted detections with confirmed tracks by overlap of boxes enlarged by ``buffer``; what
    is left of them with tracks that were missing already, by overlap of boxes enlarged by ``wide_buffer``; the others
    with confirmed tracks that are left; trusted ones with tracks not confirmed yet. What still is alone becomes a track
    not confirmed yet. That happens with its ``min_hits``-th trusted detection, counted from one that may start a track;
    at once in the stream's first frame; or when it has been detected in every frame for a second, however weakly, while
    there was no other track to compare it with. A track that is confirmed is shown whenever it is matched and believed;
    one that lasted, whenever it is matched.

    Motion is taken to be as even as the default noises say, but for tracks whose detections lay to the same side of
    where they were expected again and again: those of a moving camera, or of what turns and stops.

    Args:
        min_score: the user's confidence.
        low_score: detections below are ignored.
        buffer: a box is enlarged on each side by this part of its width and height.
        wide_buffer: the same for the second round.
        iou: least buffered overlap of a trusted detection with a track's prediction.
        low_iou: least buffered overlap of another.
        min_hits: matches before a track is confirmed; until then it is let go as soon as it is missing in a frame.
        max_unseen_s: a confirmed track is let go when it is missing in a frame more than this many seconds of media
            time after it was last seen.
    """

    lowest_score = 0.07

    _track = _ROW

    def __init__(
        self,
        *,
        min_score: float = 0.25,
        low_score: float = 0.07,
        buffer: float = 0.1,
        wide_buffer: float = 0.5,
        iou: float = 0.2,
        low_iou: float = 0.5,
        min_hits: int = 3,
        max_unseen_s: float = 1.5,
    ) -> None:
        self._near, self._wide = _enlarging(buffer), _enlarging(wide_buffer)
        self._iou, self._low_iou = iou, low_iou
        self._min_hits, self._max_unseen_s = min_hits, max_unseen_s
        self._min_score, self.lowest_score = min_score, min(low_score, min_score)
        super().__init__()

    def _clear(self) -> None:
        super()._clear()
        self._scale = ScoreScale()
        self._weigh_scores()
        self._looks = 0
        self._looked_s = 0.0
        self._others_s = -np.inf  # when a track was seen last that its scores had confirmed

    def _weigh_scores(self) -> None:
        self._typical = self._scale.typical
        start = _START * self._typical
        self.start_score = max(self._min_score, start)
        trusted, believed = self._scale.on_tracks(_TRUSTED, _BELIEVED)
        self._trusted, self._believed = min(trusted, self.start_score), min(believed, start)

    def _predict(self, steps: float) -> None:
        size, change = self._filter.position[:, 2:], self._filter.velocity[:, 2:]
        change[size + steps * change <= _THINNEST] = 0.0
        uneven = np.maximum(self._rows["uneven"] / _UNEVEN, 1.0) ** 2
        noise = (size[:, 0] * size[:, 1])[:, None] * np.repeat(uneven, 2, axis=1)
        self._filter.predict(steps, noise * _PROCESS, noise * _VELOCITY_PROCESS)

    def _boxes(self) -> Float64Array:
        return np.asarray(self._filter.position @ _BOXING)

    def _believed_rows(self) -> BoolArray:
        rows = self._rows
        by_mean = rows["scores"] >= self._believed * rows["scored"]
        # Who comes near may have scored little for long.
        believed = rows["faint"] | ~rows["confirmed"] | by_mean | (rows["score"] >= self._typical)
        return np.asarray((rows["missed"] == 0) & believed)

    def _sighted_rows(self) -> BoolArray:
        """Those believed by trusted detections: hindsight, which knows what follows, needs no others."""
        rows = self._rows
        trusted = rows["faint"] | ~rows["confirmed"] | (rows["score"] >= self._trusted)
        return np.asarray(self._believed_rows() & trusted)

    def _look(self, found: Found, pts_s: float) -> BoolArray:
        self._looks += 1
        self._weigh_scores()
        taken, matched = self._associate(found)
        seen = found.select(taken)
        self._seen(matched, seen, pts_s)
        for sums, one in (("scores", seen.score), ("scored", 1.0)):
            self._rows[sums] *= np.exp((self._looked_s - pts_s) / _MEMORY_S)
            self._rows[sums][matched] += one
        self._looked_s = pts_s
        self._correct(matched, seen)
        self._confirm(matched, pts_s)

        alone = found.score >= self._min_score
        alone[taken] = False
        if np.count_nonzero(alone):
            self._begin(found.select(alone), pts_s)
        rows = self._rows
        proven = (rows["confirmed"] & ~rows["faint"])[matched]
        if np.count_nonzero(proven):
            self._others_s = pts_s
        on_track = np.zeros(len(found.score), np.bool_)
        on_track[taken] = proven
        self._scale.note(found.score, on_track, pts_s)
        confirmed, missing = rows["confirmed"], rows["missed"] > 0
        rows["shown"] = confirmed & self._believed_rows()
        return np.asarray(missing & (~confirmed | (pts_s - rows["seen_s"] > self._max_unseen_s)))

    def _correct(self, matched: IndexArray, seen: Found) -> None:
        """Take in where rows were detected, and whether that was apart from where they were expected, once again."""
        size = self._filter.position[matched, 2:]
        noise = (size[:, 0] * size[:, 1] * (1.0 - _SURER * seen.score))[:, None] * _MEASUREMENT
        measured = _to_measurements(seen.boxes)
        innovation = self._filter.innovation(matched, measured, noise)
        # A detector's errors change from one frame to the next; a motion that was not foreseen goes on.
        again = np.clip(innovation * self._rows["innovation"][matched], 0.0, _MOST).reshape(-1, 2, 2).mean(axis=2)
        before = self._rows["uneven"][matched]
        self._rows["uneven"][matched] = before + _FOLLOWED * (again - before)
        self._rows["innovation"][matched] = innovation
        self._filter.update(matched, measured, noise)

    def _begin(self, new: Found, pts_s: float) -> None:
        """Start rows, confirmed at once in the first frame where they score enough."""
        strong = new.score >= self.start_score
        started = self._start(new, pts_s)
        started["hits"] = strong
        started["scores"], started["scored"], started["uneven"] = new.score, 1.0, _BY_CHANCE
        started["confirmed"] = strong & (self._looks == 1)
        first = _to_measurements(new.boxes)
        area = (first[:, 2] * first[:, 3])[:, None]
        self._filter.add(first, area * _FIRST, area * _FIRST_VELOCITY)

    def _confirm(self, matched: IndexArray, pts_s: float) -> None:
        """Confirm what has shown itself often enough among the rows just matched, or for long enough."""
        rows = self._rows[matched]
        # Hits count from the first that may start a track, which here is the second hit of any.
        rows["hits"][(rows["hits"] == 1) & ~rows["confirmed"] & (rows["score"] < self.start_score)] = 0
        often = rows["hits"] >= self._min_hits
        alone_s = pts_s - np.maximum(rows["first_s"], self._others_s)
        lasted = ~often & ~rows["confirmed"] & (alone_s >= _STEADY_S)
        rows["faint"] |= lasted
        rows["confirmed"] |= often | lasted
        self._rows[matched] = rows

    def _associate(self, found: Found) -> tuple[IndexArray, IndexArray]:
        """All rounds: pairs ``(detections, rows)``."""
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

        trusted = found.score >= max(self._trusted, self._min_score)
        confirmed, usable = rows["confirmed"], found.score >= self._min_score
        return assign_in_stages(
            pairs,
            (
                Stage(trusted, confirmed, lambda: sure_value),
                Stage(trusted, confirmed & (rows["missed"] > 0), wide_value),
                Stage(~trusted, confirmed, lambda: value * (overlap >= self._low_iou)),
                Stage(trusted, ~confirmed, lambda: sure_value),
                Stage(~trusted & usable, ~confirmed & (rows["hits"] == 0), lambda: sure_value),
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
