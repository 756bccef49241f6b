"""Which input frame is on screen at which ticks of the output.

Where a rate was asked for, and of cameras, the output has it. The k-th output frame is due at ``k / fps`` seconds of
media time and shows the last input frame whose own time is not later. So the output lasts as long as the input whatever
rate was asked for: input frames that fall between two ticks are left out, those that stay on screen for several are
repeated.

Otherwise each frame is in the output once, from its own time to the next one's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from statistics import mean, median

# Rates that cameras and films really have; a measured rate within 1% of one is taken to be it.
_USUAL_RATES = tuple(
    Fraction(rate)
    for rate in (5, 10, 12, 15, 20, Fraction(24000, 1001), 24, 25, Fraction(30000, 1001), 30, 50, 60, 120)
)
# A container that counts in milliseconds may call itself "1000 frames per second".
_HIGHEST_RATE = 1000
# How finely the times of frames are kept that come at any times.
_FINE_TICKS_PER_S = 3000
# Media times come from integers through floats, and are exact to well under this.
_ROUNDING_S = 1e-6
# Where the output's rate is the source's own, a frame may come this late and still make its tick: containers that
# count in milliseconds put every other frame of a regular 30 fps up to half a millisecond late.
_JITTER_S = 0.6e-3


class OutputClock:
    """Assigns ticks to input frames, which come in order of time.

    Args:
        fps: ticks per second.
        origin_s: media time of tick 0. A first frame that comes later is on screen from there on.
        source_fps: frames per second of the input, if known.
    """

    def __init__(self, fps: Fraction, origin_s: float, source_fps: Fraction | None = None) -> None:
        self._fps = fps
        self._origin_s = origin_s
        self._slack_s = _JITTER_S if fps == source_fps else _ROUNDING_S
        self._next = 0

    def until(self, pts_s: float) -> range:
        """The ticks, after those given before, at which a frame is on screen that the next replaces at ``pts_s``."""
        return self._advance(math.ceil(self._ticks(pts_s)))

    def last(self, pts_s: float, end_s: float) -> range:
        """The ticks of the last frame, which came at ``pts_s``, when the input ends at ``end_s``.

        The length is rounded to whole ticks, but none is left out at which the frame has come.
        """
        shown = math.floor(self._ticks(pts_s + 2 * self._slack_s)) + 1
        return self._advance(max(shown, round((end_s - self._origin_s) * self._fps)))

    def _ticks(self, pts_s: float) -> float:
        return (pts_s - self._origin_s - self._slack_s) * self._fps

    def _advance(self, stop: int) -> range:
        ticks = range(self._next, max(self._next, stop))
        self._next = ticks.stop
        return ticks


class EachFrameClock:
    """Gives each input frame, which come in order of time, one range of fine ticks: ``step`` is all of its length.

    Args:
        fps: frames per second of the input, as a rule. Times that keep to it are put on whole frames, however the
            container rounded them.
        origin_s: media time of tick 0. A first frame that comes later is on screen from there on.
    """

    def __init__(self, fps: Fraction, origin_s: float) -> None:
        self._fps = fps
        self._origin_s = origin_s
        self._next = 0
        self.ticks_per_frame = math.ceil(_FINE_TICKS_PER_S / fps)

    def until(self, pts_s: float) -> range:
        """The ticks of the frame after those given before, which the next replaces at ``pts_s``."""
        frames = (pts_s - self._origin_s) * float(self._fps)
        whole = round(frames)
        if abs(frames - whole) <= _JITTER_S * self._fps:
            stop = whole * self.ticks_per_frame
        else:
            stop = round(frames * self.ticks_per_frame)
        stop = max(stop, self._next + 1)
        ticks = range(self._next, stop, stop - self._next)
        self._next = stop
        return ticks

    def last(self, pts_s: float, end_s: float) -> range:
        """The ticks of the last frame, which came at ``pts_s``, when the input ends at ``end_s``."""
        return self.until(max(pts_s, end_s))


def limited(fps: Fraction) -> Fraction:
    """``fps`` as a ratio that files can hold, off by less than one part in a million at usual rates."""
    return max(fps.limit_denominator(1001), Fraction(1, 1001))


def nominal_rate(fps: Fraction | None) -> Fraction | None:
    """The rate a source claims, or None where the claim can't be a frame rate."""
    return limited(fps) if fps is not None and 0 < fps < _HIGHEST_RATE else None


def measured_rate(times_s: Sequence[float]) -> Fraction:
    """The frame rate that the media times of some consecutive frames suggest; 25 if there is only one frame.

    From the mean difference without the gaps, and taken to be a usual rate when it is within 1%.
    """
    differences = [later - earlier for earlier, later in pairwise(times_s) if later > earlier]
    if not differences:
        return Fraction(25)
    largest_s = 1.5 * median(differences)
    rate = 1 / mean(difference for difference in differences if difference <= largest_s)
    nearest = min(_USUAL_RATES, key=lambda usual: abs(usual - rate))
    if abs(nearest - rate) <= nearest / 100:
        return nearest
    return limited(Fraction(min(max(rate, 0.1), _HIGHEST_RATE)))
