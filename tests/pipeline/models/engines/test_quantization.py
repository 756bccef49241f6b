"""Integers for weights, and steps for activations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.models.engines.activation_ranges import LayerRanges
from pipeline.models.engines.quantization import (
    HIGHEST,
    LOWEST,
    QuantizedConvolution,
    activation_steps,
    quantize_convolution,
)
from pipeline.types import Float32Array


def convolution(ins: int, seed: int = 0, outs: int = 5, size: int = 3) -> tuple[Float32Array, ...]:
    """Weights, bias, steps of input and output, and mean of the input."""
    generator = np.random.default_rng(seed)
    weights = generator.normal(size=(outs, ins, size, size)).astype(np.float32)
    bias, mean = (generator.normal(size=count).astype(np.float32) for count in (outs, ins))
    step_in, step_out = (generator.uniform(0.01, 0.1, count).astype(np.float32) for count in (ins, outs))
    return weights, bias, step_in, step_out, mean


def in_values(found: QuantizedConvolution, step_in: Float32Array, step_out: Float32Array) -> Float32Array:
    """The weights that the integers stand for."""
    weights = found.weights * (found.scale * step_out)[:, None, None, None] / step_in[:, None, None]
    return weights.astype(np.float32)


@pytest.mark.parametrize("ins", [3, 16])
def test_integers_stand_for_the_weights(ins: int) -> None:
    weights, bias, step_in, step_out, mean = convolution(ins)
    found = quantize_convolution(weights, bias, step_in, step_out, mean)
    assert found.weights.dtype == np.int8
    assert found.weights.shape == weights.shape
    counted = np.abs(weights * step_in[:, None, None]).max(axis=(1, 2, 3))
    error = np.abs(in_values(found, step_in, step_out) - weights) * step_in[:, None, None]
    assert (error.max(axis=(1, 2, 3)) <= 0.51 * counted / 63).all()


@given(st.integers(0, 10_000), st.sampled_from([1, 3, 4, 6, 8, 32]), st.sampled_from([1, 3]))
def test_no_two_products_overflow_16_bits(seed: int, ins: int, size: int) -> None:
    found = quantize_convolution(*convolution(ins, seed, size=size))
    integers = found.weights.astype(int)
    largest = HIGHEST - LOWEST
    if ins % 4:
        assert 2 * largest * np.abs(integers).max() < 2**15
    else:
        pairs = integers.reshape(len(integers), ins // 2, 2, size, size)
        for side in (pairs, -pairs):
            assert largest * np.maximum(side, 0).sum(axis=2).max() < 2**15


def test_rounding_shifts_nothing_on_average() -> None:
    weights, bias, step_in, step_out, mean = convolution(16)
    found = quantize_convolution(weights, bias, step_in, step_out, mean)
    expected = np.einsum("oihw,i->o", weights, mean) + bias
    sums = found.scale * np.einsum("oihw,i->o", found.weights.astype(np.float32), mean / step_in)
    np.testing.assert_allclose((sums + found.bias) * step_out, expected, atol=1e-4)


def test_weights_of_zero() -> None:
    weights, bias, step_in, step_out, mean = convolution(4)
    found = quantize_convolution(weights * 0, bias, step_in, step_out, mean)
    assert not found.weights.any()
    np.testing.assert_allclose(found.bias * step_out, bias, rtol=1e-6)


def test_steps_hold_the_ranges_and_no_channel_is_without() -> None:
    ranges = LayerRanges(high=(10.0, 1.0, 0.0, 2.0), low=(-0.1, -2.0, 0.0, 0.0))
    steps = activation_steps(ranges)
    assert steps.dtype == np.float32
    assert (steps * HIGHEST >= np.array(ranges.high) * 0.999).all()
    assert (steps * LOWEST <= np.array(ranges.low) * 0.999).all()
    assert (steps > 0).all()
    assert steps[3] < steps[0], "what stays small has smaller steps"
    assert (activation_steps(LayerRanges(high=(0.0,), low=(0.0,))) > 0).all()
