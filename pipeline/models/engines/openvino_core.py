"""The one ``openvino.Core`` of the process.

On processors with AMX each ``Core`` that reaches the CPU moves the calling thread's alternate signal stack
(``sigaltstack``) to memory of its own, and gives that memory back when it goes. Where one goes before another that
came after it, the thread keeps a stack that is no longer there, and the next signal with a Python handler, such as
Ctrl-C, ends the process with a segmentation fault. One that never goes, made before all others, leaves no such gap.

Importing this module does not import OpenVINO.
"""

from __future__ import annotations

import functools
import os
from typing import Any

from pipeline.errors import ModelError


def openvino_core() -> Any:
    """The ``openvino.Core``, for any thread; made by the first call, and kept for as long as the process lasts.

    Raises:
        ModelError: in a process that was forked from one that has it, where it would wait for ever.
    """
    core, process = _made()
    if process != os.getpid():
        raise ModelError(
            "this process was forked from one that has loaded a network, whose threads it lacks; use "
            "multiprocessing.get_context('spawn'), or load no network before the fork"
        )
    return core


@functools.cache
def _made() -> tuple[Any, int]:
    """The core, and the process that made it."""
    from pipeline.models.engines.quiet_openvino import ov

    core = ov.Core()
    core.get_property("CPU", "FULL_DEVICE_NAME")  # has it reach the CPU now, before any other does
    return core, os.getpid()
