"""Objects of images as COCO writes them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pipeline.models.class_names import COCO_CLASS_NAMES
from sinks.files.image_results import PictureObject, PictureRecord, PictureResults

# COCO numbers its categories from 1 to 90 and has no objects of these.
_UNUSED_COCO_IDS = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83})
_COCO_IDS = tuple(number for number in range(1, 91) if number not in _UNUSED_COCO_IDS)
# Annotations of COCO's file that are kept in memory; more wait in a temporary file.
_SPOOL_BYTES = 8_000_000


class CocoResults(PictureResults):
    """COCO's format, as ``pycocotools.coco.COCO(file)`` reads it, with a ``score`` for each annotation.

    Category ids are COCO's own, from 1 to 90, where the classes are COCO's, and otherwise the place of the class, from
    1. Image ids are the numbers that the files are named by (``000000000139.jpg`` is 139) where every file is named by
    a number of its own, and otherwise the place of the file among those given, from 1. A picture that could not be read
    is left out.
    """

    what = "the results in COCO's format"

    def open(self) -> None:
        """Begin the file."""
        self._image_ids = image_ids(self._files)
        ids = category_ids(self._class_names)
        self._category_ids = dict(zip(self._class_names, ids, strict=True))
        self._annotations = tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES)  # noqa: SIM115
        self._images = self._objects = 0
        super().open()

    def close(self, error: BaseException | None = None) -> None:
        """Complete the file, or keep what there is of it under its partial name if the run failed."""
        super().close(error)
        if self._file is not None:
            self._annotations.close()

    def _head(self) -> bytes:
        about = msgspec.json.encode({"description": f"Sightline, {self._model}"})
        return b'{"info": ' + about + b', "images": ['

    def _row(self, number: int, record: PictureRecord) -> bytes:
        if record.error is not None:
            return b""
        image_id = self._image_ids[number]
        for found in record.objects:
            self._annotate(image_id, found)
        self._images += 1
        entry = {"id": image_id, "file_name": Path(record.file).name, "width": record.width, "height": record.height}
        return (b",\n" if self._images > 1 else b"\n") + msgspec.json.encode(entry)

    def _annotate(self, image_id: int, found: PictureObject) -> None:
        self._objects += 1
        left, top, right, bottom = found.xyxy
        entry = {
            "id": self._objects,
            "image_id": image_id,
            "category_id": self._category_ids[found.class_name],
            "bbox": [left, top, right - left, bottom - top],
            "area": (right - left) * (bottom - top),
            "iscrowd": 0,
            "score": found.score,
        }
        self._annotations.write((b",\n" if self._objects > 1 else b"\n") + msgspec.json.encode(entry))

    def _end(self) -> None:
        assert self._file is not None
        self._put(b'\n], "annotations": [')
        self._annotations.seek(0)
        shutil.copyfileobj(self._annotations, self._file)
        categories = [{"id": number, "name": name} for name, number in self._category_ids.items()]
        self._put(b'\n], "categories": ' + msgspec.json.encode(categories) + b"}\n")


def image_ids(files: Sequence[Path]) -> list[int]:
    """COCO's id of each file: the number it is named by, if every file has one of its own, or else its place from 1."""
    stems = [file.stem for file in files]
    if all(stem.isascii() and stem.isdigit() and len(stem) <= 18 for stem in stems):
        numbers = [int(stem) for stem in stems]
        if len(set(numbers)) == len(numbers):
            return numbers
    return list(range(1, len(files) + 1))


def category_ids(class_names: Sequence[str]) -> tuple[int, ...]:
    """COCO's own ids for its own classes; for others their places, from 1."""
    if tuple(class_names) == COCO_CLASS_NAMES:
        return _COCO_IDS
    return tuple(range(1, len(class_names) + 1))
