"""The folder that a stream's evidence is written to, and how long it is kept there.

    FOLDER/door/2026-11-30/door-20261130T220424.286Z-alert.started-212-picture.jpg
    FOLDER/door/.evidence.written        what was written, so that nothing else is ever deleted

A file has its name once it is whole.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.event_codec import event_type
from pipeline.events import Event
from pipeline.files import FolderFiles, OutputFiles
from sinks.keeping import Limits, Room
from sinks.locks import FolderLock, in_use, is_locked_elsewhere, lock_path
from sinks.output_files import check_output, write_error
from sinks.steady_file import mount_point, require_mounted
from sinks.written_files import Clock, WrittenFiles, boot_clock

logger = logging.getLogger(__name__)

# How often it is looked for what is too old.
_TIDY_EVERY_S = 60.0
_LOCK = "evidence"
_RECORD = ".evidence.written"
# Below the folder of a stream; the record is a file that others might write to.
_FILE = re.compile(r"[^/\\\x00]+-\d{8}T\d{6}\.\d{3}Z-[a-z]+\.[a-z]+-\d+-[a-z]+\.[a-z0-9]+")
_NAME = re.compile(rf"\d{{4}}-\d\d-\d\d/{_FILE.pattern}")


def evidence_name(event: Event, what: str, suffix: str) -> str:
    """The path of an event's file below the folder of its stream, with ``/`` between its parts.

    Args:
        event: what it shows.
        what: such as ``picture``.
        suffix: of the file, with its dot.

    >>> from pipeline.events import StreamOffline
    >>> wall = "2026-11-30T22:04:24.286Z"
    >>> event = StreamOffline(seq=7, run="one", stream="gate", pts_s=2.0, wall=wall, reason="no data")
    >>> evidence_name(event, "picture", ".jpg")
    '2026-11-30/gate-20261130T220424.286Z-stream.offline-7-picture.jpg'
    """
    moment = event.wall.replace("-", "").replace(":", "")
    return f"{event.wall[:10]}/{event.stream}-{moment}-{event_type(event)}-{event.seq}-{what}{suffix}"


def evidence_file(folder: Path, path: str) -> Path | None:
    """The file that an ``evidence.ready`` names; None where there is none, or it is not one of the folder.

    Args:
        folder: of all evidence.
        path: below it, which may be anything.
    """
    try:
        root = folder.resolve()
        found = (root / path).resolve(strict=True)
    except (OSError, RuntimeError, ValueError):  # among others a link that leads to itself
        return None
    return found if found.is_relative_to(root) and found.is_file() else None


class EvidenceFolder:
    """Where one stream's evidence is written. For any thread, but each kind of file has one that writes.

    What it has written is noted in a record, by which the oldest are deleted that are too much: see
    ``sinks.written_files``. Other files there are neither deleted nor counted.

    Args:
        path: the folder of all evidence; the stream's is in it.
        stream: name of the stream.
        limits: how much of the stream's is kept.
        clock: for the record.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        stream: str,
        *,
        limits: Limits | None = None,
        clock: Clock = boot_clock,
    ) -> None:
        self._root = Path(path)
        self._stream = stream
        self._folder = self._root / stream
        self._limits = limits or Limits()
        self._mutex = threading.RLock()
        self._record = WrittenFiles(self._folder / _RECORD, clock=clock)
        self._lock: FolderLock | None = None
        self._mount: Path | None = None
        self._size = 0
        self._tidied_s = float("-inf")
        self._refused: set[str] = set()

    def check(self) -> None:
        """Raise ``SinkError`` if nothing can be written there, or another run writes evidence of the stream there."""
        check_output(self._folder / "picture.jpg")
        if is_locked_elsewhere(lock_path(self._folder, _LOCK)):
            raise in_use(self._folder)

    def files(self) -> Sequence[OutputFiles]:
        """What is written there."""
        beside = (self._folder / _RECORD, lock_path(self._folder, _LOCK))
        folders = [FolderFiles(self._folder, re.compile(r"\.[a-z]+\.partial\.[a-z0-9]+"), ".picture.partial.jpg")]
        if self._limits:  # what is there may be deleted
            days = sorted(self._folder.glob("[0-9]*-[0-9]*-[0-9]*"))
            example = f"{self._stream}-19700101T000000.000Z-alert.started-1-picture.jpg"
            folders += [FolderFiles(day, _FILE, example) for day in days]
        return [OutputFiles("evidence", self._folder, beside, tuple(folders))]

    def open(self) -> None:
        """Begin to write; what is too old goes.

        Raises:
            SinkError: another run writes evidence of the stream there.
        """
        with self._mutex:
            self._mount = mount_point(self._folder)
            with suppress(OSError):  # what is wrong is told with the first picture
                self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = FolderLock(self._folder, _LOCK, patient=True)
            self._tidy()

    def close(self) -> None:
        """Leave the folder to others."""
        with self._mutex:
            if self._lock is not None:
                self._lock.release()
                self._lock = None
                with suppress(OSError):  # there is something in it
                    self._folder.rmdir()

    def write(self, event: Event, what: str, suffix: str, data: bytes) -> str:
        """Write a file; returns its path below the folder of all evidence, with ``/`` between its parts.

        Raises:
            SinkError: it can't be written now. There is nothing of that name then.
        """
        partial = self.begin(what, suffix)
        try:
            with partial.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            with suppress(OSError):
                partial.unlink()
            raise write_error(partial, error) from error
        return self.complete(partial, event, what, suffix)

    def begin(self, what: str, suffix: str) -> Path:
        """Where to write a file until it is whole; what a killed run left there is overwritten.

        Raises:
            SinkError: it can't be written now.
        """
        try:
            with self._mutex:
                if self._mount is not None:
                    require_mounted(self._mount)
                self._folder.mkdir(parents=True, exist_ok=True)
                if self._lock is not None:
                    self._lock.renew()
                self._make_room()
        except OSError as error:
            raise write_error(self._folder, error) from error
        return self._folder / f".{what}.partial{suffix}"

    def complete(self, partial: Path, event: Event, what: str, suffix: str) -> str:
        """Give a whole file its name; returns its path as ``write`` does.

        Raises:
            SinkError: it can't have it. The partial file is gone then.
        """
        name = evidence_name(event, what, suffix)
        path = self._folder / name
        with self._mutex:
            try:
                size = partial.stat().st_size
                path.parent.mkdir(parents=True, exist_ok=True)
                partial.replace(path)
            except OSError as error:
                with suppress(OSError):
                    partial.unlink()
                raise write_error(path, error) from error
            self._record.add(name, done=True)
            self._size += size
            self._tidy()
        return f"{self._stream}/{name}"

    def _make_room(self) -> None:
        if self._limits.free is not None and shutil.disk_usage(self._folder).free < self._limits.free:
            self._tidy(at_once=True)

    def _tidy(self, *, at_once: bool = False) -> None:
        """Delete what is too much, now and then, or where there is too much by what was written."""
        now_s = time.monotonic()
        much = self._limits.size is not None and self._size + self._record.size > self._limits.size
        if not self._limits or not (at_once or much or now_s - self._tidied_s >= _TIDY_EVERY_S):
            return
        self._tidied_s = now_s
        try:
            found = {name: size for name in self._record.names if (size := self._size_of(name)) is not None}
            free = shutil.disk_usage(self._folder).free
        except OSError as error:
            logger.debug("%s: %s; it is tidied later", self._folder, error.strerror)
            return
        room = Room(self._limits, kept=self._record.size + sum(found.values()), free=free)
        for name, age_s in self._record.ages(found).items():
            if room.is_short(age_s) and self._delete(name):
                room.gain(found[name])
        self._size = room.kept - self._record.size

    def _size_of(self, name: str) -> int | None:
        """Bytes of a file of ours; None where there is none, or something else."""
        path = self._folder / name
        if _NAME.fullmatch(name) is None or path.parent.is_symlink() or path.is_symlink() or not path.is_file():
            return None
        return path.stat().st_size

    def _delete(self, name: str) -> bool:
        path = self._folder / name
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            if name not in self._refused:
                self._refused.add(name)
                logger.warning("cannot delete the old %s: %s", path, error.strerror)
            return False
        logger.info("deleted the old %s", path)
        with suppress(OSError):  # there are others of that day
            path.parent.rmdir()
        return True
