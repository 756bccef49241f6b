"""What exporters write into an ONNX file: class names, the size of the input, what the network is for."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import ModelError

_LONGEST = 1 << 18
_MOST_CLASSES, _LONGEST_NAME = 10_000, 200
_SIDES = range(32, 8193)


def written_names(path: Path, metadata: Mapping[str, str]) -> tuple[str, ...] | None:
    """The class names in a file's metadata, as ``{0: 'person', 1: 'bicycle'}`` or a list; None where there are none.

    Raises:
        ModelError: there are some, but not such.
    """
    text = metadata.get("names")
    if text is None:
        return None
    found = _literal(text)
    if isinstance(found, dict):
        found = [found.get(number) for number in range(len(found))]
    names = found if isinstance(found, list | tuple) else []
    if (
        not 0 < len(names) <= _MOST_CLASSES
        or len(set(map(repr, names))) != len(names)
        or not all(isinstance(name, str) and name.strip() and len(name) <= _LONGEST_NAME for name in names)
    ):
        raise ModelError(
            f"{path}: the class names in the file, {text!r:.80}, are no list of differing names; give them as "
            "models.NAME.names."
        )
    return tuple(names)


def written_size(metadata: Mapping[str, str]) -> tuple[int, int] | None:
    """``(height, width)`` of the input in a file's metadata, as ``[640, 640]``; None where it is not told."""
    found = _literal(metadata.get("imgsz", ""))
    if (
        isinstance(found, list | tuple)
        and len(found) == 2
        and all(type(side) is int and side in _SIDES for side in found)
    ):
        return found[0], found[1]
    return None


def refuse_other_tasks(path: Path, metadata: Mapping[str, str]) -> None:
    """Refuse a network that by its metadata is no plain detector.

    Raises:
        ModelError: it is for something else, such as ``segment`` or ``pose``.
    """
    task = metadata.get("task", "detect")
    if task != "detect":
        raise ModelError(f"{path}: is a network for the task {task!r:.40}; only those for detect give plain boxes.")


def _literal(text: str) -> Any:
    """What a Python literal stands for; None for any other text."""
    if len(text) > _LONGEST:
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
