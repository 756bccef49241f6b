"""The numbers of a convolution, whatever file they came from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from pipeline.errors import ModelError
from pipeline.types import Float32Array

DARKNET_EPSILON = 1e-6
"""Darknet adds it to the standard deviation, not to the variance."""

KERAS_EPSILON = 1e-3
PYTORCH_EPSILON = 1e-5
"""Both add theirs to the variance. These are the frameworks' defaults, which no file records."""


@dataclass(frozen=True, slots=True, eq=False)
class BatchNorm:
    """``(x - mean) / deviation * scale + shift``; each float32 ``(out,)``.

    ``deviation`` carries the epsilon as the file's own framework adds it: Darknet to the square root of the variance,
    Keras and PyTorch to the variance itself.
    """

    shift: Float32Array
    scale: Float32Array
    mean: Float32Array
    deviation: Float32Array

    @classmethod
    def from_variance(
        cls,
        shift: Float32Array,
        scale: Float32Array,
        mean: Float32Array,
        variance: Float32Array,
        *,
        epsilon: float,
        outside: bool = False,
        where: str,
    ) -> Self:
        """As files hold it: with the variance.

        Args:
            epsilon: added to the variance, or to its root where ``outside`` is set.
            where: what the message of a refusal begins with.

        Raises:
            ModelError: a negative variance.
        """
        if variance.min() < 0:
            raise ModelError(f"{where}: a variance of {variance.min():g}, expected none below 0: the file is damaged.")
        if outside:
            return cls(shift, scale, mean, np.sqrt(variance) + np.float32(epsilon))
        return cls(shift, scale, mean, np.sqrt(variance + np.float32(epsilon)))

    def with_variance(self, *, epsilon: float, outside: bool = False) -> tuple[Float32Array, Float32Array]:
        """The scale and the variance with which a framework that adds ``epsilon`` computes the same.

        The variance is what gives this deviation again, and the scale is as it was, but for rounding. A deviation
        smaller than the epsilon alone, which no variance gives, is written as a variance of 0, and the scale makes up
        for it.
        """
        deviation = self.deviation.astype(np.float64)
        if outside:
            variance = (np.maximum(deviation - epsilon, 0) ** 2).astype(np.float32)
            written = np.sqrt(variance) + np.float32(epsilon)
        else:
            variance = np.maximum(deviation**2 - epsilon, 0).astype(np.float32)
            written = np.sqrt(variance + np.float32(epsilon))
        return (self.scale * (written / deviation)).astype(np.float32), variance


@dataclass(frozen=True, slots=True, eq=False)
class ConvolutionParameters:
    """The numbers of one convolution: ``batch_norm`` or ``bias`` is set, never both.

    Attributes:
        weights: float32 ``(out, in, height, width)``.
        bias: float32 ``(out,)``, or None.
        batch_norm: or None.
    """

    weights: Float32Array
    bias: Float32Array | None = None
    batch_norm: BatchNorm | None = None

    def folded(self) -> tuple[Float32Array, Float32Array]:
        """Weights and bias of the one convolution that does the same as this one and its batch norm."""
        if self.batch_norm is None:
            assert self.bias is not None
            return self.weights, self.bias
        norm = self.batch_norm
        factor = norm.scale.astype(np.float64) / norm.deviation
        weights = (self.weights * factor[:, None, None, None].astype(np.float32)).astype(np.float32, copy=False)
        return weights, (norm.shift - norm.mean * factor).astype(np.float32)


def check_finite(numbers: Float32Array, where: str, first: int = 0) -> None:
    """Refuse what is not a number.

    Args:
        where: what the message begins with.
        first: place of the first of these numbers in the file.

    Raises:
        ModelError: a number is infinite or not a number.
    """
    # One pass without a temporary: a sum of finite float32 numbers can't overflow a float64.
    with np.errstate(invalid="ignore"):
        total = numbers.sum(dtype=np.float64)
    if math.isfinite(total):
        return
    flat = numbers.reshape(-1)
    index = int(np.argmin(np.isfinite(flat)))
    raise ModelError(f"{where}: number {first + index:,} of the file is {flat[index]}: the file is damaged.")
