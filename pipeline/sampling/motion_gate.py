"""No detection while nothing moves in front of a camera that stands still."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.sampling.predictive import something_new
from pipeline.sampling.sampler import Sampler
from pipeline.types import Frame, Image, TrackedFrame

# Longer side, in pixels, of the grey pictures that are compared. Each of their pixels is the mean of many, so that
# sensor noise and compression hardly show.
_SIDE = 104
# Levels of grey out of 255 by which a pixel of them must change, the change of the whole picture's brightness apart.
_LEAST_CHANGE = 20


class MotionGate:
    """Passes on to another pace the frames in which something has moved since the last look, and hardly any other.

    A frame is compared with the frame that was looked at last, not with the one before it, so what moves slowly is
    noticed as soon as it has gone far enough; and the comparison costs a hundredth of a detection. What begins to move
    is looked at in the very frame that shows it.

    Args:
        pace: decides among the frames with motion.
        area: part of the picture that must have changed, in (0, 1]; 0.006 is a square with sides of a thirteenth of
            the picture's.
        longest_s: most seconds of media time without a look, however still it is: what was missed gets another chance.
        tracked_s: likewise, for as long as there are tracks.
        sure_score: a detection that scores at least this and belongs to no track is looked at again without waiting
            for motion, so that what comes and stands still becomes a track.
    """

    def __init__(
        self,
        pace: Sampler,
        *,
        area: float = 0.006,
        longest_s: float = 2.0,
        tracked_s: float = 1.0,
        sure_score: float = 0.55,
    ) -> None:
        if not 0 < area <= 1:
            raise ValueError(f"area: expected more than 0 and at most 1, got {area}")
        # Where every frame with motion is looked at, two batches: two more are then in the network beside them.
        self.group_size: int | None = 8 if pace.group_size is None else pace.group_size
        self._pace = pace
        self._area = area
        self._longest_s = {False: longest_s, True: tracked_s}
        self._sure_score = sure_score
        self._tracking = self._unsettled = False
        self._seen: NDArray[np.int16] | None = None
        self._looked_s = float("-inf")

    def wants(self, frame: Frame) -> bool:
        """Whether something moved, and the other pace wants the frame; or the last look was too long ago."""
        picture = _thumbnail(frame.image if frame.reduced is None else frame.reduced)
        wanted = (self._unsettled or self._has_changed(picture)) and self._pace.wants(frame)
        if not wanted and frame.pts_s - self._looked_s < self._longest_s[self._tracking]:
            return False
        self._seen = picture
        self._looked_s = frame.pts_s
        return True

    def observe(self, tracked: TrackedFrame, latency_s: float) -> None:
        """Pass on what came of a frame."""
        self._tracking = len(tracked.tracks) > 0
        if tracked.detections is not None:
            self._unsettled = something_new(tracked, self._sure_score)
        self._pace.observe(tracked, latency_s)

    def _has_changed(self, picture: NDArray[np.int16]) -> bool:
        if self._seen is None or self._seen.shape != picture.shape:
            return True
        change = picture - self._seen
        # A cloud or the camera's own exposure changes all pixels alike.
        middle = change.size // 2
        change -= np.partition(change, middle, axis=None)[middle]
        return int(np.count_nonzero(np.abs(change) >= _LEAST_CHANGE)) >= self._area * change.size


def _thumbnail(image: Image) -> NDArray[np.int16]:
    """Grey, int16 ``(height, width)``."""
    height, width = image.shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.int16)
