"""For how long the last picture of a file is on screen."""

from __future__ import annotations

import math

import av

from pipeline.sources.timing.timeline import FALLBACK_FRAME_S
from pipeline.types import SourceInfo

_LONGEST_S = 3600.0
# Matroska's durations are whole milliseconds.
_ROUNDED_S = 1.1e-3


def last_duration_s(decoded: av.VideoFrame, pts_s: float, info: SourceInfo) -> float:
    """As long as its packet says, or as pictures usually are; not beyond the end of the container.

    Args:
        decoded: the picture.
        pts_s: its media time.
        info: of the source.
    """
    usual_s = float(1 / info.fps) if info.fps else 0.0
    stated_s = float(decoded.duration * decoded.time_base) if decoded.duration and decoded.time_base else 0.0
    if not 0 < stated_s <= _LONGEST_S:
        stated_s = usual_s or FALLBACK_FRAME_S
    duration_s = usual_s if abs(stated_s - usual_s) < _ROUNDED_S else stated_s
    left_s = (info.duration_s or math.inf) - pts_s
    return left_s if 0 < left_s < duration_s else duration_s
