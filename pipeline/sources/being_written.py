"""Whether somebody is still writing a file."""

from __future__ import annotations

from pathlib import Path

import psutil

# What the system calls files that may be written to.
_WRITING_MODES = frozenset("wa+")


def is_being_written(path: Path, size: int) -> bool:
    """Whether a file has grown, or a program has it open for writing.

    The latter is known on Linux, of programs that this one may look at: those of the same user, or all for root.

    Args:
        path: the file.
        size: its bytes at an earlier time.
    """
    try:
        if path.stat().st_size > size:
            return True
        real = str(path.resolve())
    except OSError:
        return False
    for process in psutil.process_iter():
        try:
            files = process.open_files()
        except (psutil.Error, OSError):
            continue
        if any(file.path == real and _WRITING_MODES & set(getattr(file, "mode", "")) for file in files):
            return True
    return False
