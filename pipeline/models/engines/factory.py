"""Makes the engine that is asked for, or the best one where none is."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from pipeline.hardware import available_threads, cpu_has_bfloat16, has_gpu_device
from pipeline.models.engines.base import ENGINES, PRECISIONS, can_compute, check_engine
from pipeline.models.engines.fastest import Candidate, FastestYoloEngine
from pipeline.models.engines.int8_files import weights_digest
from pipeline.models.engines.int8_models import has_int8
from pipeline.models.engines.yolo import YoloEngine
from pipeline.models.networks.darknet import DarknetNetwork
from pipeline.models.weights.parameters import ConvolutionParameters

logger = logging.getLogger(__name__)


def create_engine(
    engine: str | None,
    network: DarknetNetwork,
    parameters: Sequence[ConvolutionParameters],
    *,
    precision: str = "auto",
    threads: int | None = None,
    batch: int = 1,
    square: bool = False,
) -> YoloEngine:
    """The engine of that name for a network.

    Args:
        engine: ``openvino``, ``tensorflow``, ``auto`` for the faster of both, or None, see `choose_engines`.
        network: its description.
        parameters: one entry per convolution, in the network's order.
        precision: one of the engine's in `PRECISIONS`; ``auto`` is the fastest of `processor_precisions`, and of int8
            where its ranges are known.
        threads: processor cores to use; None for all that the process may use.
        batch: images that will come at a time, which is what is measured with.
        square: whether they are letterboxed into a square, as of `has_int8`.

    Raises:
        ConfigError: as `check_engine` says, or int8 without a network that is calibrated for it.
        ModelError: a network that the engine can't run.
    """
    check_engine(engine, precision, threads)
    names, reason = choose_engines(engine, precision)
    if len(names) == 1:
        check_engine(names[0], precision, threads)
    digest = weights_digest(network, parameters)

    def make(candidate: Candidate) -> YoloEngine:
        if candidate.engine == "tensorflow":
            from pipeline.models.engines.tensorflow_engine import TensorFlowEngine

            return TensorFlowEngine(network, parameters, precision=candidate.precision, threads=threads)
        from pipeline.models.engines.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(network, parameters, precision=candidate.precision, threads=threads, digest=digest)

    if precision == "auto":
        int8 = "openvino" in names and has_int8(network, digest, square=square)
        candidates = [Candidate("openvino", "int8")] if int8 else []
        candidates += [Candidate(name, able) for name in names for able in processor_precisions(name)]
    else:
        candidates = [Candidate(name, precision) for name in names]
    if len(candidates) == 1:
        made = make(candidates[0])
        made.reason = f"{reason}; {'the only precision here' if precision == 'auto' else 'precision asked for'}"
        return made
    return FastestYoloEngine(
        f"{network.name}-{digest}",
        candidates,
        make,
        threads=available_threads() if threads is None else threads,
        batch=batch,
        reason=f"{reason}; precision {'auto' if precision == 'auto' else 'asked for'}",
    )


def choose_engines(engine: str | None, precision: str) -> tuple[tuple[str, ...], str]:
    """The engines to choose among, and why those.

    Without one that is asked for it is TensorFlow where that can use a GPU, and OpenVINO elsewhere; a precision that
    only one of them has decides for that one.
    """
    if engine == "auto":
        return tuple(name for name in ENGINES if can_compute(name, precision)), "engine auto"
    if engine is not None:
        return (engine,), "engine asked for"
    able = [name for name in ENGINES if precision in PRECISIONS[name]]
    if len(able) == 1:
        return (able[0],), f"the engine that computes in {precision}"
    if _tensorflow_has_gpu():
        return ("tensorflow",), "TensorFlow has a GPU"
    return ("openvino",), "TensorFlow can use no GPU that is here" if has_gpu_device() else "there is no GPU"


def processor_precisions(engine: str) -> tuple[str, ...]:
    """What of an engine's precisions serves every network on this machine, the likely fastest first."""
    if engine == "tensorflow" and _tensorflow_has_gpu():
        return ("float16",)
    return ("bfloat16", "float32") if cpu_has_bfloat16() else ("float32",)


def _tensorflow_has_gpu() -> bool:
    """Whether TensorFlow can use a GPU; it is asked, and so imported, only where there is the device of one."""
    if not has_gpu_device():
        return False
    try:
        from pipeline.models.engines.quiet_tensorflow import gpu_count
    except ImportError as error:
        logger.warning("there is a GPU, but TensorFlow, which would use it, can't be loaded: %s", error)
        return False
    return gpu_count > 0
