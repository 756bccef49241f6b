"""Which files a run or a command reads and which it writes: none may be both, and none may be written twice.

    InputFiles  (videos, images, configuration, weights, keys)  \\
                                                                  refuse_conflicts, before anything is written
    OutputFiles (what each output says of itself, ``Sink.files``) /

Files are compared as the file system knows them: by device and inode where they are there, so that links of either kind
and every spelling of a path are seen through, and by folder and name where they are not there yet. Names that differ in
capitals only are the same where the folder holds them to be.

Pipes, sockets and devices keep nothing that could be destroyed, so several outputs may share one (``/dev/stdout``,
``/dev/null``); only a named pipe that is read is no place to write to.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import unicodedata
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ConfigError

BYTES_PER_MB = 1_000_000
"""A megabyte, as every limit on files counts it."""

Key = tuple[Hashable, ...]
_PIPE = "pipe"


@dataclass(frozen=True, slots=True)
class InputFiles:
    """Files that are read.

    Attributes:
        what: they are, to end a sentence that begins with "it is".
        files: each of them.
        takes: whether a file of that path would be read too once it is there, as in a folder of images.
    """

    what: str
    files: tuple[Path, ...]
    takes: Callable[[Path], bool] | None = None


@dataclass(frozen=True, slots=True)
class FolderFiles:
    """Files of a folder that are written, replaced or deleted as need arises.

    Attributes:
        folder: where.
        names: what their names are like.
        example: one of these names.
    """

    folder: Path
    names: re.Pattern[str]
    example: str


@dataclass(frozen=True, slots=True)
class OutputFiles:
    """Files that an output writes.

    Attributes:
        what: they are, to end a sentence that begins with "cannot write".
        path: the file or folder as it was named.
        files: each that is written, the names it has until it is complete among them.
        folders: files of which only the kind of name is known.
    """

    what: str
    path: Path
    files: tuple[Path, ...] = ()
    folders: tuple[FolderFiles, ...] = ()

    def covers(self, path: Path) -> bool:
        """Whether ``path`` is one of these files."""
        keys = FileKeys()
        mine = {key for file in self.files for key in keys.of(file)}
        if not mine.isdisjoint(keys.of(path)):
            return True
        return any(keys.in_folder(path, part) for part in self.folders)


def read_files(named: Iterable[tuple[str, Path | None]]) -> tuple[InputFiles, ...]:
    """Single files that are read, as ``refuse_conflicts`` takes them.

    Args:
        named: what each is, to end a sentence that begins with "it is", and its path; None where there is none.
    """
    return tuple(InputFiles(what, (path.expanduser(),)) for what, path in named if path is not None)


def refuse_conflicts(inputs: Sequence[InputFiles], outputs: Sequence[OutputFiles]) -> None:
    """Raise ``ConfigError`` where an output would write to an input, or to what another output writes. Writes nothing.

    Args:
        inputs: all that is read. They may overlap.
        outputs: all that is written.
    """
    if not outputs:
        return
    keys = FileKeys()
    files = _files_by_key(outputs, keys)
    folders = _folders_by_key(outputs, keys)
    for output in outputs:
        for path in output.files:
            for other, part in folders.get(keys.folder_of(path), ()):
                if other is not output and keys.in_folder(path, part):
                    raise _shared(output, path, other)
    for given in inputs:
        for path in given.files:
            for key in keys.of(path):
                if key in files:
                    raise _refusal(*files[key], f"it is {given.what}")
            for output, part in folders.get(keys.folder_of(path), ()):
                if keys.in_folder(path, part):
                    raise _refusal(output, path, f"it is {given.what}")
        if given.takes is not None:
            for output, path in _all_names(outputs):
                if given.takes(path):
                    raise _refusal(output, path, f"there it would be {given.what}")


def _files_by_key(outputs: Sequence[OutputFiles], keys: FileKeys) -> dict[Key, tuple[OutputFiles, Path]]:
    """Every file that is written, by what tells it apart; two outputs that write one are refused."""
    files: dict[Key, tuple[OutputFiles, Path]] = {}
    for output in outputs:
        for path in output.files:
            for key in keys.of(path):
                other, _ = files.setdefault(key, (output, path))
                if other is not output and key[0] != _PIPE:
                    raise _shared(output, path, other)
    return files


def _folders_by_key(outputs: Sequence[OutputFiles], keys: FileKeys) -> dict[Key, list[tuple[OutputFiles, FolderFiles]]]:
    """What is written to each folder; two outputs that give their files the same names are refused."""
    folders: dict[Key, list[tuple[OutputFiles, FolderFiles]]] = {}
    for output in outputs:
        for part in output.folders:
            known = folders.setdefault(keys.folder(part.folder), [])
            for other, taken in known:
                if other is not output and (taken.names.fullmatch(part.example) or part.names.fullmatch(taken.example)):
                    raise _shared(output, output.path, other)
            known.append((output, part))
    return folders


class FileKeys:
    """What tells files apart. Remembers what it asked of the file system: make a new one for every check."""

    def __init__(self) -> None:
        self._folders: dict[Path, Key] = {}
        self._ignoring_case: dict[Path, bool] = {}

    def of(self, path: Path) -> tuple[Key, ...]:
        """What a path has in common with every other that leads to the same file; nothing for devices."""
        try:
            status: os.stat_result | None = path.stat()
        except (OSError, ValueError):
            status = None  # what is wrong with it, its reader or writer tells
        if status is None or stat.S_ISDIR(status.st_mode):
            return tuple(self._place(path))
        if stat.S_ISFIFO(status.st_mode):
            return ((_PIPE, status.st_dev, status.st_ino),)
        if not stat.S_ISREG(status.st_mode):
            return ()
        return (("file", status.st_dev, status.st_ino), *self._place(path))

    def folder(self, folder: Path) -> Key:
        """What a folder has in common with every other path of it, whether it is there or not."""
        known = self._folders.get(folder)
        if known is None:
            known = self._folders[folder] = self._find_folder(folder)
        return known

    def folder_of(self, path: Path) -> Key:
        """The key of the folder in which the file at the end of ``path``'s links is."""
        target = _resolved(path)
        return () if target is None else self.folder(target.parent)

    def in_folder(self, path: Path, part: FolderFiles) -> bool:
        """Whether a path leads to one of the files of ``part``."""
        target = _resolved(path)
        if target is None or self.folder(target.parent) != self.folder(part.folder):
            return False
        flags = re.IGNORECASE if self._ignores_case(target.parent) else 0
        return re.fullmatch(part.names.pattern, target.name, part.names.flags | flags) is not None

    def _place(self, path: Path) -> Iterator[Key]:
        target = _resolved(path)
        if target is not None:
            yield ("name", *self.folder(target.parent), self._plain(target.parent, target.name))

    def _find_folder(self, folder: Path) -> Key:
        resolved = _resolved(folder)
        if resolved is None:
            return (str(folder),)
        rest: list[str] = []
        for place in (resolved, *resolved.parents):
            try:
                status = place.stat()
            except OSError:
                rest.insert(0, place.name)
                continue
            return (status.st_dev, status.st_ino, *(self._plain(place, name) for name in rest))
        return (str(resolved),)

    def _plain(self, folder: Path, name: str) -> str:
        """A name as the folder compares it."""
        return unicodedata.normalize("NFC", name).casefold() if self._ignores_case(folder) else name

    def _ignores_case(self, folder: Path) -> bool:
        known = self._ignoring_case.get(folder)
        if known is None:
            known = self._ignoring_case[folder] = ignores_case(folder)
        return known


def ignores_case(folder: Path) -> bool:
    """Whether ``A`` and ``a`` are the same name in a folder; found out from the names that are there, without writing.

    Of an empty folder, or one that is not there yet, what holds the folder's own name tells.
    """
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.swapcase() != entry.name:
                    return _same(folder / entry.name, folder / entry.name.swapcase())
    except OSError:
        pass  # not there, or not to be listed
    if folder.parent == folder:
        return False
    if folder.name.swapcase() != folder.name and folder.exists():
        return _same(folder, folder.with_name(folder.name.swapcase()))
    return ignores_case(folder.parent)


def _same(one: Path, other: Path) -> bool:
    try:
        return os.path.samestat(one.lstat(), other.lstat())
    except OSError:
        return False


def _resolved(path: Path) -> Path | None:
    """Where a path leads; None for links that lead to themselves, of which ``check_output`` tells."""
    try:
        path.stat()  # from Python 3.13 on, resolving links that lead to themselves is no error
    except OSError as error:
        if error.errno == errno.ELOOP:
            return None
    except ValueError:  # a zero byte in the path
        return None
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return None


def _all_names(outputs: Sequence[OutputFiles]) -> Iterator[tuple[OutputFiles, Path]]:
    for output in outputs:
        for path in output.files:
            yield output, path
        for part in output.folders:
            yield output, part.folder / part.example


def _shared(output: OutputFiles, path: Path, other: OutputFiles) -> ConfigError:
    where = "" if other.path == path else f", as {other.path}"
    return _refusal(output, path, f"{other.what} would be written there too{where}")


def _refusal(output: OutputFiles, path: Path, reason: str) -> ConfigError:
    way = "" if path == output.path else f"{path} would be written for it, and "
    return ConfigError(f"cannot write {output.what} to {output.path}: {way}{reason}; choose another name")
