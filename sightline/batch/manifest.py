"""What became of each file of a batch: a file of JSON lines that survives a kill at any moment.

While a batch runs a line is added for each change, and of each input the last line counts; one that was cut off by a
kill is no line. At the end, and when the next batch begins, there is one line for each input.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

import msgspec

from pipeline.errors import ConfigError, SinkError
from sinks.locks import FileInUseError, FileLock
from sinks.output_files import make_folder, write_error

State = Literal["running", "done", "failed", "interrupted"]
_CHUNK = 1 << 20
# How every line begins: a file that holds something else is left alone.
_BEGINNING = b'{"input":"'


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One input, and what became of it.

    Attributes:
        input: its path, as it was given.
        bytes, modified_ns, sha256: what it was when it was read.
        settings: hash of the configuration and of the program's version.
        state: ``running`` is also what a kill leaves.
        outputs: the files that were written, and their sizes in bytes.
        frames, objects: how many frames were processed, and how many objects of each class were seen.
        seconds: how long it took.
        error: why it failed.
    """

    input: str
    bytes: int
    modified_ns: int
    sha256: str
    settings: str
    state: State
    outputs: dict[str, int] = {}
    frames: int = 0
    objects: dict[str, int] = {}
    seconds: float = 0.0
    error: str | None = None


class Manifest:
    """The entries by input; as a context manager it keeps other batches away from the file.

    Args:
        path: of the file; it is made if it is not there.

    Raises:
        ConfigError: the file is something else.
        SinkError: another batch uses it, or it can't be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._entries: dict[str, Entry] = {}
        make_folder(path.absolute().parent, str(path))
        try:
            self._lock = FileLock(path)
        except FileInUseError as error:
            raise SinkError(f"{path}: another batch uses this manifest; give each batch its own") from error
        except OSError as error:
            raise write_error(path, error) from error
        try:
            self._read()
            self._compact()
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        try:
            self._compact()
        finally:
            self._lock.release()

    @property
    def entries(self) -> Mapping[str, Entry]:
        """What is known, by input."""
        return self._entries

    def record(self, entry: Entry) -> None:
        """Note what became of an input; it is on the disk when this returns."""
        self._entries[entry.input] = entry
        try:
            os.lseek(self._lock.descriptor, 0, os.SEEK_END)
            os.write(self._lock.descriptor, msgspec.json.encode(entry) + b"\n")
            os.fsync(self._lock.descriptor)
        except OSError as error:
            raise write_error(self.path, error) from error

    def _read(self) -> None:
        *lines, cut_off = self.path.read_bytes().split(b"\n")
        for number, line in enumerate(lines, 1):
            try:
                entry = msgspec.json.decode(line, type=Entry)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise ConfigError(f"{self.path}:{number}: is no manifest of a batch; choose another file") from error
            self._entries[entry.input] = entry
        if not _BEGINNING.startswith(cut_off[: len(_BEGINNING)]):
            raise ConfigError(f"{self.path}: is no manifest of a batch; choose another file")

    def _compact(self) -> None:
        """One line for each input. A kill meanwhile leaves all that was there: lines are added before old ones go."""
        text = b"".join(msgspec.json.encode(entry) + b"\n" for entry in self._entries.values())
        try:
            fresh = self.path.with_name(f"{self.path.name}.new")
            fresh.write_bytes(text)
            lock = FileLock(fresh)
            os.fsync(lock.descriptor)
            fresh.replace(self.path)
        except OSError as error:
            raise write_error(self.path, error) from error
        self._lock.release()
        self._lock = lock


def fingerprint(path: Path, known: Entry | None) -> tuple[int, int, str]:
    """Size, time of the last change in ns, and SHA-256 of a file, which is not read again where both are as known."""
    status = path.stat()
    if known is not None and (known.bytes, known.modified_ns) == (status.st_size, status.st_mtime_ns):
        return known.bytes, known.modified_ns, known.sha256
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return status.st_size, status.st_mtime_ns, digest.hexdigest()


def is_done(entry: Entry | None, sha256: str, settings: str) -> bool:
    """Whether the same input has come through with the same settings, and what was written is still there."""
    if entry is None or entry.state != "done" or (entry.sha256, entry.settings) != (sha256, settings):
        return False
    return all(_size(Path(path)) == size for path, size in entry.outputs.items())


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
