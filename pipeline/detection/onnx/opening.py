"""Opens an ONNX network: which family it is of, and which inputs it can take."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.detection.onnx.recognition import Recognised, recognise
from pipeline.errors import ModelError
from pipeline.models.engines.int8_files import load_calibrated
from pipeline.models.engines.int8_models import serves_unasked
from pipeline.models.engines.pictures import PictureEngine
from pipeline.models.networks.onnx_network import OnnxNetwork
from pipeline.models.onnx.description import OnnxDescription, describe
from pipeline.models.onnx.metadata import written_size

if TYPE_CHECKING:  # importing them imports OpenVINO
    from pipeline.models.engines.onnx_graph import OnnxGraph

MULTIPLE = 32
"""The sides of an input are multiples of it, where the network leaves them open."""

_USUAL_SIDE = 640


@dataclass(frozen=True)
class OpenedNetwork:
    """An ONNX network of which all is known but what it computes; ``str`` of it tells that in one line.

    Attributes:
        described: its file.
        graph: as OpenVINO reads it.
        recognised: its family.
        size: ``(height, width)`` of its input, the largest where it takes others.
        rectangular: whether it takes inputs of other sides, all multiples of 32.
        batches: whether it takes several pictures at a time.
        class_count: how many classes it knows.
    """

    described: OnnxDescription
    graph: OnnxGraph
    recognised: Recognised
    size: tuple[int, int]
    rectangular: bool
    batches: bool
    class_count: int

    @property
    def name(self) -> str:
        """What the network is called where something is kept of it."""
        return self.described.path.stem

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what decides what it computes of a picture: its files, and how pixels are prepared."""
        digest = hashlib.sha256(f"{self.described.sha256} {self.recognised.preparation}".encode())
        for path in self.described.external:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def engine(self, precision: str, threads: int | None, batch: int, *, rectangular: bool) -> PictureEngine:
        """What runs it in a precision, in batches of ``batch``; on inputs of any size with ``rectangular``.

        Raises:
            ConfigError: a precision that it can't compute in.
            ModelError: OpenVINO can't run it, or it takes too much memory for that.
        """
        self.graph.check_memory(batch)
        from pipeline.models.engines.onnx_factory import create_onnx_engine

        return create_onnx_engine(
            lambda chosen: self.precise_engine(chosen, threads, rectangular=rectangular),
            f"{self.name}-{self.digest}",
            precision=precision,
            coarse=self.recognised.family.reshapes,
            int8=precision == "auto" and bool(serves_unasked(self.name, self.digest)),
            threads=threads,
            batch=batch,
        )

    def precise_engine(
        self, precision: str, threads: int | None, *, rectangular: bool, quantized: Any = None
    ) -> PictureEngine:
        """What runs it in that very precision: for int8 ``quantized``, or else what was calibrated for it.

        Raises:
            ConfigError: a precision that it can't compute in.
            ModelError: OpenVINO can't run it, or what was calibrated is damaged.
        """
        from pipeline.models.engines.onnx_engine import OnnxEngine

        if precision == "int8" and quantized is None:
            _, quantized = load_calibrated(self.name, self.digest, 4 * self._file_bytes())
        return OnnxEngine(
            self.graph,
            self.recognised.preparation,
            size=(None, None) if rectangular else self.size,
            batches=self.batches,
            whole=self.recognised.family.alone,
            precision=precision,
            quantized=quantized,
            threads=threads,
        )

    def prepared_model(self, *, rectangular: bool) -> Any:
        """The ``openvino.Model`` that `precise_engine` compiles for float32."""
        from pipeline.models.engines.onnx_engine import prepared_model

        size = (None, None) if rectangular else self.size
        batches = self.batches and not self.recognised.family.alone
        return prepared_model(self.graph, self.recognised.preparation, size, batches=batches)

    def _file_bytes(self) -> int:
        return sum(path.stat().st_size for path in (self.described.path, *self.described.external))

    def __str__(self) -> str:
        family, prepared = self.recognised.family, self.recognised.preparation
        height, width = self.size
        place = family.placement if family.placement == "stretched" else f"{family.placement}, padded with {family.pad}"
        return (
            f"{self.described.path}: {family.title} (family {self.recognised.name}), {self.class_count} classes, input "
            f"{width}x{height}{' or any rectangle within' if self.rectangular else ''}, {place}, {prepared}, "
            f"scores from {family.confidence:g} unless you say otherwise"
        )


def open_network(path: Path, network: OnnxNetwork, class_count: int, input_size: int | None) -> OpenedNetwork:
    """Read an ONNX file and find out how to use it.

    Args:
        path: the file, which is not trusted.
        network: what is known without it.
        class_count: how many class names there are.
        input_size: longer side of the input; None for what the file was exported for.

    Raises:
        ConfigError: no such file, or no such family.
        ModelError: a file that is damaged, refused, or of no family that is known; an input that it can't take.
    """
    described = describe(path)
    from pipeline.models.engines.onnx_graph import OnnxGraph

    graph = OnnxGraph(described, network.options.layout)
    size = _size(graph, described, input_size)
    exported = tuple(side or chosen for side, chosen in zip(graph.size, size, strict=True))
    recognised = _recognised_at((exported[0], exported[1]), graph, described, network, class_count)
    family = recognised.family
    takes_other_sizes = family.reshapes or graph.size == (None, None)
    if size != exported and not (takes_other_sizes and _gives_boxes_at(size, graph, recognised)):
        raise ModelError(
            f"{path}: takes inputs of {exported[1]}x{exported[0]} alone; leave input_size out, or export it again with "
            "open sides."
        )
    rectangular = takes_other_sizes and family.placement != "stretched" and _takes_rectangles(size, graph, recognised)
    several = None if family.alone else graph.outputs_at(*size, count=2)
    batches = several is not None and all(value.shape and value.shape[0] == 2 for value in several)
    return OpenedNetwork(described, graph, recognised, size, rectangular, batches, class_count)


def family_confidence(path: Path, network: OnnxNetwork, class_count: int) -> float:
    """The smallest score to report of a network, where nothing else is asked for: that of its family, which is
    recognised. Arguments and errors are those of `open_network`."""
    described = describe(path)
    from pipeline.models.engines.onnx_graph import OnnxGraph

    graph = OnnxGraph(described, network.options.layout)
    return _recognised_at(_size(graph, described, None), graph, described, network, class_count).family.confidence


def _size(graph: OnnxGraph, described: OnnxDescription, input_size: int | None) -> tuple[int, int]:
    if input_size is not None and input_size != max(side or 0 for side in graph.size):
        return input_size, input_size
    height, width = (
        written if side is None else side
        for side, written in zip(
            graph.size, written_size(described.metadata) or (input_size or _USUAL_SIDE,) * 2, strict=True
        )
    )
    return height, width


def _recognised_at(
    size: tuple[int, int], graph: OnnxGraph, described: OnnxDescription, network: OnnxNetwork, class_count: int
) -> Recognised:
    outputs = graph.outputs_at(*size)
    if outputs is None:
        raise ModelError(f"{described.path}: can't take one picture of {size[1]}x{size[0]}; export it for that.")
    return recognise(described, outputs, size, graph.element, network, class_count)


def _takes_rectangles(size: tuple[int, int], graph: OnnxGraph, recognised: Recognised) -> bool:
    half = max(MULTIPLE, size[0] // 2 // MULTIPLE * MULTIPLE)
    return _gives_boxes_at((half, size[1]), graph, recognised)


def _gives_boxes_at(size: tuple[int, int], graph: OnnxGraph, recognised: Recognised) -> bool:
    """Whether an input of another size gives the outputs of that size, and not those of constants for one size."""
    outputs = graph.outputs_at(*size)
    return outputs is not None and recognised.family.match(outputs, size) == recognised.match
