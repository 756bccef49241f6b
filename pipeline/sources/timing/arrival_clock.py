"""Media time of a live stream: its own timestamps, as long as they agree with when its pictures come.

A camera's timestamps are smooth, and the network is not; but cameras set their clocks, start them anew and run them at
wrong rates, while pictures can't come before they are taken, and come late only for a while.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

logger = logging.getLogger(__name__)

# All in seconds. A picture can't come this much before its time ...
_AHEAD_S = 0.5
# ... and what is this much late is late for a reason: the network, which makes up for it, or the clock.
_LATE_S = 0.4
# How long a late stream may fail to catch up by a quarter of the time that passes.
_CONFIRM_S = 0.45
_CATCHING_UP = 0.25
# A step back of this much is waited out at a quarter of the speed.
_OVERLAP_S = 0.7
# What comes within this time of the first picture, one right behind the other, has waited for us: up to so much is
# older than its arrival.
_START_S, _RIGHT_BEHIND_S, _MOST_WAITED_S, _LARGEST_WAITED_STEP_S = 0.3, 0.02, 5.0, 0.25
# The mean disagreement is worked off with this time constant, at most so much of the time that passes.
_MEAN_S, _WORK_OFF_S, _MOST_WORKED_OFF = 10.0, 30.0, 0.01
# Two small steps in one direction, or many of any kind, within this time: it is the rate that is wrong.
_TROUBLE_S, _SMALL_STEP_S, _MANY_STEPS = 60.0, 3.0, 5
# Then timestamps must have agreed with the arrival for this long before they are used again, this closely.
_PROBATION_S, _FIT_S = 10.0, 0.35
# So many timestamps in a row that agree neither with the arrival nor with each other are of no use.
_MANY_MISFITS = 10


@dataclass(slots=True)
class _Candidate:
    """Timestamps on a new footing: ``shift_s`` makes media time of them, if they stay on it."""

    shift_s: float
    since_s: float
    stamp_s: float
    lead_s: float

    def fits(self, stamp_s: float, real_s: float) -> bool:
        """Whether the next picture is on it: no more late than the first one was, and not before its time."""
        lead_s = stamp_s + self.shift_s - real_s
        return stamp_s > self.stamp_s and self.lead_s - _FIT_S <= lead_s <= _FIT_S


@dataclass(frozen=True, slots=True)
class _Step:
    at_s: float
    stamp_s: float
    size_s: float


class ArrivalClock:
    """Turns a live stream's timestamps into seconds since its first picture, strictly increasing.

    While timestamps and arrival agree within half a second, the timestamps are taken as they are; only their mean
    disagreement is worked off, at less than one percent, so that clocks which drift do no harm. Pictures that were held
    up on the way and then come faster than they were taken keep their timestamps however late they are. Where a picture
    would have come before it was taken, where timestamps go back, or where pictures stay late, the camera's clock was
    changed: media time goes on by the arrival, and by the timestamps again once two in a row are on a new footing.
    Timestamps that lose their footing again and again run at a wrong rate; the arrival then takes their place until
    they have agreed with it for ten seconds. Media time so never differs from real time by more than a second, but for
    pictures that were held up. A picture without a timestamp gets its arrival.

    Args:
        name: what to call the stream in the log, where each kind of fault is told once.
        frame_s: nominal duration of a frame in seconds.

    Attributes:
        steps: how often the timestamps were put on a new footing.
    """

    def __init__(self, name: str, frame_s: float = 0.04) -> None:
        self.steps = 0
        self._name = name
        self._step_s = frame_s  # usual, from one picture to the next
        self._told: set[str] = set()
        self._origin_s = 0.0
        self._shift_s: float | None = None
        self._candidate: _Candidate | None = None
        self._on_probation = False
        self._misfits = 0
        self._recent: list[_Step] = []
        self._misfits = 0
        self._late: tuple[float, float] | None = (
            None  # when it was last seen to catch up, and how far it was ahead then
        )
        self._mean_lead_s = 0.0
        self._starting, self._waited_s = True, 0.0
        self._out_s: float | None = None
        self._real_s = 0.0
        self._stamp_s: float | None = None

    @property
    def by_arrival(self) -> bool:
        """Whether media time is that of arrival now, as the timestamps are of no use."""
        return self._out_s is not None and self._shift_s is None

    def next(self, stamp_s: float | None, arrival_s: float) -> float:
        """Media time of the next picture in display order.

        Args:
            stamp_s: its timestamp in seconds, on any clock; None where it has none.
            arrival_s: when it came, on a clock that runs evenly, such as ``time.monotonic()``.
        """
        if self._out_s is None:
            self._origin_s = arrival_s
            self._shift_s = None if stamp_s is None else -stamp_s
            self._out_s, self._stamp_s = 0.0, stamp_s
            return 0.0
        real_s = max(arrival_s - self._origin_s, self._real_s)
        if stamp_s is not None and self._shift_s is None and self._candidate is None and not self._on_probation:
            # The first timestamp there is. If its picture comes late, what follows shows why.
            self._shift_s = self._out_s + self._step_s - stamp_s
        if stamp_s is not None and self._shift_s is not None:
            real_s = self._allow_for_waiting(stamp_s, self._shift_s, real_s)
        passed_s = real_s - self._real_s
        out_s = self._by_stamp(stamp_s, real_s, passed_s)
        if out_s is None:
            out_s = self._by_arrival(stamp_s, real_s, passed_s)
        self._real_s = real_s
        self._stamp_s = self._stamp_s if stamp_s is None else stamp_s
        # A step too small for a float that large must still be a step.
        self._out_s = max(out_s, math.nextafter(self._out_s, math.inf))
        return self._out_s

    def _allow_for_waiting(self, stamp_s: float, shift_s: float, real_s: float) -> float:
        """The real time of this picture, if it shows that those before it had been held up until we came."""
        lead_s = stamp_s + shift_s - real_s
        step_s = stamp_s - (stamp_s if self._stamp_s is None else self._stamp_s)
        right_behind = real_s - self._real_s <= _RIGHT_BEHIND_S and step_s <= _LARGEST_WAITED_STEP_S
        within = real_s - self._waited_s <= _START_S and self._waited_s + lead_s <= _MOST_WAITED_S
        if lead_s <= 0 or not self._starting:
            return real_s
        if not (right_behind and within):
            self._starting = False
            return real_s
        self._origin_s -= lead_s
        self._waited_s += lead_s
        return real_s + lead_s

    def _by_stamp(self, stamp_s: float | None, real_s: float, passed_s: float) -> float | None:
        """Media time by the timestamp; None if it can't be used on its present footing."""
        if stamp_s is None or self._shift_s is None or self._out_s is None:
            return None
        out_s = stamp_s + self._shift_s
        lead_s = out_s - real_s
        if lead_s > _AHEAD_S or out_s <= self._out_s - _OVERLAP_S:
            return None
        self._candidate, self._misfits = None, 0
        if lead_s < -_LATE_S:
            if self._stays_late(lead_s, real_s):
                self._step(real_s - stamp_s, stamp_s, real_s)
                return real_s
        else:
            self._late = None
            self._work_off(lead_s, out_s - self._out_s)
        if out_s <= self._out_s:
            return self._out_s + passed_s / 4
        self._step_s += (out_s - self._out_s - self._step_s) / 10
        return out_s

    def _stays_late(self, lead_s: float, real_s: float) -> bool:
        """Whether the stream has been late for a while, without catching up as it does after it was held up."""
        if self._late is None:
            self._late = (real_s, lead_s)
            return False
        since_s, then_s = self._late
        if real_s - since_s < _CONFIRM_S:
            return False
        if lead_s - then_s < _CATCHING_UP * (real_s - since_s):
            self._late = None
            return True
        self._late = (real_s, lead_s)
        return False

    def _work_off(self, lead_s: float, step_s: float) -> None:
        """Bring the timestamps nearer to the arrival, by an unnoticeable part of the time between two of them."""
        assert self._shift_s is not None
        step_s = min(max(step_s, 0.0), 1.0)
        self._mean_lead_s += (lead_s - self._mean_lead_s) * step_s / _MEAN_S
        most_s = _MOST_WORKED_OFF * step_s
        part_s = min(max(self._mean_lead_s * step_s / _WORK_OFF_S, -most_s), most_s)
        self._shift_s -= part_s
        self._mean_lead_s -= part_s

    def _by_arrival(self, stamp_s: float | None, real_s: float, passed_s: float) -> float:
        """Media time by the arrival; looks meanwhile whether the timestamps have found a new footing."""
        assert self._out_s is not None
        # What was held up comes at once, and goes on at its usual steps. Where media time has run ahead, it waits at
        # half the speed.
        next_s = self._out_s + max(2 * passed_s, self._step_s)
        out_s = max(min(real_s, next_s), self._out_s + passed_s / 2)
        if stamp_s is None:
            return out_s
        candidate = self._candidate
        if candidate is None or not candidate.fits(stamp_s, real_s):
            self._candidate = _Candidate(min(out_s, real_s) - stamp_s, real_s, stamp_s, min(out_s - real_s, 0.0))
            self._misfits += 1
            if self._misfits == _MANY_MISFITS and not self._on_probation:
                self.steps += 1
                self._distrust(None)
            return out_s
        candidate.stamp_s, self._misfits = stamp_s, 0
        if not self._on_probation or real_s - candidate.since_s >= _PROBATION_S:
            self._on_probation = False
            self._step(candidate.shift_s, stamp_s, real_s)
        return out_s

    def _step(self, shift_s: float, stamp_s: float, real_s: float) -> None:
        """Put the timestamps on a new footing, or out of use where that happens too often."""
        size_s = shift_s - (shift_s if self._shift_s is None else self._shift_s)
        self._candidate, self._late, self._mean_lead_s = None, None, 0.0
        before = self._recent[-1] if self._recent else None
        step = _Step(real_s, stamp_s, size_s)
        self._recent = [*(old for old in self._recent if real_s - old.at_s <= _TROUBLE_S), step]
        self._shift_s = shift_s
        if not size_s:
            return  # they are of use again after all
        self.steps += 1
        again = (
            before in self._recent
            and before is not None
            and before.size_s * size_s > 0
            and max(abs(before.size_s), abs(size_s)) < _SMALL_STEP_S
        )
        if before is not None and (again or len(self._recent) >= _MANY_STEPS):
            self._distrust((stamp_s - before.stamp_s) / (real_s - before.at_s) if again else None)
        elif abs(size_s) >= _SMALL_STEP_S:
            self._tell("step", f"the timestamps jumped by {-size_s:+.1f} s; media time goes on in real time")

    def _distrust(self, rate: float | None) -> None:
        self._shift_s, self._on_probation = None, True
        shown = "no even rate" if rate is None else f"{rate:.2f} times real time"
        self._tell(
            "rate",
            f"the camera's timestamps run at {shown}; the time of arrival takes their place until they agree with it",
        )

    def _tell(self, kind: str, what: str) -> None:
        if kind not in self._told:
            self._told.add(kind)
            logger.warning("%s: %s", self._name, what)
