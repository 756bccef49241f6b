"""Media time of pictures that come one by one, of which no other can be asked before the next is due."""

from __future__ import annotations

import logging
import math

logger = logging.getLogger(__name__)

FALLBACK_FRAME_S = 1 / 25
# Further back than this is a restart of the clock, not a slip.
_RESTART_S = 1.0


class Timeline:
    """Turns timestamps into seconds from the first, strictly increasing.

    Timestamps that rise are taken as they are, so a variable frame rate is kept. One that is repeated or out of order
    is replaced by the last time plus the nominal frame duration, and the stream's own clock is taken up again as soon
    as it is ahead. A clock that restarts further back is joined on at the nominal frame duration. The first repair is
    logged.

    Args:
        name: what to call the stream in the log.
        frame_s: nominal duration of a frame in seconds; None where the source does not say.

    Attributes:
        repaired: how many timestamps were replaced so far.

    >>> timeline = Timeline("door", 0.25)
    >>> [timeline.next(stamp_s) for stamp_s in (7.0, 7.5, 7.5, 8.5)]
    [0.0, 0.5, 0.75, 1.5]
    """

    def __init__(self, name: str, frame_s: float | None) -> None:
        self._name = name
        self._frame_s = frame_s or FALLBACK_FRAME_S
        # What is taken from a timestamp to give media time; known with the first.
        self._origin_s: float | None = None
        self._last_s = 0.0
        self._last_was_repaired = False
        self.repaired = 0

    def next(self, stamp_s: float) -> float:
        """Seconds from the stream's first picture of the next one, whose timestamp is given in seconds."""
        if self._origin_s is None:
            self._origin_s = stamp_s
            return 0.0
        stated_s = stamp_s - self._origin_s
        if stated_s > self._last_s:
            self._last_s, self._last_was_repaired = stated_s, False
        else:
            self._warn_once(stated_s)
            self.repaired += 1
            # A step too small for a float that large must still be a step.
            self._last_s = max(self._repair(stated_s), math.nextafter(self._last_s, math.inf))
        return self._last_s

    def _repair(self, stated_s: float) -> float:
        assert self._origin_s is not None
        behind_s = self._last_s - stated_s
        next_s = self._last_s + self._frame_s
        restarted = behind_s > _RESTART_S
        if restarted:
            self._origin_s -= next_s - stated_s
        elif self._last_was_repaired and behind_s < self._frame_s:
            # The last repair ran a little ahead of the stream's clock; a full step would stay ahead of it for ever.
            next_s = self._last_s + self._frame_s / 4
        self._last_was_repaired = not restarted
        return next_s

    def _warn_once(self, stated_s: float) -> None:
        if not self.repaired:
            logger.warning(
                "%s: frame after %.3f s has timestamp %.3f s; "
                "timestamps are repaired from the frame duration of %.4f s where needed",
                self._name,
                self._last_s,
                stated_s,
                self._frame_s,
            )
