"""Arrays with one row per live track, so that what is kept about tracks can be updated without a loop over them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.types import BoolArray, IndexArray, Int64Array


class Column:
    """One value per row of a ``TrackTable``.

    Attributes:
        values: ``(capacity, *shape)``; a table that grows replaces it, so it is not to be held on to.
    """

    def __init__(self, capacity: int, dtype: type[np.generic], shape: tuple[int, ...], fill: float) -> None:
        self._fill = fill
        self.values: NDArray[Any] = np.full((capacity, *shape), fill, dtype)

    def grow(self, capacity: int) -> None:
        """Make room for that many rows."""
        grown = np.full((capacity, *self.values.shape[1:]), self._fill, self.values.dtype)
        grown[: len(self.values)] = self.values
        self.values = grown

    def rearrange(self, origins: Sequence[int]) -> None:
        """Put the items of the values' first axis into another order, as ``rearranged`` has it."""
        self.values = rearranged(self.values, origins, axis=1, fill=self._fill)

    def clear(self, rows: IndexArray) -> None:
        """Give rows the value that new ones start with."""
        self.values[rows] = self._fill


def rearranged(values: NDArray[Any], origins: Sequence[int], *, axis: int = 0, fill: float = 0) -> NDArray[Any]:
    """An array with the items of an axis in another order, some left out and some new.

    Args:
        values: what was there.
        origins: for each item of the result where it was, or -1 for a new one.
        axis: along which the items lie.
        fill: the values of a new one.

    >>> rearranged(np.array([5, 6, 7]), [2, -1, 0]).tolist()
    [7, 0, 5]
    """
    shape = [*values.shape[:axis], len(origins), *values.shape[axis + 1 :]]
    result = np.full(shape, fill, values.dtype)
    kept = [(new, old) for new, old in enumerate(origins) if old >= 0]
    if kept:
        new, old = (list(places) for places in zip(*kept, strict=True))
        np.moveaxis(result, axis, 0)[new] = np.moveaxis(values, axis, 0)[old]
    return result


class TrackTable:
    """Gives each live track a row; a row is used again once its track is released.

    Memory is bounded by the most tracks that were alive at once.
    """

    def __init__(self) -> None:
        self._row_of: dict[int, int] = {}
        self._free: list[int] = []
        self._capacity = 0
        self._used = 0
        self._columns: list[Column] = []

    def __len__(self) -> int:
        return len(self._row_of)

    @property
    def used(self) -> int:
        """Rows from this one on have never held a track, and need not be looked at."""
        return self._used

    def column(self, dtype: type[np.generic], shape: tuple[int, ...] = (), fill: float = 0) -> Column:
        """A new column; ``fill`` is what a new track's row starts with."""
        column = Column(self._capacity, dtype, shape, fill)
        self._columns.append(column)
        return column

    def drop(self, column: Column) -> None:
        """Keep that column no more."""
        self._columns.remove(column)

    def rows(self, track_ids: Int64Array) -> tuple[IndexArray, BoolArray]:
        """The rows of tracks ``(N,)``, giving one to each that has none, and bool ``(N,)``: which ones were new."""
        wanted = track_ids.tolist()
        new = np.array([track_id not in self._row_of for track_id in wanted], np.bool_)
        if new.any():
            self._add([wanted[position] for position in np.flatnonzero(new)])
        return np.array([self._row_of[track_id] for track_id in wanted], np.intp), new

    def row(self, track_id: int) -> int | None:
        """The row of a track; None where it has none."""
        return self._row_of.get(track_id)

    def known(self, track_ids: Iterable[int]) -> list[tuple[int, int]]:
        """``(track_id, row)`` of those that have a row, by id."""
        return sorted((track_id, self._row_of[track_id]) for track_id in track_ids if track_id in self._row_of)

    def all(self) -> list[tuple[int, int]]:
        """``(track_id, row)`` of every live track, by id."""
        return sorted(self._row_of.items())

    def release(self, track_ids: Iterable[int]) -> None:
        """Forget tracks that have a row."""
        for track_id in track_ids:
            self._free.append(self._row_of.pop(track_id))

    def _add(self, track_ids: list[int]) -> None:
        missing = len(track_ids) - len(self._free)
        if missing > 0:
            grown = max(16, 2 * self._capacity, self._capacity + missing)
            for column in self._columns:
                column.grow(grown)
            self._free.extend(range(grown - 1, self._capacity - 1, -1))
            self._capacity = grown
        rows = [self._free.pop() for _ in track_ids]
        self._used = max(self._used, *(row + 1 for row in rows))
        self._row_of.update(zip(track_ids, rows, strict=True))
        for column in self._columns:
            column.clear(np.array(rows, np.intp))
