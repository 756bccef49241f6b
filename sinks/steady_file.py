"""A file of whole records that outlives short trouble: a full disk, a folder that is gone or a disk that is read-only.

While it can't be written to, records wait in memory, up to a bound; what comes beyond is lost and counted. It is tried
again every second. When the file itself is gone, since its folder was deleted and made again, say, a new one is begun.
"""

from __future__ import annotations

import errno
import io
import itertools
import logging
import os
import stat
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.errors import SinkError
from pipeline.events import OutputCounts

logger = logging.getLogger(__name__)

# Between two tries, in seconds, and bytes that may wait meanwhile.
_RETRY_S = 1.0
_MOST_WAITING = 16_000_000


class Renewable(Protocol):
    """The right to write a file, such as ``sinks.output_files.Claim``."""

    @property
    def held(self) -> bool:
        """Whether the file is there, and nobody else may write it."""
        ...

    def renew(self) -> None:
        """Make an empty file anew, which nobody else writes; what is in its place is set aside."""
        ...


@dataclass(frozen=True, slots=True)
class _Record:
    data: bytes
    units: int
    alone: bool


class SteadyFile:
    """A file that records are appended to, each completely or not at all.

    Where it is ``patient``, trouble is waited out as the module says; otherwise it is raised. One thread uses it, but
    for ``counts``.

    Args:
        path: where the file is written, made at once unless it is patient.
        explain: makes the one-line error of an ``OSError``.
        patient: wait trouble out.
        mount: what must be mounted for it to be written; None for what is its mount point now.
        most_waiting: bytes that may wait.
        claim: made for ``path``; it is renewed where the file is gone and another takes its place.

    Attributes:
        patient: may be set at any time.

    Raises:
        SinkError: it can't be opened.
    """

    def __init__(
        self,
        path: Path,
        explain: Callable[[OSError], SinkError],
        *,
        patient: bool,
        mount: Path | None = None,
        most_waiting: int | None = None,
        claim: Renewable | None = None,
    ) -> None:
        self.path = path
        self.patient = patient
        self._explain = explain
        self._claim = claim
        self._most_waiting = most_waiting or _MOST_WAITING
        self._file: io.FileIO | None = None
        self._size = 0
        self._head = b""
        self._waiting: deque[_Record] = deque()
        self._waiting_bytes = 0
        self._gap = False
        self._given = self._written = self._retried = self._lost = 0
        self._trouble: SinkError | None = None
        self._trouble_since_s = self._next_try_s = 0.0
        self._mount = mount or mount_point(path)
        self._attempt()

    @property
    def counts(self) -> OutputCounts:
        """What became of the units of its records; for any thread."""
        return OutputCounts(given=self._given, written=self._written, retried=self._retried, lost=self._lost)

    def begin_with(self, head: bytes) -> None:
        """What every file begins with, also one that takes the place of a file that is gone."""
        self._head = head
        self.write(head, 0)

    def write(self, record: bytes, units: int = 1, *, alone: bool = True) -> None:
        """Append a record, now or when it is possible.

        Args:
            record: a whole one.
            units: frames or events in it, for ``counts``.
            alone: whether it is of use without the one before it. Others are left out after a loss, until one is.

        Raises:
            SinkError: the disk is full, or another failure; not where it is patient.
        """
        self._given += units
        self._gap = self._gap and not alone
        if self._gap or self._waiting_bytes + len(record) > self._most_waiting:
            self._lost += units
            self._gap = True
        else:
            self._waiting.append(_Record(record, units, alone))
            self._waiting_bytes += len(record)
        if self._trouble is None or time.monotonic() >= self._next_try_s:
            self._attempt()

    @property
    def waits(self) -> bool:
        """Whether something could not be written yet."""
        return self._trouble is not None

    def flush(self) -> None:
        """Write what waits.

        Raises:
            SinkError: something still waits.
        """
        if self._trouble is not None:
            self._attempt()
        if self._trouble is not None:
            raise self._trouble

    def close(self) -> None:
        """Write what waits, in a last try, and close the file.

        Raises:
            SinkError: something still waits, which is now lost, or it can't be closed.
        """
        if self._trouble is not None:
            self._attempt()
        trouble, self._trouble = self._trouble, None
        self._lost += sum(record.units for record in self._waiting)
        self._waiting.clear()
        file, self._file = self._file, None
        try:
            if file is not None:
                file.close()
        except OSError as error:
            trouble = trouble or self._explain(error)
        if trouble is not None:
            raise trouble

    def _attempt(self) -> None:
        if self._trouble is not None:
            self._retried += 1
        try:
            self._open()
            while self._waiting:
                self._append(self._waiting[0].data)
                record = self._waiting.popleft()
                self._waiting_bytes -= len(record.data)
                self._written += record.units
        except OSError as error:
            failure = error if isinstance(error, SinkError) else self._explain(error)
            if not self.patient:
                self._lost += sum(record.units for record in self._waiting)
                self._waiting.clear()
                self._waiting_bytes = 0
                raise failure from error
            self._next_try_s = time.monotonic() + _RETRY_S
            if self._trouble is None:
                self._trouble_since_s = time.monotonic()
                logger.warning("%s; trying again", failure)
            self._trouble = failure
            return
        if self._trouble is not None:
            self._trouble = None
            away_s = time.monotonic() - self._trouble_since_s
            logger.warning("%s is written again after %.0f s; %d lost so far", self.path, away_s, self._lost)

    def _open(self) -> None:
        """See to it that the open file is the one that is there under its name."""
        if self._file is not None and (not self.patient or self._is_there(self._file)):
            return
        if self.patient:
            require_mounted(self._mount)
        if self._file is None:
            if self._claim is not None and not self._claim.held:
                self._claim.renew()
            self._file = self.path.open("wb", buffering=0)
        else:
            self._begin_anew(self._file)

    def _begin_anew(self, old: io.FileIO) -> None:
        """Make a new file where the old one is gone, say with its folder."""
        if self._claim is not None:
            self._claim.renew()
        elif self.path.exists():  # a disk that was unplugged is back
            _set_aside(self.path)
        self._file = self.path.open("xb" if self._claim is None else "wb", buffering=0)
        self._size = 0
        logger.warning("%s is gone; a new one is begun", self.path)
        old.close()
        while self._waiting and not self._waiting[0].alone:
            self._lose(self._waiting.popleft())
        self._gap = not self._waiting
        if self._head and not (self._waiting and self._waiting[0].data is self._head):
            self._waiting.appendleft(_Record(self._head, 0, True))
            self._waiting_bytes += len(self._head)

    def _lose(self, record: _Record) -> None:
        self._waiting_bytes -= len(record.data)
        self._lost += record.units

    def _is_there(self, file: io.FileIO) -> bool:
        try:
            return os.path.samestat(self.path.stat(), os.fstat(file.fileno()))
        except OSError:
            return False

    def _append(self, data: bytes) -> None:
        assert self._file is not None
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            self._cut_back(self._file)
            raise
        self._size += len(data)

    def _cut_back(self, file: io.FileIO) -> None:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return
        try:
            file.truncate(self._size)
            file.seek(self._size)
        except OSError as error:
            logger.warning("%s may end in a torn record: %s", self.path, error.strerror)


def mount_point(path: Path) -> Path:
    """Where the file system that holds a file is mounted."""
    folder = path.absolute().parent
    while not folder.is_mount() and folder != folder.parent:
        folder = folder.parent
    return folder


def require_mounted(mount: Path) -> None:
    """Raise ``FileNotFoundError`` where nothing is mounted at what was a mount point when the run began."""
    if not mount.is_mount():
        raise FileNotFoundError(errno.ENOENT, f"{mount} is not mounted")


def _set_aside(path: Path) -> None:
    """Give a file a name of its own, so that another can take the one it has."""
    names = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in itertools.count(1))
    aside = next(name for name in names if not name.exists())
    path.rename(aside)
    logger.warning("%s was there already; it is now called %s", path, aside)
