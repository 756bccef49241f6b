"""Where segments lie, those during which nothing happened and those that belong to an event; how long they stay."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from pathlib import Path

from pipeline.errors import SinkError
from sinks.steady_file import mount_point
from sinks.video.retention import Retention

logger = logging.getLogger(__name__)

# Between two looks at whether the disk has room, in seconds.
_LOOK_AT_DISK_S = 10.0


class Shelves:
    """The two folders of a recording.

    Args:
        plain: of segments during which nothing happened.
        events: of the others.
        only_events: all segments are of events.
        patient: what can't be deleted is deleted later; else that is raised.

    Attributes:
        mount: where their disk is mounted.
    """

    def __init__(self, plain: Retention, events: Retention, *, only_events: bool, patient: bool) -> None:
        self._plain = plain
        self._events = events
        self._first = events if only_events else plain
        self._patient = patient
        self._looked_s = 0.0
        self.mount: Path = mount_point(plain.free_path(0))

    def place(self, start_s: float, suffix: str) -> Path:
        """A name for a segment that begins at that time, in seconds since 1970, which is in hand from now on."""
        path = self._first.free_path(int(start_s), suffix)
        with suppress(OSError):  # who writes there tells
            path.parent.mkdir(exist_ok=True)
        self._first.hold(path)
        return path

    def release(self, path: Path) -> None:
        """The segment is no longer in hand."""
        self._first.release(path)

    def move_to_events(self, path: Path) -> None:
        """Have a complete segment kept as long as one that belongs to an event."""
        moved = self._events.place_for(path)
        self._events.hold(moved)
        try:
            moved.parent.mkdir(exist_ok=True)
            path.replace(moved)
        except OSError as error:
            logger.warning("%s can't be moved to %s: %s", path, moved, error.strerror)
        finally:
            self._events.release(moved)

    def tidy(self) -> None:
        """Delete what is too old or too much; of what is plain first.

        Raises:
            SinkError: the folders can't be read; not where it is patient.
        """
        try:
            self._plain.apply()
            self._events.apply()
        except SinkError as error:
            if not self._patient:
                raise
            logger.warning("%s; old segments are deleted later", error)

    def see_to_room(self) -> None:
        """Do so as soon as the disk has too little room, not only when a segment ends; looks now and then."""
        now_s = time.monotonic()
        if now_s - self._looked_s < _LOOK_AT_DISK_S:
            return
        self._looked_s = now_s
        try:
            if self._plain.missing_bytes() > 0:
                self.tidy()
        except SinkError as error:
            logger.debug("%s", error)  # who writes there tells
