"""Makes the tracker that is asked for, by name."""

from __future__ import annotations

from typing import Any

from pipeline.did_you_mean import did_you_mean
from pipeline.errors import ConfigError
from trackers.base import ArrayTracker
from trackers.buffered import BufferedTracker
from trackers.bytetrack import ByteTracker
from trackers.sort import SortTracker

_CLASSES: dict[str, type[ArrayTracker]] = {
    "buffered": BufferedTracker,
    "bytetrack": ByteTracker,
    "sort": SortTracker,
}

TRACKERS: tuple[str, ...] = tuple(_CLASSES)
"""Names that ``create_tracker`` knows."""

DEFAULT_TRACKER = "buffered"
"""The best on sequences that it was not chosen by; docs/tracking.md has the table."""


def create_tracker(
    name: str = DEFAULT_TRACKER, *, confidence: float = 0.25, show_weak: bool = False, **settings: Any
) -> ArrayTracker:
    """A tracker for one stream, by name.

    Args:
        name: one of ``TRACKERS``.
        confidence: nothing that scores less is shown or starts a track. A tracker that can also use weaker ones to
            carry on a track says so in ``lowest_score``: run the detector at ``min(confidence, tracker.lowest_score)``.
        show_weak: show tracks also where the detection that carries them on scores less than the confidence.
        settings: the tracker's own keyword arguments.

    Raises:
        ConfigError: an unknown name or setting, with near matches.

    One object that moves to the right, and is the same in every frame:

    >>> import numpy as np
    >>> from pipeline.types import Detections
    >>> tracker = create_tracker("sort", confidence=0.3)
    >>> for number in range(5):
    ...     box = np.array([[10 + 2 * number, 20, 60 + 2 * number, 120]], np.float32)
    ...     found = Detections(box, np.array([0.9], np.float32), np.array([0], np.int32))
    ...     tracks = tracker.update(found, number / 25)
    >>> tracks.track_id.tolist()
    [1]
    """
    if name not in _CLASSES:
        hint = did_you_mean(name, TRACKERS) or f"choose one of {', '.join(TRACKERS)}"
        raise ConfigError(f"unknown tracker {name!r}: {hint}")
    kind = _CLASSES[name]
    allowed = kind.__init__.__kwdefaults__ or {}
    for key in settings:
        if key not in allowed:
            hint = did_you_mean(key, allowed) or f"it has {', '.join(sorted(allowed))}"
            raise ConfigError(f"tracker {name} has no setting {key!r}: {hint}")
    tracker = kind(**{"min_score": confidence, **settings})
    tracker.shown_from = 0.0 if show_weak else confidence
    return tracker
