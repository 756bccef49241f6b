"""YOLOX: offsets from cells.

Z. Ge et al., "YOLOX: Exceeding YOLO Series in 2021", arXiv:2107.08430: centre = (offset + cell) * stride, size =
exp(extent) * stride, score = objectness * class. Exports give objectness and classes through their sigmoids already.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.detection.onnx.layouts.base import Array, Boxes, Wanted, cells, chosen, from_centres, scored_rows

STRIDES = (8, 16, 32)
_LARGEST_EXTENT = 10.0  # e^10 strides cover any input many times


def decode_offsets(outputs: Sequence[Array], shape: tuple[int, int], wanted: Wanted) -> Boxes:
    """Boxes of one output, ``(cells, 5 + classes)``: offset x and y, extent x and y, objectness, classes."""
    rows, scores, kept = scored_rows(outputs[0], wanted)
    places, strides = (array[kept] for array in cells(shape, STRIDES))
    centres = (rows[:, :2] + places) * strides
    sizes = np.exp(np.minimum(rows[:, 2:4], _LARGEST_EXTENT).astype(np.float64)) * strides
    return chosen(from_centres(np.concatenate([centres, sizes], axis=1)), scores, wanted)
