"""What a network's activations are on given pictures, and the ranges that int8 makes of that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as operations

from pipeline.models.engines.activation_ranges import LayerRanges
from pipeline.models.engines.openvino_core import openvino_core
from pipeline.models.engines.openvino_network import add_layer, begin_model
from pipeline.models.networks.darknet import Convolution, DarknetNetwork, Shortcut
from pipeline.models.weights.parameters import ConvolutionParameters
from pipeline.types import Float32Array, Image

_DIGITS = 4


class Activations:
    """Per picture and channel, the largest and smallest of each layer's output, and the mean of its input.

    Args:
        network: its description.
        parameters: one entry per convolution, in the network's order.
        images: uint8 ``(height, width, 3)`` BGR, as the network takes them.
    """

    def __init__(
        self, network: DarknetNetwork, parameters: Sequence[ConvolutionParameters], images: Sequence[Image]
    ) -> None:
        model, self._tensors = _measuring_model(network, parameters)
        request = openvino_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": ov.Type.f32})
        request = request.create_infer_request()
        rows: list[list[Float32Array]] = [[] for _ in self._tensors]
        for image in images:
            found = request.infer({0: image[None]}, share_inputs=True)
            for index, values in enumerate(rows):
                values.append(found[index][0].copy())
        self._values = {tensor: np.array(values) for tensor, values in zip(self._tensors, rows, strict=True)}

    def ranges(self, pictures: NDArray[np.intp] | slice = slice(None)) -> dict[int, LayerRanges]:
        """The ranges by position, measured on the pictures of these places; to four digits."""
        layers: dict[int, dict[str, tuple[float, ...]]] = {}
        for (position, name), values in self._values.items():
            chosen = values[pictures]
            # A single picture widens the range of what is positive, but not of what leaky ReLU has made small.
            figures = chosen.max(axis=0) if name == "high" else chosen.mean(axis=0)
            layers.setdefault(position, {})[name] = tuple(float(f"{figure:.{_DIGITS}g}") for figure in figures)
        return {position: LayerRanges(**names) for position, names in layers.items()}


def _measuring_model(
    network: DarknetNetwork, parameters: Sequence[ConvolutionParameters]
) -> tuple[Any, list[tuple[int, str]]]:
    """An ``openvino.Model`` that gives figures ``(1, channels)``, and of which layer and what each is."""
    images, planar = begin_model()
    outputs = {-1: planar}
    results: dict[tuple[int, str], Any] = {}
    sides = np.array([2, 3])
    heads = {head.position for head in network.heads()}
    left = iter(parameters)
    for planned in network.plan():
        inputs = [outputs[position] for position in planned.inputs]
        output = outputs[planned.position] = add_layer(planned, inputs, left)
        if isinstance(planned.layer, Convolution | Shortcut) and planned.position not in heads:
            results[planned.position, "high"] = operations.reduce_max(output, sides)
            results[planned.position, "low"] = operations.reduce_min(output, sides)
        if isinstance(planned.layer, Convolution):
            results[planned.position, "mean"] = operations.reduce_mean(inputs[0], sides)
    return ov.Model([operations.result(result) for result in results.values()], [images], "measuring"), list(results)
