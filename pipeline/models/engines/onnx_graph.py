"""An ONNX file as an OpenVINO model: which input takes the picture, and which sizes it can be given.

Importing this module imports OpenVINO.
"""

from __future__ import annotations

from typing import Any

from pipeline.errors import ModelError
from pipeline.models.engines.onnx_memory import MOST_BYTES, needed_bytes
from pipeline.models.engines.openvino_core import openvino_core
from pipeline.models.engines.quiet_openvino import frontend, ov
from pipeline.models.networks.onnx_network import Layout
from pipeline.models.onnx.description import OnnxDescription, Value

_CHANNELS = 3
_FAILURES = (
    frontend.GeneralFailure,
    frontend.InitializationFailure,
    frontend.NotImplementedFailure,
    frontend.OpConversionFailure,
    frontend.OpValidationFailure,
    *(RuntimeError, ValueError, TypeError),
)


class OnnxGraph:
    """A network as OpenVINO reads it, before it is compiled.

    Args:
        described: the file, which was looked at before.
        layout: where the channels of its input are; None for what its sides tell.

    Attributes:
        layout: ``nchw`` or ``nhwc``.
        element: type of its input's numbers, such as ``float32``.
        size: ``(height, width)`` that it was exported for; None for a side that is open.
        picture_bytes: memory that a picture's intermediate results take, in the largest input it was asked about.

    Raises:
        ModelError: OpenVINO can't read it, or it takes no picture of three channels.
    """

    def __init__(self, described: OnnxDescription, layout: Layout | None = None) -> None:
        self.path = described.path
        self.picture_bytes = self._pixels = 0
        try:
            self.model: Any = _read(str(described.path))
        except _FAILURES as error:
            raise self._refused("OpenVINO can't read it", error) from error
        pictures = [index for index, port in enumerate(self.model.inputs) if _rank(port) == 4]
        # OpenVINO makes inputs of numbers that it can't read as well.
        others = [port for port in self.model.inputs if _rank(port) != 4]
        if (
            len(pictures) != 1
            or len(self.model.inputs) != len(described.inputs)
            or len(others) > 1
            or not all(_takes_a_size(port) for port in others)
        ):
            told = "; ".join(map(str, described.inputs))
            raise ModelError(
                f"{self.path}: expected one input of four sides for the picture, and at most one of its size, got "
                f"{told}."
            )
        self.picture = pictures[0]
        sides = _sides(self.model.inputs[self.picture])
        self.layout: Layout = layout or self._layout(sides)
        self.element = _element(self.model.inputs[self.picture])
        axes = (2, 3) if self.layout == "nchw" else (1, 2)
        self.size = sides[axes[0]], sides[axes[1]]
        if sides[6 - sum(axes)] not in (None, _CHANNELS):
            raise ModelError(
                f"{self.path}: its input {sides} has no {_CHANNELS} channels as layout {self.layout} says."
            )

    def outputs_at(self, height: int, width: int, count: int = 1) -> list[Value] | None:
        """The outputs for ``count`` pictures of that size; None where the network can't take such an input.

        Raises:
            ModelError: its intermediate results would take too much memory.
        """
        model = self.model.clone()
        if not self.reshape(model, count, height, width):
            return None
        if (pixels := height * width) > self._pixels:
            self.picture_bytes, self._pixels = needed_bytes(model) // count, pixels
        self.check_memory(count)
        return [
            Value(port.any_name if port.names else f"output {number}", _element(port), _sides(port))
            for number, port in enumerate(model.outputs)
        ]

    def check_memory(self, count: int) -> None:
        """Refuse to compute so many pictures at a time, where that would take too much memory.

        Raises:
            ModelError: it would.
        """
        needed = count * self.picture_bytes
        if needed > MOST_BYTES:
            pictures = f"{count} pictures at a time" if count > 1 else "a picture"
            raise ModelError(
                f"{self.path}: what it computes of {pictures} takes {needed / 1e9:,.1f} GB of memory, more than the "
                f"{MOST_BYTES / 1e9:.1f} GB that are allowed; take {'fewer, or ' if count > 1 else ''}a smaller input, "
                "for which it may have to be exported again."
            )

    def reshape(self, model: Any, count: int, height: int, width: int) -> bool:
        """Make a model take inputs of a size, -1 for any; whether it can."""
        sides = [count, _CHANNELS, height, width] if self.layout == "nchw" else [count, height, width, _CHANNELS]
        shapes = {self.picture: ov.PartialShape(sides)}
        for index, port in enumerate(model.inputs):
            if index != self.picture:
                shapes[index] = ov.PartialShape([count, 2] if _rank(port) == 2 else [2])
        try:
            model.reshape(shapes)
        except RuntimeError:
            return False
        return True

    def _layout(self, sides: tuple[int | None, ...]) -> Layout:
        if (sides[1] == _CHANNELS) != (sides[3] == _CHANNELS):
            return "nchw" if sides[1] == _CHANNELS else "nhwc"
        raise ModelError(
            f"{self.path}: its input {sides} does not tell where its three channels are; say layout: nchw or nhwc."
        )

    def _refused(self, what: str, error: Exception) -> ModelError:
        reason = " ".join(str(error).split())
        return ModelError(f"{self.path}: {what}: {reason[-300:]}")


def _read(path: str) -> Any:
    """The ``openvino.Model``, by the reader of ONNX files alone: what it refuses no other may try."""
    openvino_core()  # before any other is made
    reader = frontend.FrontEndManager().load_by_framework("onnx")
    return reader.convert(reader.load(path))


def _takes_a_size(port: Any) -> bool:
    """Whether an input may be the size of each picture: two numbers."""
    sides = _sides(port)
    return 1 <= len(sides) <= 2 and sides[-1] in (None, 2)


def _rank(port: Any) -> int | None:
    shape = port.get_partial_shape()
    return len(shape) if shape.rank.is_static else None


def _sides(port: Any) -> tuple[int | None, ...]:
    shape = port.get_partial_shape()
    if not shape.rank.is_static:
        return ()
    return tuple(side.get_length() if side.is_static else None for side in shape)


def _element(port: Any) -> str:
    names = {"f32": "float32", "f16": "float16", "u8": "uint8", "i32": "int32", "i64": "int64", "f64": "float64"}
    name = str(port.get_element_type().get_type_name())
    return names.get(name, name)
