"""OpenVINO, imported once, without the part of it that reports each import to its makers; others import it from here.

On being imported, OpenVINO counts imports in ``~/intel``, gives the user a number of their own there and sends it over
the network, unless its package ``openvino_telemetry`` is not installed. Sightline has nothing to tell anybody, so
that package counts as not installed meanwhile. A program that has imported it before has decided for itself.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import cast

_REPORTER = "openvino_telemetry"


@contextmanager
def _not_installed(package: str) -> Iterator[None]:
    """Meanwhile, to import a package that has not been imported yet fails as where it is not installed."""
    if package in sys.modules:
        yield
        return
    # What Python itself takes for "there is none".
    cast(dict[str, ModuleType | None], sys.modules)[package] = None
    try:
        yield
    finally:
        del sys.modules[package]


with _not_installed(_REPORTER):
    import openvino as ov
    from openvino import frontend, preprocess
    from openvino import opset13 as operations

__all__ = ["frontend", "operations", "ov", "preprocess"]
