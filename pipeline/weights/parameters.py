"""The numbers of a convolution, whatever file they came from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.types import Float32Array


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
