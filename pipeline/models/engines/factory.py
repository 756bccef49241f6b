"""Makes the engine that is asked for."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.hardware import available_threads
from pipeline.models.engines.base import check_engine
from pipeline.models.engines.yolo import YoloEngine
from pipeline.models.networks.darknet import DarknetNetwork
from pipeline.models.weights.parameters import ConvolutionParameters


def create_engine(
    engine: str,
    network: DarknetNetwork,
    parameters: Sequence[ConvolutionParameters],
    *,
    precision: str = "auto",
    threads: int | None = None,
    batch: int = 1,
) -> YoloEngine:
    """The engine of that name for a network.

    Args:
        engine: ``tensorflow``, ``openvino``, or ``auto`` for the fastest of those installed.
        network: its description.
        parameters: one entry per convolution, in the network's order.
        precision: one of the engine's in `PRECISIONS`; ``auto`` is bfloat16 where the processor computes in it.
        threads: processor cores to use; None for all that the process may use.
        batch: images that will come at a time, which is what ``auto`` measures with.

    Raises:
        ConfigError: as `check_engine` says, or int8 without a calibrated network.
        ModelError: a network that the engine can't run.
    """
    check_engine(engine, precision, threads)
    threads = available_threads() if threads is None else threads
    if engine == "auto":
        from pipeline.models.engines.fastest import FastestEngine

        def make(name: str) -> YoloEngine:
            return create_engine(name, network, parameters, precision=precision, threads=threads)

        return FastestEngine(network, precision=precision, threads=threads, batch=batch, make=make)
    if engine == "tensorflow":
        from pipeline.models.engines.tensorflow_engine import TensorFlowEngine

        return TensorFlowEngine(network, parameters, precision=precision, threads=threads)
    from pipeline.models.engines.openvino_engine import OpenVinoEngine

    return OpenVinoEngine(network, parameters, precision=precision, threads=threads)
