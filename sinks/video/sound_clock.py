"""One clock for pictures and sound: the pictures' own shifts of time, applied to the sound's timestamps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.types import Frame

# Offsets of one clock differ by rounding only.
_SAME_S = 1e-4
# Sound may go on for so long after the pictures of its part of the file before it is taken for the next part's.
_TAIL_S = 0.5
# A sound clock that is set further back than this, and not together with the pictures', has just begun again.
_RESTART_S = 1.0


@dataclass(slots=True)
class ClockPart:
    """Pictures in a row by one and the same clock.

    Attributes:
        offset_s: media time minus the file's own clock.
        first_s, last_s: when its first and its last picture come, by the file's own clock.
    """

    offset_s: float
    first_s: float
    last_s: float


class PictureClock:
    """What the pictures of one file say of its clock, in memory that grows only with how often that was set.

    Attributes:
        parts: in order; empty where the source does not tell.
        ended: whether the file was read to its last picture.
    """

    def __init__(self) -> None:
        self.parts: list[ClockPart] = []
        self.ended = False

    def add(self, frame: Frame) -> None:
        """Take in the next picture."""
        offset_s = frame.clock_offset_s
        if offset_s is None:
            return
        self.ended = frame.is_last
        own_s = frame.pts_s - offset_s
        if self.parts and abs(self.parts[-1].offset_s - offset_s) < _SAME_S:
            self.parts[-1].last_s = own_s
        else:
            self.parts.append(ClockPart(offset_s, own_s, own_s))


class SoundClock:
    """Gives sound the media time of the pictures that it belongs to.

    Sound follows into the pictures' next part when its own clock is set too, or when its timestamps leave the present
    part for one that they fit better.

    Args:
        parts: of the pictures, one at least.
    """

    def __init__(self, parts: Sequence[ClockPart]) -> None:
        self._parts = parts
        self._part = 0
        self._restart_s = 0.0
        self._last_s: float | None = None

    def at(self, own_s: float, *, was_set: bool) -> float:
        """Media time of a piece of sound.

        Args:
            own_s: its timestamp in seconds by the file's own clock; those of one part do not fall.
            was_set: whether the sound's clock was set in front of it.
        """
        back_s = max(0.0, self._last_s - own_s) if self._last_s is not None and was_set else 0.0
        part = min(range(self._part, len(self._parts)), key=lambda number: self._misfit(number, own_s, back_s))
        if part != self._part or was_set:
            last_at_s = None if self._last_s is None else self._last_s + self._offset_s
            stays = part == self._part
            self._part, self._restart_s = part, 0.0
            if stays and back_s > _RESTART_S and last_at_s is not None:
                self._restart_s = last_at_s - (own_s + self._offset_s)
        self._last_s = own_s
        return own_s + self._offset_s

    @property
    def _offset_s(self) -> float:
        return self._parts[self._part].offset_s + self._restart_s

    def _misfit(self, number: int, own_s: float, back_s: float) -> float:
        """By how many seconds a timestamp lies outside a part; later parts must fit better than the present one."""
        part = self._parts[number]
        if number == self._part:
            return max(part.first_s - own_s, own_s - part.last_s - _TAIL_S, 0.0) + back_s
        return max(part.first_s - own_s, own_s - part.last_s, 0.0) + 0.01
