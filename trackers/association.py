"""Which detection belongs to which track: pairs that overlap, and rounds of assignment, over arrays.

Only pairs that overlap are kept, as a list, so that the cost of a crowd grows with its overlaps and not with the square
of its size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from pipeline.types import BoolArray, Float64Array, IndexArray, Int32Array
from trackers.assignment import assign
from trackers.pairs import FEW_CELLS, NO_INDICES, Pairs


def overlapping_pairs(
    first: Float64Array, second: Float64Array, first_class: Int32Array, second_class: Int32Array
) -> Pairs:
    """All pairs of boxes of one class that share some area, ordered by row.

    Args:
        first: float64 ``(n, 4)`` xyxy.
        second: float64 ``(m, 4)`` xyxy.
        first_class, second_class: int32 ``(n,)`` and ``(m,)``.
    """
    shape = (len(first), len(second))
    if not len(first) or not len(second):
        return Pairs(NO_INDICES, NO_INDICES, shape)
    if len(first) * len(second) <= FEW_CELLS:
        near = np.maximum(first[:, None, :2], second[:, :2]) < np.minimum(first[:, None, 2:], second[:, 2:])
        row, column = (near[..., 0] & near[..., 1] & (first_class[:, None] == second_class)).nonzero()
        return Pairs(row, column, shape)
    # Sweep from left to right: a partner begins before this box ends, and not further left than the widest box reaches.
    order = np.argsort(second[:, 0], kind="stable")
    left = second[order, 0]
    widest = float((second[:, 2] - second[:, 0]).max())
    begin = np.searchsorted(left, first[:, 0] - widest, side="left")
    count = np.maximum(np.searchsorted(left, first[:, 2], side="left") - begin, 0)
    row = np.repeat(np.arange(len(first)), count)
    column = order[np.arange(len(row)) - np.repeat(np.cumsum(count) - count - begin, count)]
    # One coordinate at a time, along contiguous copies: most pairs of a crowd are told apart by height alone.
    (_, top, _, bottom), (_, other_top, _, other_bottom) = first.T.copy(), second.T.copy()
    near = (bottom[row] > other_top[column]) & (other_bottom[column] > top[row])
    row, column = row[near], column[near]
    near = (second[column, 2] > first[row, 0]) & (first_class[row] == second_class[column])
    return Pairs(row[near], column[near], shape)


def pair_iou(one: Float64Array, other: Float64Array) -> Float64Array:
    """Intersection over union of boxes one by one: float64 ``(p, 4)`` xyxy twice gives ``(p,)`` in [0, 1]."""
    low, high = np.maximum(one[:, :2], other[:, :2]), np.minimum(one[:, 2:], other[:, 2:])
    side = np.maximum(high - low, 0.0)
    intersection = side[:, 0] * side[:, 1]
    union = area(one) + area(other) - intersection
    return np.asarray(intersection / np.maximum(union, np.finfo(np.float64).tiny))


def area(boxes: Float64Array) -> Float64Array:
    """Area in square pixels, ``(n,)``, of xyxy ``(n, 4)``."""
    side = boxes[:, 2:] - boxes[:, :2]
    return np.asarray(side[:, 0] * side[:, 1])


class Stage(NamedTuple):
    """One round of an association: which rows and columns take part, and the value of each pair, computed if needed."""

    rows: BoolArray
    columns: BoolArray
    value: Callable[[], Float64Array]


def assign_in_stages(pairs: Pairs, stages: Sequence[Stage]) -> tuple[IndexArray, IndexArray]:
    """The pairs ``(rows, columns)`` of all stages; each stage assigns what the earlier ones left."""
    all_rows, all_columns = [NO_INDICES], [NO_INDICES]
    free_rows, free_columns = np.ones(pairs.shape[0], np.bool_), np.ones(pairs.shape[1], np.bool_)
    for stage in stages:
        open_pairs = (stage.rows & free_rows)[pairs.row] & (stage.columns & free_columns)[pairs.column]
        if np.count_nonzero(open_pairs):
            rows, columns = assign(pairs, stage.value() * open_pairs)
            free_rows[rows] = False
            free_columns[columns] = False
            all_rows.append(rows)
            all_columns.append(columns)
    return np.concatenate(all_rows), np.concatenate(all_columns)


def associate(
    pairs: Pairs, value: Float64Array, minimum: float, row_class: Int32Array
) -> tuple[IndexArray, IndexArray]:
    """The pairs of greatest total value, less those whose value falls below ``minimum``: SORT's rule, per class.

    Where no box of a class has more than one partner at or above ``minimum``, those pairs are taken as they are;
    elsewhere the assignment also weighs pairs below ``minimum``, which are discarded afterwards.

    Args:
        pairs: pairs of one class each.
        value: ``(p,)``, not negative.
        minimum: least value of a pair that is kept.
        row_class: int32 ``(n,)``, the class of each row.

    Returns:
        ``(rows, columns)``: indices of the pairs.
    """
    close = value >= minimum
    row, column = pairs.row[close], pairs.column[close]
    crowded = (np.bincount(row, minlength=1)[row] > 1) | (np.bincount(column, minlength=1)[column] > 1)
    if not crowded.any():
        return row, column
    crowded_classes = sorted(set(row_class[row[crowded]].tolist()))
    weighed = close | np.isin(row_class[pairs.row], crowded_classes)
    rows, columns = assign(pairs, np.where(weighed, value, 0.0))
    best = np.zeros(pairs.shape[0])
    partner = np.full(pairs.shape[0], -1)
    partner[rows] = columns
    chosen = partner[pairs.row] == pairs.column
    best[pairs.row[chosen]] = value[chosen]
    good = best[rows] >= minimum
    return rows[good], columns[good]
