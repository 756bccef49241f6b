"""Darknet's networks as others export them: maps with anchors, or boxes and confidences.

Maps are what `pipeline.detection.yolov3.decoder` decodes: centre = (sigmoid(t_xy) + cell) * stride, size = anchor *
exp(t_wh), score = sigmoid(objectness) * sigmoid(class).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.detection.onnx.layouts.base import Array, Boxes, Wanted, chosen, from_centres, scores_of
from pipeline.models.network_output import sigmoid

Anchors = Sequence[Sequence[tuple[float, float]]]
_LARGEST_GROWTH = 10.0  # a box of e^10 anchors covers any image many times


class MapDecoder:
    """Boxes of a map for each head, coarsest first: ``(anchors * (5 + classes), rows, columns)``.

    Args:
        anchors: of each head, widths and heights in pixels of the input.
    """

    def __init__(self, anchors: Anchors) -> None:
        self._anchors = [np.array(head, dtype=np.float64) for head in anchors]

    def __call__(self, outputs: Sequence[Array], shape: tuple[int, int], wanted: Wanted) -> Boxes:
        """Boxes of one picture, as `pipeline.detection.onnx.layouts.base.Layout` says."""
        found = [self._head(*pair, shape, wanted) for pair in zip(outputs, self._anchors, strict=True)]
        return Boxes(*(np.concatenate(arrays) for arrays in zip(*found, strict=True)))

    def _head(self, output: Array, anchors: Array, shape: tuple[int, int], wanted: Wanted) -> Boxes:
        rows, columns = output.shape[1:]
        cells = output.reshape(len(anchors), -1, rows, columns)
        objectness = scores_of(cells[:, 4], wanted)
        anchor, row, column = np.nonzero(objectness >= np.float32(wanted.confidence))
        kept = cells[anchor, :, row, column]
        scores = objectness[anchor, row, column, None] * scores_of(kept[:, 5:], wanted)
        stride = np.array([shape[1] / columns, shape[0] / rows])
        centres = (sigmoid(kept[:, :2]).astype(np.float64) + np.stack([column, row], axis=1)) * stride
        sizes = np.exp(np.minimum(kept[:, 2:4], _LARGEST_GROWTH).astype(np.float64)) * anchors[anchor]
        return chosen(from_centres(np.concatenate([centres, sizes], axis=1)), scores, wanted)


def decode_boxes_and_confidences(outputs: Sequence[Array], shape: tuple[int, int], wanted: Wanted) -> Boxes:
    """Boxes of two outputs, ``(boxes, 1, 4)`` of left, top, right and bottom in parts of the input, and ``(boxes,
    classes)``: PyTorch's YOLOv4 writes them."""
    height, width = shape
    xyxy = outputs[0].reshape(-1, 4) * np.array([width, height, width, height], dtype=np.float64)
    return chosen(xyxy, scores_of(outputs[1], wanted), wanted)
