"""A network of the YOLOv3 family as an OpenVINO model in integers of eight bits.

It is built from measured ranges. Each activation is rounded by a ``FakeQuantize`` from which OpenVINO makes a byte, and
weights are int8 with a scale for each output channel, so that its plugin for processors computes every convolution in
integers, the first and the heads included. The heads come out as float32.

Importing this module imports OpenVINO.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.models.engines.activation_ranges import LayerRanges
from pipeline.models.engines.openvino_network import begin_model, convolve, end_model, input_folded, move
from pipeline.models.engines.quantization import HIGHEST, LOWEST, activation_steps, quantize_convolution
from pipeline.models.engines.quiet_openvino import operations, ov
from pipeline.models.networks.darknet import INPUT_CHANNELS, Convolution, DarknetNetwork, Shortcut
from pipeline.models.weights.parameters import ConvolutionParameters
from pipeline.types import Float32Array


def build_int8_model(
    network: DarknetNetwork,
    parameters: Sequence[ConvolutionParameters],
    ranges: Mapping[int, LayerRanges],
) -> Any:
    """The ``openvino.Model`` of a network in int8.

    Args:
        network: its description.
        parameters: one entry per convolution, in the network's order.
        ranges: of each convolution and sum, by position.
    """
    images, planar = begin_model()
    outputs = {-1: _rounded(planar, 0, 255)}
    # What a step of each channel of a layer's output is worth; of a head's, and of a picture, 1.
    steps: dict[int, Float32Array] = {-1: np.ones(INPUT_CHANNELS, np.float32)}
    heads = {head.position for head in network.heads()}
    left = iter(parameters)
    for planned in network.plan():
        position, layer = planned.position, planned.layer
        inputs = [outputs[place] for place in planned.inputs]
        if not isinstance(layer, Convolution | Shortcut):
            outputs[position] = move(planned, inputs)
            steps[position] = np.concatenate([steps[place] for place in planned.inputs])
            continue
        is_head = position in heads
        step = np.ones(planned.out_channels, np.float32) if is_head else activation_steps(ranges[position])
        if isinstance(layer, Convolution):
            (before,) = planned.inputs
            mean = np.array(ranges[position].mean, np.float32)
            weights, bias = input_folded(planned, next(left))
            integers, scale, bias = quantize_convolution(weights, bias, steps[before], step, mean)
            scaled = operations.multiply(
                operations.convert(operations.constant(integers), ov.Type.f32), scale.reshape(-1, 1, 1, 1)
            )
            output = convolve(layer, inputs[0], scaled, bias)
        else:
            output = operations.add(
                *(
                    operations.multiply(source, (steps[place] / step).reshape(1, -1, 1, 1))
                    for source, place in zip(inputs, planned.inputs, strict=True)
                )
            )
        outputs[position] = output if is_head else _rounded(output, LOWEST, HIGHEST)
        steps[position] = step
    return end_model(network, images, outputs)


def _rounded(source: Any, lowest: int, highest: int) -> Any:
    """The whole numbers nearest to some values, within limits that are as far apart as those of a byte."""
    limits = [np.float32(limit) for limit in (lowest, highest, lowest, highest)]
    return operations.fake_quantize(source, *limits, highest - lowest + 1)
