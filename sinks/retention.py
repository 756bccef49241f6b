"""How long the segments of a recording are kept, and which files of a folder are its segments at all."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from sinks.outputs import write_error

logger = logging.getLogger(__name__)

_TIME = "%Y%m%dT%H%M%SZ"
# A partial file that was written to within this time may be that of another program that records just now.
_IN_USE_S = 120.0


def segment_path(folder: Path, prefix: str, start_s: float) -> Path:
    """The file of a segment that starts at ``start_s``, seconds since 1970: ``door-20261122T041500Z.mp4``."""
    return folder / f"{prefix}-{datetime.fromtimestamp(start_s, UTC):{_TIME}}.mp4"


def segment_names(prefix: str) -> re.Pattern[str]:
    """What files are named by that hold segments, whole or in the making. Those that were set aside count as well."""
    return re.compile(
        re.escape(prefix)
        + r"-(?P<start>\d{8}T\d{6}Z)(?P<partial>\.partial(?P<copy>\.finishing)?(-\d{8}T\d{6}Z(-\d+)?)?)?\.mp4"
    )


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
    """Deletes the oldest segments of one recording. No file that is not named like its segments is ever touched.

    Args:
        folder, prefix: of the segments' names.
        keep_s: delete what was last written to longer ago than this; None keeps whatever its age.
        keep_bytes: delete the oldest until the folder holds no more than this of the recording; None sets no limit.
            Segments in hand count, and are never deleted.
        now_s: the time, in seconds since 1970.
    """

    def __init__(
        self,
        folder: Path,
        prefix: str,
        *,
        keep_s: float | None,
        keep_bytes: float | None,
        now_s: Callable[[], float],
    ) -> None:
        self._folder = folder
        self._prefix = prefix
        self._name = segment_names(prefix)
        self._keep_s = keep_s
        self._keep_bytes = keep_bytes
        self._now_s = now_s
        self._lock = threading.Lock()
        self._in_hand: set[Path] = set()
        self._refused: set[Path] = set()

    def hold(self, path: Path) -> None:
        """From now on nothing of the segment at ``path`` is deleted. For any thread."""
        with self._lock:
            self._in_hand.add(path)

    def release(self, path: Path) -> None:
        """The segment is no longer in hand. For any thread."""
        with self._lock:
            self._in_hand.discard(path)

    def segments(self) -> list[SegmentFile]:
        """The recording's files, oldest first.

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
        segments, now_s = self.segments(), self._now_s()
        with self._lock:
            in_hand = set(self._in_hand)
        left = sum(segment.size for segment in segments)
        deleted = []
        for segment in segments:
            silent_s = now_s - segment.written_s
            if segment.final in in_hand or (segment.kind and silent_s < _IN_USE_S):
                continue
            old = self._keep_s is not None and silent_s > self._keep_s
            much = self._keep_bytes is not None and left > self._keep_bytes
            if (old or much or segment.kind == "copy") and self._delete(segment.path):
                left -= segment.size
                deleted.append(segment.path)
        return deleted

    def _segment(self, path: Path) -> SegmentFile | None:
        name = self._name.fullmatch(path.name)
        if name is None:
            return None
        try:
            start_s = datetime.strptime(name["start"], _TIME).replace(tzinfo=UTC).timestamp()
            if path.is_symlink() or not path.is_file():
                return None
            status = path.stat()
        except (ValueError, FileNotFoundError):  # no such day; or just deleted
            return None
        kind: Literal["", "partial", "copy"] = "copy" if name["copy"] else "partial" if name["partial"] else ""
        final = segment_path(self._folder, self._prefix, start_s)
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
