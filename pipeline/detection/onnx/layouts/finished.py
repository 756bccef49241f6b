"""Boxes that are ready: overlapping ones were suppressed inside the network, or it makes none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.detection.onnx.layouts.base import Array, Boxes, Wanted, scores_of


def decode_corner_rows(outputs: Sequence[Array], shape: tuple[int, int], wanted: Wanted) -> Boxes:
    """Boxes of one output, ``(boxes, 6)``: left, top, right and bottom in pixels of the input, score, class. So do
    YOLOv10 and YOLO26 write them, and exports of others with suppression inside."""
    rows = outputs[0]
    return finished(rows[:, :4], rows[:, 4], rows[:, 5], wanted)


def decode_numbered_rows(outputs: Sequence[Array], shape: tuple[int, int], wanted: Wanted) -> Boxes:
    """Boxes of one output for all pictures, ``(boxes, 7)``: number of the picture, left, top, right, bottom, class,
    score. So does YOLOv7 write them with suppression inside."""
    rows = outputs[0]
    return finished(rows[:, 1:5], rows[:, 6], rows[:, 5], wanted)


def decode_counted(outputs: Sequence[Array], shape: tuple[int, int], wanted: Wanted) -> Boxes:
    """Boxes of four outputs: how many there are, ``(boxes, 4)`` of left, top, right and bottom, scores, classes. So do
    exports with suppression inside that were made for TensorRT, and YOLO-NAS."""
    count = int(np.asarray(outputs[0]).reshape(-1)[0])
    xyxy, score, class_id = (output[: max(0, count)] for output in outputs[1:])
    return finished(xyxy, score, class_id, wanted)


def finished(xyxy: Array, score: Array, class_id: Array, wanted: Wanted) -> Boxes:
    """Those of finished boxes that are wanted; what fills up a fixed number of rows has no class or no area."""
    scores = scores_of(score, wanted)
    known = (class_id >= 0) & (class_id < wanted.class_count) & (scores >= np.float32(wanted.confidence))
    kept = np.flatnonzero(known)
    return Boxes(xyxy[kept].astype(np.float64), scores[kept], class_id[kept].astype(np.int32))
