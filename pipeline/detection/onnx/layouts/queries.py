"""Transformers: one box for each query, with scores or logits.

N. Carion et al., "End-to-End Object Detection with Transformers", ECCV 2020, whose boxes have no duplicates: none is
suppressed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.detection.onnx.layouts.base import Array, Boxes, Wanted, chosen, from_centres, scores_of
from pipeline.detection.onnx.layouts.finished import finished
from pipeline.models.class_names import COCO_CLASS_NAMES
from pipeline.models.networks.retinanet import coco_slots

_COCO_NUMBERS = 91
_USED = [number for number, name in enumerate(coco_slots(COCO_CLASS_NAMES)) if name is not None]


def decode_labels(outputs: Sequence[Array], shape: tuple[int, int], wanted: Wanted) -> Boxes:
    """Boxes of three outputs: labels, ``(queries, 4)`` of left, top, right and bottom, scores. RT-DETR, D-FINE and DEIM
    write them in pixels of the size that they are given as a second input, which is that of the network's input."""
    labels, xyxy, scores = outputs
    return finished(xyxy, scores, labels, wanted)


def decode_logits(outputs: Sequence[Array], shape: tuple[int, int], wanted: Wanted) -> Boxes:
    """Boxes of two outputs: scores or logits ``(queries, classes)``, and ``(queries, 4)`` of centre x and y, width and
    height in parts of the input."""
    logits, boxes = outputs
    return chosen(_in_pixels(boxes, shape), scores_of(logits[:, : wanted.class_count], wanted), wanted)


def decode_spare_logits(outputs: Sequence[Array], shape: tuple[int, int], wanted: Wanted) -> Boxes:
    """As `decode_logits`, where more logits than classes are there: those of COCO's category numbers, of which 80 mean
    something, or one to spare at the end. RF-DETR has such."""
    logits, boxes = outputs
    if (logits.shape[1], wanted.class_count) == (_COCO_NUMBERS, len(COCO_CLASS_NAMES)):
        logits = logits[:, _USED]
    return decode_logits((logits, boxes), shape, wanted)


def decode_query_rows(outputs: Sequence[Array], shape: tuple[int, int], wanted: Wanted) -> Boxes:
    """Boxes of one output, ``(queries, 4 + classes)``: centre x and y, width and height in parts of the input, and
    scores. So does Ultralytics' RT-DETR write them."""
    output = outputs[0]
    return chosen(_in_pixels(output[:, :4], shape), scores_of(output[:, 4:], wanted), wanted)


def decode_finished_parts(outputs: Sequence[Array], shape: tuple[int, int], wanted: Wanted) -> Boxes:
    """Boxes of one output, ``(queries, 6)``: centre x and y, width and height in parts of the input, score, class. So
    do newer versions of Ultralytics write RT-DETR's."""
    rows = outputs[0]
    return finished(_in_pixels(rows[:, :4], shape), rows[:, 4], rows[:, 5], wanted)


def _in_pixels(boxes: Array, shape: tuple[int, int]) -> Array:
    height, width = shape
    return from_centres(boxes * np.array([width, height, width, height], dtype=np.float64))
