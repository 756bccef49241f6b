"""Makes what runs RetinaNet: TensorFlow, in the precision that is asked for, or in the fastest here."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from pipeline.hardware import available_threads, cpu_has_bfloat16
from pipeline.models.engines.base import Engine
from pipeline.models.engines.fastest import Candidate, FastestEngine
from pipeline.models.networks.retinanet import LevelOutput, RetinaNet
from pipeline.models.weights.parameters import ConvolutionParameters
from pipeline.types import Float32Array, Image

_REASON = "the only engine for this network"


class PyramidEngine(Engine, Protocol):
    """Runs one RetinaNet."""

    def outputs(self, images: Float32Array) -> list[LevelOutput]:
        """The raw outputs of P3 to P7, before any sigmoid or exponential.

        Args:
            images: float32 ``(batch, height, width, 3)``, BGR in [0, 255], both sides multiples of 32; what is not
                picture is `PIXEL_MEAN_BGR`.
        """


class FastestPyramidEngine(FastestEngine[PyramidEngine]):
    """The fastest precision for RetinaNet."""

    def call(self, engine: PyramidEngine, images: Image) -> object:
        """The raw outputs."""
        return engine.outputs(images.astype(np.float32))

    def outputs(self, images: Float32Array) -> list[LevelOutput]:
        """The raw outputs, as `PyramidEngine` says."""
        return self.chosen(images).outputs(images)


def create_retinanet_engine(
    network: RetinaNet,
    parameters: Mapping[str, ConvolutionParameters],
    *,
    precision: str = "auto",
    threads: int | None = None,
) -> PyramidEngine:
    """The engine for a network in a precision.

    Args:
        network: its description.
        parameters: of each of its convolutions, by name.
        precision: ``float32``, ``bfloat16``, or ``auto`` for the faster of both where the processor has bfloat16.
        threads: processor cores to use; None for all that the process may use.
    """

    def make(candidate: Candidate) -> PyramidEngine:
        from pipeline.models.engines.retinanet_engine import RetinaNetEngine

        return RetinaNetEngine(network, parameters, precision=candidate.precision, threads=threads)

    able = ("bfloat16", "float32") if cpu_has_bfloat16() else ("float32",)
    candidates = [Candidate("tensorflow", name) for name in (able if precision == "auto" else (precision,))]
    if len(candidates) == 1:
        made = make(candidates[0])
        made.reason = f"{_REASON}; {'the only precision here' if precision == 'auto' else 'precision asked for'}"
        return made
    # How fast it is hangs on the shapes of its weights; their numbers need not be read for that.
    shapes = repr([(name, entry.weights.shape) for name, entry in sorted(parameters.items())])
    return FastestPyramidEngine(
        f"{network.name}-{hashlib.sha256(shapes.encode()).hexdigest()[:16]}",
        candidates,
        make,
        threads=available_threads() if threads is None else threads,
        batch=1,  # two batches at once would want much memory
        reason=f"{_REASON}; precision auto",
    )
