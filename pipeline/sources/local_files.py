"""The files behind the addresses of sources: what no output may be. See ``pipeline.files``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from pipeline.errors import SourceError
from pipeline.files import FileKeys, InputFiles
from pipeline.sources.image_folder import IMAGE_SUFFIXES, find_images, is_pattern
from pipeline.sources.uri import local_path

_LARGEST_PLAYLIST = 1_000_000


def source_files(uri: str | None, stream: str) -> tuple[InputFiles, ...]:
    """The files behind the address of a source; none for cameras, and where nothing is there.

    Args:
        uri: as ``open_source`` takes it.
        stream: its name, for messages.
    """
    path = local_path(uri) if uri is not None else None
    if path is None or path == "-":
        return ()
    place = Path(path)
    try:
        if place.is_dir():
            takes = partial(_in_folder, place)
            return (InputFiles(f"one of the images that stream {stream} reads", _images(path), takes),)
        if place.exists():
            listed = tuple(_listed(place))
            others = (InputFiles(f"a part of {place}, which stream {stream} reads", listed),) if listed else ()
            return (InputFiles(f"what stream {stream} reads", (place,)), *others)
    except (OSError, ValueError):
        return ()  # what is wrong with it, open_source tells
    if not is_pattern(path):
        return ()
    return (InputFiles(f"one of the images that stream {stream} reads", _images(path), partial(_matches, path)),)


def picture_files(pictures: Sequence[Path], named: Sequence[str]) -> tuple[InputFiles, ...]:
    """Images given to a command.

    Args:
        pictures: the files.
        named: the paths, folders and patterns that they were found by.
    """

    def takes(path: Path) -> bool:
        return any(
            _in_folder(Path(name), path) if Path(name).is_dir() else is_pattern(name) and _matches(name, path)
            for name in named
        )

    return (InputFiles("one of the images given", tuple(pictures), takes),)


def _images(path: str) -> tuple[Path, ...]:
    try:
        return tuple(find_images(path))
    except SourceError:
        return ()  # opening the source tells that there is none


def _in_folder(folder: Path, path: Path) -> bool:
    keys = FileKeys()
    return path.suffix.lower() in IMAGE_SUFFIXES and keys.folder_of(path) == keys.folder(folder)


def _matches(pattern: str, path: Path) -> bool:
    """Whether a pattern of files, as ``glob`` takes it, would find the file at the end of ``path``'s links."""
    parts = Path(pattern).parts
    plain = next(number for number, part in enumerate(parts) if is_pattern(part))
    try:
        folder, target = Path(*parts[:plain]).resolve(), path.resolve()
    except (OSError, RuntimeError):
        return False
    return target.is_relative_to(folder) and _parts_match(target.relative_to(folder).parts, parts[plain:])


def _parts_match(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**" and _parts_match(parts, pattern[1:]):
        return True
    if not parts or (parts[0].startswith(".") and not pattern[0].startswith(".")):  # wildcards don't stand for that dot
        return False
    rest = pattern if pattern[0] == "**" else pattern[1:]
    return fnmatchcase(parts[0], pattern[0]) and _parts_match(parts[1:], rest)


def _listed(path: Path) -> Iterator[Path]:
    """The files that a playlist (HLS) or a script of FFmpeg's concat format names."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        head = file.read(_LARGEST_PLAYLIST)
    text = head.removeprefix(b"\xef\xbb\xbf").decode(errors="replace")
    if text.startswith("#EXTM3U"):
        names = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        names += re.findall(r'^#EXT[^\n]*URI="([^"\n]+)"', text, re.MULTILINE)
    elif text.startswith("ffconcat version"):
        names = re.findall(r"^\s*file\s+'?([^'\n]+?)'?\s*$", text, re.MULTILINE)
    else:
        return
    yield from (path.parent / local for name in names if (local := local_path(name)) is not None)
