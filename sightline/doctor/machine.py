"""The machine as it is just now: libraries, disk, other programs."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
from pathlib import Path

import av
import cv2
import psutil

from sightline.doctor.diagnosis import Check

_LIBRARIES = ("av", "numpy", "scipy", "openvino", "tensorflow", "pyzmq")
# Other programs that use more than this much of the processor make the figures too low.
_BUSY = 0.25
_LEAST_FREE_BYTES = 2_000_000_000


def _libraries() -> list[Check]:
    found, missing = [f"opencv {cv2.__version__}"], []
    for name in _LIBRARIES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    checks = [Check("ok", f"libraries: {', '.join(found)}")]
    if missing:
        checks.append(Check("problem", f"libraries: {', '.join(missing)} not installed; install the project again"))
    if "libx264" not in av.codecs_available:
        checks.append(Check("problem", "FFmpeg has no libx264, so no video can be recorded; install PyAV's own build"))
    return checks


def _strangers() -> list[Check]:
    """Other libraries in this environment that install packages of the names of Sightline's, over or under them."""
    brought_by = importlib.metadata.packages_distributions()
    return [
        Check("problem", f"libraries: {other} has a package {name!r}, too; install Sightline where {other} is not")
        for name in ("pipeline", "sinks", "trackers")
        for other in sorted(set(brought_by.get(name, ())) - {"sightline"})
    ]


def _disk(folder: Path) -> Check:
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Check("problem", f"disk: cannot look at {folder}: {error.strerror}")
    if not os.access(folder, os.W_OK):
        return Check("problem", f"disk: no permission to write in {folder.resolve()}")
    text = f"disk: {free / 1e9:.1f} GB free where outputs go"
    if free < _LEAST_FREE_BYTES:
        return Check("warning", f"{text}, which is little; free some, or limit recordings with keep_mb")
    return Check("ok", text)


def _busy() -> list[Check]:
    others = psutil.cpu_percent(interval=0.5) / 100
    if others <= _BUSY:
        return []
    return [Check("warning", f"other programs use {others:.0%} of the processor: alone, this machine carries more")]
