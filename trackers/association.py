"""Which detection belongs to which track: pairs that overlap, and the best assignment, over arrays.

Only pairs that overlap are kept, as a list, so that the cost of a crowd grows with its overlaps and not with the square
of its size.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from threading import Thread
from typing import NamedTuple

import numpy as np

from pipeline.types import BoolArray, Float64Array, IndexArray, Int32Array

# Up to this many cells a full matrix is quicker than anything cleverer.
_FEW_CELLS = 16384
_NONE = np.zeros(0, np.intp)


class Pairs(NamedTuple):
    """Pairs of a row (a detection) and a column (a track) that may belong together.

    Attributes:
        row, column: ``(p,)`` indices.
        shape: how many rows and columns there are.
    """

    row: IndexArray
    column: IndexArray
    shape: tuple[int, int]


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
        return Pairs(_NONE, _NONE, shape)
    if len(first) * len(second) <= _FEW_CELLS:
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


def load_solver() -> None:
    """Begin to import what ``assign`` needs, in a thread of its own: a network is made ready in that half a second."""
    if "scipy.optimize" not in sys.modules:
        Thread(target=_import_solver, name="importing scipy").start()


def _import_solver() -> None:
    # What can't be imported is told by `assign`, which imports it again.
    with suppress(ImportError, OSError):
        import_module("scipy.optimize")


def assign(pairs: Pairs, value: Float64Array) -> tuple[IndexArray, IndexArray]:
    """The one-to-one pairs ``(rows, columns)`` of greatest total ``value`` ``(p,)``, each with a value above 0.

    Pairs of differing classes are never in the list, so no class gains or loses by what another one does, and the
    optimum of the whole is the optimum of each class.
    """
    good = value > 0.0
    row, column, value = pairs.row[good], pairs.column[good], value[good]
    if not len(row):
        return _NONE, _NONE
    if len(np.unique(row)) == len(np.unique(column)) == len(row):
        return row, column  # nobody competes
    cells = pairs.shape[0] * pairs.shape[1]
    if cells <= _FEW_CELLS or 10 * len(row) > cells:
        from scipy.optimize import linear_sum_assignment

        table = np.zeros(pairs.shape)
        table[row, column] = value
        rows, columns = linear_sum_assignment(table, maximize=True)
        good = table[rows, columns] > 0.0
        return rows[good], columns[good]
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    # Every row also gets a column of its own with the value 0, so that it may stay alone.
    here, row = np.unique(row, return_inverse=True)
    count = len(here)
    offset = float(value.max()) + 1.0
    cost = np.concatenate([offset - value, np.full(count, offset)])
    places = (np.concatenate([row, np.arange(count)]), np.concatenate([column, pairs.shape[1] + np.arange(count)]))
    graph = csr_array((cost, places), shape=(count, pairs.shape[1] + count))
    rows, columns = min_weight_full_bipartite_matching(graph)
    good = columns < pairs.shape[1]
    return here[rows[good]], columns[good].astype(np.intp)


class Stage(NamedTuple):
    """One round of an association: which rows and columns take part, and the value of each pair, computed if needed."""

    rows: BoolArray
    columns: BoolArray
    value: Callable[[], Float64Array]


def assign_in_stages(pairs: Pairs, stages: Sequence[Stage]) -> tuple[IndexArray, IndexArray]:
    """The pairs ``(rows, columns)`` of all stages; each stage assigns what the earlier ones left."""
    all_rows, all_columns = [_NONE], [_NONE]
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
    crowded_classes = np.unique(row_class[row[crowded]])
    weighed = close | np.isin(row_class[pairs.row], crowded_classes)
    rows, columns = assign(pairs, np.where(weighed, value, 0.0))
    best = np.zeros(pairs.shape[0])
    partner = np.full(pairs.shape[0], -1)
    partner[rows] = columns
    chosen = partner[pairs.row] == pairs.column
    best[pairs.row[chosen]] = value[chosen]
    good = best[rows] >= minimum
    return rows[good], columns[good]
