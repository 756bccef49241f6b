"""Makes what runs a network from an ONNX file: in the precision that is asked for, or in the fastest that will do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from pipeline.hardware import available_threads
from pipeline.models.engines.base import check_engine
from pipeline.models.engines.factory import processor_precisions
from pipeline.models.engines.fastest import Candidate, FastestEngine
from pipeline.models.engines.pictures import PictureEngine
from pipeline.types import Image


class FastestPictureEngine(FastestEngine[PictureEngine]):
    """The fastest precision for a network from an ONNX file."""

    def call(self, engine: PictureEngine, images: Image) -> object:
        """The raw outputs."""
        return engine.outputs(images)

    def outputs(self, images: Image) -> list[tuple[NDArray[Any], ...]]:
        """The raw outputs, as `PictureEngine` says."""
        return self.chosen(images).outputs(images)


def create_onnx_engine(
    make: Callable[[str], PictureEngine],
    network: str,
    *,
    precision: str,
    coarse: bool,
    int8: bool,
    threads: int | None,
    batch: int,
) -> PictureEngine:
    """The engine for a network in a precision.

    Args:
        make: makes it, of one of OpenVINO's precisions.
        network: name and digest of what is computed.
        precision: ``float32``, ``bfloat16``, ``int8``, or ``auto`` for the fastest that will do.
        coarse: whether bfloat16 will do unasked. It has 8 significant bits: offsets from a cell stand that, pixels of
            the whole input, which a network gives that decodes its boxes itself, don't.
        int8: whether the network is calibrated for int8, and so well that that will do unasked.
        threads: processor cores to use; None for all that the process may use.
        batch: images that will come at a time, which is what is measured with.

    Raises:
        ConfigError: as `check_engine` says, or int8 of a network that is not calibrated for it.
        ModelError: a network that OpenVINO can't run.
    """
    check_engine("openvino", precision, threads)
    able = processor_precisions("openvino") if coarse else ("float32",)
    able = ("int8", *able) if int8 else able
    wanted = able if precision == "auto" else (precision,)
    if len(wanted) == 1:
        made = make(wanted[0])
        made.reason = "ONNX runs on OpenVINO; " + (
            "precision asked for" if precision != "auto" else "the only precision"
        )
        return made
    return FastestPictureEngine(
        network,
        [Candidate("openvino", name) for name in wanted],
        lambda candidate: make(candidate.precision),
        threads=available_threads() if threads is None else threads,
        batch=batch,
        reason="ONNX runs on OpenVINO; precision auto",
    )
