"""YOLOv5 to YOLOv12 and YOLO-NAS: a row or column for each box, in pixels of the input."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.detection.onnx.layouts.base import Array, Boxes, Wanted, chosen, from_centres, scored_rows, scores_of


def decode_rows_with_objectness(outputs: Sequence[Array], shape: tuple[int, int], wanted: Wanted) -> Boxes:
    """Boxes of one output, ``(boxes, 5 + classes)``: centre x and y, width and height, objectness, classes. So do
    YOLOv5 and YOLOv7 write them, and YOLOX where it was exported to decode them itself."""
    rows, scores, _ = scored_rows(outputs[0], wanted)
    return chosen(from_centres(rows[:, :4]), scores, wanted)


def decode_columns(outputs: Sequence[Array], shape: tuple[int, int], wanted: Wanted) -> Boxes:
    """Boxes of one output, ``(4 + classes, boxes)``: centre x and y, width and height, classes. So do YOLOv8, 9, 11
    and 12 write them."""
    output = outputs[0]
    kept = np.flatnonzero(scores_of(output[4:].max(axis=0), wanted) >= np.float32(wanted.confidence))
    columns = output[:, kept].T
    return chosen(from_centres(columns[:, :4]), scores_of(columns[:, 4:], wanted), wanted)


def decode_corners_and_scores(outputs: Sequence[Array], shape: tuple[int, int], wanted: Wanted) -> Boxes:
    """Boxes of two outputs, ``(boxes, 4)`` of left, top, right and bottom, and ``(boxes, classes)``: YOLO-NAS."""
    return chosen(outputs[0], scores_of(outputs[1], wanted), wanted)
