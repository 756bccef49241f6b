"""Small files of the cache folder: read within limits, and never seen half-written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pipeline.errors import SinkError


def read_limited(path: Path, most: int) -> bytes | None:
    """What a file holds; None where there is none, it can't be read, or it is larger than ``most`` bytes."""
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError:
        return None
    return data if len(data) <= most else None


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, and its folder where there is none; it appears under its name only when the disk has all of it.

    Raises:
        SinkError: it can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f"{path.name}.", delete=False) as file:
            partial = Path(file.name)
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                partial.replace(path)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
    except OSError as error:
        reason = error.strerror or error
        raise SinkError(f"cannot write {path}: {reason}; set SIGHTLINE_CACHE to a folder with room.") from error


CACHE_VARIABLE = "SIGHTLINE_CACHE"
"""Environment variable that moves the cache folder."""


def cache_folder() -> Path:
    """Where downloaded weights are kept: $SIGHTLINE_CACHE, or the place the system keeps such things."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen).expanduser()
    import platformdirs

    return platformdirs.user_cache_path("sightline")
