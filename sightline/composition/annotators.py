"""What draws on a stream's pictures, for all its outputs, and can be told to draw otherwise while they go on."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakSet

from pipeline.analytics.totals import LiveHistory
from sightline.config.sections import AnnotateSection
from sinks.drawing.annotator import Annotator
from sinks.drawing.count_overlay import CountOverlay


class StreamAnnotators:
    """Makes an annotator for each output of a stream, with the zones, lines and counts that hold for a picture.

    Args:
        drawn: what to draw.
        live: the stream's zones, lines and counts.
    """

    def __init__(self, drawn: AnnotateSection, live: LiveHistory) -> None:
        self._drawn = drawn
        self._made: WeakSet[Annotator] = WeakSet()
        self._overlay = CountOverlay(counts=live.at, shapes=lambda: live.shapes, scale=drawn.scale)

    def __call__(self, class_names: Sequence[str]) -> Annotator:
        """One that draws tracks of these classes."""
        drawn = self._drawn
        annotator = Annotator(
            class_names,
            overlays=[self._overlay],
            show_scores=drawn.show_scores,
            show_ids=drawn.show_ids,
            trail_s=drawn.trail_s,
            scale=drawn.scale,
        )
        self._made.add(annotator)
        return annotator

    def restyle(self, drawn: AnnotateSection) -> None:
        """Draw otherwise from the next pictures on; for any thread."""
        self._drawn = drawn
        self._overlay.rescale(drawn.scale)
        for annotator in list(self._made):
            annotator.restyle(
                show_scores=drawn.show_scores, show_ids=drawn.show_ids, trail_s=drawn.trail_s, scale=drawn.scale
            )
