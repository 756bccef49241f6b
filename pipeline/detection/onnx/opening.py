"""Opens an ONNX network: which family it is of, and which inputs it can take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.detection.onnx.recognition import Recognised, recognise
from pipeline.errors import ModelError
from pipeline.models.networks.onnx_network import OnnxNetwork
from pipeline.models.onnx.description import OnnxDescription, describe
from pipeline.models.onnx.metadata import written_size

if TYPE_CHECKING:  # importing them imports OpenVINO
    from pipeline.models.engines.onnx_engine import OnnxEngine
    from pipeline.models.engines.onnx_graph import OnnxGraph

MULTIPLE = 32
"""The sides of an input are multiples of it, where the network leaves them open."""

_USUAL_SIDE = 640


@dataclass(frozen=True, slots=True)
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

    def engine(self, precision: str, threads: int | None, *, rectangular: bool) -> OnnxEngine:
        """What runs it, on inputs of any size with ``rectangular``."""
        from pipeline.models.engines.onnx_engine import OnnxEngine

        return OnnxEngine(
            self.graph,
            self.recognised.preparation,
            size=(None, None) if rectangular else self.size,
            batches=self.batches,
            whole=self.recognised.family.alone,
            precision=precision,
            threads=threads,
        )

    def __str__(self) -> str:
        family, prepared = self.recognised.family, self.recognised.preparation
        height, width = self.size
        values = f"({prepared.color} - {list(prepared.mean)}) / {list(prepared.deviation)}"
        place = family.placement if family.placement == "stretched" else f"{family.placement}, padded with {family.pad}"
        return (
            f"{self.described.path}: {family.title} (family {self.recognised.name}), {self.class_count} classes, input "
            f"{width}x{height}{' or any rectangle within' if self.rectangular else ''}, {place}, {values}"
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
    outputs = graph.outputs_at(*size)
    if outputs is None:
        fixed = "x".join(str(side or "any") for side in reversed(graph.size))
        raise ModelError(f"{path}: can't take an input of {size[1]}x{size[0]}; it was exported for {fixed}.")
    recognised = recognise(described, outputs, size, graph.element, network, class_count)
    family = recognised.family
    takes_other_sizes = family.reshapes or graph.size == (None, None)
    if size != graph.size and not takes_other_sizes:
        raise ModelError(
            f"{path}: was exported for inputs of {graph.size[1]}x{graph.size[0]} alone; leave input_size out, or "
            "export it again with open sides."
        )
    rectangular = takes_other_sizes and family.placement != "stretched" and _takes_rectangles(graph, recognised, size)
    several = None if family.alone else graph.outputs_at(*size, count=2)
    batches = several is not None and all(value.shape and value.shape[0] == 2 for value in several)
    return OpenedNetwork(described, graph, recognised, size, rectangular, batches, class_count)


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


def _takes_rectangles(graph: OnnxGraph, recognised: Recognised, size: tuple[int, int]) -> bool:
    """Whether half of the input gives the boxes of half of the input."""
    half = max(MULTIPLE, size[0] // 2 // MULTIPLE * MULTIPLE), size[1]
    outputs = graph.outputs_at(*half)
    return outputs is not None and recognised.family.match(outputs, half) == recognised.match
