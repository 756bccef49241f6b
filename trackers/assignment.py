"""The best one-to-one assignment of detections to tracks.

Most frames hold a few small knots of boxes that compete. Those are solved here, exactly, by going through the ways to
use their columns; so a quiet scene never pays for SciPy, whose import takes half a second and 30 MB. What is larger
goes to it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from threading import Thread

import numpy as np

from pipeline.types import Float64Array, IndexArray
from trackers.pairs import FEW_CELLS, NO_INDICES, Pairs

# A knot with more rows and more columns than this is SciPy's: there are 2 to the power of so many ways to use them.
_SMALL = 6
# Where a knot is as large as this, a larger one is to be expected.
_CROWDED = 4
# With more pairs than this there is a crowd, and finding its knots in Python takes longer than SciPy.
_FEW_PAIRS = 100

# A row's columns with the value of each; and the rows that compete for columns with each other, by row.
Edges = dict[int, float]
Knot = dict[int, Edges]


def assign(pairs: Pairs, value: Float64Array) -> tuple[IndexArray, IndexArray]:
    """The one-to-one pairs ``(rows, columns)`` of greatest total ``value`` ``(p,)``, each with a value above 0.

    Pairs of differing classes are never in the list, so no class gains or loses by what another one does, and the
    optimum of the whole is the optimum of each class. Rows come in ascending order.
    """
    good = value > 0.0
    row, column, value = pairs.row[good], pairs.column[good], value[good]
    if not len(row):
        return NO_INDICES, NO_INDICES
    if len(row) > _FEW_PAIRS:
        if np.bincount(row).max() == np.bincount(column).max() == 1:
            return row, column  # nobody competes
        load_solver()
        return _assign_many(Pairs(row, column, pairs.shape), value)
    rows, columns = row.tolist(), column.tolist()
    if len(set(rows)) == len(set(columns)) == len(rows):
        return row, column
    knots = _knots(rows, columns, value.tolist())
    sides = [min(len(knot), len(set().union(*knot.values()))) for knot in knots]
    if max(sides) >= _CROWDED:
        load_solver()
    if max(sides) > _SMALL:
        return _assign_many(Pairs(row, column, pairs.shape), value)
    chosen = sorted(pair for knot in knots for pair in _assign_few(knot))
    best = np.array(chosen, np.intp)
    return best[:, 0], best[:, 1]


def _knots(rows: Sequence[int], columns: Sequence[int], values: Sequence[float]) -> list[Knot]:
    """The pairs by knot: two rows are in one where a chain of shared columns joins them."""
    knots: dict[int, Knot] = {}
    held_by: dict[int, int] = {}  # columns, by a row of the knot that they are in
    knot_of: dict[int, int] = {}
    for row, column, value in zip(rows, columns, values, strict=True):
        if row not in knot_of:
            knot_of[row] = row
            knots[row] = {row: {}}
        here, there = knot_of[row], knot_of[held_by.setdefault(column, row)]
        if here != there:
            joined = knots.pop(there)
            knots[here].update(joined)
            knot_of.update(dict.fromkeys(joined, here))
        knots[here][row][column] = value
    return list(knots.values())


def _assign_few(knot: Knot) -> list[tuple[int, int]]:
    """The best pairs of a small knot, by dynamic programming over the columns that are used up."""
    places: dict[int, int] = {}
    for edges in knot.values():
        for column in edges:
            places.setdefault(column, len(places))
    if len(places) > _SMALL:  # then the rows are few
        turned: Knot = {column: {} for column in places}
        for row, edges in knot.items():
            for column, value in edges.items():
                turned[column][row] = value
        return [(row, column) for column, row in _assign_few(turned)]
    best: dict[int, tuple[float, tuple[tuple[int, int], ...]]] = {0: (0.0, ())}
    for row, edges in knot.items():
        further = dict(best)  # this row stays alone
        for used, (total, chosen) in best.items():
            for column, value in edges.items():
                bit = 1 << places[column]
                if not used & bit and further.get(used | bit, (0.0,))[0] < total + value:
                    further[used | bit] = (total + value, (*chosen, (row, column)))
        best = further
    return list(max(best.values(), key=lambda way: way[0])[1])


def load_solver() -> None:
    """Begin to import SciPy's solvers, in a thread of their own."""
    if "scipy.optimize" not in sys.modules:
        Thread(target=_import_solver, name="importing scipy").start()


def _import_solver() -> None:
    # What can't be imported is told by `_assign_many`, which imports it again.
    with suppress(ImportError, OSError):
        import_module("scipy.optimize")


def _assign_many(pairs: Pairs, value: Float64Array) -> tuple[IndexArray, IndexArray]:
    """As ``assign``, where values are above 0, by SciPy."""
    row, column, shape = pairs
    cells = shape[0] * shape[1]
    if cells <= FEW_CELLS or 10 * len(row) > cells:
        from scipy.optimize import linear_sum_assignment

        table = np.zeros(shape)
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
    places = (np.concatenate([row, np.arange(count)]), np.concatenate([column, shape[1] + np.arange(count)]))
    graph = csr_array((cost, places), shape=(count, shape[1] + count))
    rows, columns = min_weight_full_bipartite_matching(graph)
    good = columns < shape[1]
    return here[rows[good]], columns[good].astype(np.intp)
