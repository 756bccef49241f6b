"""Darknet's ``.weights`` files, read into arrays. No framework inside.

A file is a header (three int32: major, minor, revision; then the number of images seen in training, int64 from version
0.2 on and int32 before) and float32 numbers, little-endian, convolution after convolution in the network's order: with
batch norm its shift, scale, mean and variance, without it the bias; then the weights ``(out, in, height, width)``.
Nothing in the file says which network it belongs to, so its size must match the description to the byte.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pipeline.errors import ModelError
from pipeline.types import Float32Array
from pipeline.weights.parameters import BatchNorm, ConvolutionParameters
from pipeline.yolov3 import Convolution, Network, convolution_parameter_count

BATCH_NORM_EPSILON = 1e-6
"""Darknet adds it to the standard deviation, not to the variance."""

_VERSION = struct.Struct("<3i")
_CURRENT_VERSION = (0, 2, 0)
_CURRENT_HEADER_SIZE = _VERSION.size + 8
_LARGEST_VERSION = 1000  # Darknet's own limit; what is above is some other file


def read_darknet_weights(path: str | Path, network: Network) -> list[ConvolutionParameters]:
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


def _read_header(file: BinaryIO, path: Path, size: int, network: Network) -> None:
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
            f"needs exactly {expected:,} bytes ({count:,} numbers): the file is damaged or belongs to another network."
        )
    if not all(0 <= part < _LARGEST_VERSION for part in version):
        raise ModelError(
            f"{path}: the header says version {'.'.join(map(str, version))}; expected 0.1.0 to 0.2.x: this is not a "
            "Darknet weights file, or it is damaged."
        )
    (seen,) = struct.unpack("<q" if wide else "<i", file.read(8 if wide else 4))
    if seen < 0:
        raise ModelError(f"{path}: the header says {seen} images seen in training; the file is damaged.")


def _split(numbers: Float32Array, network: Network, path: Path) -> list[ConvolutionParameters]:
    parameters = []
    start = 0
    for planned in network.convolutions():
        layer = planned.layer
        assert isinstance(layer, Convolution)
        block = numbers[start : start + convolution_parameter_count(planned)]
        where = f"{path}: layer {planned.position} of {network.name}"
        _check_finite(block, start, where)
        start += len(block)
        filters = layer.filters
        vectors = block[: filters * (4 if layer.batch_normalize else 1)].reshape(-1, filters)
        weights = block[vectors.size :].reshape(filters, planned.in_channels, layer.size, layer.size)
        if not layer.batch_normalize:
            parameters.append(ConvolutionParameters(weights, bias=vectors[0]))
            continue
        shift, scale, mean, variance = vectors
        if variance.min() < 0:
            raise ModelError(f"{where}: a variance of {variance.min():g}, expected none below 0: the file is damaged.")
        deviation = np.sqrt(variance) + np.float32(BATCH_NORM_EPSILON)
        parameters.append(ConvolutionParameters(weights, batch_norm=BatchNorm(shift, scale, mean, deviation)))
    return parameters


def _check_finite(block: Float32Array, start: int, where: str) -> None:
    # One pass without a temporary: a sum of finite float32 numbers can't overflow a float64.
    with np.errstate(invalid="ignore"):
        total = block.sum(dtype=np.float64)
    if math.isfinite(total):
        return
    index = int(np.argmin(np.isfinite(block)))
    raise ModelError(f"{where}: number {start + index:,} of the file is {block[index]}: the file is damaged.")
