"""Files that somebody published: where they are, and whether they are genuine."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import logging
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A file of weights that anybody can get.

    Attributes:
        name: what it is called wherever it is kept.
        size: bytes; None where the publisher doesn't tell.
        sha256: hexadecimal; its first digits where the publisher tells no more.
        urls: where it can be downloaded, first choice first.
        package: an installed distribution that may hold a file of this name, or None.
    """

    name: str
    size: int | None
    sha256: str
    urls: tuple[str, ...]
    package: str | None = None


def find_packaged(file: PublishedFile) -> Path | None:
    """The file as an installed package carries it, if its SHA-256 is right; None otherwise. Imports nothing."""
    if file.package is None:
        return None
    try:
        entries = importlib.metadata.files(file.package) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    paths = (Path(str(entry.locate())) for entry in entries if entry.name == file.name)
    return next((path for path in paths if is_genuine(path, file)), None)


def is_genuine(path: Path, file: PublishedFile) -> bool:
    """Whether the file is there and is the published one; says so in the log where it is there but is not."""
    try:
        status = path.stat()
    except OSError:
        return False
    if file.size in (None, status.st_size) and _sha256(path, status.st_mtime_ns).startswith(file.sha256):
        return True
    logger.warning("%s is not the published file (its size or SHA-256 differs); looking elsewhere", path)
    return False


@functools.lru_cache(maxsize=32)
def _sha256(path: Path, modified_ns: int) -> str:
    # Keyed by the time of modification as well, so that a file is hashed once and again when it changes.
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
