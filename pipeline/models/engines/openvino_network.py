"""A network of the YOLOv3 family as an OpenVINO model, built operation by operation from our own description.

The model takes what `Letterbox.draw` makes, uint8 ``(batch, height, width, 3)`` BGR, and gives each head as float32
``(batch, rows, columns, anchors * (5 + classes))``. Batch norm, the division by 255 and the change from BGR to RGB are
folded into the weights, as they are for TensorFlow. Batch and sides are open until the model is reshaped.

Importing this module imports OpenVINO.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.models.engines.quiet_openvino import operations, ov
from pipeline.models.networks.darknet import (
    INPUT_CHANNELS,
    Convolution,
    DarknetNetwork,
    MaxPool,
    PlannedLayer,
    Route,
    Shortcut,
    Upsample,
    Yolo,
)
from pipeline.models.weights.parameters import ConvolutionParameters
from pipeline.types import Float32Array

_LEAKY_SLOPE = 0.1


def build_model(network: DarknetNetwork, parameters: Sequence[ConvolutionParameters]) -> Any:
    """The ``openvino.Model`` of a network.

    Args:
        network: its description.
        parameters: one entry per convolution, in the network's order.
    """
    images, planar = begin_model()
    left = iter(parameters)
    outputs: dict[int, Any] = {-1: planar}
    for planned in network.plan():
        inputs = [outputs[position] for position in planned.inputs]
        outputs[planned.position] = add_layer(planned, inputs, left)
    return end_model(network, images, outputs)


def begin_model() -> tuple[Any, Any]:
    """The parameter for images, and their float32 ``(batch, 3, height, width)``."""
    images = operations.parameter([-1, -1, -1, INPUT_CHANNELS], ov.Type.u8, name="images")
    images.output(0).set_names({"images"})
    return images, operations.transpose(operations.convert(images, ov.Type.f32), np.array([0, 3, 1, 2]))


def end_model(network: DarknetNetwork, images: Any, outputs: Mapping[int, Any]) -> Any:
    """The ``openvino.Model`` that gives the heads, of what `begin_model` began.

    Args:
        outputs: of the layers, by position.
    """
    results = []
    for number, head in enumerate(network.heads()):
        last = operations.transpose(outputs[head.position], np.array([0, 2, 3, 1]))
        last.output(0).set_names({f"head{number}"})
        results.append(operations.result(last))
    return ov.Model(results, [images], network.name)


def add_layer(planned: PlannedLayer, inputs: list[Any], parameters: Iterator[ConvolutionParameters]) -> Any:
    """A layer in float32.

    Args:
        inputs: what gives the outputs that it reads.
        parameters: those of the convolutions that are left; a convolution takes the first.
    """
    match planned.layer:
        case Convolution() as layer:
            weights, bias = input_folded(planned, next(parameters))
            # Given an array, the operation would make a list of Python's numbers of it: half a second, and much memory.
            return convolve(layer, inputs[0], operations.constant(weights), bias)
        case Shortcut():
            return operations.add(inputs[0], inputs[1])
        case _:
            return move(planned, inputs)


def move(planned: PlannedLayer, inputs: list[Any]) -> Any:
    """A layer that only picks out, repeats or joins values, whatever these count."""
    match planned.layer:
        case MaxPool() as pool:
            return _max_pool(pool, inputs[0])
        case Upsample(stride):
            return operations.interpolate(
                inputs[0],
                np.array([stride, stride], dtype=np.float32),
                mode="nearest",
                shape_calculation_mode="scales",
                coordinate_transformation_mode="asymmetric",
                nearest_mode="floor",
                axes=np.array([2, 3]),
            )
        case Route():
            return inputs[0] if len(inputs) == 1 else operations.concat(inputs, axis=1)
        case _:
            assert isinstance(planned.layer, Yolo)
            return inputs[0]


def _max_pool(pool: MaxPool, source: Any) -> Any:
    # Padded with what is never the largest.
    before, after = pool.padding
    if pool.zeros:
        edges = [np.array([0, 0, side, side]) for side in (before, after)]
        source = operations.pad(source, *edges, "constant", np.float32(0))
        before = after = 0
    strides, begin, end, size = ([number] * 2 for number in (pool.stride, before, after, pool.size))
    return operations.max_pool(source, strides, [1, 1], begin, end, size, auto_pad="explicit").output(0)


def input_folded(planned: PlannedLayer, parameters: ConvolutionParameters) -> tuple[Float32Array, Float32Array]:
    """Weights and bias with batch norm folded in, and in the first layer the division by 255 and BGR."""
    weights, bias = parameters.folded()
    if planned.position == 0:
        weights = weights[:, ::-1] / np.float32(255)
    return np.ascontiguousarray(weights), bias


def convolve(layer: Convolution, source: Any, weights: Any, bias: Float32Array) -> Any:
    """A convolution with its bias and activation.

    Args:
        weights: the operation that gives them, ``(out, in, height, width)``.
        bias: float32 ``(out,)``.
    """
    padding = [layer.size // 2] * 2
    output = operations.convolution(source, weights, [layer.stride] * 2, padding, padding, [1, 1])
    output = operations.add(output, bias.reshape(1, -1, 1, 1))
    return operations.prelu(output, np.float32(_LEAKY_SLOPE).reshape(1)) if layer.leaky else output
