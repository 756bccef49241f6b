"""What a program or the command line gives as settings, turned into what YAML would have said."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Set
from decimal import Decimal
from numbers import Real
from os import PathLike
from typing import Any

from pipeline.errors import ConfigError
from sightline.config.yaml_reader import KeyPath, dotted


def plain(value: object, path: KeyPath = ()) -> Any:
    """Options as a program gives them -> what YAML would have said.

    Paths become text; tuples, sets, arrays and whatever else can be gone through once become lists; numbers of NumPy,
    fractions and decimals become Python's own.

    Args:
        value: what was given.
        path: where, for messages.

    Raises:
        ConfigError: it is nothing of this kind.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item, (*path, str(key))) for key, item in value.items() if item is not None}
    if isinstance(value, bytes | PathLike):
        return os.fsdecode(value)
    if callable(as_python := getattr(value, "tolist", None)):  # NumPy's float64 is a float, too
        return plain(as_python(), path)
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Real | Decimal):
        return float(value)
    if isinstance(value, Iterable):
        items = sorted(value, key=str) if isinstance(value, Set) else value
        return [plain(item, (*path, number)) for number, item in enumerate(items)]
    kinds = "a number, text, true or false, a list or a mapping"
    raise ConfigError(f"{dotted(path)}: got {type(value).__name__}, expected {kinds}")
