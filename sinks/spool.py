"""Batches that wait on the disk until they are delivered: bounded, in order, and there again after a restart."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import SinkError
from sinks.outputs import write_error

logger = logging.getLogger(__name__)

# What the files of a spool are called.
SPOOL_NAMES = re.compile(r"lock|\d{12}-[0-9A-Za-z_-]+\.(json|partial)")
_NAME = re.compile(r"(\d{12})-([0-9A-Za-z_-]+)\.json")


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch on the disk.

    Attributes:
        number: its place in the order.
        name: the id it was given.
        path: its file.
        size: in bytes.
    """

    number: int
    name: str
    path: Path
    size: int


class Spool:
    """A queue of batches, each a file in a folder that one process uses at a time.

    A batch is there completely or not at all, whatever kills the process. When there is more than ``max_bytes``, the
    oldest go. ``add`` is for one thread, ``oldest`` and ``done`` for another.

    Args:
        folder: made if its parent is there.
        max_bytes: most bytes of batches, though the newest batch always stays.

    Attributes:
        dropped: batches deleted for lack of room.

    Raises:
        SinkError: the folder can't be used, or another process uses it.
    """

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        self.folder = folder
        self.dropped = 0
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        try:
            folder.mkdir(exist_ok=True)
            self._owner = (folder / "lock").open("ab")
        except OSError as error:
            raise write_error(folder, error) from error
        try:
            fcntl.flock(self._owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._batches = sorted(_read(folder), key=lambda batch: batch.number)
        except BlockingIOError:
            self._owner.close()
            raise SinkError(f"cannot use {folder}: another run uses it; give each run a folder of its own") from None
        except OSError as error:
            self._owner.close()
            raise write_error(folder, error) from error
        self._number = self._batches[-1].number if self._batches else 0

    def add(self, name: str, body: bytes) -> None:
        """Keep a batch.

        Args:
            name: its id: letters, digits, ``_`` and ``-``.
            body: what is to be delivered.

        Raises:
            SinkError: it could not be written.
        """
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
            raise write_error(partial, error) from error
        with self._lock:
            self._batches.append(Batch(self._number, name, path, len(body)))
            while len(self._batches) > 1 and sum(batch.size for batch in self._batches) > self._max_bytes:
                if not self.dropped:
                    logger.warning("%s is full: the oldest batches are deleted undelivered", self.folder)
                self.dropped += 1
                self._delete(self._batches[0])

    def oldest(self) -> Batch | None:
        """The batch that is to be delivered next."""
        with self._lock:
            return self._batches[0] if self._batches else None

    def done(self, batch: Batch) -> None:
        """Forget a batch."""
        with self._lock:
            if batch in self._batches:  # it may have gone for lack of room
                self._delete(batch)

    def __len__(self) -> int:
        with self._lock:
            return len(self._batches)

    def close(self) -> None:
        """Leave the folder to another process. What waits stays there."""
        self._owner.close()

    def _delete(self, batch: Batch) -> None:
        self._batches.remove(batch)
        try:
            batch.path.unlink(missing_ok=True)
        except OSError as error:
            # It will be delivered once more after a restart, which at-least-once allows.
            logger.warning("cannot delete %s: %s", batch.path, error.strerror)


def _read(folder: Path) -> list[Batch]:
    batches = []
    for path in folder.iterdir():
        match = _NAME.fullmatch(path.name)
        if match:
            batches.append(Batch(int(match[1]), match[2], path, path.stat().st_size))
        elif path.suffix == ".partial":
            path.unlink()
    return batches
