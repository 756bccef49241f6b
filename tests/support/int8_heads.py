"""Outputs of a small network in int8 whose weights and activations are as large as they can be, written to a file.

    ONEDNN_MAX_CPU_ISA=AVX2 python -m tests.support.int8_heads OUT.npy

The variable has OpenVINO compute as a processor without VNNI does.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import numpy as np

from benchmarks.activations import Activations
from pipeline.models.engines.openvino_engine import OpenVinoEngine
from pipeline.models.engines.openvino_int8 import build_int8_model
from pipeline.models.networks.darknet import Convolution, DarknetNetwork, Yolo
from pipeline.models.weights.parameters import ConvolutionParameters
from pipeline.types import Float32Array

NETWORK = DarknetNetwork(
    name="large",
    layers=(
        Convolution(16, 3, batch_normalize=False),
        Convolution(32, 3, stride=2, batch_normalize=False),
        Convolution(16, 1, batch_normalize=False),
        Convolution(8, 1, batch_normalize=False, leaky=False),
        Yolo((0,)),
    ),
    anchors=((10, 10),),
    class_count=3,
)


def large_parameters() -> list[ConvolutionParameters]:
    """Weights of which many neighbours are both about as large as any."""
    generator = np.random.default_rng(0)
    parameters = []
    for planned in NETWORK.convolutions():
        assert isinstance(planned.layer, Convolution)
        size = planned.layer.size
        weights = generator.uniform(-0.1, 1, (planned.out_channels, planned.in_channels, size, size))
        bias = np.zeros(planned.out_channels, np.float32)
        parameters.append(ConvolutionParameters(weights.astype(np.float32) / weights[0].size, bias=bias))
    return parameters


def heads() -> Float32Array:
    """In int8 of pictures that are bright throughout."""
    parameters = large_parameters()
    images = np.random.default_rng(1).integers(180, 256, (4, 32, 64, 3), dtype=np.uint8)
    model = build_int8_model(NETWORK, parameters, Activations(NETWORK, parameters, list(images)).ranges())
    with contextlib.closing(OpenVinoEngine(NETWORK, parameters, precision="int8", quantized=model)) as engine:
        return engine.heads(images)[0]


if __name__ == "__main__":
    np.save(Path(sys.argv[1]), heads())
