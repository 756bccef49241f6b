"""A network of the YOLOv3 family on the CPU, in OpenVINO: images in, raw head outputs out.

One compiled model serves every input shape and batch size. Compiling one for each shape was measured to be from 1 to 6%
faster per image, and costs 0.1 s and 80 MB for each shape of a tiny network: not worth it where pictures of all sizes
come, and hardly where one size does.

Importing this module imports OpenVINO.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from pipeline.hardware import available_threads
from pipeline.models.engines.base import check_engine
from pipeline.models.engines.compiled_networks import CompiledFile
from pipeline.models.engines.core_watch import CoreWatch
from pipeline.models.engines.int8_files import weights_digest
from pipeline.models.engines.int8_models import int8_model, ranges_for_int8
from pipeline.models.engines.openvino_core import openvino_core
from pipeline.models.engines.openvino_network import build_model
from pipeline.models.engines.quiet_openvino import ov
from pipeline.models.networks.darknet import DarknetNetwork
from pipeline.models.weights.parameters import ConvolutionParameters
from pipeline.types import Float32Array, Image


class OpenVinoEngine:
    """Runs a network. Any number of threads may use an instance; more than ``calls_at_once`` at a time gain nothing.

    Args:
        network: its description.
        parameters: one entry per convolution, in the network's order.
        precision: ``float32``, ``bfloat16``, or ``int8``, see `pipeline.models.engines.int8_models`. The heads come out
            as float32 in each.
        threads: processor cores to use; None for all that the process may use, also when that changes: a container's
            limit is looked up every few seconds, and the network compiled anew in the background.
        quantized: the ``openvino.Model`` for int8, where it is not the one that the cache folder has.
        digest: of the network and its parameters, where it is known: computing it takes 40 ms.
        cores: tells how many processor cores there are to use, where ``threads`` doesn't.

    Raises:
        ConfigError: an option that can't be used; int8, where nothing is known of these weights' ranges.
        ModelError: the calibrated network is damaged.
    """

    name = "openvino"
    reason = "asked for"
    # One is computed at a time, with every core; the other's inputs and outputs are seen to meanwhile.
    calls_at_once = 2

    def __init__(
        self,
        network: DarknetNetwork,
        parameters: Sequence[ConvolutionParameters],
        *,
        precision: str = "float32",
        threads: int | None = None,
        quantized: Any = None,
        digest: str | None = None,
        cores: Callable[[], int] = available_threads,
    ) -> None:
        check_engine("openvino", precision, threads)
        self.precision = precision
        begun = cores() if threads is None else threads
        self._watch = CoreWatch(cores if threads is None else None, begun, self._compile_anew)
        self._turn = threading.Lock()
        # The network as OpenVINO writes it, once it had to be compiled anew: what is made of it can't be written again.
        self._exported: Any = None
        self._outputs_per_anchor = 5 + network.class_count
        self._settings = {
            # What of int8 stays outside it is little, and as fast in float32 as in anything else.
            "INFERENCE_PRECISION_HINT": ov.Type.bf16 if self.precision == "bfloat16" else ov.Type.f32,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            # Decoding, tracking and encoding want the same cores: let the system move the threads about.
            "ENABLE_CPU_PINNING": False,
        }
        if self.precision != "int8":
            compiled = self._compiled(build_model(network, parameters))
        elif quantized is not None:
            compiled = self._compiled(quantized)
        else:
            compiled = self._compiled_int8(network, parameters, digest or weights_digest(network, parameters))
        self._requests: _Requests | None = _Requests(compiled)

    @property
    def threads(self) -> int:
        """Processor cores that it uses."""
        return self._watch.threads

    def heads(self, images: Image) -> list[Float32Array]:
        """The raw outputs, as `pipeline.models.engines.yolo.YoloEngine` says."""
        self._watch.look()
        requests = self._requests
        if requests is None:
            raise RuntimeError("the engine is closed")
        # The input is read in place. The outputs are copied out of the request's own memory, which the next call
        # overwrites: under a hundredth of the network's time.
        outputs = requests.own.infer({0: np.ascontiguousarray(images)}, share_inputs=True)
        return [
            outputs[index].reshape(*outputs[index].shape[:3], -1, self._outputs_per_anchor)
            for index in range(len(outputs))
        ]

    def close(self) -> None:
        """Give back the memory and the threads. May be called more than once."""
        self._watch.stop()
        with self._turn:
            self._requests = self._exported = None

    def _all_settings(self, threads: int) -> dict[str, Any]:
        return {**self._settings, "INFERENCE_NUM_THREADS": threads}

    def _compiled(self, model: Any) -> Any:
        return openvino_core().compile_model(model, "CPU", self._all_settings(self.threads))

    def _compiled_int8(self, network: DarknetNetwork, parameters: Sequence[ConvolutionParameters], digest: str) -> Any:
        """The network in int8; one that is built from shipped ranges is kept as it was compiled, for the next start."""
        ranges = ranges_for_int8(network, digest)
        if ranges is None:
            return self._compiled(int8_model(network, parameters, digest))
        made_from = {"weights": digest, "ranges": msgspec.json.encode(ranges.layers), **self._settings}
        file = CompiledFile(network.name, made_from)
        kept = file.read(openvino_core(), self._all_settings(self.threads))
        if kept is not None:
            compiled, self._exported = kept
            return compiled
        compiled = self._compiled(int8_model(network, parameters, digest))
        file.write(compiled)
        return compiled

    def _compile_anew(self, threads: int) -> None:
        """Take the network's place with one that uses so many threads; calls go on with the old one meanwhile."""
        old = self._requests
        if old is None:
            return
        if self._exported is None:
            self._exported = old.compiled.export_model()
        self._exported.seek(0)
        new = _Requests(openvino_core().import_model(self._exported, "CPU", self._all_settings(threads)))
        with self._turn:
            if self._requests is not None:
                self._requests = new


class _Requests(threading.local):
    """What holds the outputs of a call; each thread has its own."""

    def __init__(self, compiled: Any) -> None:
        self.compiled = compiled
        self.own: Any = compiled.create_infer_request()
