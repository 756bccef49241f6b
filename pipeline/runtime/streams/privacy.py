"""What outputs must not show: parts of a stream's pictures, and objects of some classes.

Everything that leaves a run goes through its sinks, and a frame's pictures are hidden before the first of them sees it.
The detector and the tracker see them whole.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.geometry.boxes import covering
from pipeline.geometry.points import Placement, Point, Units, check_polygon
from pipeline.images.masking import Effect, corners, hide
from pipeline.models.class_names import class_ids
from pipeline.types import Detections, Float64Array, Frame, Image, TrackedFrame

# A detector misses an object now and then: it stays hidden where it was so long before and after.
_AROUND_S = 0.5
# What belongs to an object reaches beyond its box, by this part of the box's sides.
_MARGIN = 0.1
# No frame waits longer for hindsight.
_LONGEST_WAIT_S = 11.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Privacy:
    """What to hide.

    Attributes:
        areas: by name, the corners of polygons.
        units: of the corners: ``"pixels"`` or ``"fraction"``.
        effect: ``"fill"`` or ``"blur"``.
        classes: names of the classes whose objects are hidden wherever the detector saw one, shown or not.

    Raises:
        ConfigError: corners that enclose no area or whose edges cross, or an unknown unit.
    """

    areas: Mapping[str, Sequence[Point]] = field(default_factory=dict)
    units: Units = "pixels"
    effect: Effect = "fill"
    classes: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name, polygon in self.areas.items():
            check_polygon(polygon, self.units, f"privacy.areas.{name}")


class StreamPrivacy:
    """Hides what is to be hidden in one stream.

    Args:
        privacy: what that is.
        class_names: of the detector.
        before: what hid in this stream until now; frames that wait for hindsight are hidden by what it saw.

    Raises:
        ConfigError: a class that the detector does not know.
    """

    def __init__(self, privacy: Privacy, class_names: Sequence[str], before: StreamPrivacy | None = None) -> None:
        self._privacy = privacy
        self._classes = list(class_ids(privacy.classes, class_names, where="privacy.classes"))
        self._areas = [np.asarray(polygon, np.float64) for polygon in privacy.areas.values()]
        self._placement = Placement()
        # What the detector saw lately, of all classes, since others may be hidden from now on.
        self._looks: deque[tuple[Frame, Detections]] = deque() if before is None else before._looks

    def look(self, frame: Frame, detections: Detections) -> None:
        """Note what the detector saw in a frame, before anything is filtered."""
        self._looks.append((frame.without_pictures(), detections))
        if not self._classes:
            self._forget(frame.pts_s - _LONGEST_WAIT_S)

    def hidden(self, tracked: TrackedFrame) -> TrackedFrame:
        """The frame as outputs may see it: its pictures are made, and hidden, when somebody asks for them."""
        frame = tracked.frame
        shapes = self._area_shapes(frame)
        if self._classes:
            self._forget(frame.pts_s - _AROUND_S)
            # An object is hidden wherever it was seen within a second, so there are many boxes of each.
            near = [self._parts(*look) for look in self._looks if look[0].pts_s <= frame.pts_s + _AROUND_S]
            shapes += corners(covering(np.concatenate([self._parts(frame, tracked.tracks), *near])))
        if not shapes:
            return tracked
        effect = self._privacy.effect

        def hidden(image: Image) -> Image:
            return hide(image, shapes, effect)

        return replace(tracked, frame=frame.altered(hidden))

    def _forget(self, before_s: float) -> None:
        """Let go of old looks, but for the last, which counts however old it is: objects are where it saw them."""
        while len(self._looks) > 1 and self._looks[1][0].pts_s <= before_s:
            self._looks.popleft()

    def _area_shapes(self, frame: Frame) -> list[Float64Array]:
        size = (frame.width, frame.height)
        self._placement.fit(*size)
        return [self._placement.points(area, self._privacy.units, *size) / size for area in self._areas]

    def _parts(self, frame: Frame, objects: Detections) -> Float64Array:
        """Where objects of the hidden classes are, with a margin, in parts of the picture."""
        boxes = objects.xyxy[np.isin(objects.class_id, self._classes)].astype(np.float64)
        margin = _MARGIN * np.tile(boxes[:, 2:] - boxes[:, :2], 2) * (-1, -1, 1, 1)
        parts: Float64Array = (boxes + margin) / (frame.width, frame.height, frame.width, frame.height)
        return parts
