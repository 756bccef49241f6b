"""Networks in int8 from measured ranges: near float32, in integers throughout, the same on every processor."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.activations import Activations
from pipeline.models.engines.activation_ranges import LayerRanges
from pipeline.models.engines.openvino_core import openvino_core
from pipeline.models.engines.openvino_engine import OpenVinoEngine
from pipeline.models.engines.openvino_int8 import build_int8_model
from pipeline.models.networks.darknet import Convolution, DarknetNetwork
from pipeline.models.networks.yolov3_family import yolov3, yolov3_tiny
from pipeline.models.weights.parameters import ConvolutionParameters
from tests.pipeline.models.networks.test_yolov3_family import random_images
from tests.support.darknet_files import miniature, narrow, random_parameters
from tests.support.int8_heads import heads

ROOT = Path(__file__).resolve().parents[4]
NETWORKS = [miniature(), narrow(yolov3_tiny(), 4), narrow(yolov3(), 16)]


def measured(network: DarknetNetwork, parameters: list[ConvolutionParameters]) -> dict[int, LayerRanges]:
    return Activations(network, parameters, list(random_images(8, 64, 96))).ranges()


def engine(network: DarknetNetwork, parameters: list[ConvolutionParameters], quantized: Any = None) -> OpenVinoEngine:
    precision = "float32" if quantized is None else "int8"
    return OpenVinoEngine(network, parameters, precision=precision, quantized=quantized)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
def test_outputs_are_near_those_of_float32(network: DarknetNetwork) -> None:
    """On pictures, and an input shape, that the ranges were not measured on."""
    parameters = random_parameters(network)
    model = build_int8_model(network, parameters, measured(network, parameters))
    images = random_images(11, 96, 128)[8:]
    exact = engine(network, parameters).heads(images)
    small = engine(network, parameters, model).heads(images)
    for expected, found in zip(exact, small, strict=True):
        assert found.shape == expected.shape
        assert found.dtype == np.float32
        assert np.sqrt(np.mean((found - expected) ** 2)) < 0.2 * expected.std()


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
def test_every_convolution_is_computed_in_integers(network: DarknetNetwork) -> None:
    parameters = random_parameters(network)
    model = build_int8_model(network, parameters, measured(network, parameters))
    compiled = openvino_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    facts = [operation.get_rt_info() for operation in compiled.get_runtime_model().get_ordered_ops()]
    types = [fact["runtimePrecision"].astype(str) for fact in facts if fact["layerType"].astype(str) == "Convolution"]
    assert len(types) == sum(isinstance(layer, Convolution) for layer in network.layers)
    assert set(types) <= {"u8", "i8"}


@pytest.mark.parametrize("instructions", ["AVX2", "AVX512_CORE"])
def test_a_processor_without_vnni_computes_the_same(instructions: str, tmp_path: Path) -> None:
    """Products of weights and activations that are as large as they can be overflow nowhere."""
    file = tmp_path / "heads.npy"
    command = [sys.executable, "-m", "tests.support.int8_heads", str(file)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "ONEDNN_MAX_CPU_ISA": instructions}, check=True)
    np.testing.assert_allclose(np.load(file), heads(), rtol=1e-5, atol=1e-5)
