"""Runs a program as its user would and says what it cost: wall time, processor time and memory of the process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_LINES_SHOWN = 15


class ProgramError(RuntimeError):
    """A measured program did not come to its end."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One run of a program.

    Attributes:
        wall_s: from the command to its end, imports included.
        cpu_s: processor time of the process and its children, user and system.
        peak_mb: largest resident memory, in 10**6 bytes.
        said: the JSON object that the program printed as its last line.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    said: dict[str, Any]


def run(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Cost:
    """Run a program in the project's root, which is also where it imports from, and wait for its end.

    Raises:
        ProgramError: it failed, or its last line is no JSON object; with the last lines of what it said.
    """
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        began_s = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in command], cwd=ROOT, env=variables, stdout=output, stderr=errors, text=True
        )
        # Unlike the sum over all children, this tells the memory of this one.
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - began_s
        process.returncode = os.waitstatus_to_exitcode(status)
        texts = []
        for file in (output, errors):
            file.seek(0)
            texts.append(file.read())
    lines = texts[0].strip().splitlines()
    said = _object(lines[-1]) if lines else None
    if process.returncode or said is None:
        last = "\n".join((texts[0] + texts[1]).strip().splitlines()[-_LINES_SHOWN:])
        raise ProgramError(f"{' '.join(map(str, command))}: exit code {process.returncode}\n{last}")
    # Kilobytes, but bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit / 1e6, said)


def _object(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
