"""Batches that wait on the disk until they are delivered: bounded, in order, and there again after a restart."""

from __future__ import annotations

import logging
import os
import re
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import SinkError
from pipeline.files import FolderFiles, OutputFiles
from sinks.locks import FileInUseError, FileLock, is_locked_elsewhere
from sinks.output_files import make_folder, write_error
from sinks.steady_file import mount_point, require_mounted

logger = logging.getLogger(__name__)

# What the files of a spool are called.
SPOOL_NAMES = re.compile(r"\.sightline-spool\.lock|\d{12}-[0-9A-Za-z_-]+\.(json|partial)")
_NAME = re.compile(r"(\d{12})-([0-9A-Za-z_-]+)\.(json|partial)")
# Of a name that no other program gives to a file of its own.
_LOCK = ".sightline-spool.lock"
# What is read of the beginning and of the end of a file to tell whether it is a batch.
_ENDS = 64


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch on the disk.

    Attributes:
        number: its place in the order.
        name: the id it was given.
        path: its file.
        size: in bytes.
        events: how many are in it; 0 for what an earlier run has left.
    """

    number: int
    name: str
    path: Path
    size: int
    events: int = 0


class Spool:
    """A queue of batches, each a file in a folder that one process uses at a time.

    A batch is there completely or not at all, whatever kills the process. When there is more than ``max_bytes``, the
    oldest go. ``add`` is for one thread, ``oldest`` and ``done`` for another.

    Other files in the folder are neither read as batches nor counted, changed or deleted, whatever they are called.

    Args:
        folder: made if its parent is there.
        max_bytes: most bytes of batches, though the newest batch always stays.
        is_batch: whether a file that has a batch's name is one, by its first and its last 64 bytes.
        on_drop: called with each batch that goes for lack of room, before its file does.

    Attributes:
        dropped: batches deleted for lack of room.

    Raises:
        SinkError: the folder can't be used, or another process uses it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int,
        is_batch: Callable[[bytes, bytes], bool] = lambda first, last: True,
        on_drop: Callable[[Batch], object] = lambda batch: None,
    ) -> None:
        self.folder = folder
        self.dropped = 0
        self._max_bytes = max_bytes
        self._on_drop = on_drop
        self._lock = threading.Lock()
        self._mount = mount_point(folder)
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise write_error(folder, error) from error
        self._owner = _own(folder)
        try:
            self._batches = sorted(_read(folder, is_batch), key=lambda batch: batch.number)
        except OSError as error:
            self._owner.release()
            raise write_error(folder, error) from error
        self._number = self._batches[-1].number if self._batches else 0

    def add(self, name: str, body: bytes, events: int = 0) -> None:
        """Keep a batch.

        Args:
            name: its id: letters, digits, ``_`` and ``-``.
            body: what is to be delivered.
            events: how many are in it.

        Raises:
            SinkError: it could not be written; it may be tried again.
        """
        if not self.present:  # the folder was deleted, say
            self._take_again()
        self._number += 1
        path = self.folder / f"{self._number:012}-{name}.json"
        partial = path.with_suffix(".partial")
        try:
            with partial.open("wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError as error:
            self._number -= 1  # so that the next try has the same name, and overwrites what there is of this one
            raise write_error(partial, error) from error
        with self._lock:
            self._batches.append(Batch(self._number, name, path, len(body), events))
            while len(self._batches) > 1 and sum(batch.size for batch in self._batches) > self._max_bytes:
                if not self.dropped:
                    logger.warning("%s is full: the oldest batches are deleted undelivered", self.folder)
                self.dropped += 1
                self._on_drop(self._batches[0])
                self._delete(self._batches[0])

    def _take_again(self) -> None:
        try:
            require_mounted(self._mount)
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise write_error(self.folder, error) from error
        owner, self._owner = self._owner, _own(self.folder)
        owner.release()

    @property
    def present(self) -> bool:
        """Whether the folder that is there is still the one that was taken."""
        return self._owner.in_place

    def oldest(self, count: int = 1) -> list[Batch]:
        """The batches that are to be delivered next, so many at most."""
        with self._lock:
            return self._batches[:count]

    def done(self, batch: Batch) -> None:
        """Forget a batch that was delivered, and delete its file."""
        with self._lock:
            if batch in self._batches:  # it may have gone for lack of room
                self._delete(batch)

    def __contains__(self, batch: Batch) -> bool:
        with self._lock:
            return batch in self._batches

    def __len__(self) -> int:
        with self._lock:
            return len(self._batches)

    def close(self) -> None:
        """Leave the folder to another process. What waits stays there."""
        self._owner.release()

    def _delete(self, batch: Batch) -> None:
        self._batches.remove(batch)
        try:
            batch.path.unlink(missing_ok=True)
        except OSError as error:
            # It will be delivered once more after a restart, which at-least-once allows.
            logger.warning("cannot delete %s: %s", batch.path, error.strerror)


def check_spool(folder: Path) -> None:
    """Make a spool's folder; raise ``SinkError`` if it can't be used, or another process uses it."""
    make_folder(folder, str(folder))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SinkError(f"cannot use {folder}: no permission to write; choose another place")
    if is_locked_elsewhere(folder / _LOCK):
        raise _in_use(folder)


def spool_files(what: str, folder: Path) -> OutputFiles:
    """What waits in a spool's folder, for ``Sink.files``; ``what`` names the spool in messages."""
    return OutputFiles(what, folder, (folder,), (FolderFiles(folder, SPOOL_NAMES, _LOCK),))


def _own(folder: Path) -> FileLock:
    """Take the folder for this process, until what is returned is released."""
    try:
        return FileLock(folder / _LOCK)
    except FileInUseError:
        raise _in_use(folder) from None
    except OSError as error:
        raise write_error(folder, error) from error


def _in_use(folder: Path) -> SinkError:
    return SinkError(f"cannot use {folder}: another run uses it; give each run a folder of its own")


def _read(folder: Path, is_batch: Callable[[bytes, bytes], bool]) -> list[Batch]:
    """The batches of the folder, in any order. What a killed run left of one that it was writing goes."""
    batches = []
    for path in folder.iterdir():
        match = _NAME.fullmatch(path.name)
        status = path.lstat() if match else None
        if match is None or status is None or not stat.S_ISREG(status.st_mode):
            continue
        if match[3] == "partial":
            path.unlink()
        elif _is_batch(path, is_batch):
            batches.append(Batch(int(match[1]), match[2], path, status.st_size))
        else:
            logger.warning("%s is no batch of events; it is left as it is", path)
    return batches


def _is_batch(path: Path, is_batch: Callable[[bytes, bytes], bool]) -> bool:
    try:
        with path.open("rb") as file:
            first = file.read(_ENDS)
            file.seek(max(0, path.stat().st_size - _ENDS))
            return is_batch(first, file.read(_ENDS))
    except PermissionError:
        return False
