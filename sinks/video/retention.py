"""How long the segments of a recording are kept, and which files of a folder are its segments at all."""

from __future__ import annotations

import itertools
import logging
import os
import re
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pipeline.errors import SinkError
from sinks.keeping import Limits, Room
from sinks.output_files import partial_path, write_error
from sinks.written_files import Clock, WrittenFiles, boot_clock

logger = logging.getLogger(__name__)

_TIME = "%Y%m%dT%H%M%SZ"
# A partial file that was written to within this time may be that of another program that records just now.
_IN_USE_S = 120.0


def segment_path(folder: Path, prefix: str, start_s: float, number: int = 1, suffix: str = ".mp4") -> Path:
    """The file of a segment that starts at ``start_s``, seconds since 1970: ``door-20261122T041500Z.mp4``.

    Further ones of the same second are numbered: ``door-20261122T041500Z-2.mp4``.
    """
    copy = f"-{number}" if number > 1 else ""
    return folder / f"{prefix}-{datetime.fromtimestamp(start_s, UTC):{_TIME}}{copy}{suffix}"


def segment_names(prefix: str) -> re.Pattern[str]:
    """What files are named by that hold segments, whole or in the making. Those that were set aside count as well."""
    return re.compile(
        re.escape(prefix)
        + r"-(?P<start>\d{8}T\d{6}Z)(-(?P<number>\d{1,6}))?"
        + r"(?P<partial>\.partial(?P<copy>\.finishing)?(-\d{8}T\d{6}Z(-\d+)?)?)?(?P<suffix>\.mp4|\.mkv|\.mov)"
    )


def record_path(folder: Path, prefix: str) -> Path:
    """The record of the segments: see ``sinks.written_files``."""
    return folder / f".{prefix}.written"


@dataclass(frozen=True, slots=True)
class SegmentFile:
    """A segment, or what a crash left of one.

    Attributes:
        path: where it is.
        final: the name of the segment when it is complete.
        start_s: seconds since 1970, from its name.
        written_s: when it was last written to, but no earlier than its start.
        size: bytes.
        kind: ``""`` for a complete segment, ``"partial"``, or ``"copy"`` for the beginning of a final file whose
            partial file is still there.
    """

    path: Path
    final: Path
    start_s: float
    written_s: float
    size: int
    kind: Literal["", "partial", "copy"]


class Retention:
    """Deletes the oldest segments of one recording.

    Which are the oldest, and how old, says the record ``.PREFIX.written`` beside them, not their dates: see
    ``sinks.written_files``. The record is kept where there is a limit. Segments that are there when it is begun are
    taken into it; other files are neither deleted nor counted.

    Args:
        folder, prefix: of the segments' names.
        keep_s: delete what was complete longer ago than this; None keeps whatever its age.
        keep_bytes: delete the oldest until the folder holds no more than this of the recording; None sets no limit.
            Segments in hand and the record count, and are never deleted.
        keep_free_bytes: delete the oldest until so much of the disk is free; None leaves it to others.
        now_s: the time, in seconds since 1970.
        clock: for the record.
    """

    def __init__(
        self,
        folder: Path,
        prefix: str,
        *,
        keep_s: float | None,
        keep_bytes: float | None,
        keep_free_bytes: float | None = None,
        now_s: Callable[[], float],
        clock: Clock = boot_clock,
    ) -> None:
        self._folder = folder
        self._prefix = prefix
        self._name = segment_names(prefix)
        self._limits = Limits(age_s=keep_s, size=keep_bytes, free=keep_free_bytes)
        self._now_s = now_s
        self._lock = threading.Lock()
        self._in_hand: set[Path] = set()
        self._refused: set[Path] = set()
        self._record = WrittenFiles(record_path(folder, prefix), clock=clock)

    def hold(self, path: Path) -> None:
        """From now on nothing of the segment at ``path`` is deleted. For any thread."""
        with self._lock:
            self._in_hand.add(path)
            self._note(path, done=False)

    def release(self, path: Path) -> None:
        """The segment is no longer in hand. For any thread."""
        with self._lock:
            if path in self._in_hand:
                self._note(path, done=True)
                self._in_hand.discard(path)

    def free_path(self, start_s: float, suffix: str = ".mp4") -> Path:
        """The name of a segment that starts at that time, in seconds since 1970, and which no file has."""
        with self._lock:
            paths = (segment_path(self._folder, self._prefix, start_s, number, suffix) for number in itertools.count(1))
            return next(path for path in paths if path not in self._in_hand and not _taken(path))

    def place_for(self, segment: Path) -> Path:
        """The name that a segment of another folder has in this one, where no file has it."""
        name = self._name.fullmatch(segment.name)
        assert name is not None, "it is a segment of the same recording"
        return self.free_path(_start_s(name["start"]), name["suffix"])

    def _note(self, path: Path, *, done: bool) -> None:
        try:
            self._take_in()
        except SinkError as error:
            logger.debug("%s; what is there is taken in later", error)
            return
        if self._record.present or self._limits:
            self._record.add(path.name, done=done)

    def _take_in(self) -> None:
        """Begin the record, where there is none, with the segments that are there."""
        if self._limits and not self._record.present:
            found = {segment.final.name: segment for segment in self.segments() if segment.final not in self._in_hand}
            dates = [(name, segment.written_s) for name, segment in found.items()]
            self._record.adopt(dates, now_s=self._now_s(), keep_s=self._limits.age_s)

    def segments(self) -> list[SegmentFile]:
        """The recording's files, by their names.

        Raises:
            SinkError: the folder can't be read.
        """
        try:
            found = [segment for path in self._folder.iterdir() if (segment := self._segment(path)) is not None]
        except OSError as error:
            raise write_error(self._folder, error) from error
        return sorted(found, key=lambda segment: (segment.start_s, segment.path))

    def apply(self) -> list[Path]:
        """Delete what is too much; returns what was deleted. A file that can't be deleted is logged, once.

        Raises:
            SinkError: the folder can't be read.
        """
        with self._lock:
            self._take_in()
            segments, now_s, in_hand = self.segments(), self._now_s(), set(self._in_hand)
            ages = self._record.ages({segment.final.name for segment in segments} | {path.name for path in in_hand})
        order = {name: place for place, name in enumerate(ages)}
        recorded = [segment for segment in segments if segment.kind == "copy" or segment.final.name in order]
        recorded.sort(key=lambda segment: (order.get(segment.final.name, -1), segment.path))
        kept = sum(segment.size for segment in recorded) + self._record.size
        room = Room(self._limits, kept=kept, free=self._free_bytes() if self._limits.free is not None else 0)
        deleted = []
        for segment in recorded:
            if segment.final in in_hand or (segment.kind and abs(now_s - segment.written_s) < _IN_USE_S):
                continue
            goes = segment.kind == "copy" or room.is_short(ages.get(segment.final.name, 0.0))
            if goes and self._delete(segment.path):
                room.gain(segment.size)
                deleted.append(segment.path)
        return deleted

    def missing_bytes(self) -> float:
        """How much more of the disk should be free; 0 or less where enough is.

        Raises:
            SinkError: the folder can't be read.
        """
        return 0.0 if self._limits.free is None else self._limits.free - self._free_bytes()

    def _free_bytes(self) -> int:
        try:
            return shutil.disk_usage(self._folder).free
        except OSError as error:
            raise write_error(self._folder, error) from error

    def _segment(self, path: Path) -> SegmentFile | None:
        name = self._name.fullmatch(path.name)
        if name is None:
            return None
        try:
            start_s = _start_s(name["start"])
            if path.is_symlink() or not path.is_file():
                return None
            status = path.stat()
        except (ValueError, FileNotFoundError):  # no such day; or just deleted
            return None
        kind: Literal["", "partial", "copy"] = "copy" if name["copy"] else "partial" if name["partial"] else ""
        final = segment_path(self._folder, self._prefix, start_s, int(name["number"] or 1), name["suffix"])
        return SegmentFile(path, final, start_s, max(start_s, status.st_mtime), status.st_size, kind)

    def _delete(self, path: Path) -> bool:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            if path not in self._refused:
                self._refused.add(path)
                logger.warning("cannot delete the old segment %s: %s", path, error.strerror)
            return False
        logger.info("deleted the old segment %s", path)
        return True


def _start_s(stated: str) -> float:
    """Seconds since 1970 as the name of a segment tells them; ``ValueError`` where there is no such day."""
    return datetime.strptime(stated, _TIME).replace(tzinfo=UTC).timestamp()


def _taken(path: Path) -> bool:
    """Whether there is a segment of that name, or something of one."""
    partial = partial_path(path)
    return any(os.path.lexists(name) for name in (path, partial, partial.with_name(f"{partial.stem}.finishing.mp4")))
