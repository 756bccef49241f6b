"""What the loop gives: one frame with all that was found in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cv2

from pipeline.events import Event
from pipeline.types import TrackedFrame
from sinks.callback_results import FrameAnnotator, FrameResult

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import supervision as sv

# The longer side of the pictures that a notebook shows.
_SHOWN_PIXELS = 1280


class Result(FrameResult):
    """One frame with all that was found in it. It may be kept; it then holds on to its picture.

    ``result.objects`` are the tracks one by one, ``result.tracks`` the same as arrays, ``result.image`` the picture and
    ``result.annotated()`` a copy with boxes and names. A notebook shows the latter.

    Attributes:
        events: what happened at this frame, and to its stream since the frame before: see docs/events.md.
        class_names: ``tracks.class_id`` and ``detections.class_id`` index it.
    """

    def __init__(
        self, tracked: TrackedFrame, class_names: Sequence[str], annotator: FrameAnnotator, events: Sequence[Event]
    ) -> None:
        super().__init__(tracked, class_names, annotator)
        self.events = tuple(events)

    def __len__(self) -> int:
        """How many objects there are."""
        return len(self._tracked.tracks)

    def __bool__(self) -> bool:
        return True  # also where nothing was found

    def to_supervision(self) -> sv.Detections:
        """The tracks as ``supervision.Detections``: see ``conversions.to_supervision``."""
        from sightline.library.conversions import to_supervision

        return to_supervision(self)

    def to_pandas(self) -> pd.DataFrame:
        """The tracks as a table of pandas: see ``conversions.to_pandas``."""
        from sightline.library.conversions import to_pandas

        return to_pandas(self)

    def to_polars(self) -> pl.DataFrame:
        """The tracks as a table of Polars: see ``conversions.to_polars``."""
        from sightline.library.conversions import to_polars

        return to_polars(self)

    def to_coco(self) -> dict[str, Any]:
        """The tracks in COCO's format: see ``conversions.to_coco``."""
        from sightline.library.conversions import to_coco

        return to_coco(self)

    def to_mot(self) -> str:
        """The tracks as MOT Challenge text: see ``conversions.to_mot``."""
        from sightline.library.conversions import to_mot

        return to_mot(self)

    def _repr_png_(self) -> bytes:
        """The annotated picture as a notebook shows it, no larger than a screen."""
        picture = self.annotated()
        scale = min(1.0, _SHOWN_PIXELS / max(picture.shape[:2]))
        if scale < 1:
            picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        encoded: bytes = cv2.imencode(".png", picture)[1].tobytes()
        return encoded
