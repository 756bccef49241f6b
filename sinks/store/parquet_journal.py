"""The journal of a store of Parquet files: events as JSON lines, synced every time, until they become such a file."""

from __future__ import annotations

import fcntl
import io
import itertools
import logging
import os
import re
import time
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from pathlib import Path

import msgspec

from sinks.output_files import partial_path
from sinks.store.parquet_file import ParquetFile
from sinks.store.schema import COLUMN_NAMES

logger = logging.getLogger(__name__)

JOURNAL_NAME = re.compile(r"events-\d{8}T\d{12}Z-\d+\.journal")
_ROWS_AT_A_TIME = 5000


class Journal:
    """A file of JSON lines that is locked as long as its owner lives."""

    def __init__(self, folder: Path) -> None:
        self._begun_s = time.monotonic()
        self.path, self._file = _new_journal(folder)
        self._status = os.fstat(self._file.fileno())
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self.size = 0

    @property
    def present(self) -> bool:
        """Whether it is still there under its name."""
        try:
            return os.path.samestat(self.path.stat(), self._status)
        except OSError:
            return False

    @property
    def age_s(self) -> float:
        """Seconds since it was begun."""
        return time.monotonic() - self._begun_s

    def write(self, lines: bytes) -> None:
        """Add whole lines, safe from a loss of power when this returns. After an error none of them is there."""
        rest = memoryview(lines)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(self.size)
            self._file.seek(self.size)
            raise
        self.size += len(lines)

    def complete(self) -> Path:
        """Turn it into a Parquet file; returns that. After an error it may be tried again."""
        path = _convert(self.path)
        self.abandon()
        return path

    def abandon(self) -> None:
        """Let go of it, and of the lock."""
        self._file.close()


def _new_journal(folder: Path) -> tuple[Path, io.FileIO]:
    """A new file, whose name no journal and no Parquet file has: the clock may tell the same time twice."""
    for number in itertools.count():
        stamp = (datetime.now(UTC) + timedelta(microseconds=number)).strftime("%Y%m%dT%H%M%S%f")
        path = folder / f"events-{stamp}Z-{os.getpid()}.journal"
        if not path.with_suffix(".parquet").exists():
            try:
                return path, path.open("xb", buffering=0)
            except FileExistsError:
                continue
    raise AssertionError("there is always another name")


def recover(path: Path) -> Path | None:
    """Turn a journal that nobody writes any more into a Parquet file; returns that."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        if path.exists():  # its owner may have completed it just now
            logger.warning("%s was left by a run that was killed; it is completed", path)
            return _convert(path)
    return None


def _convert(path: Path) -> Path:
    """Make a Parquet file of a journal, and delete that; returns that, which is not there if it is empty."""
    target = path.with_suffix(".parquet")
    # What is left of an earlier attempt; all of it is in the journal, which is locked.
    partial_path(target).unlink(missing_ok=True)
    with path.open("rb") as file:
        # Only the last line can be torn: the journal is written in order.
        rows = map(_row, takewhile(lambda line: line.endswith(b"\n"), file))
        part = list(islice(rows, _ROWS_AT_A_TIME))
        if part:
            with ParquetFile(target) as parquet:
                while part:
                    parquet.write_rows(part)
                    part = list(islice(rows, _ROWS_AT_A_TIME))
    path.unlink()
    return target


def _row(line: bytes) -> tuple[object, ...]:
    """The values of ``store_schema.COLUMNS`` of an event in JSON."""
    fields = msgspec.json.decode(line, type=dict[str, object])
    box = fields.get("xyxy")
    if isinstance(box, list):
        fields |= dict(zip(("x1", "y1", "x2", "y2"), box, strict=True))
    fields["data"] = line.rstrip(b"\n").decode()
    return tuple(fields.get(name) for name in COLUMN_NAMES)
