"""What was found in many pictures, as one file: JSON, CSV or COCO's JSON.

Each is written as the pictures come, so that it needs no more memory for many than for few, and appears under its name
when it is complete.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import msgspec

from pipeline.files import OutputFiles
from sinks.csv_text import csv_text
from sinks.output_files import OutputFile, check_output, written_file

_T = TypeVar("_T")


class PictureObject(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One object: its class, score, box in pixels of the upright picture, and the file it was cut out into."""

    class_name: str = msgspec.field(name="class")
    score: float
    xyxy: tuple[float, float, float, float]
    file: str | None = None


class PictureRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One picture: its file as given, its size in pixels, what was found, and its annotated copy; or what was wrong."""

    file: str
    width: int = 0
    height: int = 0
    annotated: str | None = None
    error: str | None = None
    objects: tuple[PictureObject, ...] = ()


class PictureClass(msgspec.Struct, frozen=True, kw_only=True):
    """One class that a picture may be of, and how probable that is."""

    class_name: str = msgspec.field(name="class")
    probability: float


class ClassifiedRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One picture: its file as given, its size in pixels, and what it shows, best first; or what was wrong."""

    file: str
    width: int = 0
    height: int = 0
    error: str | None = None
    classes: tuple[PictureClass, ...] = ()


def in_order(items: Iterable[tuple[int, _T]]) -> Iterator[tuple[int, _T]]:
    """Items numbered from 0 in the order of their numbers, each as soon as those before it have come. At the end come
    those that a missing number held back."""
    waiting: dict[int, _T] = {}
    due = 0
    for number, item in items:
        waiting[number] = item
        while due in waiting:
            yield due, waiting.pop(due)
            due += 1
    for number in sorted(waiting):
        yield number, waiting[number]


class PictureResults:
    """A file of results. ``check`` and ``open`` come first, then ``write`` for each picture, then ``close``.

    Args:
        path: the file.
        files: all pictures that will come, in order.
        class_names: of the detector.
        model: its name.
    """

    what = "the results"

    def __init__(
        self, path: str | os.PathLike[str], *, files: Sequence[Path], class_names: Sequence[str], model: str
    ) -> None:
        self.path = Path(path)
        self._files = files
        self._class_names = class_names
        self._model = model
        self._file: OutputFile | None = None
        self._written = 0

    def check(self) -> None:
        """Raise ``SinkError`` if the file can't be written."""
        check_output(self.path)

    def files(self) -> OutputFiles:
        """The file, and its partial name."""
        return written_file(self.what, self.path)

    def open(self) -> None:
        """Begin the file."""
        self._file = OutputFile(self.path)
        self._put(self._head())

    def write(self, number: int, record: PictureRecord) -> None:
        """Add the picture of that number, from 0, in ``files``; they come in order, but some may be missing."""
        self._put(self._row(number, record))
        self._written += 1

    def close(self, error: BaseException | None = None) -> None:
        """Complete the file, or keep what there is of it under its partial name if the run failed."""
        if self._file is None:
            return
        try:
            if error is None or isinstance(error, KeyboardInterrupt):
                self._end()
        except BaseException as failure:
            self._file.finish(failure)
            raise
        self._file.finish(error)

    def _put(self, data: bytes) -> None:
        assert self._file is not None
        if data:
            self._file.write(data)

    def _head(self) -> bytes:
        return b""

    def _row(self, number: int, record: PictureRecord) -> bytes:
        raise NotImplementedError

    def _end(self) -> None:
        """Write what comes after the last picture."""


class JsonResults(PictureResults):
    """``{"model": ..., "pictures": [{"file", "width", "height", "objects": [{"class", "score", "xyxy"}]}]}``; a picture
    that could not be read has ``error`` instead."""

    what = "the results in JSON"

    def _head(self) -> bytes:
        return b'{"model": ' + msgspec.json.encode(self._model) + b', "pictures": ['

    def _row(self, number: int, record: PictureRecord) -> bytes:
        return self._entry(record, "objects")

    def _entry(self, record: msgspec.Struct, listed: str) -> bytes:
        # Picture by picture in a line each, for who looks into the file.
        fields = msgspec.to_builtins(record)
        if "error" not in fields:
            fields.setdefault(listed, [])
        return (b",\n" if self._written else b"\n") + msgspec.json.encode(fields)

    def write_classified(self, record: ClassifiedRecord) -> None:
        """Add a picture that was classified."""
        self._put(self._entry(record, "classes"))
        self._written += 1

    def _end(self) -> None:
        self._put(b"\n]}\n")


class CsvResults(PictureResults):
    """A row for each object: file, width, height, class, score, left, top, right, bottom. Pictures in which nothing was
    found, and those that could not be read, have none. Texts are written as ``sinks.csv_text`` says."""

    what = "the results in CSV"

    _COLUMNS = ("file", "width", "height", "class", "score", "left", "top", "right", "bottom")

    def _head(self) -> bytes:
        return csv_text([self._COLUMNS]).encode()

    def _row(self, number: int, record: PictureRecord) -> bytes:
        picture = (record.file, record.width, record.height)
        return csv_text(
            (*picture, found.class_name, found.score, *(Decimal(f"{side:.2f}") for side in found.xyxy))
            for found in record.objects
        ).encode()
