"""Media time from a stream's timestamps, whatever state those are in."""

from __future__ import annotations

import logging
import math
from fractions import Fraction

logger = logging.getLogger(__name__)

FALLBACK_FRAME_S = 1 / 25
# Further back than this is a restart of the clock (files joined end to end, a counter that wrapped), not a slip.
RESTART_S = 1.0


class Timeline:
    """Turns presentation timestamps into seconds from the stream's start, strictly increasing.

    Timestamps that rise are taken as they are, so a variable frame rate is kept. One that is missing, repeated or out
    of order is replaced by the last time plus the nominal frame duration, and the stream's own clock is taken up again
    as soon as it is ahead. A clock that restarts further back, or leaps further ahead than ``largest_gap_s``, is joined
    on at the nominal frame duration. The first repair is logged.

    Args:
        name: what to call the stream in the log.
        time_base: seconds per tick.
        frame_s: nominal duration of a frame in seconds; None where the source does not say.
        start: the timestamp in ticks at which the stream starts, where the first frame may have been lost. It is
            believed when the first frame comes at most ten seconds later; otherwise the first frame is the start.
        largest_gap_s: the longest pause between two frames that is believed.
    """

    def __init__(
        self,
        name: str,
        time_base: Fraction,
        frame_s: float | None,
        *,
        start: int | None = None,
        largest_gap_s: float = float("inf"),
    ) -> None:
        self._name = name
        self._tick_s = float(time_base)
        self.time_base = time_base
        self._frame_s = frame_s or FALLBACK_FRAME_S
        self._start = start
        self._largest_gap_s = largest_gap_s
        self._origin: int | None = None
        self._last_pts: int | None = None
        self._last_dts: int | None = None
        self._pts_steps_back = 0
        self._dts_steps_back = 0
        self._shift_s = 0.0
        self._last_s: float | None = None
        self._last_was_repaired = False
        self.repaired = 0

    def next(self, pts: int | None, dts: int | None = None) -> float:
        """Seconds from the stream's start of the next frame in display order.

        Args:
            pts: the frame's presentation timestamp in ticks.
            dts: the decoding timestamp that the decoder gave out with the frame. It rises evenly even where a container
                has no presentation timestamps and FFmpeg made some up in decoding order (AVI); it is used instead of
                ``pts`` once that has gone backwards more often.
        """
        stated = self._stated(self._more_orderly(pts, dts))
        if self._last_s is None:
            self._last_s = 0.0 if stated is None else stated
            return self._last_s
        # Half a tick more than the largest gap: the sum is rounded.
        if stated is not None and self._last_s < stated <= self._last_s + self._largest_gap_s + self._tick_s / 2:
            self._last_s = stated
            self._last_was_repaired = False
            return stated
        # A step too small for a float that large must still be a step.
        self._last_s = max(self._repair(stated), math.nextafter(self._last_s, math.inf))
        return self._last_s

    def _more_orderly(self, pts: int | None, dts: int | None) -> int | None:
        self._pts_steps_back += self._last_pts is not None and pts is not None and pts <= self._last_pts
        self._dts_steps_back += self._last_dts is not None and dts is not None and dts <= self._last_dts
        self._last_pts = self._last_pts if pts is None else pts
        self._last_dts = self._last_dts if dts is None else dts
        if pts is None or (dts is not None and self._pts_steps_back > self._dts_steps_back):
            return dts
        return pts

    def _stated(self, pts: int | None) -> float | None:
        if pts is None:
            return None
        if self._origin is None:
            self._origin = self._first_tick(pts)
            if self._last_s is not None:
                # Frames without a timestamp came first; this one follows them.
                self._shift_s = self._last_s + self._frame_s
        return float((pts - self._origin) * self.time_base) + self._shift_s

    def _first_tick(self, pts: int) -> int:
        start = self._start
        believed = start is not None and self._last_s is None and 0 <= (pts - start) * self._tick_s <= 10
        return start if believed and start is not None else pts

    def _repair(self, stated: float | None) -> float:
        assert self._last_s is not None
        self._log_first_repair(stated)
        self.repaired += 1
        if stated is not None:
            behind = self._last_s - stated
            if behind > RESTART_S or behind < 0:
                joined = self._last_s + self._frame_s
                self._shift_s += joined - stated
                self._last_was_repaired = False
                return joined
            if self._last_was_repaired and behind < self._frame_s:
                # The last repair ran a little ahead of the stream's clock; a full step would stay ahead of it for ever.
                return self._last_s + self._frame_s / 4
        self._last_was_repaired = True
        return self._last_s + self._frame_s

    def _log_first_repair(self, stated: float | None) -> None:
        if self.repaired:
            return
        problem = "no timestamp" if stated is None else f"timestamp {stated:.3f} s"
        logger.warning(
            "%s: frame after %.3f s has %s; timestamps are repaired from the frame duration of %.4f s where needed",
            self._name,
            self._last_s,
            problem,
            self._frame_s,
        )
