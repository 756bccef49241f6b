"""Pairs of a detection and a track that may belong together: what association finds and assignment takes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.types import IndexArray

# Up to this many cells a full matrix is quicker than anything cleverer.
FEW_CELLS = 16384
NO_INDICES: IndexArray = np.zeros(0, np.intp)


class Pairs(NamedTuple):
    """Pairs of a row (a detection) and a column (a track) that may belong together.

    Attributes:
        row, column: ``(p,)`` indices.
        shape: how many rows and columns there are.
    """

    row: IndexArray
    column: IndexArray
    shape: tuple[int, int]
