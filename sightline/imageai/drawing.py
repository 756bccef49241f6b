"""The annotated picture: what was detected in it, drawn by Sightline's annotator.

A frame that the detector looked at shows its detections, the very ones that callbacks are given. On a frame between
two looks the tracks are shown: in a file between where they were and where they will be, from a camera where their
motion takes them. ImageAI leaves such frames bare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.types import Detections, Image, Int64Array, TrackedFrame, Tracks
from sightline.imageai.results import above, track_ids
from sinks.drawing.annotator import Annotator


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayOptions:
    """What is drawn.

    Attributes:
        percentage_probability, object_name, box: ImageAI's ``display_...`` parameters.
        minimum_percentage: weaker objects are not drawn.
        strict: no ids, and nothing on frames that the detector did not look at.
        class_names: as they are to be spelled.
    """

    percentage_probability: bool = True
    object_name: bool = True
    box: bool = True
    minimum_percentage: float = 50
    strict: bool = False
    class_names: tuple[str, ...] = ()

    def annotator(self, class_names: Sequence[str] = ()) -> DetectionAnnotator:
        """What draws it; the model's own class names, which sinks pass, are not used."""
        return DetectionAnnotator(self)


class DetectionAnnotator(Annotator):
    """Draws detections, in their track's colour where they have one and else in their class's."""

    def __init__(self, display: DisplayOptions) -> None:
        super().__init__(
            display.class_names,
            trail_s=0,
            show_names=display.object_name,
            show_boxes=display.box,
            show_scores=display.percentage_probability,
            show_ids=display.object_name and not display.strict,
        )
        self._display = display

    def draw(self, tracked: TrackedFrame, out: Image | None = None) -> Image:
        """The annotated picture, uint8 ``(height, width, 3)`` BGR; see ``Annotator.draw``."""
        return super().draw(replace(tracked, tracks=self._shown(tracked)), out)

    def _shown(self, tracked: TrackedFrame) -> Tracks:
        minimum, strict = self._display.minimum_percentage, self._display.strict
        if tracked.detections is not None:
            found = above(tracked.detections, minimum)
            return _as_tracks(found, track_ids(found, Tracks.empty() if strict else tracked.tracks))
        if strict:
            return Tracks.empty()
        tracks = tracked.tracks
        return tracks.select(tracks.score >= np.float32(minimum / 100))


def _as_tracks(detections: Detections, ids: Int64Array) -> Tracks:
    """Detections in the form that the annotator draws; without an id they get a number below 0 for their class."""
    zeros = np.zeros(len(detections), np.float32)
    return Tracks(
        xyxy=detections.xyxy,
        score=detections.score,
        class_id=detections.class_id,
        track_id=np.where(ids > 0, ids, -1 - detections.class_id.astype(np.int64)),
        age_s=zeros,
        unseen_s=zeros,
    )
