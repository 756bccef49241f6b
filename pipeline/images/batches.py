"""Many picture files through a detector or a classifier, in batches that fill well.

    for picture in detect_images(YoloDetector(), files):
        print(picture.path, len(picture.detections) if isinstance(picture, DetectedImage) else picture.error)

A network takes several pictures at once only if they make the same input shape. So the headers of some hundred files
are read first, files of one shape are put together, and while the detector works, threads decode what comes next.
Memory holds a few batches, however many files there are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import SourceError
from pipeline.hardware import available_threads
from pipeline.images.reading import picture_size, read_image
from pipeline.types import Image

if TYPE_CHECKING:
    pass

WINDOW = 512
"""Files whose headers are looked at together; what is reported never strays further than that from its place."""

# Beyond the batch in work, and beyond this many pixels (3 bytes each) at least one more picture, is decoded ahead.
_BATCHES_AHEAD = 2
_MOST_PIXELS = 48_000_000


@dataclass(frozen=True, slots=True, eq=False)
class BrokenPicture:
    """A file that could not be read as a picture.

    Attributes:
        index: its place among the files, from 0.
        path: the file.
        error: why, in one line that names the file.
    """

    index: int
    path: Path
    error: SourceError


@dataclass(frozen=True, slots=True)
class _Planned:
    index: int
    path: Path
    shape: tuple[int, int]
    pixels: int


# The pictures of a batch that could be read, and those that could not.
_Read = tuple[list[tuple[_Planned, Image]], list[BrokenPicture]]


def _read(
    files: Iterable[str | PathLike[str]], batch: int, window: int, shape_of: Callable[[int, int], tuple[int, int]]
) -> Generator[_Read, None, None]:
    """The files in batches of one shape, decoded by threads ahead of whoever asks for them."""
    if batch < 1 or window < 1:
        raise ValueError(f"expected batch and window of at least 1, got {batch} and {window}")
    batches = _batches(shape_of, enumerate(map(Path, files)), batch, window)
    waiting: deque[tuple[list[_Planned], list[Future[Image]]]] = deque()
    pool = ThreadPoolExecutor(available_threads(), "pictures")
    try:
        planned = next(batches, None)
        while planned is not None or waiting:
            while planned is not None and _has_room(waiting):
                waiting.append((planned, [pool.submit(read_image, entry.path) for entry in planned]))
                planned = next(batches, None)
            yield _finished(*waiting.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _finished(planned: Sequence[_Planned], futures: Sequence[Future[Image]]) -> _Read:
    read: list[tuple[_Planned, Image]] = []
    broken: list[BrokenPicture] = []
    for entry, future in zip(planned, futures, strict=True):
        try:
            read.append((entry, future.result()))
        except SourceError as error:
            broken.append(BrokenPicture(entry.index, entry.path, error))
    return read, broken


def _has_room(waiting: Sequence[tuple[list[_Planned], object]]) -> bool:
    """Whether another batch may be decoded ahead; the one that is first is about to be worked on."""
    ahead = list(waiting)[1:]
    pixels = sum(entry.pixels for planned, _ in ahead for entry in planned)
    return not waiting or (len(ahead) < _BATCHES_AHEAD and pixels < _MOST_PIXELS)


def _batches(
    shape_of: Callable[[int, int], tuple[int, int]], files: Iterator[tuple[int, Path]], batch: int, window: int
) -> Iterator[list[_Planned]]:
    """The files in batches of one input shape each, shapes in the order in which they turn up in a window."""
    while chosen := list(islice(files, window)):
        by_shape: dict[tuple[int, int], list[_Planned]] = {}
        for index, path in chosen:
            # What has no size is no picture; reading it tells why.
            width, height = picture_size(path) or (0, 0)
            shape = shape_of(height, width) if width else (0, 0)
            by_shape.setdefault(shape, []).append(_Planned(index, path, shape, width * height))
        for members in by_shape.values():
            yield from _cut(members, batch)


def _cut(members: Sequence[_Planned], batch: int) -> Iterator[list[_Planned]]:
    """Parts of at most so many pictures and pixels, but of one picture at least."""
    part: list[_Planned] = []
    pixels = 0
    for entry in members:
        if part and (len(part) == batch or pixels + entry.pixels > _MOST_PIXELS):
            yield part
            part, pixels = [], 0
        part.append(entry)
        pixels += entry.pixels
    if part:
        yield part
