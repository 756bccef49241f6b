"""Weights of Keras classifiers, read from HDF5 into arrays."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import ModelError
from pipeline.models.weights.hdf5 import walk_datasets

# What h5py and Keras make of the many ways in which a file can be damaged.
_HDF5_ERRORS = (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, OverflowError, MemoryError)


def class_count(path: Path) -> int:
    """How many classes the weights in an HDF5 file tell apart, which its last layer shows; nothing else is read.

    Raises:
        ModelError: the file can't be read, is not plain arrays no larger than itself, or holds no such layer.
    """
    import h5py

    try:
        with h5py.File(path, "r", locking=False) as file:
            found = [array.shape[1] for place, array in _arrays(file, path) if _is_last_kernel(place, array)]
    except ModelError:
        raise
    except _HDF5_ERRORS as error:
        said = " ".join(str(error).split())
        raise ModelError(
            f"{path}: can't be read as HDF5 weights of Keras; the file is damaged ({said:.200})."
        ) from error
    if len(found) != 1:
        raise ModelError(
            f"{path}: holds {len(found)} fully connected layers, expected the one that tells the classes apart; it is "
            "not a whole classifier (saved with include_top=False?) or one of another kind."
        )
    return int(found[0])


def _is_last_kernel(place: Sequence[str], array: Any) -> bool:
    return len(array.shape) == 2 and not place[0].startswith("optimizer")


def _arrays(file: Any, path: Path) -> Iterator[tuple[list[str], Any]]:
    """Every data set of a file with the names that lead to it, none of which can be larger than the file."""
    left = path.stat().st_size
    for place, dataset in walk_datasets(file, path):
        left -= dataset.nbytes
        if dataset.external or dataset.is_virtual or left < 0:
            raise ModelError(f"{path}: {place[-1]:.80} is not a plain array inside the file; refused.")
        yield place, dataset


def load_weights(network: Any, path: Path) -> None:
    """Give a Keras network the weights of a file, which `class_count` has looked through before.

    Raises:
        ModelError: they belong to another network, or the file is damaged.
    """
    import h5py

    try:
        with h5py.File(path, "r", locking=False) as file:
            suffix = ".weights.h5" if "layers" in file else ".h5"
        # Keras goes by the name where the contents should tell.
        with tempfile.TemporaryDirectory() as folder:
            link = Path(folder) / f"network{suffix}"
            link.symlink_to(path.resolve())
            network.load_weights(str(link))
    except _HDF5_ERRORS as error:
        said = " ".join(str(error).split())
        raise ModelError(f"{path}: the weights don't fit {network.name} ({said:.300}).") from error
