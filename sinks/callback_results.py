"""What the user's functions are given of a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from pipeline.types import Detections, Image, TrackedFrame, Tracks


class FrameAnnotator(Protocol):
    """Draws one stream; ``observe`` is told of every frame, so that trails have no holes."""

    def observe(self, tracked: TrackedFrame) -> None:
        """Take in a frame that may not be drawn."""
        ...

    def draw(self, tracked: TrackedFrame) -> Image:
        """A copy of the frame's image, uint8 ``(height, width, 3)`` in BGR order, with its tracks drawn."""
        ...


@dataclass(frozen=True, slots=True)
class TrackedObject:
    """One track at one frame.

    Attributes:
        track_id: from 1 within a run and stream, never reused.
        class_name: such as ``"person"``.
        score: of its last detection, 0 to 1.
        xyxy: left, top, right, bottom in pixels of the image, x to the right and y down.
        age_s: seconds of media time since its first detection.
        unseen_s: seconds since its last detection; 0 where it was detected in this very frame.
    """

    track_id: int
    class_name: str
    score: float
    xyxy: tuple[float, float, float, float]
    age_s: float
    unseen_s: float


class Drawing:
    """The annotated picture of one frame, drawn when first asked for, while the frame is the current one."""

    def __init__(self, annotator: FrameAnnotator, tracked: TrackedFrame) -> None:
        self._source: tuple[FrameAnnotator, TrackedFrame] | None = (annotator, tracked)
        self._picture: Image | None = None

    def picture(self) -> Image:
        if self._picture is None:
            if self._source is None:
                raise RuntimeError("annotated() can only be called while on_frame runs; keep the picture it returns")
            annotator, tracked = self._source
            self._picture = annotator.draw(tracked)
        return self._picture

    def end(self) -> None:
        self._source = None


@dataclass(frozen=True, eq=False)
class FrameResult:
    """What ``on_frame`` is given.

    Attributes:
        stream: name of the stream.
        index: position of the frame in the stream, from 0.
        pts_s: media time in seconds from the stream's start.
        image: uint8 ``(height, width, 3)``, BGR, read-only; ``frame.image.copy()`` is yours to change.
        tracks: the confirmed tracks as arrays.
        detections: what the detector found and the filters kept; None where it did not look at this frame.
        ended: ids of tracks shown earlier that ended with this frame.
        class_names: ``tracks.class_id`` and ``detections.class_id`` index it.
    """

    stream: str
    index: int
    pts_s: float
    image: Image
    tracks: Tracks
    detections: Detections | None
    ended: tuple[int, ...]
    class_names: Sequence[str]
    _drawing: Drawing = field(repr=False)

    @cached_property
    def objects(self) -> tuple[TrackedObject, ...]:
        """The tracks one by one."""
        tracks = self.tracks
        rows = zip(
            tracks.track_id.tolist(),
            tracks.class_id.tolist(),
            tracks.score.tolist(),
            tracks.xyxy.tolist(),
            tracks.age_s.tolist(),
            tracks.unseen_s.tolist(),
            strict=True,
        )
        return tuple(
            TrackedObject(track_id, self.class_names[class_id], score, tuple(xyxy), age_s, unseen_s)
            for track_id, class_id, score, xyxy, age_s, unseen_s in rows
        )

    def annotated(self) -> Image:
        """The frame with boxes, names, ids and trails: uint8 ``(height, width, 3)``, BGR, yours to change.

        Drawn once, at the first call, which must be made inside ``on_frame``.
        """
        return self._drawing.picture()
