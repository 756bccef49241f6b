"""What an ONNX file says of itself: inputs, outputs, operators, metadata.

The file is not trusted. It is read here first, within limits and without the library that will run it: what is too
large or too deep, keeps numbers outside its folder, or needs operators beyond ONNX's own is refused by name.

Numbers of fields are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import ConfigError, ModelError
from pipeline.models.onnx.external import external_file
from pipeline.models.onnx.wire import WireError, fields, message_of, number_of, text_of, varints

_LARGEST_FILE = 2 << 30  # of protobuf itself
_MOST_NODES, _MOST_TENSORS, _DEEPEST = 50_000, 50_000, 6
_MOST_METADATA, _LONGEST_METADATA = 500, 1 << 20
_LONGEST_NAME = 4096
_MOST_DIMENSIONS, _MOST_VALUES = 16, 64
_MOST_ELEMENTS = 1 << 31
_OWN_DOMAINS = ("", "ai.onnx")
_EXTERNAL = 1

# Bytes of an element, by ONNX's number of the type; those of 4 bits count as one.
_ELEMENT_BYTES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 14: 8, 15: 16, 16: 2}
ELEMENT_TYPES = {1: "float32", 2: "uint8", 3: "int8", 6: "int32", 7: "int64", 9: "bool", 10: "float16", 11: "float64"}
"""ONNX's numbers of the types that inputs and outputs of detectors have."""


@dataclass(frozen=True, slots=True)
class Value:
    """An input or output.

    Attributes:
        name: as in the file.
        element: type of its numbers, such as ``float32``.
        shape: its sides; None for one that is open. None as a whole where the file does not tell.
    """

    name: str
    element: str
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        sides = "unknown shape" if self.shape is None else ", ".join("?" if s is None else str(s) for s in self.shape)
        return f"{self.name} {self.element} ({sides})"


@dataclass(frozen=True, slots=True)
class OnnxDescription:
    """What a file says of itself.

    Attributes:
        path: the file.
        inputs, outputs: of the network, in the file's order, without its weights.
        operators: how often each is used, by name.
        metadata: what the exporter wrote, by key.
        producer: the exporter, such as ``pytorch 2.4``; empty where it is not told.
        external: other files that hold its numbers.
        sha256: of the file itself.
    """

    path: Path
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    operators: Mapping[str, int]
    metadata: Mapping[str, str]
    producer: str
    external: tuple[Path, ...]
    sha256: str


@dataclass(slots=True)
class _Found:
    """What has been found so far."""

    path: Path
    operators: Counter[tuple[str, str]] = field(default_factory=Counter)
    functions: set[tuple[str, str]] = field(default_factory=set)
    external: dict[str, Path] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    producer: list[str] = field(default_factory=list)
    initializers: set[str] = field(default_factory=set)
    tensors: int = 0
    has_graph: bool = False


def is_onnx(path: Path) -> bool:
    """Whether a file is taken for ONNX: by its suffix, since the format has no mark of its own."""
    return path.suffix.lower() == ".onnx"


def describe(path: Path) -> OnnxDescription:
    """What an ONNX file says of itself; its numbers are not looked at.

    Raises:
        ConfigError: no such file.
        ModelError: no ONNX file, one that is damaged or exceeds a limit, or what it needs is refused.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: is no file; check the path of the ONNX network.")
    try:
        size = path.stat().st_size
        if not 0 < size <= _LARGEST_FILE:
            raise ModelError(f"{path}: has {size:,} bytes; an ONNX file has at least 1 and at most {_LARGEST_FILE:,}.")
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE)
    except OSError as error:
        raise ModelError(f"{path}: can't be read: {error.strerror or error}.") from error
    return describe_content(path, content)


def describe_content(path: Path, content: bytes) -> OnnxDescription:
    """As `describe`, of a file whose content was read before."""
    found = _Found(path)
    try:
        _model(memoryview(content), found)
    except WireError as error:
        raise ModelError(f"{path}: is no ONNX file, or a damaged one: {error}.") from error
    _refuse_unknown(found)
    return OnnxDescription(
        path,
        tuple(found.inputs),
        tuple(found.outputs),
        {name: count for (_, name), count in found.operators.items()},
        found.metadata,
        " ".join(found.producer),
        tuple(found.external.values()),
        hashlib.sha256(content).hexdigest(),
    )


def _model(message: memoryview, found: _Found) -> None:
    for number, value in fields(message):
        match number:
            case 2 | 3:
                found.producer.append(text_of(value, _LONGEST_NAME))
            case 7:
                if found.has_graph:
                    raise WireError("it holds two graphs")
                found.has_graph = True
                _graph(message_of(value), found, 0)
            case 14:
                key, text = _entry(message_of(value), _LONGEST_METADATA)
                found.metadata[key] = text
                if len(found.metadata) > _MOST_METADATA:
                    raise WireError(f"more than {_MOST_METADATA} entries of metadata")
            case 25:
                _function(message_of(value), found)
    if not found.has_graph:
        raise WireError("it holds no graph")
    # Before ONNX's fourth version weights had to be named among the inputs as well.
    found.inputs = [value for value in found.inputs if value.name not in found.initializers]
    if not (0 < len(found.inputs) <= _MOST_VALUES and 0 < len(found.outputs) <= _MOST_VALUES):
        raise WireError(f"its graph has {len(found.inputs)} inputs and {len(found.outputs)} outputs")


def _graph(message: memoryview, found: _Found, depth: int) -> None:
    if depth > _DEEPEST:
        raise WireError(f"graphs in graphs, more than {_DEEPEST} deep")
    for number, value in fields(message):
        match number:
            case 1:
                _node(message_of(value), found, depth)
            case 5:
                name = _tensor(message_of(value), found)
                if not depth:
                    found.initializers.add(name)
            case 11 | 12 if not depth:
                values = found.inputs if number == 11 else found.outputs
                values.append(_value(message_of(value)))
                if len(values) > _MOST_TENSORS:
                    raise WireError(f"more than {_MOST_TENSORS:,} inputs or outputs")
            case 15:
                for inner, tensor in fields(message_of(value)):
                    if inner in (1, 2):
                        _tensor(message_of(tensor), found)


def _node(message: memoryview, found: _Found, depth: int) -> None:
    name = domain = ""
    for number, value in fields(message):
        match number:
            case 4:
                name = text_of(value, _LONGEST_NAME)
            case 5:
                _attribute(message_of(value), found, depth)
            case 7:
                domain = text_of(value, _LONGEST_NAME)
    found.operators[domain, name] += 1
    if found.operators.total() > _MOST_NODES:
        raise WireError(f"more than {_MOST_NODES:,} operations")


def _attribute(message: memoryview, found: _Found, depth: int) -> None:
    for number, value in fields(message):
        match number:
            case 5 | 10:
                _tensor(message_of(value), found)
            case 6 | 11:
                _graph(message_of(value), found, depth + 1)
            case 22 | 23:
                for inner, tensor in fields(message_of(value)):
                    if inner in (1, 2):
                        _tensor(message_of(tensor), found)


def _function(message: memoryview, found: _Found) -> None:
    """A function of the file's own, made of other operators."""
    name = domain = ""
    for number, value in fields(message):
        match number:
            case 1:
                name = text_of(value, _LONGEST_NAME)
            case 7:
                _node(message_of(value), found, 1)
            case 10:
                domain = text_of(value, _LONGEST_NAME)
    found.functions.add((domain, name))


def _tensor(message: memoryview, found: _Found) -> str:
    """The name of a tensor; whether it has the numbers that its shape promises."""
    found.tensors += 1
    if found.tensors > _MOST_TENSORS:
        raise WireError(f"more than {_MOST_TENSORS:,} tensors")
    dims: list[int] = []
    name, element, raw, typed, external = "", 0, -1, 0, False
    places: dict[str, str] = {}
    for number, value in fields(message):
        match number:
            case 1:
                dims += varints(value)
                if len(dims) > _MOST_DIMENSIONS:
                    raise WireError(f"a tensor of more than {_MOST_DIMENSIONS} dimensions")
            case 2:
                element = number_of(value)
            case 4 | 5 | 6 | 7 | 10 | 11:
                typed += 4 if isinstance(value, int) else len(value)
            case 8:
                name = text_of(value, _LONGEST_NAME)
            case 9:
                raw = len(message_of(value))
            case 13:
                key, text = _entry(message_of(value), _LONGEST_NAME)
                places[key] = text
            case 14:
                external = number_of(value) == _EXTERNAL
    _check_amount(f"tensor {name!r:.80}", dims, element, raw, typed, places if external else None, found)
    return name


def _check_amount(
    what: str, dims: list[int], element: int, raw: int, typed: int, places: dict[str, str] | None, found: _Found
) -> None:
    elements = math.prod(dims)
    if max(dims, default=0) > _MOST_ELEMENTS or elements > _MOST_ELEMENTS:
        raise WireError(f"{what} has the shape {dims}, more than {_MOST_ELEMENTS:,} numbers")
    size = elements * _ELEMENT_BYTES.get(element, 0)
    if places is not None:
        location = places.get("location", "")
        found.external[location] = path = external_file(found.path, location)
        begin, length = (int(text) if text.isdecimal() and len(text) < 19 else -1 for text in (
            places.get("offset", "0"), places.get("length", str(size))
        ))  # fmt: skip
        if begin < 0 or length != size or begin + length > path.stat().st_size:
            raise WireError(f"{what} takes other bytes of {location!r:.80} than there are or than its shape needs")
    elif raw >= 0:
        if raw != size and element in _ELEMENT_BYTES:
            raise WireError(f"{what} of shape {dims} has {raw:,} bytes, not {size:,}")
    elif typed < elements and element in _ELEMENT_BYTES:  # each number takes at least a byte
        raise WireError(f"{what} of shape {dims} has {typed:,} bytes for {elements:,} numbers")


def _value(message: memoryview) -> Value:
    name, element, shape = "", 0, None
    for number, value in fields(message):
        if number == 1:
            name = text_of(value, _LONGEST_NAME)
        elif number == 2:
            for kind, inner in fields(message_of(value)):
                if kind != 1:
                    raise WireError(f"{name!r:.80} is no tensor")
                for part, content in fields(message_of(inner)):
                    if part == 1:
                        element = number_of(content)
                    elif part == 2:
                        shape = _shape(message_of(content))
    return Value(name, ELEMENT_TYPES.get(element, f"type {element}"), shape)


def _shape(message: memoryview) -> tuple[int | None, ...]:
    sides: list[int | None] = []
    for number, dimension in fields(message):
        if number != 1:
            continue
        side: int | None = None
        for kind, value in fields(message_of(dimension)):
            if kind == 1 and 0 < number_of(value) <= _MOST_ELEMENTS:  # some exporters write an open side as 0 or -1
                side = number_of(value)
        sides.append(side)
        if len(sides) > _MOST_DIMENSIONS:
            raise WireError(f"a value of more than {_MOST_DIMENSIONS} dimensions")
    return tuple(sides)


def _entry(message: memoryview, longest: int) -> tuple[str, str]:
    key = text = ""
    for number, value in fields(message):
        if number == 1:
            key = text_of(value, _LONGEST_NAME)
        elif number == 2:
            text = text_of(value, longest)
    return key, text


def _refuse_unknown(found: _Found) -> None:
    unknown = sorted(
        f"{domain}.{name}"
        for domain, name in found.operators
        if domain not in _OWN_DOMAINS and (domain, name) not in found.functions
    )
    if unknown:
        raise ModelError(
            f"{found.path}: needs operators that are not ONNX's own: {', '.join(unknown)[:300]}; export the network "
            "without them (for TensorRT's plugins: without NMS, which is done here)."
        )
