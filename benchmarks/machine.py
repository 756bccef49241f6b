"""What the figures were measured on: without it no figure means anything."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

# Instructions that decide how fast a network runs, by what Linux calls them.
_INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
_LIBRARIES = ("av", "numpy", "opencv-python", "openvino", "tensorflow")


def machine() -> dict[str, Any]:
    """This machine: processor, cores this process may use, instructions, memory, software, and how busy it is now."""
    processor, flags = _processor()
    return {
        "processor": processor,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "instructions": [name for name in _INSTRUCTIONS if name in flags],
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in _LIBRARIES},
        # Processes that want a core besides this one make every absolute figure too low.
        "load_before": round(os.getloadavg()[0], 2),
    }


def describe(found: dict[str, Any]) -> str:
    """``machine()`` as two lines of text."""
    instructions = ", ".join(found["instructions"]) or "unknown"
    libraries = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return (
        f"{found['processor']}, {found['cores']} cores ({instructions}), {found['memory_gb']} GB, {found['system']}, "
        f"load {found['load_before']} before the start\nPython {found['python']}, {libraries}"
    )


def _processor() -> tuple[str, set[str]]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux
        return platform.processor() or platform.machine(), set()
    fields = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    named = {key.strip(): value.strip() for key, value in fields.items()}
    return named.get("model name", platform.machine()), set(named.get("flags", "").split())
