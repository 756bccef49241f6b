"""A network of the YOLOv3 family on the CPU, in OpenVINO: images in, raw head outputs out.

One compiled model serves every input shape and batch size. Compiling one for each shape was measured to be from 1 to 6%
faster per image, and costs 0.1 s and 80 MB for each shape of a tiny network: not worth it where pictures of all sizes
come, and hardly where one size does.

Importing this module imports OpenVINO.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import openvino as ov

from pipeline.hardware import available_threads, cpu_has_bfloat16
from pipeline.models.engines.base import check_engine
from pipeline.models.engines.int8_models import int8_model
from pipeline.models.engines.openvino_core import openvino_core
from pipeline.models.engines.openvino_network import build_model
from pipeline.models.networks.darknet import DarknetNetwork
from pipeline.models.weights.parameters import ConvolutionParameters
from pipeline.types import Float32Array, Image

_HINTS = {"float32": ov.Type.f32, "bfloat16": ov.Type.bf16}


class OpenVinoEngine:
    """Runs a network. Any number of threads may use an instance; more than ``calls_at_once`` at a time gain nothing.

    Args:
        network: its description.
        parameters: one entry per convolution, in the network's order.
        precision: ``float32``, ``bfloat16``, or ``auto``: the latter where the processor computes in it. ``int8`` runs
            the network that was calibrated for these weights, see `pipeline.detection.yolov3.calibration`; what of it
            stays outside int8 is computed in what ``auto`` says. The heads come out as float32 in each.
        threads: processor cores to use; None for all that the process may use.
        quantized: the ``openvino.Model`` for int8, where it is not the one that the cache folder has.

    Raises:
        ConfigError: an option that can't be used; int8, and no network is calibrated for these weights.
        ModelError: the calibrated network is damaged.
    """

    name = "openvino"
    # One is computed at a time, with every core; the other's inputs and outputs are seen to meanwhile.
    calls_at_once = 2

    def __init__(
        self,
        network: DarknetNetwork,
        parameters: Sequence[ConvolutionParameters],
        *,
        precision: str = "auto",
        threads: int | None = None,
        quantized: Any = None,
    ) -> None:
        check_engine("openvino", precision, threads)
        beside = "bfloat16" if cpu_has_bfloat16() else "float32"
        self.precision = beside if precision == "auto" else precision
        self.threads = available_threads() if threads is None else threads
        self._outputs_per_anchor = 5 + network.class_count
        if self.precision != "int8":
            model = build_model(network, parameters)
        else:
            model = int8_model(network, parameters) if quantized is None else quantized
        settings = {
            "INFERENCE_PRECISION_HINT": _HINTS.get(self.precision, _HINTS[beside]),
            "INFERENCE_NUM_THREADS": self.threads,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            # Decoding, tracking and encoding want the same cores: let the system move the threads about.
            "ENABLE_CPU_PINNING": False,
        }
        self._requests: Any = _Requests(openvino_core().compile_model(model, "CPU", settings))

    def heads(self, images: Image) -> list[Float32Array]:
        """The raw outputs, as `pipeline.models.engines.yolo.YoloEngine` says."""
        # The input is read in place. The outputs are copied out of the request's own memory, which the next call
        # overwrites: under a hundredth of the network's time.
        outputs = self._requests.own.infer({0: np.ascontiguousarray(images)}, share_inputs=True)
        return [
            outputs[index].reshape(*outputs[index].shape[:3], -1, self._outputs_per_anchor)
            for index in range(len(outputs))
        ]

    def close(self) -> None:
        """Give back the memory and the threads. May be called more than once."""
        self._requests = None


class _Requests(threading.local):
    """What holds the outputs of a call; each thread has its own."""

    def __init__(self, compiled: Any) -> None:
        self.own: Any = compiled.create_infer_request()
