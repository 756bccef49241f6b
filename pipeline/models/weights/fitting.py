"""Fits the named arrays of a file to a network's convolutions, or says why they don't.

Files of named arrays hold three rows, each in the order in which the layers were made: convolutions with batch norm
(they have no bias), the batch norms, and convolutions with a bias. Nothing is read before all shapes are right, so that
a file costs no more memory than the network it is read for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ModelError
from pipeline.models.networks.darknet import Convolution, DarknetNetwork, PlannedLayer
from pipeline.models.weights.parameters import BatchNorm, ConvolutionParameters, check_finite
from pipeline.types import Float32Array


@dataclass(frozen=True, slots=True)
class FoundArray:
    """An array in a file, not read yet."""

    shape: tuple[int, ...]
    read: Callable[[], NDArray[Any]]


@dataclass(frozen=True, slots=True)
class FoundConvolution:
    """A convolution in a file; ``weights`` is ``(out, in, height, width)``, ``bias`` ``(out,)``."""

    name: str
    weights: FoundArray
    bias: FoundArray | None = None


@dataclass(frozen=True, slots=True)
class FoundNorm:
    """A batch norm in a file; each ``(out,)``."""

    name: str
    scale: FoundArray
    shift: FoundArray
    mean: FoundArray
    variance: FoundArray


def fit(
    convolutions: Sequence[FoundConvolution],
    norms: Sequence[FoundNorm],
    network: DarknetNetwork,
    path: Path,
    *,
    epsilon: float,
) -> list[ConvolutionParameters]:
    """The parameters of each convolution of ``network``, in its order.

    Args:
        convolutions, norms: what the file holds, each in the order in which the layers were made.
        network: what it must fit exactly.
        path: for messages.
        epsilon: what the file's framework adds to a variance.

    Raises:
        ModelError: other numbers of layers or other shapes than the network has, or numbers that no trained network
            has (not finite, a negative variance).
    """
    plan = list(network.convolutions())
    normalized = [planned for planned in plan if _layer(planned).batch_normalize]
    plain = [found for found in convolutions if found.bias is None]
    biased = [found for found in convolutions if found.bias is not None]
    held = (len(plain), len(norms), len(biased))
    expected = (len(normalized), len(normalized), len(plan) - len(normalized))
    if held != expected:
        raise ModelError(
            f"{path}: found {_counted(*held)}; {network.name} has {_counted(*expected)}: the weights belong to another "
            "network."
        )
    rows = iter(plain), iter(norms), iter(biased)
    matched = []
    for planned in plan:
        normalize = _layer(planned).batch_normalize
        found = next(rows[0] if normalize else rows[2])
        norm = next(rows[1]) if normalize else None
        _check_shapes(found, norm, planned, network, path)
        matched.append((found, norm, planned))
    return [_read(found, norm, f"{path}: {found.name} (layer {planned.position} of {network.name})", epsilon)
            for found, norm, planned in matched]  # fmt: skip


def _layer(planned: PlannedLayer) -> Convolution:
    assert isinstance(planned.layer, Convolution)
    return planned.layer


def _counted(plain: int, norms: int, biased: int) -> str:
    return f"{plain} convolutions without bias, {norms} batch norms and {biased} convolutions with bias"


def _check_shapes(
    found: FoundConvolution, norm: FoundNorm | None, planned: PlannedLayer, network: DarknetNetwork, path: Path
) -> None:
    layer = _layer(planned)
    where = f"{path}: {found.name}, for layer {planned.position} of {network.name}"
    expected = (layer.filters, planned.in_channels, layer.size, layer.size)
    if found.weights.shape != expected:
        hint = _class_hint(found.weights.shape, expected, network) or "the weights belong to another network."
        raise ModelError(
            f"{where}: found weights of {_shown(found.weights.shape)}, expected {_shown(expected)} (out x in x height "
            f"x width): {hint}"
        )
    vectors = [found.bias] if norm is None else [norm.scale, norm.shift, norm.mean, norm.variance]
    for vector in vectors:
        if vector is None or vector.shape != (layer.filters,):
            held = "none" if vector is None else _shown(vector.shape)
            raise ModelError(
                f"{where}: found {held} numbers beside the weights, expected {layer.filters} of each kind."
            )


def _class_hint(shape: tuple[int, ...], expected: tuple[int, ...], network: DarknetNetwork) -> str | None:
    """Says for how many classes the file is, where nothing but that is wrong."""
    anchors = len(network.heads()[0].anchors) if network.heads() else 0
    if (
        len(shape) != 4
        or shape[1:] != expected[1:]
        or not anchors
        or expected[0] != anchors * (5 + network.class_count)
    ):
        return None
    classes = shape[0] / anchors - 5
    if classes != int(classes) or classes < 1:
        return None
    return f"the weights are for {int(classes)} classes, the model has {network.class_count}."


def _shown(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "no"


def _read(found: FoundConvolution, norm: FoundNorm | None, where: str, epsilon: float) -> ConvolutionParameters:
    def read(array: FoundArray) -> Float32Array:
        values = array.read()
        if values.dtype.kind != "f":
            raise ModelError(f"{where}: holds numbers of type {values.dtype}, expected float32; the file is damaged.")
        with np.errstate(over="ignore"):
            numbers = np.ascontiguousarray(values, dtype=np.float32)
        check_finite(numbers, where)
        return numbers

    weights = read(found.weights)
    if norm is None:
        assert found.bias is not None
        return ConvolutionParameters(weights, bias=read(found.bias))
    variance = read(norm.variance)
    shift, scale, mean = read(norm.shift), read(norm.scale), read(norm.mean)
    return ConvolutionParameters(
        weights, batch_norm=BatchNorm.from_variance(shift, scale, mean, variance, epsilon=epsilon, where=where)
    )
