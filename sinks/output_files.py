"""Output files that appear under their name only when they are complete.

A sink writes to a partial name beside the target (``out/demo.mp4`` is written as ``out/demo.partial.mp4``) and renames
it at the end, so that an existing output is replaced only by a complete one and a failed run leaves the old one alone:

    check_output(path, suffixes=(".mp4",))      # before the first frame is read; writes nothing
    claim = Claim(path)                         # refuses a second run; sets aside what a killed one left
    ...                                         # write to `claim.partial`; wrap each OSError with write_error()
    commit(claim.partial, path)                 # on a clean end or an interrupt
    keep_partial(claim.partial, path)           # on an error: logs where what was processed is
    claim.release()

A symbolic link stays a link: its target is replaced. A pipe or a device such as ``/dev/stdout`` cannot be renamed over,
so there the "partial" name is the path itself and ``commit`` has nothing to do.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from pipeline.errors import SinkError, SinkPathError
from pipeline.events import OutputCounts
from pipeline.files import OutputFiles
from sinks.locks import FileInUseError, FileLock, OutputInUseError, in_use, is_locked_elsewhere, set_aside
from sinks.steady_file import SteadyFile

logger = logging.getLogger(__name__)

_ADVICE = {
    errno.ENOSPC: "the disk is full; free some space or choose another place",
    errno.EDQUOT: "the disk quota is used up; free some space or choose another place",
    errno.EACCES: "no permission; choose another place or change the permissions",
    errno.EPERM: "not permitted; choose another place or change the permissions",
    errno.EROFS: "the file system is read-only; choose another place",
    errno.ENOENT: "its folder does not exist; create it first",
    errno.ENOTDIR: "part of its path is a file, not a folder; choose another place",
    errno.EISDIR: "it is a folder; name a file in it",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.EFBIG: "the file grew past the largest size allowed here; choose another place",
    errno.EPIPE: "the program that read this pipe has gone; start it again",
}

_OF_THE_PATH = (errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)

# A file's name has room for 255 bytes; what it is called until it is complete is longer than its own name.
_LONGEST_BYTES = 255 - 40


def write_error(path: str | os.PathLike[str], error: OSError) -> SinkError:
    """The one-line ``SinkError`` for an ``OSError`` met while writing ``path``; raise it ``from error``."""
    reason = _ADVICE.get(error.errno or 0) or f"{error.strerror or error}; choose another place"
    kind = SinkPathError if error.errno in _OF_THE_PATH else SinkError
    return kind(f"cannot write {os.fspath(path)}: {reason}")


def check_output(path: str | os.PathLike[str], suffixes: Sequence[str] = ()) -> None:
    """Raise ``SinkError`` if a file could not be written at ``path``. Its folder is made; nothing else is written.

    Args:
        path: the final name.
        suffixes: the endings allowed, such as ``(".mp4",)``, compared without regard to case; none means any.
    """
    name = os.fspath(path)
    if not name.strip():
        raise SinkPathError("cannot write an output without a name: give a file name")
    if suffixes and not name.lower().endswith(tuple(suffix.lower() for suffix in suffixes)):
        raise SinkPathError(f"cannot write {name}: its name must end in {' or '.join(suffixes)}")
    mode = _mode(path)
    folder = _target(path).parent
    if len(os.fsencode(_target(path).name)) > _LONGEST_BYTES:
        raise SinkPathError(f"cannot write {name}: {_ADVICE[errno.ENAMETOOLONG]} (at most {_LONGEST_BYTES} bytes)")
    if mode is not None:
        if stat.S_ISDIR(mode):
            raise SinkPathError(f"cannot write {name}: it is a folder; name a file in it")
        # A write-protected output is not replaced, although a rename would get past its protection.
        if not _may(path, os.W_OK):
            raise SinkError(f"cannot write {name}: the file is there and write-protected; choose another name")
    else:
        make_folder(folder, name)
    if not _special(mode) and not _may(folder, os.W_OK | os.X_OK):
        raise SinkError(f"cannot write {name}: no permission to write in {folder}; choose another place")
    if is_locked_elsewhere(partial_path(path)):
        raise in_use(path)


def make_folder(folder: Path, name: str) -> None:
    """Make the folder of an output, with those around it.

    Args:
        folder: where the output is to be.
        name: of the output, for the message.

    Raises:
        SinkError: it can't be made, or a file is there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise SinkPathError(f"cannot write {name}: {_ADVICE[errno.ENOTDIR]}") from error
    except OSError as error:
        reason = f"its folder can't be made ({error.strerror}); choose another place"
        raise SinkError(f"cannot write {name}: {reason}") from error


def partial_path(path: str | os.PathLike[str]) -> Path:
    """Where to write until the output is complete: beside the target, with the same ending.

    For a pipe or a device it is the path itself.
    """
    target = _target(path)
    if not target.name or _special(_mode(path)):
        return Path(path)
    return target.with_name(f"{target.stem}.partial{target.suffix}")


def written_file(what: str, path: str | os.PathLike[str], *also: Path) -> OutputFiles:
    """What ``Sink.files`` says of a file that is written by the rules of this module.

    Args:
        what: it is, to end a sentence that begins with "cannot write".
        path: the final name.
        also: further names on the way to it.
    """
    try:
        return OutputFiles(what, Path(path), (Path(path), partial_path(path), *also))
    except SinkError:
        return OutputFiles(what, Path(path))  # nothing can be written there, which check_output tells


def is_stream(path: str | os.PathLike[str]) -> bool:
    """Whether there is a pipe or a device at ``path``: it is written to directly, and may keep the writer waiting."""
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return False  # what is wrong with it, check_output tells
    return _special(mode)


def commit(partial: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """Give a complete and closed file its final name, replacing what was there.

    The file is synced first: only then has the disk really taken all of it.

    Raises:
        SinkError: it could not be synced or renamed; the partial file stays.
    """
    if Path(partial) == Path(path):
        return
    try:
        descriptor = os.open(partial, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        Path(partial).replace(_target(path))
    except OSError as error:
        raise write_error(path, error) from error


def keep_partial(partial: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """After an error: leave what was written under the partial name and log where it is; drop it if it is empty."""
    partial = Path(partial)
    if partial == Path(path) or not partial.exists():
        return
    try:
        if partial.stat().st_size == 0:
            partial.unlink()
            return
    except OSError as error:
        logger.warning("%s: %s", partial, error.strerror)
    logger.warning("%s is incomplete: what was written is kept as %s", os.fspath(path), partial)


class Claim:
    """The right to write an output, held until ``release`` or the end of the process.

    It is a lock on the partial file, which is made empty. What another run left under that name is kept under a name of
    its own, which is logged: ``demo.partial-20261130T061500Z.mp4``. A pipe or a device needs no claim.

    Args:
        path: the final name.
        patient: where the partial file can't be made yet, leave that to ``renew``.

    Attributes:
        partial: where to write until the output is complete.

    Raises:
        SinkError: another run writes the output, or the partial file can't be made.
    """

    def __init__(self, path: str | os.PathLike[str], *, patient: bool = False) -> None:
        self._path = path
        self.partial = partial_path(path)
        self._lock: FileLock | None = None
        try:
            self.renew()
        except OutputInUseError:
            raise
        except SinkError as error:
            if not patient:
                raise
            logger.debug("%s", error)  # what writes there tells

    @property
    def held(self) -> bool:
        """Whether the partial file is there, and nobody else may write it."""
        return self.partial == Path(self._path) or (self._lock is not None and self._lock.in_place)

    def renew(self) -> None:
        """Claim the output again, where the partial file is gone, since its folder was deleted and made again, say.

        It is then empty; what is in its place is set aside.

        Raises:
            SinkError: as when the claim was made.
        """
        self.release()
        if self.partial == Path(self._path):
            return
        try:
            if self.partial.is_symlink():
                self._set_aside()
            self._lock = FileLock(self.partial)
            while os.fstat(self._lock.descriptor).st_size:
                self._set_aside()
                self._lock.release()
                self._lock = FileLock(self.partial)
        except FileInUseError:
            raise in_use(self._path) from None
        except OSError as error:
            self.release()
            if self.partial.exists() and not self.partial.is_file():
                reason = f"{self.partial} is in the way; move it away"
                raise SinkError(f"cannot write {os.fspath(self._path)}: {reason}") from error
            raise write_error(self._path, error) from error

    def _set_aside(self) -> None:
        target = _target(self._path)
        aside = set_aside(self.partial, f"{target.stem}.partial", target.suffix)
        logger.warning("%s was left by a run that did not end; it is kept as %s", self.partial, aside)

    def release(self) -> None:
        """Leave the output to others. A partial file in which nothing was written is deleted."""
        if self._lock is not None:
            self._lock.release(delete=os.fstat(self._lock.descriptor).st_size == 0)
            self._lock = None


class OutputFile:
    """A file of whole records, one ``write`` each, under the rules of this module.

    Each record goes straight to the operating system, so a crash of the program loses none that was written. When a
    write fails half-way (a full disk), the file is cut back to its last whole record.

    Args:
        path: the final name.
        patient: wait short trouble out (see ``sinks.steady_file``) instead of raising it; pipes and devices never do.
        claim: of ``path``, where that was made before; it is released with the file.

    Raises:
        SinkError: it can't be opened, or another run writes the output.
    """

    def __init__(self, path: str | os.PathLike[str], *, patient: bool = False, claim: Claim | None = None) -> None:
        self.path = Path(path)
        self._claim = claim or Claim(path, patient=patient)
        self.partial = self._claim.partial
        self._regular = self.partial != self.path
        try:
            self._file = SteadyFile(
                self.partial,
                lambda error: write_error(path, error),
                patient=patient and self._regular,
                claim=self._claim,
            )
        except BaseException:
            self._claim.release()
            raise

    def be_patient(self, patient: bool = True) -> None:
        """From now on wait short trouble out, if it is to; what is patient stays so."""
        self._file.patient |= patient and self._regular

    @property
    def counts(self) -> OutputCounts:
        """Records so far; for any thread."""
        return self._file.counts

    def write(self, record: bytes) -> None:
        """Append one record.

        Raises:
            SinkError: the disk is full, or another failure.
        """
        self._file.write(record)

    def finish(self, error: BaseException | None = None) -> None:
        """Close the file, and give it its final name unless the run failed (an interrupt is no failure).

        Raises:
            SinkError: it can't be closed or renamed, or something is lost that waited to be written.
        """
        try:
            self._close(error)
        finally:
            self._claim.release()

    def _close(self, error: BaseException | None) -> None:
        try:
            self._file.close()
        except SinkError:
            keep_partial(self.partial, self.path)
            raise
        if error is None or isinstance(error, KeyboardInterrupt):
            commit(self.partial, self.path)
        else:
            keep_partial(self.partial, self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.finish(error)


def _target(path: str | os.PathLike[str]) -> Path:
    """The file that ``path`` stands for, symbolic links followed."""
    try:
        return Path(path).resolve()
    except (OSError, RuntimeError) as error:  # a link that leads to itself
        raise SinkError(f"cannot write {os.fspath(path)}: its links lead nowhere; choose another place") from error


def _mode(path: str | os.PathLike[str]) -> int | None:
    """Type and permissions of what is at ``path``, or None where nothing is."""
    try:
        # By the path as given: an anonymous pipe behind /dev/stdout can't be found by the name its link resolves to.
        return Path(path).stat().st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        raise write_error(path, error) from error


def _may(path: str | os.PathLike[str], mode: int) -> bool:
    # By the effective user, which is whose permissions count when the file is opened.
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _special(mode: int | None) -> bool:
    return mode is not None and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)
