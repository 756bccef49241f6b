"""The fields that all events share: number, run and wall-clock time."""

from __future__ import annotations

import time
import uuid
from typing import Any, TypeVar

from pipeline.event_codec import wall_time
from pipeline.events import Event

EventKind = TypeVar("EventKind", bound=Event)

# The two clocks are read one after the other. Times that lie no further apart than this are the same but for that.
_SAME_S = 0.005


class EventStamper:
    """Numbers the events of one run, whatever streams they come from.

    One per run, shared by all its streams and used from one thread. Every event it makes has the next ``seq``, so each
    must reach the sinks, in the order they were made: a ``seq`` that is missing tells a subscriber that it lost
    something.

    Wall times follow the system's clock when it is set, so they may jump, also back; ``seq`` is the order.

    Args:
        run: the run's UUID; a random one by default.

    Attributes:
        run: the run's UUID.
        last_seq: ``seq`` of the newest event, 0 before the first.
    """

    def __init__(self, run: str | None = None) -> None:
        self.run = run if run is not None else str(uuid.uuid4())
        self.last_seq = 0
        self._utc_offset_s = time.time() - time.monotonic()
        self._newest_wall: tuple[float, str] = (float("nan"), "")

    def utc_s(self, captured_s: float | None = None) -> float:
        """A monotonic time (default: now) in seconds since 1970."""
        self._follow_clock()
        return (time.monotonic() if captured_s is None else captured_s) + self._utc_offset_s

    def wall(self, captured_s: float | None = None) -> str:
        """A monotonic time (default: now) as UTC, ISO 8601 with milliseconds and ``Z``."""
        utc_s = self.utc_s(captured_s)
        if self._newest_wall[0] != utc_s:
            self._newest_wall = (
                utc_s,
                wall_time(utc_s),
            )
        return self._newest_wall[1]

    def _follow_clock(self) -> None:
        """Take over what the system's clock was set to: a machine may begin in 1970 and learn the time later."""
        before_s, utc_s, after_s = time.monotonic(), time.time(), time.monotonic()
        # Where the thread was held up between two readings, the next event tells.
        if after_s - before_s < _SAME_S and abs(utc_s - before_s - self._utc_offset_s) > _SAME_S:
            self._utc_offset_s = utc_s - before_s

    def __call__(
        self, kind: type[EventKind], /, *, stream: str, pts_s: float, captured_s: float | None = None, **fields: Any
    ) -> EventKind:
        """A new event.

        Args:
            kind: the event's type, such as ``StreamStarted``.
            stream: name of the stream.
            pts_s: media time in seconds.
            captured_s: monotonic time of the frame concerned; None for now.
            fields: what that type has beyond the common fields.
        """
        event = kind(
            seq=self.last_seq + 1, run=self.run, stream=stream, pts_s=pts_s, wall=self.wall(captured_s), **fields
        )
        self.last_seq += 1
        return event
