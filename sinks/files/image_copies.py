"""Annotated copies of pictures, and the objects cut out of them, as files of one folder.

``DIR/NAME.jpg`` is the copy of a picture called ``NAME.jpg``; ``DIR/NAME-objects/person-1.jpg`` is the person found in
it with the best score. Of two pictures whose names differ in nothing but folder or ending, the second is called
``NAME-2``. What `ImageCopies.files` says is written must not be among the pictures given.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Self

import cv2
import numpy as np

from pipeline.errors import SinkError
from pipeline.files import FolderFiles, OutputFiles
from pipeline.printable import encodable
from pipeline.stream_names import cut as cut_text
from pipeline.types import Detections, Image
from sinks.drawing.annotator import Annotator
from sinks.locks import FolderLock, lock_path
from sinks.output_files import OutputFile, partial_path, write_error

# What is added to a name ("-12.partial.jpg", "-objects") must still fit into the 255 bytes that a file's name may have.
_LONGEST_BYTES = 180
# Endings whose format OpenCV writes in colour; a copy of any other is PNG.
_SUFFIXES = frozenset({".bmp", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
# An object's file name ends in its number; the name of its class comes before that.
_LOCK = "sightline"
_CUT_OUT = re.compile(r".+-\d+(\.partial)?\.jpg")


class ImageCopies:
    """Writes what belongs to one picture after another, as a context manager. One thread at a time may use it.

    Args:
        folder: where; made when the work begins, if it is not there.
        files: the pictures, in order.
        class_names: of the detector.
        extract: cut out the objects, too.

    Attributes:
        written: copies that were written so far.
        cut_out: objects that were.
    """

    def __init__(self, folder: Path, files: Sequence[Path], class_names: Sequence[str], *, extract: bool) -> None:
        self.folder = folder
        self._class_names = class_names
        self._extract = extract
        self._annotator = Annotator(class_names, show_ids=False, trail_s=0)
        self._names = copy_names(files)
        self.written = self.cut_out = 0

    def files(self) -> OutputFiles:
        """The copies, and whatever is called like an object that was cut out of one of them."""
        copies = [self.folder / name for name in self._names]
        copies += [partial_path(copy) for copy in copies]
        folders = (self.folder / f"{Path(name).stem}-objects" for name in self._names if self._extract)
        cut_outs = tuple(FolderFiles(folder, _CUT_OUT, "person-1.jpg") for folder in folders)
        return OutputFiles("the copies", self.folder, (self.folder, *copies, lock_path(self.folder, _LOCK)), cut_outs)

    def __enter__(self) -> Self:
        """Make the folder, and keep others from writing there.

        Raises:
            SinkError: it can't be made, or another run is writing there.
        """
        _make_folder(self.folder)
        self._lock = FolderLock(self.folder, _LOCK)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._lock.release()

    def save(self, index: int, image: Image, detections: Detections) -> tuple[str, list[str | None]]:
        """Write the copy of a picture, and its objects; the names of both, relative to the folder.

        Args:
            index: of the picture among ``files``.
            image: uint8 ``(height, width, 3)``, BGR; only read.
            detections: in pixels of ``image``.

        Returns:
            The copy's name as ``encodable`` text, and for each object its cut-out's, or None where none is wanted.

        Raises:
            SinkError: a file can't be written.
        """
        name = self._names[index]
        objects: list[str | None] = [None] * len(detections)
        if self._extract and len(detections):
            _make_folder(self.folder / f"{Path(name).stem}-objects")
            for row, cut_out in enumerate(self._cut_out_names(Path(name).stem, detections)):
                self._write(cut_out, cut(image, detections.xyxy[row].tolist()))
                objects[row] = cut_out
                self.cut_out += 1
        self._write(name, self._annotator.draw_objects(image, detections))
        self.written += 1
        return encodable(name), [None if each is None else encodable(each) for each in objects]

    def _cut_out_names(self, stem: str, detections: Detections) -> list[str]:
        numbers: Counter[str] = Counter()
        names = []
        for class_id in detections.class_id.tolist():
            label = safe_name(self._class_names[class_id])
            numbers[label] += 1
            names.append(f"{stem}-objects/{label}-{numbers[label]}.jpg")
        return names

    def _write(self, name: str, image: Image) -> None:
        write_picture(self.folder / name, image)


def write_picture(path: Path, image: Image) -> None:
    """Write a picture in the format that the path's ending names; the file appears when it is complete.

    Args:
        path: where.
        image: uint8 ``(height, width, 3)``, BGR.

    Raises:
        SinkError: there is no such format, the picture is too large for it, the disk is full, or another failure.
    """
    try:
        done, data = cv2.imencode(path.suffix, image)
    except cv2.error:
        done = False
    if not done:
        height, width = image.shape[:2]
        raise SinkError(f"cannot write {path}: {width}x{height} px can't be saved as {path.suffix}")
    with OutputFile(path) as file:
        file.write(data.tobytes())


def copy_names(files: Sequence[Path]) -> list[str]:
    """A file name for each picture, no two alike even where the endings or capitals are not told apart."""
    taken: set[str] = set()
    names = []
    for file in files:
        stem = whole = cut_text(file.stem, _LONGEST_BYTES)
        for number in count(2):
            if stem.casefold() not in taken:
                break
            stem = f"{whole}-{number}"
        taken.add(stem.casefold())
        suffix = file.suffix if file.suffix.lower() in _SUFFIXES else ".png"
        names.append(stem + suffix)
    return names


def cut(image: Image, box: Sequence[float]) -> Image:
    """The part of a picture inside a box (left, top, right, bottom), in whole pixels and at least one."""
    height, width = image.shape[:2]
    left, top = min(int(box[0]), width - 1), min(int(box[1]), height - 1)
    right, bottom = (int(np.ceil(side)) for side in box[2:])
    return image[max(0, top) : max(bottom, top + 1), max(0, left) : max(right, left + 1)]


def safe_name(text: str) -> str:
    """A class name as part of a file name."""
    return cut_text(re.sub(r"[^\w.+-]+", "-", text).strip("-."), _LONGEST_BYTES) or "object"


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(folder, error) from error
