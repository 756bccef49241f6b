"""YOLOv3 networks in PyTorch's state dicts: ImageAI 3's, and others that list their layers in Darknet's order.

ImageAI 3 numbers its layers in that order: ``conv1.conv.weight``, ``conv1.batch_norm.weight``, ``.bias``,
``.running_mean`` and ``.running_var``; the ones before a head have ``conv10.conv.bias`` instead. In other state dicts
the order of the file counts, which is that in which the layers were made; names don't matter, since every shape is
checked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.models.networks.darknet import DarknetNetwork
from pipeline.models.weights.fitting import FoundArray, FoundConvolution, FoundNorm, fit
from pipeline.models.weights.parameters import PYTORCH_EPSILON, ConvolutionParameters
from pipeline.models.weights.pytorch import read_state_dict

_NUMBERED = re.compile(r"conv([0-9]{1,9})\.")


def read_pytorch_weights(path: str | Path, network: DarknetNetwork) -> list[ConvolutionParameters]:
    """The parameters of each convolution of ``network``, in its order.

    Args:
        path: a ``.pt`` or ``.pth`` file; it is not trusted, and nothing in it is run.
        network: what the file must fit exactly.

    Raises:
        ModelError: as `read_state_dict`; the file belongs to another network; or it holds numbers that no trained
            network has.
    """
    path = Path(path)
    tensors = read_state_dict(path)
    if all(_NUMBERED.match(name) for name in tensors):
        tensors = dict(sorted(tensors.items(), key=lambda item: int(_NUMBERED.match(item[0])[1])))  # type: ignore[index]
    convolutions, norms = [], []
    for name, tensor in tensors.items():
        layer, _, kind = name.rpartition(".")
        if kind == "weight" and tensor.ndim == 4:
            bias = tensors.get(f"{layer}.bias")
            convolutions.append(FoundConvolution(layer, _found(tensor), None if bias is None else _found(bias)))
        elif kind == "running_mean":
            others = [tensors.get(f"{layer}.{other}", np.empty(0)) for other in ("weight", "bias", "running_var")]
            scale, shift, variance = map(_found, others)
            norms.append(FoundNorm(layer, scale, shift, _found(tensor), variance))
    return fit(convolutions, norms, network, path, epsilon=PYTORCH_EPSILON)


def _found(tensor: NDArray[Any]) -> FoundArray:
    return FoundArray(tensor.shape, lambda: tensor)


def state_dict(parameters: Sequence[ConvolutionParameters]) -> Mapping[str, NDArray[Any]]:
    """The tensors of a network under ImageAI 3's names.

    A batch norm that came from a framework with another epsilon is put so that PyTorch computes the same with it: see
    `BatchNorm.with_variance`.
    """
    tensors: dict[str, NDArray[Any]] = {}
    for number, entry in enumerate(parameters, 1):
        layer = f"conv{number}"
        tensors[f"{layer}.conv.weight"] = entry.weights
        if entry.batch_norm is None:
            assert entry.bias is not None
            tensors[f"{layer}.conv.bias"] = entry.bias
            continue
        norm = entry.batch_norm
        scale, variance = norm.with_variance(epsilon=PYTORCH_EPSILON)
        tensors[f"{layer}.batch_norm.weight"] = scale
        tensors[f"{layer}.batch_norm.bias"] = norm.shift
        tensors[f"{layer}.batch_norm.running_mean"] = norm.mean
        tensors[f"{layer}.batch_norm.running_var"] = variance
        tensors[f"{layer}.batch_norm.num_batches_tracked"] = np.array(0, np.int64)
    return tensors
