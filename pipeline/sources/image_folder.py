"""Folders and patterns of images as a stream."""

from __future__ import annotations

import errno
import glob
import logging
import os
import re
import stat
import time
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from fractions import Fraction
from os import PathLike, fspath
from pathlib import Path
from types import MappingProxyType

from pipeline.errors import SourceError, SourceNotFoundError
from pipeline.images.header import looks_like_picture
from pipeline.images.reading import RAW_SUFFIXES, read_image
from pipeline.interfaces import Source
from pipeline.printable import readable
from pipeline.redaction import redact_missing_path
from pipeline.sources.uri import clean_name
from pipeline.types import Frame, Image, SourceInfo

logger = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset(
    {
        *(".avif", ".bmp", ".dib", ".heic", ".heif", ".hif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".mpo", ".pam"),
        *(".pbm", ".pgm", ".pjpeg", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
    }
)
"""What a single file is called that is taken for a picture without a look into it."""

# In a folder of pictures these are pictures too; alone they are read as the videos that they may be. Those of the last
# lines can't be read, and are named rather than passed over.
_FOLDER_SUFFIXES = frozenset(
    {
        *(*IMAGE_SUFFIXES, ".apng", ".avifs", ".gif", ".heics", ".j2c", ".j2k", ".jpf", ".jpx"),
        *(*RAW_SUFFIXES, ".exr", ".hdr", ".ico", ".jxl", ".jxr", ".pcx", ".pfm", ".psd", ".svg", ".tga"),
    }
)
_BEGINNING = 32


class ImageFolder(Source):
    """Images as the frames of a stream, in the order that a person would number them (``2.jpg`` before ``10.jpg``).

    The k-th file is shown at ``k / fps`` seconds. EXIF orientation is honoured. A file that is no image is counted in
    ``failed["decode"]`` and named in the log; its time stays empty. Images may differ in size.

    Args:
        path: a folder (its images, whatever they are called, not those of folders in it), one image, or a pattern such
            as ``shots/*.jpg`` or ``days/**/*.png``.
        fps: images per second of media time.
        stream: name of the stream; default: the folder's name.

    Raises:
        SourceNotFoundError: there is nothing at ``path``, or no file matches it.
        SourceError: the folder holds no images, or none of the files is an image that can be read.
    """

    def __init__(self, path: str | PathLike[str], *, fps: float | Fraction = 1, stream: str | None = None) -> None:
        if not 0 < fps <= 1000:
            raise ValueError(f"fps: expected more than 0 and at most 1000 images per second, got {fps}")
        self._uri = fspath(path)
        self._stream_name = stream or _folder_name(self._uri)
        self._fps = Fraction(fps).limit_denominator(1_000_000)
        self._failed: Counter[str] = Counter()
        self._closed = False
        files = find_images(self._uri, tell=True)
        pictures = self._pictures(files)
        first = next(pictures, None)
        if first is None:
            raise SourceError(
                f"{readable(self._uri)}: none of its {len(files)} files is an image that can be read; check one"
            )
        self._info = SourceInfo(
            width=first.width,
            height=first.height,
            fps=self._fps,
            frame_count=len(files),
            duration_s=float(len(files) / self._fps),
            uri=self._uri,
        )
        self._frames = self._read(first, pictures)

    @property
    def stream(self) -> str:
        """Name of the stream."""
        return self._stream_name

    @property
    def info(self) -> SourceInfo:
        """Size of the first image; number of files; the rate that was asked for."""
        return self._info

    @property
    def failed(self) -> Mapping[str, int]:
        """Files that could not be read as an image, under ``"decode"``."""
        return MappingProxyType(self._failed)

    def __iter__(self) -> Iterator[Frame]:
        """The images, each once: a second loop goes on where the first one left off.

        Raises:
            SourceError: the source is closed.
        """
        if self._closed:
            raise SourceError(f"{self._uri}: closed; open it again to read it")
        return self._frames

    def close(self) -> None:
        """Stop reading."""
        self._closed = True
        self._frames.close()

    def _read(self, first: Frame, others: Iterator[Frame]) -> Generator[Frame, None, None]:
        yield first
        yield from others

    def _pictures(self, files: list[Path]) -> Iterator[Frame]:
        index = 0
        for position, file in enumerate(files):
            image = self._picture(file, alone=len(files) == 1)
            if image is not None:
                yield Frame(image, index, float(position / self._fps), time.monotonic(), self._stream_name)
                index += 1

    def _picture(self, file: Path, *, alone: bool) -> Image | None:
        try:
            return read_image(file)
        except SourceError as error:
            if alone:
                raise
            self._failed["decode"] += 1
            logger.warning("%s: %s; going on with the next", self._stream_name, error)
            return None


def find_images(path: str, *, tell: bool = False) -> list[Path]:
    """The files that ``path`` (folder, file or pattern) names, in natural order.

    Of a folder these are the files that are called or begin as pictures do, also those that can't be read, so that
    whoever reads them tells why. ``tell`` names a folder that is called like a picture, and is left out, in the log.

    Raises:
        SourceNotFoundError: there is nothing there, or nothing matches.
        SourceError: a folder without images, or one that can't be read.
    """
    name = readable(path)
    mode = _mode(path, name)
    if mode is not None and stat.S_ISDIR(mode):
        files = _in_folder(path, name, tell)
        if not files:
            raise SourceError(f"{name}: is a folder without images; give a video file, or a folder of .jpg, .png, ...")
    elif mode is not None or os.path.islink(path):  # noqa: PTH114 - without an error for a long name
        files = [Path(path)]
    elif is_pattern(path):
        files = [found for found in map(Path, glob.glob(path, recursive=True)) if not _is_folder(found)]  # noqa: PTH207
        if not files:
            raise SourceNotFoundError(
                f"{redact_missing_path(name)}: no file matches this pattern; check the folder and quote the pattern in "
                "a shell"
            )
    else:
        raise SourceNotFoundError(f"{redact_missing_path(name)}: no such file or folder; check the path")
    return sorted(files, key=_natural_key)


def is_images(path: str) -> bool:
    """Whether ``path`` is for ``ImageFolder``: a folder, a file that is called like a picture, a pattern.

    Raises:
        SourceError: it can't be found out what is there, such as for a name that is too long.
    """
    if Path(path).suffix.lower() in IMAGE_SUFFIXES:
        return True
    mode = _mode(path, readable(path))
    return is_pattern(path) if mode is None else stat.S_ISDIR(mode)


def _mode(path: str, name: str) -> int | None:
    """Type and permissions of what is at ``path``; None where nothing is."""
    try:
        return Path(path).stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a zero byte in the path
        return None
    except OSError as error:
        if is_pattern(path):
            return None
        if error.errno == errno.ENAMETOOLONG:
            raise SourceNotFoundError(f"{name}: no file has so long a name; check the path") from error
        raise SourceError(f"{name}: can't be read ({error.strerror}); check its permissions") from error


def _in_folder(path: str, name: str, tell: bool) -> list[Path]:
    files = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                file = Path(entry.path)
                if file.suffix.lower() not in _FOLDER_SUFFIXES:
                    if _begins_as_picture(file):
                        files.append(file)
                elif not _is_folder(file):
                    files.append(file)
                elif tell:
                    logger.warning("%s: is a folder, not a picture; left out", readable(file))
    except OSError as error:
        raise SourceError(f"{name}: the folder can't be read ({error.strerror}); check its permissions") from error
    return files


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # what is wrong with it, whoever reads it tells
        return False


def _begins_as_picture(file: Path) -> bool:
    """Whether a file is a picture by its first bytes, whatever it is called."""
    try:
        if not file.is_file():  # a pipe would keep its reader waiting
            return False
        with file.open("rb") as opened:
            return looks_like_picture(opened.read(_BEGINNING))
    except OSError:
        return False


def is_pattern(path: str) -> bool:
    """Whether ``path`` holds wildcards."""
    return glob.has_magic(path)


def _natural_key(path: Path) -> tuple[list[tuple[int, int | str]], str]:
    """Numbers in the path compare by value, the rest as text without regard to case."""
    parts = re.split(r"(\d+)", str(path))
    return [(0, int(part)) if part.isdecimal() else (1, part.casefold()) for part in parts if part], str(path)


def _folder_name(path: str) -> str:
    named = [part for part in Path(path).parts if not is_pattern(part)]
    return clean_name(Path(named[-1]).stem if named else "") or "images"
