"""Darknet's ``.weights`` files, read into arrays. No framework inside.

A file is a header (three int32: major, minor, revision; then the number of images seen in training, int64 from version
0.2 on and int32 before) and float32 numbers, little-endian, convolution after convolution in the network's order: with
batch norm its shift, scale, mean and variance, without it the bias; then the weights ``(out, in, height, width)``.
Nothing in the file says which network it belongs to, so its size must match the description to the byte.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pipeline.errors import ModelError
from pipeline.models.networks.darknet import Convolution, DarknetNetwork, convolution_parameter_count
from pipeline.models.weights.parameters import DARKNET_EPSILON, BatchNorm, ConvolutionParameters, check_finite
from pipeline.types import Float32Array

_VERSION = struct.Struct("<3i")
_CURRENT_VERSION = (0, 2, 0)
_CURRENT_HEADER_SIZE = _VERSION.size + 8
_LARGEST_VERSION = 1000  # Darknet's own limit; what is above is some other file


def read_darknet_weights(path: str | Path, network: DarknetNetwork) -> list[ConvolutionParameters]:
    """The parameters of each convolution of ``network``, in its order.

    Args:
        path: a ``.weights`` file; it is not trusted, and no more of it is read than the network holds.
        network: what the file must fit exactly.

    Raises:
        ModelError: the file can't be read, has another size or header than the network needs, or holds numbers that no
            trained network has (not finite, a negative variance).
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            _read_header(file, path, size, network)
            numbers = np.fromfile(file, dtype="<f4", count=network.parameter_count())
    except OSError as error:
        raise ModelError(f"{path}: can't read the weights: {error.strerror or error}.") from error
    if len(numbers) != network.parameter_count():  # it shrank while it was read
        raise ModelError(f"{path}: found {len(numbers)} numbers; {network.name} needs {network.parameter_count()}.")
    return _split(numbers.astype(np.float32, copy=False), network, path)


def write_darknet_weights(file: BinaryIO, parameters: Sequence[ConvolutionParameters]) -> None:
    """Write a ``.weights`` file of version 0.2.0.

    A batch norm that came from a framework with another epsilon is written so that Darknet computes the same with it:
    see `BatchNorm.with_variance`.

    Raises:
        OSError: it can't be written.
    """
    file.write(_VERSION.pack(*_CURRENT_VERSION) + struct.pack("<q", 0))
    for entry in parameters:
        vectors = [entry.bias]
        if entry.batch_norm is not None:
            norm = entry.batch_norm
            scale, variance = norm.with_variance(epsilon=DARKNET_EPSILON, outside=True)
            vectors = [norm.shift, scale, norm.mean, variance]
        for array in (*vectors, entry.weights):
            file.write(np.ascontiguousarray(array, dtype="<f4").tobytes())


def _read_header(file: BinaryIO, path: Path, size: int, network: DarknetNetwork) -> None:
    count = network.parameter_count()
    header = file.read(_VERSION.size)
    version = _VERSION.unpack(header) if len(header) == _VERSION.size else _CURRENT_VERSION
    major, minor, _ = version
    wide = major * 10 + minor >= 2
    expected = _VERSION.size + (8 if wide else 4) + 4 * count
    if size != expected:
        held = max(0, size - _CURRENT_HEADER_SIZE) // 4
        raise ModelError(
            f"{path}: found {size:,} bytes (about {held:,} numbers); {network.name} with {network.class_count} classes "
            f"needs exactly {expected:,} bytes ({count:,} numbers): {_guess(network, size)}."
        )
    if not all(0 <= part < _LARGEST_VERSION for part in version):
        raise ModelError(
            f"{path}: the header says version {'.'.join(map(str, version))}; expected 0.1.0 to 0.2.x: this is not a "
            "Darknet weights file, or it is damaged."
        )
    (seen,) = struct.unpack("<q" if wide else "<i", file.read(8 if wide else 4))
    if seen < 0:
        raise ModelError(f"{path}: the header says {seen} images seen in training; the file is damaged.")


def _guess(network: DarknetNetwork, size: int) -> str:
    """What a file of that size may be instead."""
    plan = network.plan()
    per_class = sum(len(head.anchors) * (plan[head.position].in_channels + 1) for head in network.heads())
    numbers, rest = divmod(size - _CURRENT_HEADER_SIZE, 4)
    if per_class and not rest:
        more, rest = divmod(numbers - network.parameter_count(), per_class)
        if not rest and network.class_count + more >= 1:
            return f"it is for {network.class_count + more} classes, or damaged"
    return "the file is damaged or belongs to another network"


def _split(numbers: Float32Array, network: DarknetNetwork, path: Path) -> list[ConvolutionParameters]:
    parameters = []
    start = 0
    for planned in network.convolutions():
        layer = planned.layer
        assert isinstance(layer, Convolution)
        block = numbers[start : start + convolution_parameter_count(planned)]
        where = f"{path}: layer {planned.position} of {network.name}"
        check_finite(block, where, start)
        start += len(block)
        filters = layer.filters
        vectors = block[: filters * (4 if layer.batch_normalize else 1)].reshape(-1, filters)
        weights = block[vectors.size :].reshape(filters, planned.in_channels, layer.size, layer.size)
        if not layer.batch_normalize:
            parameters.append(ConvolutionParameters(weights, bias=vectors[0]))
            continue
        shift, scale, mean, variance = vectors
        norm = BatchNorm.from_variance(shift, scale, mean, variance, epsilon=DARKNET_EPSILON, outside=True, where=where)
        parameters.append(ConvolutionParameters(weights, batch_norm=norm))
    return parameters
