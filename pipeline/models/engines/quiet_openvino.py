"""OpenVINO, imported once and without two parts of it; others import it from here.

On being imported, OpenVINO counts imports in ``~/intel``, gives the user a number of their own there and sends it over
the network, unless its package ``openvino_telemetry`` is not installed. Sightline has nothing to tell anybody, so
that package counts as not installed meanwhile. A program that has imported it before has decided for itself.

The converter from other frameworks, which takes half of the import's time, comes when it is asked for, by
``openvino.convert_model``: OpenVINO itself does without where it is not installed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, cast

_REPORTER = "openvino_telemetry"
_CONVERTER = "openvino.tools.ovc"


@contextmanager
def _not_installed(*names: str) -> Iterator[None]:
    """Meanwhile, to import modules that have not been imported yet fails as where they are not installed."""
    absent = [name for name in names if name not in sys.modules]
    # What Python itself takes for "there is none".
    cast(dict[str, ModuleType | None], sys.modules).update(dict.fromkeys(absent))
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


with _not_installed(_REPORTER, _CONVERTER):
    import openvino as ov
    from openvino import frontend, preprocess
    from openvino import opset13 as operations


def _missing(name: str) -> Any:
    """What ``openvino`` has not yet, for a program that uses it beside Sightline."""
    if name != "convert_model":
        raise AttributeError(f"module 'openvino' has no attribute {name!r}")
    with _not_installed(_REPORTER):
        from openvino.tools.ovc import convert_model
    return convert_model


if not hasattr(ov, "convert_model"):
    vars(ov)["__getattr__"] = _missing

__all__ = ["frontend", "operations", "ov", "preprocess"]
