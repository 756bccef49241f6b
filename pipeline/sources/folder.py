"""Folders and patterns of images as a stream."""

from __future__ import annotations

import glob
import logging
import re
import time
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from fractions import Fraction
from os import PathLike, fspath
from pathlib import Path
from types import MappingProxyType
from typing import Self

from pipeline.errors import SourceError, SourceNotFoundError
from pipeline.pictures import read_picture
from pipeline.sources.uri import clean_name
from pipeline.types import Frame, Image, SourceInfo

logger = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset(
    {".bmp", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)


class ImageFolder:
    """Images as the frames of a stream, in the order that a person would number them (``2.jpg`` before ``10.jpg``).

    The k-th file is shown at ``k / fps`` seconds. EXIF orientation is honoured. A file that is no image is counted in
    ``failed["decode"]`` and named in the log; its time stays empty. Images may differ in size.

    Args:
        path: a folder (its images, not those of folders in it), one image, or a pattern such as ``shots/*.jpg`` or
            ``days/**/*.png``.
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
        files = find_images(self._uri)
        pictures = self._pictures(files)
        first = next(pictures, None)
        if first is None:
            raise SourceError(f"{self._uri}: none of its {len(files)} files is an image that can be read; check one")
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _read(self, first: Frame, others: Iterator[Frame]) -> Generator[Frame, None, None]:
        yield first
        yield from others

    def _pictures(self, files: list[Path]) -> Iterator[Frame]:
        index = 0
        for position, file in enumerate(files):
            image = self._picture(file)
            if image is not None:
                yield Frame(image, index, float(position / self._fps), time.monotonic(), self._stream_name)
                index += 1

    def _picture(self, file: Path) -> Image | None:
        try:
            return read_picture(file)
        except SourceError as error:
            self._failed["decode"] += 1
            logger.warning("%s: %s; going on with the next", self._stream_name, error)
            return None


def find_images(path: str) -> list[Path]:
    """The files that ``path`` (folder, file or pattern) names, in natural order.

    Raises:
        SourceNotFoundError: there is nothing there, or nothing matches.
        SourceError: a folder without images.
    """
    place = Path(path)
    if place.is_dir():
        files = [file for file in place.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file()]
        if not files:
            raise SourceError(f"{path}: is a folder without images; give a video file, or a folder of .jpg, .png, ...")
    elif place.exists():
        files = [place]
    elif is_pattern(path):
        files = [Path(name) for name in glob.glob(path, recursive=True) if Path(name).is_file()]  # noqa: PTH207
        if not files:
            raise SourceNotFoundError(
                f"{path}: no file matches this pattern; check the folder and quote the pattern in a shell"
            )
    else:
        raise SourceNotFoundError(f"{path}: no such file or folder; check the path")
    return sorted(files, key=_natural_key)


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
