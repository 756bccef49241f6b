"""NanoDet: distances from a cell's point to the four sides, as distributions over 0 to 7 strides.

X. Li et al., "Generalized Focal Loss", NeurIPS 2020, is the method: a distance is the mean of its distribution. The
point is the middle of a cell in NanoDet, its top left corner in NanoDet-Plus.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.detection.onnx.layouts.base import Array, Boxes, Wanted, cells, chosen, scores_of

BINS = 8  # of each distance
STRIDES = (8, 16, 32)
PLUS_STRIDES = (8, 16, 32, 64)


def decode_plus(outputs: Sequence[Array], shape: tuple[int, int], wanted: Wanted) -> Boxes:
    """Boxes of NanoDet-Plus's output, ``(cells, classes + 32)``."""
    scores, distributions = np.split(outputs[0], [wanted.class_count], axis=1)
    return _decode(scores, distributions, PLUS_STRIDES, 0.0, shape, wanted)


def decode_joined(outputs: Sequence[Array], shape: tuple[int, int], wanted: Wanted) -> Boxes:
    """Boxes of NanoDet's output, ``(cells, classes + 32)``."""
    scores, distributions = np.split(outputs[0], [wanted.class_count], axis=1)
    return _decode(scores, distributions, STRIDES, 0.5, shape, wanted)


def decode_by_level(outputs: Sequence[Array], shape: tuple[int, int], wanted: Wanted) -> Boxes:
    """Boxes of NanoDet's six outputs: for each grid, finest first, scores ``(cells, classes)``, then for each the
    distributions ``(cells, 32)``."""
    scores, distributions = np.concatenate(outputs[:3]), np.concatenate(outputs[3:])
    return _decode(scores, distributions, STRIDES, 0.5, shape, wanted)


def _decode(
    values: Array, distributions: Array, strides: tuple[int, ...], middle: float, shape: tuple[int, int], wanted: Wanted
) -> Boxes:
    kept = np.flatnonzero(scores_of(values.max(axis=1), wanted) >= np.float32(wanted.confidence))
    places, sizes = (array[kept] for array in cells(shape, strides))
    points = (places + middle) * sizes
    distances = _means(distributions[kept]) * sizes
    xyxy = np.concatenate([points - distances[:, :2], points + distances[:, 2:]], axis=1)
    return chosen(xyxy, scores_of(values[kept], wanted), wanted)


def _means(distributions: Array) -> NDArray[np.float64]:
    """Of each row's four distributions, given as logits: to the left, the top, the right and the bottom."""
    logits = distributions.reshape(len(distributions), 4, BINS).astype(np.float64)
    weights = np.exp(logits - logits.max(axis=2, keepdims=True))
    means: NDArray[np.float64] = weights @ np.arange(BINS, dtype=np.float64) / weights.sum(axis=2)
    return means
