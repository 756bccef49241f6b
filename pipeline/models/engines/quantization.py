"""How numbers become integers of eight bits: activations by measured ranges, weights by their own.

Every channel of every activation counts in steps of its own, which are folded into the weights around it: a
convolution takes and gives integers from ``LOWEST`` to ``HIGHEST``, whatever its channels mean. Leaky ReLU commutes
with that, as do pooling, joining and enlarging. Most of the integers stand for what is positive, since leaky ReLU makes
little of the rest. Each output channel's weights have a scale of their own, symmetric about zero. What rounding the
weights shifts on average is taken out of the bias.

B. Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR
2018; M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019.

Importing this module does not import OpenVINO.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.models.engines.activation_ranges import LayerRanges
from pipeline.types import Float32Array

LOWEST, HIGHEST = -32, 223
"""What an activation can be: as many as an unsigned byte can tell apart, with zero at 32."""

_LARGEST_WEIGHT = 127
_LARGEST_PAIR = 128
"""Processors without VNNI add the products of two neighbours up in 16 bits, so this is the largest sum of two weights,
in magnitude: 255 * 128 fits. It costs a quarter of a bit, and all processors compute the same."""
_OWN_STEPS = 0.7
"""How far a channel's step is its own, and not its tensor's: 1 serves the activations best, 0 the weights, whose rows
spread with the steps of their inputs."""


class QuantizedConvolution(NamedTuple):
    """A convolution that takes and gives steps.

    Attributes:
        weights: int8 ``(out, in, height, width)``.
        scale: float32 ``(out,)``: what 1 of the weights is worth.
        bias: float32 ``(out,)``.
    """

    weights: NDArray[np.int8]
    scale: Float32Array
    bias: Float32Array


def activation_steps(ranges: LayerRanges) -> Float32Array:
    """What one step of each channel of a layer's output is worth, float32 ``(channels,)``."""
    high, low = np.array(ranges.high, np.float32), np.array(ranges.low, np.float32)
    own = np.maximum(high / HIGHEST, low / LOWEST)
    own = np.maximum(own, max(float(own.max()), 1e-6) * 1e-3)  # a channel that is always zero
    steps: Float32Array = own.max() ** (1 - _OWN_STEPS) * own**_OWN_STEPS
    return steps


def quantize_convolution(
    weights: Float32Array,
    bias: Float32Array,
    step_in: Float32Array,
    step_out: Float32Array,
    mean: Float32Array,
) -> QuantizedConvolution:
    """A convolution whose weights are integers.

    Args:
        weights, bias: float32, batch norm folded in.
        step_in, step_out: what a step of each channel of its input and output is worth.
        mean: of each channel of its input.
    """
    # One row for each output channel, which is gone over as few times as can be: networks start with this.
    kernel = weights[0, 0].size
    rows = weights.reshape(len(weights), -1)
    expected = rows @ np.repeat(mean, kernel)
    rows = rows * np.repeat(step_in, kernel)
    largest = np.maximum(rows.max(axis=1), -rows.min(axis=1))
    # Rounding may add a half to each of the two.
    pair = _largest_pair(rows.reshape(weights.shape), largest)
    scale = np.maximum(largest / _LARGEST_WEIGHT, pair / (_LARGEST_PAIR - 1))
    scale[scale == 0] = 1
    rows *= (1 / scale)[:, None]
    np.rint(rows, out=rows)
    shift = (rows @ np.repeat(mean / step_in, kernel)) * scale - expected
    return QuantizedConvolution(
        rows.astype(np.int8).reshape(weights.shape),
        (scale / step_out).astype(np.float32),
        ((bias - shift) / step_out).astype(np.float32),
    )


def _largest_pair(weights: Float32Array, largest: Float32Array) -> Float32Array:
    """For each output channel the largest sum, in magnitude, of two weights that are added up together.

    Those are of channels 2k and 2k + 1 of the input. Where channels are few, kernels take neighbours of another kind.
    """
    if weights.shape[1] % 4:
        return 2 * largest
    sums = (weights[:, ::2] + weights[:, 1::2]).reshape(len(weights), -1)
    both: Float32Array = np.maximum(sums.max(axis=1), -sums.min(axis=1))
    return both
