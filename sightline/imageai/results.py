"""Detections in ImageAI's form: a list of dictionaries per picture, and counts and averages of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.geometry.boxes import iou_matrix
from pipeline.types import Detections, Int64Array, Tracks

ObjectList = list[dict[str, Any]]
Counts = dict[str, int]

# A track's box is its motion model's, which follows the detection closely.
_SAME_OBJECT_IOU = 0.5


def above(detections: Detections, minimum_percentage: float) -> Detections:
    """The detections of at least that percentage, compared in the scores' own precision."""
    return detections.select(detections.score >= np.float32(minimum_percentage / 100))


def track_ids(detections: Detections, tracks: Tracks) -> Int64Array:
    """The id of the track that each detection belongs to: int64 ``(N,)``, 0 where there is none (yet)."""
    ids = np.zeros(len(detections), np.int64)
    if not len(detections) or not len(tracks):
        return ids
    overlap = iou_matrix(detections.xyxy, tracks.xyxy)
    overlap[detections.class_id[:, None] != tracks.class_id[None]] = 0
    # The closest pair first; a track goes to one detection only.
    while overlap.max() >= _SAME_OBJECT_IOU:
        row, column = np.unravel_index(int(overlap.argmax()), overlap.shape)
        ids[row] = tracks.track_id[column]
        overlap[row, :] = overlap[:, column] = 0
    return ids


def object_list(
    detections: Detections, class_names: Sequence[str], *, strict: bool = False, ids: Int64Array | None = None
) -> ObjectList:
    """``name``, ``percentage_probability`` and ``box_points`` of each detection, in their order.

    Args:
        detections: boxes in pixels of the picture.
        class_names: as they are to be spelled.
        strict: cut coordinates to whole pixels, as ImageAI does, instead of rounding them.
        ids: adds ``track_id``, int64 ``(N,)``, None in place of 0.
    """
    points = np.trunc(detections.xyxy) if strict else np.rint(detections.xyxy)
    rows = zip(detections.class_id.tolist(), detections.score.tolist(), points.astype(int).tolist(), strict=True)
    found: ObjectList = [
        {"name": class_names[class_id], "percentage_probability": round(100 * score, 2), "box_points": box}
        for class_id, score, box in rows
    ]
    if ids is not None:
        for item, track_id in zip(found, ids.tolist(), strict=True):
            item["track_id"] = track_id or None
    return found


def counted(objects: ObjectList) -> Counts:
    """How many objects of each name there are, in the order of their first appearance."""
    return dict(Counter(item["name"] for item in objects))


@dataclass(frozen=True, slots=True)
class AnalysedFrame:
    """What one frame adds to the analysis.

    Attributes:
        pts_s: media time in seconds.
        objects: what was detected; empty where the detector did not look.
        counts: of them, by name.
        looked: whether the detector looked at this frame.
    """

    pts_s: float
    objects: ObjectList
    counts: Counts
    looked: bool


def averages(frames: Sequence[AnalysedFrame]) -> dict[str, float]:
    """Objects at once by name: the mean over those frames that the detector looked at; empty if there is none."""
    looked = sum(frame.looked for frame in frames)
    return {name: total / looked for name, total in _totals(frames).items()}


def truncated_averages(frames: Sequence[AnalysedFrame], divisor: float) -> dict[str, int]:
    """ImageAI's averages: frames that nobody looked at count as empty, and the decimals are cut off."""
    return {name: int(total / divisor) for name, total in _totals(frames).items()}


def _totals(frames: Sequence[AnalysedFrame]) -> Counter[str]:
    totals: Counter[str] = Counter()
    for frame in frames:
        totals.update(frame.counts)
    return totals
