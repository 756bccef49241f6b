"""The one OpenVINO core of a process."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys

import pytest

_SCRIPT = """
import os
from pipeline.errors import ModelError
from pipeline.models.engines.openvino_core import openvino_core
assert openvino_core() is openvino_core()
child = os.fork()
if child == 0:
    try:
        openvino_core()
    except ModelError as error:
        os._exit(7 if "forked" in str(error) and "spawn" in str(error) else 8)
    os._exit(9)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
def test_a_forked_process_is_told_what_it_lacks() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "7"
