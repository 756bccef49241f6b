"""What all layouts share: boxes before suppression, cells of a grid, the choice of classes."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.models.network_output import sigmoid
from pipeline.types import Float32Array, Int32Array

Array = NDArray[Any]


class Boxes(NamedTuple):
    """Boxes of one picture before suppression.

    Attributes:
        xyxy: float64 ``(N, 4)``, in pixels of the network's input.
        score: float32 ``(N,)``.
        class_id: int32 ``(N,)``.
    """

    xyxy: NDArray[np.float64]
    score: Float32Array
    class_id: Int32Array


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which boxes are wanted.

    Attributes:
        confidence: smallest score.
        multi_label: every class of a box that reaches it; otherwise the best one.
        logits: whether scores are still to go through a sigmoid.
        class_count: how many classes the network has.
    """

    confidence: float
    multi_label: bool
    logits: bool
    class_count: int


class Layout(Protocol):
    """From the outputs for one picture to boxes."""

    def __call__(self, outputs: Sequence[Array], shape: tuple[int, int], wanted: Wanted) -> Boxes:
        """What was found.

        Args:
            outputs: in the order in which the layout matched them, without the side of the batch.
            shape: ``(height, width)`` of the network's input.
            wanted: which boxes.
        """


def scores_of(values: Array, wanted: Wanted) -> Float32Array:
    """Scores in [0, 1], float32, of what a network gives as such."""
    numbers = np.asarray(values, dtype=np.float32)
    return sigmoid(numbers) if wanted.logits else numbers


def chosen(xyxy: Array, scores: Float32Array, wanted: Wanted) -> Boxes:
    """Boxes ``(N, 4)`` with those of their classes, scores ``(N, classes)``, that are wanted."""
    if wanted.multi_label:
        row, class_id = np.nonzero(scores >= np.float32(wanted.confidence))
    else:
        best = scores.argmax(axis=1)
        row = np.flatnonzero(scores[np.arange(len(best)), best] >= np.float32(wanted.confidence))
        class_id = best[row]
    return Boxes(xyxy[row].astype(np.float64), scores[row, class_id], class_id.astype(np.int32))


def scored_rows(output: Array, wanted: Wanted) -> tuple[Array, Float32Array, NDArray[np.intp]]:
    """Of rows with four numbers of a box, objectness and classes those that may be wanted, the scores of their classes
    ``(N, classes)``, and their numbers: no class scores more than the objectness."""
    objectness = scores_of(output[:, 4], wanted)
    kept = np.flatnonzero(objectness >= np.float32(wanted.confidence))
    rows = output[kept]
    return rows, objectness[kept, None] * scores_of(rows[:, 5:], wanted), kept


def from_centres(boxes: Array) -> NDArray[np.float64]:
    """``(N, 4)`` of centre x, centre y, width and height as left, top, right and bottom."""
    boxes = boxes.astype(np.float64)
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


@functools.lru_cache(maxsize=64)
def cells(shape: tuple[int, int], strides: tuple[int, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Every cell of the grids over an input, finest grid first and row by row.

    Returns:
        Column and row of each, ``(N, 2)``, and the stride of its grid, ``(N, 1)``.
    """
    places, sizes = [], []
    for stride in strides:
        rows, columns = (math.ceil(side / stride) for side in shape)
        row, column = np.mgrid[:rows, :columns]
        places.append(np.stack([column.ravel(), row.ravel()], axis=1).astype(np.float64))
        sizes.append(np.full((rows * columns, 1), stride, dtype=np.float64))
    return np.concatenate(places), np.concatenate(sizes)


def cell_count(shape: tuple[int, int], strides: Sequence[int]) -> int:
    """How many cells the grids over an input have."""
    return sum(math.ceil(shape[0] / stride) * math.ceil(shape[1] / stride) for stride in strides)
