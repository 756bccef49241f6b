"""Objects of many image files, a batch at a time."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from pipeline.detection.adapted import as_detector
from pipeline.images.batches import WINDOW, BrokenPicture, _read
from pipeline.interfaces import DetectorLike
from pipeline.types import Detections, Image


@dataclass(frozen=True, slots=True, eq=False)
class DetectedImage:
    """A picture with what was found in it.

    Attributes:
        index: its place among the files, from 0.
        path: its file.
        image: uint8 ``(height, width, 3)``, BGR, upright.
        detections: boxes in pixels of ``image``.
    """

    index: int
    path: Path
    image: Image
    detections: Detections


def detect_images(
    detector: DetectorLike, files: Iterable[str | PathLike[str]], *, batch: int = 8, window: int = WINDOW
) -> Generator[DetectedImage | BrokenPicture, None, None]:
    """What a detector finds in picture files; each file comes out once, as soon as it is done.

    Within a window of files they come out in the order in which they went through the network, so go by ``index``. The
    detections are those that ``detector.detect`` gives for each file alone.

    Args:
        detector: any. One with a method ``input_shape(height, width)`` fills its batches better.
        files: paths of pictures of any kind and size.
        batch: most pictures that go through the network at once.
        window: files whose headers are looked at together.

    Raises:
        ValueError: ``batch`` or ``window`` is not positive.
        ModelError: as ``detector.detect`` does.
    """
    looker = as_detector(detector)
    with closing(_read(files, batch, window, looker.input_shape)) as batches:
        for read, broken in batches:
            yield from broken
            found = looker.detect([image for _, image in read])
            for (entry, image), detections in zip(read, found, strict=True):
                yield DetectedImage(entry.index, entry.path, image, detections)
