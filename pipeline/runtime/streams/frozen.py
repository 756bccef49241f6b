"""A camera whose picture stays exactly the same: its encoder or the camera itself hangs, though frames go on coming."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from pipeline.types import Frame

# Media time between two looks; a look takes a fraction of a millisecond.
_LOOK_EVERY_S = 1.0
# Of a whole picture so many rows and columns are left out; of the scaled one for the detector none.
_SPARSE = 4


@dataclass(frozen=True, slots=True)
class StillPicture:
    """What is to be told of a picture.

    Attributes:
        frozen: whether it has stayed the same for long enough, or has moved again after that.
        still_s: for how long it has been, or had been, the same, in seconds of media time.
    """

    frozen: bool
    still_s: float


class FrozenWatch:
    """Looks at a stream's pictures once a second for one that no longer changes, by a checksum of its pixels.

    A real scene never gives exactly the same pixels for long: its noise alone changes them. An outage in between
    changes nothing: a picture that is the same behind it has not moved.

    Args:
        after_s: seconds of media time after which a picture that stays the same is told of.
    """

    def __init__(self, after_s: float) -> None:
        self._after_s = after_s
        self._next_s = float("-inf")
        self._seen: tuple[int, int, int] | None = None
        self._since_s = 0.0
        self._frozen = False

    def look(self, frame: Frame) -> StillPicture | None:
        """Take in the next frame; returns what is news, once when it freezes and once when it moves again."""
        if frame.pts_s < self._next_s:
            return None
        self._next_s = frame.pts_s + _LOOK_EVERY_S
        picture = frame.reduced
        if picture is None:
            picture = frame.image[::_SPARSE, ::_SPARSE]
        seen = (frame.width, frame.height, zlib.crc32(np.ascontiguousarray(picture).data))
        if seen != self._seen:
            was_frozen, self._frozen = self._frozen, False
            still_s, self._since_s = frame.pts_s - self._since_s, frame.pts_s
            self._seen = seen
            return StillPicture(False, still_s) if was_frozen else None
        still_s = frame.pts_s - self._since_s
        if self._frozen or still_s < self._after_s:
            return None
        self._frozen = True
        return StillPicture(True, still_s)
