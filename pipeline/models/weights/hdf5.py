"""The data sets of an HDF5 file that isn't trusted, found without following it anywhere else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import ModelError

# DenseNet121's published file, the largest of those read, has 1,800 objects.
_MOST_OBJECTS, _DEEPEST = 20_000, 12


def walk_datasets(file: Any, path: Path) -> Iterator[tuple[list[str], Any]]:
    """Every data set with the names that lead to it. A group can hold itself, so the walk is bounded.

    Args:
        file: an open ``h5py.File``.
        path: what to call it in messages.

    Raises:
        ModelError: links to other places or files, or too many objects.
    """
    import h5py

    seen = 0
    waiting: list[tuple[list[str], Any]] = [([], file)]
    while waiting:
        place, group = waiting.pop()
        seen += len(group)
        if seen > _MOST_OBJECTS or len(place) >= _DEEPEST:
            raise ModelError(f"{path}: holds more than {_MOST_OBJECTS:,} objects, or nests them too deep; refused.")
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ModelError(f"{path}: {name:.80} is a link to another place or file, which is not followed.")
            item = group[name]
            if isinstance(item, h5py.Group):
                waiting.append(([*place, name], item))
            elif isinstance(item, h5py.Dataset):
                yield [*place, name], item
