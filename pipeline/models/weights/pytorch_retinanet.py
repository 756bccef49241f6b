"""RetinaNet's weights from a state dict that PyTorch saved."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ModelError
from pipeline.models.networks.retinanet import Layer, RetinaNet
from pipeline.models.weights.formats import weights_format
from pipeline.models.weights.parameters import BatchNorm, ConvolutionParameters
from pipeline.models.weights.pytorch import read_state_dict
from pipeline.types import Float32Array

StateDict = Mapping[str, NDArray[np.generic]]

_COUNTER = ".num_batches_tracked"  # of use only in training
_MOST_NAMES = 3


def read_retinanet_weights(path: str | Path, network: RetinaNet) -> dict[str, ConvolutionParameters]:
    """The parameters of each convolution of ``network``, by its name.

    Args:
        path: a ``.pth`` or ``.pt`` file; it is not trusted, and nothing in it is run.
        network: what the file must fit exactly.

    Raises:
        ModelError: the file can't be read, lacks a tensor or has one too many, has one of another shape or type, or
            holds numbers that no trained network has (not finite, a variance below 0, or one of 0 where nothing is
            added to it).
    """
    kind = weights_format(path)
    if kind != "pytorch":
        found = "is a Keras file, as ImageAI 2 has them" if kind == "keras" else "is no PyTorch file"
        raise ModelError(
            f"{path}: {found}; the weights of {network.name} are a state dict that PyTorch saved, as torchvision and "
            "ImageAI 3 have it (.pth)."
        )
    return parameters_of(read_state_dict(path), network, str(path))


def parameters_of(state: StateDict, network: RetinaNet, where: str) -> dict[str, ConvolutionParameters]:
    """The same from tensors by name; ``where`` begins each message."""
    tensors = {_current_name(name): tensor for name, tensor in state.items() if not name.endswith(_COUNTER)}
    _check_tensors(tensors, network, where)
    return {layer.name: _parameters(tensors, layer, network.batch_norm_epsilon, where) for layer in network.layers()}


def _current_name(name: str) -> str:
    """torchvision 0.14 put each convolution of the pyramid and of the heads into a sequence of its own, and counts the
    latter without the activations in between; the published file has the older names."""
    name = re.sub(r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.0\.", r"\1.", name)
    return re.sub(
        r"^(head\.\w+_head\.conv)\.(\d+)\.0\.", lambda match: f"{match[1]}.{2 * int(match[2])}.", name, count=1
    )


def _check_tensors(tensors: StateDict, network: RetinaNet, where: str) -> None:
    shapes = network.tensor_shapes()
    missing = [name for name in shapes if name not in tensors]
    surplus = [name for name in tensors if name not in shapes]
    if missing or surplus:
        found = f"{len(tensors) - len(surplus)} of the {len(shapes)} tensors of {network.name}"
        details = [f"{text} {_some(names)}" for text, names in (("lacks", missing), ("also holds", surplus)) if names]
        raise ModelError(
            f"{where}: found {found}; it {' and '.join(details)}: it belongs to another network, or is incomplete."
        )
    for name, shape in shapes.items():
        tensor = tensors[name]
        if tensor.shape != shape:
            raise ModelError(f"{where}: {name} is {tensor.shape}; {_expected(network, name, shape)}.")
        if tensor.dtype.kind != "f":
            raise ModelError(f"{where}: {name} holds {tensor.dtype}; expected floating-point numbers.")


def _expected(network: RetinaNet, name: str, shape: tuple[int, ...]) -> str:
    text = f"{network.name} needs {shape}"
    if name.startswith(network.scores().name):
        text += f", for {len(network.slots)} classes, the background and unused numbers among them"
    return text


def _some(names: list[str]) -> str:
    rest = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {rest} more" if rest > 0 else "")


def _parameters(tensors: StateDict, layer: Layer, epsilon: float, where: str) -> ConvolutionParameters:
    def numbers(name: str) -> Float32Array:
        values = np.asarray(tensors[name], dtype=np.float32)
        if not np.isfinite(values.min()) or not np.isfinite(values.max()):
            raise ModelError(f"{where}: {name} holds what is not a finite number: the file is damaged.")
        return values

    weights = numbers(f"{layer.name}.weight")
    if layer.norm is None:
        return ConvolutionParameters(weights, bias=numbers(f"{layer.name}.bias"))
    scale, shift, mean, variance = (
        numbers(f"{layer.norm}.{part}") for part in ("weight", "bias", "running_mean", "running_var")
    )
    if variance.min() < 0 or variance.min() + epsilon <= 0:
        raise ModelError(
            f"{where}: {layer.norm}.running_var holds a variance of {variance.min():g}, expected none "
            f"{'below' if epsilon else 'that is not above'} 0: the file is damaged."
        )
    deviation = np.sqrt(variance.astype(np.float64) + epsilon).astype(np.float32)
    return ConvolutionParameters(weights, batch_norm=BatchNorm(shift, scale, mean, deviation))
