"""Keras' ``.h5`` files of YOLOv3 networks, as ImageAI 2 and its kin use them.

A file holds one group per layer, at its top or, where the whole model was saved, in ``model_weights``; in it, nested
once or more, the layer's arrays: ``kernel:0`` ``(height, width, in, out)`` and ``bias:0`` of a convolution,
``gamma:0``, ``beta:0``, ``moving_mean:0`` and ``moving_variance:0`` of a batch norm. Layers bear the names that Keras
gave them, ``conv2d``, ``conv2d_1``, ..., numbered in the order in which they were made, which is that of Darknet's
files; ImageAI names the last ones of YOLOv3 ``last1`` to ``last3``.

Only plain arrays are read: no links to other files, no external, virtual, compressed or unallocated data sets. What a
file says in attributes is not read at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ModelError
from pipeline.models.networks.darknet import DarknetNetwork
from pipeline.models.weights.fitting import FoundArray, FoundConvolution, FoundNorm, fit
from pipeline.models.weights.hdf5 import walk_datasets
from pipeline.models.weights.parameters import KERAS_EPSILON, ConvolutionParameters

HDF5_BEGINS = b"\x89HDF\r\n\x1a\n"

_NUMBERED = re.compile(r"(conv2d|batch_normalization|last)_?([0-9]{0,9})")
_NORM_ARRAYS = ("gamma", "beta", "moving_mean", "moving_variance")


def read_keras_weights(path: str | Path, network: DarknetNetwork) -> list[ConvolutionParameters]:
    """The parameters of each convolution of ``network``, in its order.

    Args:
        path: an ``.h5`` file; it is not trusted.
        network: what the file must fit exactly.

    Raises:
        ModelError: the file can't be read, is no file of Keras', belongs to another network, or holds numbers that no
            trained network has.
    """
    import h5py

    path = Path(path)
    try:
        with h5py.File(path, "r", locking=False) as file:
            layers = _layers(file, path)
            convolutions = [_convolution(name, layers[name]) for name in _ordered(layers, "kernel", path)]
            norms = [_norm(name, layers[name], path) for name in _ordered(layers, "gamma", path)]
            if not convolutions:
                raise ModelError(f"{path}: is an HDF5 file, but holds no layers as Keras 2 saves them.")
            return fit(convolutions, norms, network, path, epsilon=KERAS_EPSILON)
    except ModelError:
        raise
    # What h5py makes of the many ways in which such a file can be damaged.
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError, MemoryError) as error:
        said = " ".join(str(error).split())
        raise ModelError(f"{path}: the weights can't be read as HDF5, the file is damaged ({said:.200}).") from error


def _layers(file: Any, path: Path) -> dict[str, dict[str, FoundArray]]:
    """The arrays of each layer, by the layer's name and their own."""
    layers: dict[str, dict[str, FoundArray]] = {}
    size = path.stat().st_size
    for place, dataset in walk_datasets(file, path):
        *groups, name = place
        owner = groups[1] if groups[:1] == ["model_weights"] and len(groups) > 1 else groups[0] if groups else ""
        kind = name.removesuffix(":0")
        if owner in ("optimizer_weights", "") or kind not in ("kernel", "bias", *_NORM_ARRAYS):
            continue
        arrays = layers.setdefault(owner, {})
        if kind in arrays:
            raise ModelError(f"{path}: layer {owner:.80} holds two arrays called {kind}; the file is damaged.")
        arrays[kind] = _array(dataset, f"{path}: {'/'.join(place):.200}", size)
    return layers


def _array(dataset: Any, where: str, file_size: int) -> FoundArray:
    import h5py

    properties = dataset.id.get_create_plist()
    stored = dataset.id.get_storage_size()
    if properties.get_layout() != h5py.h5d.CONTIGUOUS or properties.get_external_count() or dataset.dtype.kind != "f":
        raise ModelError(f"{where}: is not a plain array of numbers, as Keras writes them; refused.")
    if dataset.shape is None or stored != dataset.nbytes or stored > file_size:
        raise ModelError(f"{where}: has {stored:,} bytes in the file for {dataset.nbytes:,}; the file is damaged.")
    return FoundArray(tuple(map(int, dataset.shape)), lambda: np.asarray(dataset[()]))


def _ordered(layers: Mapping[str, Mapping[str, FoundArray]], array: str, path: Path) -> Sequence[str]:
    """The names of the layers that have such an array, in the order in which the layers were made."""
    numbered = []
    for name, arrays in layers.items():
        if array not in arrays:
            continue
        match = _NUMBERED.fullmatch(name)
        if match is None:
            raise ModelError(
                f"{path}: holds a layer called {name:.80}, from which its place can't be told; expected conv2d_1, "
                "batch_normalization_1 and so on, as ImageAI 2 names them."
            )
        numbered.append((match[1] == "last", int(match[2] or 0), name))
    return [name for _, _, name in sorted(numbered)]


def _convolution(name: str, arrays: Mapping[str, FoundArray]) -> FoundConvolution:
    kernel = arrays["kernel"]

    def read() -> NDArray[Any]:
        return kernel.read().transpose(3, 2, 0, 1)

    shape = tuple(kernel.shape[axis] for axis in (3, 2, 0, 1)) if len(kernel.shape) == 4 else kernel.shape
    return FoundConvolution(name, FoundArray(shape, read), arrays.get("bias"))


def _norm(name: str, arrays: Mapping[str, FoundArray], path: Path) -> FoundNorm:
    missing = [kind for kind in _NORM_ARRAYS if kind not in arrays]
    if missing:
        raise ModelError(f"{path}: {name} has no {missing[0]}; the file is damaged or not one of Keras'.")
    scale, shift, mean, variance = (arrays[kind] for kind in _NORM_ARRAYS)
    return FoundNorm(name, scale, shift, mean, variance)
