"""A network of the YOLOv3 family as an OpenVINO model, built operation by operation from our own description.

The model takes what `Letterbox.draw` makes, uint8 ``(batch, height, width, 3)`` BGR, and gives each head as float32
``(batch, rows, columns, anchors * (5 + classes))``. Batch norm, the division by 255 and the change from BGR to RGB are
folded into the weights, as they are for TensorFlow. Batch and sides are open until the model is reshaped.

Importing this module imports OpenVINO.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as operations

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

_LEAKY_SLOPE = 0.1


def build_model(network: DarknetNetwork, parameters: Sequence[ConvolutionParameters]) -> Any:
    """The ``openvino.Model`` of a network.

    Args:
        network: its description.
        parameters: one entry per convolution, in the network's order.
    """
    images = operations.parameter([-1, -1, -1, INPUT_CHANNELS], ov.Type.u8, name="images")
    images.output(0).set_names({"images"})
    planar = operations.transpose(operations.convert(images, ov.Type.f32), np.array([0, 3, 1, 2]))
    left = iter(parameters)
    outputs: dict[int, Any] = {-1: planar}
    for planned in network.plan():
        inputs = [outputs[position] for position in planned.inputs]
        outputs[planned.position] = _add(planned, inputs, left)
    results = []
    for number, head in enumerate(network.heads()):
        last = operations.transpose(outputs[head.position], np.array([0, 2, 3, 1]))
        last.output(0).set_names({f"head{number}"})
        results.append(operations.result(last))
    return ov.Model(results, [images], network.name)


def _add(planned: PlannedLayer, inputs: list[Any], parameters: Any) -> Any:
    match planned.layer:
        case Convolution() as layer:
            return _convolution(planned, layer, inputs[0], next(parameters))
        case MaxPool(size, stride) as pool:
            # Padded with what is never the largest.
            before, after = pool.padding
            if pool.zeros:
                padded = operations.pad(
                    inputs[0],
                    np.array([0, 0, before, before]),
                    np.array([0, 0, after, after]),
                    "constant",
                    np.float32(0),
                )
                return operations.max_pool(
                    padded, [stride] * 2, [1, 1], [0, 0], [0, 0], [size] * 2, auto_pad="explicit"
                ).output(0)
            return operations.max_pool(
                inputs[0], [stride] * 2, [1, 1], [before] * 2, [after] * 2, [size] * 2, auto_pad="explicit"
            ).output(0)
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
        case Shortcut():
            return operations.add(inputs[0], inputs[1])
        case Yolo():
            return inputs[0]


def _convolution(planned: PlannedLayer, layer: Convolution, source: Any, parameters: ConvolutionParameters) -> Any:
    weights, bias = parameters.folded()
    if planned.position == 0:
        weights = weights[:, ::-1] / np.float32(255)
    padding = [layer.size // 2] * 2
    # Given an array, the operation would make a list of Python's numbers of it: half a second, and much memory.
    kernel = operations.constant(np.ascontiguousarray(weights))
    output = operations.convolution(source, kernel, [layer.stride] * 2, padding, padding, [1, 1])
    output = operations.add(output, bias.reshape(1, -1, 1, 1))
    return operations.prelu(output, np.float32(_LEAKY_SLOPE).reshape(1)) if layer.leaky else output
