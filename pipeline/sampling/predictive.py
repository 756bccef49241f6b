"""Looking less often while a file's scene does what was expected of it."""

from __future__ import annotations

import numpy as np

from pipeline.geometry.boxes import iou_matrix
from pipeline.types import Float32Array, Frame, TrackedFrame, Tracks

# How much of the old estimate of a box's velocity stays at each look.
_VELOCITY_MEMORY = np.float32(0.5)
# A detection that overlaps a track by less than this is somewhere else.
_SAME_PLACE = 0.3


class PredictiveSampler:
    """Looks at the next frame at once when something new appears, and ever more seldom while nothing surprises.

    At each look, boxes are compared with where their motion since the look before was to bring them. One frame more is
    skipped when that held, one fewer when it did not. A sure detection where no track is shown is something new: it is
    looked at frame by frame until the tracker has made a track of it.

    Args:
        longest_s: most seconds of media time between two looks. Within 0.3 s a person walks less than half a metre,
            and rarely turns round.
        agreement: a prediction held if it overlaps what was found by at least this IoU.
        surprises: part of the tracks that may do something else, in [0, 1].
        sure_score: a detection that scores at least this is taken for something real: best the score at which the
            tracker starts tracks.
    """

    # A whole batch, with another one in the network beside it. Two at once find less: HOTA 50.0 for 54.8 on TUD-Campus.
    group_size: int | None = 4

    def __init__(
        self, *, longest_s: float = 0.3, agreement: float = 0.4, surprises: float = 0.25, sure_score: float = 0.55
    ) -> None:
        if longest_s <= 0:
            raise ValueError(f"longest_s: expected more than 0, got {longest_s}")
        self._longest_s = longest_s
        self._agreement = agreement
        self._surprises = surprises
        self._sure_score = sure_score
        self._skip = 0
        self._passed = 0
        self._asked_s = float("-inf")
        # Frames skipped before each look whose outcome is still to come, by the frame's index.
        self._skipped: dict[int, int] = {}
        self._looked_s: float | None = None
        self._tracks = Tracks.empty()
        self._velocity: Float32Array = np.zeros((0, 4), np.float32)

    def wants(self, frame: Frame) -> bool:
        """True when enough frames, or enough time, have gone by since the last look."""
        if self._passed < self._skip and frame.pts_s - self._asked_s < self._longest_s:
            self._passed += 1
            return False
        self._skipped[frame.index] = self._passed
        self._passed = 0
        self._asked_s = frame.pts_s
        return True

    def observe(self, tracked: TrackedFrame, latency_s: float) -> None:
        """Learn from a look how soon the next is needed."""
        if tracked.detections is None:
            return
        # A look that another pace decided on says how things are, and nothing about the length of the pauses.
        skipped = self._skipped.pop(tracked.frame.index, None)
        as_expected = self._compare(tracked.tracks, tracked.frame.pts_s)
        if something_new(tracked, self._sure_score):
            self._skip = 0
        elif skipped is not None:
            self._skip = skipped + 1 if as_expected else max(0, skipped - 1)
        self._looked_s = tracked.frame.pts_s

    def _compare(self, tracks: Tracks, pts_s: float) -> bool:
        """Whether the tracks are where they were expected; remembers where they are and how they move."""
        velocity = np.full((len(tracks), 4), np.nan, np.float32)
        as_expected = True
        _, old, new = np.intersect1d(self._tracks.track_id, tracks.track_id, assume_unique=True, return_indices=True)
        if len(new) and self._looked_s is not None:
            passed_s = np.float32(pts_s - self._looked_s)
            before, known = self._tracks.xyxy[old], self._velocity[old]
            now = tracks.xyxy[new]
            expected = before + np.where(np.isnan(known), np.float32(0), known) * passed_s
            moved = (now - before) / passed_s
            velocity[new] = np.where(np.isnan(known), moved, known + (moved - known) * (1 - _VELOCITY_MEMORY))
            overlap = np.diagonal(iou_matrix(expected, now))
            as_expected = int(np.count_nonzero(overlap < self._agreement)) <= self._surprises * len(new)
        self._tracks, self._velocity = tracks, velocity
        return as_expected


def something_new(tracked: TrackedFrame, sure_score: float) -> bool:
    """Whether a detection that scores at least ``sure_score`` is where no track is shown."""
    if tracked.detections is None:
        return False
    sure = tracked.detections.xyxy[tracked.detections.score >= sure_score]
    if not len(sure) or not len(tracked.tracks):
        return len(sure) > 0
    return bool((iou_matrix(sure, tracked.tracks.xyxy).max(axis=1) < _SAME_PLACE).any())
