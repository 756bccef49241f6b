"""Locks on files, which keep a second process from writing to an output. They end with the process that holds them.

The kernel keeps them (``flock``), so they hold for every path that leads to the file, for containers that share a
folder, and on Linux for NFS. They are advice: only programs that ask are kept out.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import logging
import os
import stat
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from pipeline.errors import SinkError

logger = logging.getLogger(__name__)

_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL})
# Another process that only looks whether there is a lock holds one itself for a moment.
_ATTEMPTS, _PAUSE_S = 5, 0.02
_held_lock = threading.Lock()
_held: set[tuple[int, int]] = set()  # device and inode of what this process has locked
_warned: set[int] = set()  # devices without locks


class FileInUseError(Exception):
    """Another holds the lock on a file."""


class OutputInUseError(SinkError):
    """Another run writes to an output."""


class FileLock:
    """A file, made if it is not there, that is locked until ``release``. Nothing in it is changed.

    Raises:
        FileInUseError: somebody else holds the lock, in this process or in another.
        IsADirectoryError, OSError: there is no plain file, or it can't be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        for _ in range(_ATTEMPTS):
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            self.descriptor = os.open(path, flags, 0o666)
            try:
                status = os.fstat(self.descriptor)
                if not stat.S_ISREG(status.st_mode):
                    raise OSError(errno.EINVAL, "it is no plain file", str(path))
                locked = _lock(self.descriptor, fcntl.LOCK_EX, path)
                # Who had it before may have given the file another name, or deleted it.
                if locked and self.in_place:
                    break
            except BaseException:
                os.close(self.descriptor)
                raise
            os.close(self.descriptor)
            if not locked:
                time.sleep(_PAUSE_S)
        else:
            raise FileInUseError(path)
        self._key = (status.st_dev, status.st_ino)
        self._open = True
        with _held_lock:
            _held.add(self._key)

    @property
    def in_place(self) -> bool:
        """Whether the file is still what is found at the path."""
        try:
            return os.path.samestat(os.fstat(self.descriptor), self.path.lstat())
        except OSError:
            return False

    def release(self, *, delete: bool = False) -> None:
        """Give the lock back; more than once does no harm.

        Args:
            delete: delete the file before, unless it has another name by now.
        """
        if not self._open:
            return
        self._open = False
        try:
            if delete and self.in_place:
                self.path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("cannot delete %s: %s", self.path, error.strerror)
        with _held_lock:
            _held.discard(self._key)
        os.close(self.descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.release()


def is_locked_elsewhere(path: Path) -> bool:
    """Whether another process holds the lock on a file. Writes nothing."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False  # it is not there; or its writer tells what is wrong with it
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or _lock(descriptor, fcntl.LOCK_SH, path):
            return False
        with _held_lock:
            return (status.st_dev, status.st_ino) not in _held
    finally:
        os.close(descriptor)


def set_aside(path: Path, stem: str, suffix: str) -> Path:
    """Give a file a name of its own beside it, with the time and, if need be, a number; nothing is replaced.

    Args:
        path: the file.
        stem, suffix: what comes before and after the time: ``demo.partial`` and ``.mp4`` make
            ``demo.partial-20261130T061500Z.mp4``.

    Returns:
        Where it is now.

    Raises:
        OSError: it can't be renamed.
    """
    moment = datetime.now(UTC)
    for number in itertools.count(1):
        aside = path.with_name(f"{stem}-{moment:%Y%m%dT%H%M%SZ}{'' if number == 1 else f'-{number}'}{suffix}")
        try:
            os.close(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC))
        except FileExistsError:
            continue
        break
    path.replace(aside)
    return aside


class FolderLock:
    """Keeps the files of a folder whose names begin alike for one writer, by a file ``.NAME.lock`` beside them.

    The file is there as long as the lock is held. What a killed process leaves of it is empty and does no harm.

    Args:
        folder: must be there.
        name: what the files have in common.
        patient: where the folder can't be written to yet, leave that to ``renew``.

    Raises:
        SinkError: another run writes there, or the folder can't be written to.
    """

    def __init__(self, folder: Path, name: str, *, patient: bool = False) -> None:
        self._folder, self._path = folder, lock_path(folder, name)
        self._lock: FileLock | None = None
        try:
            self._lock = self._take()
        except OutputInUseError:
            raise
        except OSError as error:
            if not patient:
                reason = f"{error.strerror or error}; choose another place"
                raise SinkError(f"cannot write {self._path}: {reason}") from error

    def renew(self) -> None:
        """Lock again where the file is gone, since the folder was deleted and made again, say; as soon as it can be.

        Raises:
            SinkError: another run has taken its place meanwhile.
        """
        if self._lock is not None and self._lock.in_place:
            return
        try:
            lock = self._take()
        except OutputInUseError:
            raise
        except OSError as error:
            logger.debug("%s: %s", self._path, error.strerror)  # what writes there tells
            return
        self.release()
        self._lock = lock

    def _take(self) -> FileLock:
        try:
            return FileLock(self._path)
        except FileInUseError:
            raise in_use(self._folder) from None

    def release(self) -> None:
        """Leave the files to another."""
        if self._lock is not None:
            self._lock.release(delete=True)


def lock_path(folder: Path, name: str) -> Path:
    """The file that a ``FolderLock`` locks."""
    return folder / f".{name}.lock"


def in_use(path: str | os.PathLike[str]) -> OutputInUseError:
    """What to say when another run writes to an output."""
    return OutputInUseError(
        f"cannot write {os.fspath(path)}: another run is writing it; end that one or choose another name"
    )


def _lock(descriptor: int, kind: int, path: Path) -> bool:
    """Whether the lock was free. Where there are no locks it always is, which is told once."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        device = os.fstat(descriptor).st_dev
        if device not in _warned:
            _warned.add(device)
            logger.warning(
                "%s: this file system has no locks (%s); nothing keeps a second run from writing there too",
                path.parent,
                error.strerror,
            )
    return True
