"""Detections of made-up scenes, for the trackers' tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.types import Detections

Box = tuple[float, float, float, float]


def detections(
    boxes: Sequence[Box] | np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    score: float | Sequence[float] = 0.9,
    class_id: int | Sequence[int] = 0,
) -> Detections:
    """Rows of xyxy with one score and class for all, or one each."""
    count = len(boxes)
    return Detections(
        np.asarray(boxes, np.float32).reshape(count, 4),
        np.broadcast_to(np.asarray(score, np.float32), (count,)).copy(),
        np.broadcast_to(np.asarray(class_id, np.int32), (count,)).copy(),
    )


def walker(time_s: float, *, start: float = 100.0, speed: float = 50.0, top: float = 100.0) -> Box:
    """A pedestrian of 40 x 100 px who walks ``speed`` px/s to the right."""
    left = start + speed * time_s
    return (left, top, left + 40.0, top + 100.0)


def shuffled(found: Detections, seed: int) -> Detections:
    """The same rows in another order."""
    return found.select(np.random.default_rng(seed).permutation(len(found)))
