"""Which detection belongs to which track: overlaps and assignments, over arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Float64Array = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Int32Array = NDArray[np.int32]
IndexArray = NDArray[np.intp]


def pairwise_iou(first: Float64Array, second: Float64Array) -> Float64Array:
    """Intersection over union of all pairs.

    Args:
        first: float64 ``(n, 4)`` xyxy.
        second: float64 ``(m, 4)`` xyxy.

    Returns:
        float64 ``(n, m)`` in [0, 1]; 0 where both boxes are empty.
    """
    width = np.minimum(first[:, None, 2], second[None, :, 2])
    width -= np.maximum(first[:, None, 0], second[None, :, 0])
    np.maximum(width, 0.0, out=width)
    intersection = np.minimum(first[:, None, 3], second[None, :, 3])
    intersection -= np.maximum(first[:, None, 1], second[None, :, 1])
    np.maximum(intersection, 0.0, out=intersection)
    intersection *= width
    union = np.add(area(first)[:, None], area(second)[None, :], out=width)
    union -= intersection
    np.maximum(union, np.finfo(np.float64).tiny, out=union)
    intersection /= union
    return intersection


def area(boxes: Float64Array) -> Float64Array:
    """Area in square pixels, ``(n,)``, of xyxy ``(n, 4)``."""
    size = boxes[:, 2:] - boxes[:, :2]
    return np.asarray(size[:, 0] * size[:, 1])


def assign(value: Float64Array) -> tuple[IndexArray, IndexArray]:
    """The one-to-one pairs ``(rows, columns)`` that have the greatest total value; only pairs with a value above 0.

    Values below 0 are taken as 0. Pairs that must not be (another class, too far) have the value 0: then the optimum of
    the whole is the optimum of each class, since no class gains or loses by what another one does.
    """
    useful = value > 0.0
    rows, columns = np.flatnonzero(useful.any(axis=1)), np.flatnonzero(useful.any(axis=0))
    part = np.where(useful, value, 0.0)[np.ix_(rows, columns)]
    chosen_rows, chosen_columns = linear_sum_assignment(part, maximize=True)
    good = part[chosen_rows, chosen_columns] > 0.0
    return rows[chosen_rows[good]], columns[chosen_columns[good]]


def associate(
    value: Float64Array, minimum: float, row_class: Int32Array, column_class: Int32Array
) -> tuple[IndexArray, IndexArray]:
    """Pairs of one class with the greatest total value, less those whose value falls below ``minimum``.

    This is SORT's rule, per class: where no box has more than one partner at or above ``minimum``, those pairs are
    taken as they are; elsewhere the assignment also weighs pairs below ``minimum``, which are discarded afterwards.

    Args:
        value: float64 ``(n, m)``, not negative.
        minimum: least value of a pair that is kept.
        row_class: int32 ``(n,)``.
        column_class: int32 ``(m,)``.

    Returns:
        ``(rows, columns)``: indices of the pairs, rows ascending.
    """
    if not value.size:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    value = np.where(row_class[:, None] == column_class[None, :], value, 0.0)
    close = value >= minimum
    crowded_rows, crowded_columns = close.sum(axis=1) > 1, close.sum(axis=0) > 1
    if not crowded_rows.any() and not crowded_columns.any():
        rows, columns = np.nonzero(close)
        return rows, columns
    crowded = np.union1d(row_class[crowded_rows], column_class[crowded_columns])
    value = np.where(close | np.isin(row_class, crowded)[:, None], value, 0.0)
    rows, columns = assign(value)
    good = value[rows, columns] >= minimum
    return rows[good], columns[good]
