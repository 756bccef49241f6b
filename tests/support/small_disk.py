"""A real file system of a few megabytes, which tests can fill up, take away and bring back."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class SmallDisk:
    """A file system in memory, mounted at ``path``.

    Args:
        path: an empty folder.
        size_kb: its room.
    """

    def __init__(self, path: Path, size_kb: int) -> None:
        self.path = path
        self._mount = ["mount", "-t", "tmpfs", "-o", f"size={size_kb}k", "tmpfs", str(path)]
        if subprocess.run(self._mount, capture_output=True).returncode:
            pytest.skip("a full disk needs a small file system: run as root where mounting tmpfs is allowed")
        self._filler = path / "somebody-else's"

    def fill(self) -> None:
        """Have another program take all the room there is."""
        with self._filler.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass

    def free(self) -> None:
        """Give that room back."""
        self._filler.unlink()

    def unplug(self) -> None:
        """Take it away for good, whoever uses it."""
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)

    def plug_another(self) -> None:
        """Mount an empty one in its place."""
        subprocess.run(self._mount, check=True)


@contextmanager
def small_disk(path: Path, size_kb: int) -> Iterator[SmallDisk]:
    """A small file system at ``path``, or a skip that says what it needs."""
    path.mkdir()
    disk = SmallDisk(path, size_kb)
    try:
        yield disk
    finally:
        if path.is_mount():
            disk.unplug()
