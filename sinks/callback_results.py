"""What the user's functions are given of a frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Protocol

from pipeline.objects import TrackedObject
from pipeline.types import Detections, Image, TrackedFrame, Tracks

__all__ = ["FrameAnnotator", "FrameResult", "TrackedObject"]


class FrameAnnotator(Protocol):
    """Draws one stream. It is asked at every frame, in their order, so that trails have no holes."""

    def later(self, tracked: TrackedFrame) -> Callable[[], Image]:
        """What draws this frame as it would be drawn now, whenever it is called: a copy of its image with its tracks,
        uint8 ``(height, width, 3)`` in BGR order."""
        ...


class FrameResult:
    """One frame with all that was found in it. It may be kept; it then holds on to its picture.

    Args:
        tracked: the frame.
        class_names: of the model.
        annotator: of the stream; asked at every frame before this one.

    Attributes:
        class_names: ``tracks.class_id`` and ``detections.class_id`` index it.
    """

    def __init__(self, tracked: TrackedFrame, class_names: Sequence[str], annotator: FrameAnnotator) -> None:
        self._tracked = tracked
        self.class_names = class_names
        self._draw = annotator.later(tracked)

    @property
    def stream(self) -> str:
        """Name of the stream."""
        return self._tracked.frame.stream

    @property
    def index(self) -> int:
        """Position of the frame in the stream, from 0."""
        return self._tracked.frame.index

    @property
    def pts_s(self) -> float:
        """Media time in seconds from the stream's start."""
        return self._tracked.frame.pts_s

    @property
    def width(self) -> int:
        """Of the picture in pixels."""
        return self._tracked.frame.width

    @property
    def height(self) -> int:
        """Of the picture in pixels."""
        return self._tracked.frame.height

    @cached_property
    def image(self) -> Image:
        """uint8 ``(height, width, 3)``, BGR, read-only; ``result.image.copy()`` is yours to change."""
        image = self._tracked.frame.image.view()
        image.flags.writeable = False
        return image

    @cached_property
    def tracks(self) -> Tracks:
        """The confirmed tracks as arrays."""
        return self._tracked.tracks.named(self.class_names)

    @cached_property
    def detections(self) -> Detections | None:
        """What the detector found and the filters kept; None where it did not look at this frame."""
        found = self._tracked.detections
        return None if found is None else found.named(self.class_names)

    @property
    def ended(self) -> tuple[int, ...]:
        """Ids of tracks shown earlier that ended with this frame."""
        return tuple(self._tracked.ended.tolist())

    @cached_property
    def objects(self) -> tuple[TrackedObject, ...]:
        """The tracks one by one, with the zones that they are in and their speed."""
        facts = self._tracked.facts
        objects = tuple(self.tracks.objects((self.width, self.height)))
        if facts is None:
            return objects
        known = zip(objects, facts.zones, facts.speed_mps, strict=True)
        return tuple(replace(thing, zones=zones, speed_mps=speed_mps) for thing, zones, speed_mps in known)

    def annotated(self) -> Image:
        """The frame with boxes, names, ids and trails: uint8 ``(height, width, 3)``, BGR, yours to change.

        Drawn once, at the first call.
        """
        return self._annotated

    @cached_property
    def _annotated(self) -> Image:
        return self._draw()

    def __getstate__(self) -> dict[str, Any]:
        """What another process is sent: in place of what draws the picture, the picture."""
        return {**{key: value for key, value in vars(self).items() if key != "_draw"}, "_annotated": self.annotated()}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.stream}, frame {self.index}, {self.pts_s:.2f} s, {self.tracks!r})"
