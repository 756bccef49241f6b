"""Events kept as Parquet files in a folder, run after run. See docs/store.md.

A Parquet file can be read only when it is complete, so events go to a journal first: JSON lines, synced every time.
When the journal is large or old enough it becomes a Parquet file, and so does one that a killed run left, at the next
start.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from pipeline.errors import SinkError
from pipeline.event_codec import encode_json
from pipeline.events import Event
from pipeline.files import BYTES_PER_MB, FolderFiles, OutputFiles
from sinks.output_files import make_folder, write_error
from sinks.store.event_store import EventStore
from sinks.store.parquet_file import load_pyarrow
from sinks.store.parquet_journal import JOURNAL_NAME, Journal, recover
from sinks.written_files import WrittenFiles

logger = logging.getLogger(__name__)

_DAY_S = 86_400.0
_RECORD = ".events.written"
_FILE = re.compile(r"events-\d{8}T\d{12}Z-\d+\.parquet")


class ParquetStore(EventStore):
    """Keeps events as Parquet files in a folder; a new one is begun every ``rotate_s`` and every ``rotate_mb``.

    A process that is killed, or a machine that loses power, loses the events of the last ``flush_s`` at most. Several
    runs may share a folder, also at the same time.

    Args:
        folder: made if its parent is there.
        types: the event types to keep; all by default.
        keep_days: files that were completed longer ago are deleted; None keeps them. What counts is time that has
            passed, and the order of writing, not what the clock says: see ``sinks.written_files``.
        max_mb: the oldest files are deleted so that all stay below this many million bytes together; None for no limit.
        flush_s: longest time in seconds that an event waits to be written, at most 1.
        rotate_s, rotate_mb: time in seconds, and million bytes of JSON, after which a file is complete.

    Raises:
        ConfigError: an event type that does not exist.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        types: Collection[str] | None = None,
        keep_days: float | None = None,
        max_mb: float | None = None,
        flush_s: float = 0.5,
        rotate_s: float = 600.0,
        rotate_mb: float = 32.0,
    ) -> None:
        if min(keep_days or 1, max_mb or 1, rotate_s, rotate_mb) <= 0 or not 0 < flush_s <= 1:
            raise ValueError(
                "expected keep_days, max_mb, rotate_s and rotate_mb above 0 and 0 < flush_s <= 1, got "
                f"{keep_days}, {max_mb}, {rotate_s}, {rotate_mb} and {flush_s}"
            )
        self.folder = Path(folder)
        super().__init__(self.folder, types=types, flush_s=flush_s)
        self._keep_s = None if keep_days is None else keep_days * _DAY_S
        self._max_bytes = None if max_mb is None else max_mb * BYTES_PER_MB
        self._rotate_s = rotate_s
        self._rotate_bytes = rotate_mb * BYTES_PER_MB
        self._journal: Journal | None = None
        self._left: list[Journal] = []  # that could not be completed yet
        self._record = WrittenFiles(self.folder / _RECORD)

    def check(self) -> None:
        """Make the folder; raise ``SinkError`` if it can't be written to, or pyarrow is not installed."""
        load_pyarrow()
        make_folder(self.folder, str(self.folder))
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise SinkError(f"cannot keep events in {self.folder}: no permission to write; choose another place")

    def files(self, stream: str) -> Sequence[OutputFiles]:
        """The journals and Parquet files of the folder, of which old ones are deleted, and their record."""
        names = re.compile(r"events-\d{8}T\d{12}Z-\d+(\.journal|(\.partial)?\.parquet)|\.events\.written")
        part = FolderFiles(self.folder, names, "events-20260101T000000000000Z-1.parquet")
        return [OutputFiles("the store of events", self.folder, (self.folder, self.folder / _RECORD), (part,))]

    def _begin(self, live: bool) -> None:
        """Make the folder, and complete what a killed run left."""
        try:
            self.folder.mkdir(exist_ok=True)
            for path in sorted(self.folder.iterdir()):
                if JOURNAL_NAME.fullmatch(path.name) and (recovered := recover(path)) is not None:
                    self._note(recovered)
        except OSError as error:
            failure = _explained(self.folder, error)
            if not live:
                raise failure from error
            logger.warning("%s; trying again", failure)

    def _write(self, batch: Sequence[Event]) -> None:
        try:
            self._see_to_journal()
            assert self._journal is not None
            self._journal.write(b"".join(encode_json(event) + b"\n" for event in batch))
        except OSError as error:
            raise _explained(self.folder, error) from error
        if self._journal.size >= self._rotate_bytes or self._journal.age_s >= self._rotate_s:
            try:
                self._finish()
            except SinkError as error:
                if not self._patient:
                    raise
                logger.warning("%s; the journal is completed later", error)

    def _see_to_journal(self) -> None:
        """See to it that there is a journal; in a run with a camera, a new one where the old one is gone."""
        if self._journal is not None and self._patient and not self._journal.present:
            logger.warning("%s is gone; a new one is begun", self._journal.path)
            self._journal.abandon()
            self._journal = None
        if self._journal is None:
            self._require_mounted()
            if self._patient:
                self.folder.mkdir(exist_ok=True)
            self._journal = Journal(self.folder)

    def _finish(self) -> None:
        """Complete the journal, and those that could not be completed before."""
        journal, self._journal = self._journal, None
        if journal is not None:
            self._left.append(journal)
        try:
            while self._left:
                if self._left[0].present:
                    path = self._left[0].complete()
                    self._note(path)
                else:
                    self._left[0].abandon()
                del self._left[0]
            self._trim()
        except OSError as error:
            raise _explained(self.folder, error) from error

    def _note(self, path: Path) -> None:
        if self._keep_s is not None or self._max_bytes is not None or self._record.present:
            self._take_in(but=path)
            self._record.add(path.name, done=True)

    def _take_in(self, but: Path | None = None) -> None:
        """Begin the record, where there is none, with the files that are there."""
        if not self._record.present:
            dates = [(path.name, path.stat().st_mtime) for path in self._files() if path != but]
            self._record.adopt(dates, now_s=time.time(), keep_s=self._keep_s)

    def _files(self) -> list[Path]:
        return [path for path in sorted(self.folder.glob("events-*.parquet")) if _FILE.fullmatch(path.name)]

    def _trim(self) -> None:
        """Delete the oldest files that are on record, as far as the limits ask for it. The newest stays."""
        if self._keep_s is None and self._max_bytes is None:
            return
        self._take_in()
        sizes = {path.name: path.stat().st_size for path in self._files()}
        ages = self._record.ages(sizes)
        total = sum(sizes[name] for name in ages)
        for name, age_s in list(ages.items())[:-1]:
            old = self._keep_s is not None and age_s > self._keep_s
            if old or (self._max_bytes is not None and total > self._max_bytes):
                (self.folder / name).unlink(missing_ok=True)
                total -= sizes[name]


def _explained(folder: Path, error: OSError) -> SinkError:
    return error if isinstance(error, SinkError) else write_error(folder, error)
