"""Drawing: boxes, names, scores, ids and trails on a copy of the picture.

    annotator = Annotator(detector.class_names)
    picture = annotator.draw(tracked)          # a new image; the frame's own is left alone

Lines and text scale with the picture. A track keeps its colour for as long as it lives, and those near each other have
colours that differ. A label stands where there is room: beside its box, or a little away with a line to it, in fewer
words where it is crowded, never over another's and never cut. A track that the detector
looked for and did not see in this very frame (its motion model carries it) is a thin dashed box without a score.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pipeline.geometry.boxes import iou_matrix
from pipeline.objects import class_name_of
from pipeline.types import Detections, Float32Array, Image, TrackedFrame, Tracks
from sinks.drawing.colors import Color, track_color
from sinks.drawing.lettering import lettering
from sinks.drawing.placement import LabelPlaces, PlacedLabel, box_label
from sinks.drawing.shapes import _draw_box, _draw_dashed_box
from sinks.drawing.track_colors import TrackColors
from sinks.drawing.trails import _SHIFT, _TRAIL_POINTS, _draw_trail, _Trail

# What it returns are labels of its own, which are drawn over the boxes, and which those of the boxes keep away from.
Overlay = Callable[[Image, TrackedFrame], Sequence[PlacedLabel] | None]
ColorBy = Literal["track", "class"]
AnnotatorFactory = Callable[[Sequence[str]], "Annotator"]


@runtime_checkable
class LaterOverlay(Protocol):
    """An overlay that shows what changes from frame to frame."""

    def later(self, tracked: TrackedFrame) -> Overlay:
        """The overlay as it is at this frame, for a picture that is drawn when it has changed."""
        ...


# Coordinates further outside the picture than this change nothing that can be seen, and could overflow OpenCV's.
_MARGIN = 64
# Two boxes that overlap more are of the same thing, whatever classes they say.
_SAME_PLACE_IOU = 0.8


class Annotator:
    """Draws the tracks of one stream. Keeps only the trails of tracks shown in the last ``trail_s`` seconds.

    Args:
        class_names: ``Tracks.class_id`` indexes it. Characters outside ASCII are shown as ``?``.
        trail_s: length of the trails in seconds of media time; 0 draws none. They follow the middle of the box's
            lower edge, where an object stands on the ground.
        show_names, show_scores, show_ids: what labels say; with none of them there are no labels. An id below 1
            stands for a box that has none, and is never shown.
        show_boxes: False leaves the labels alone.
        color_by: what has a colour of its own, ``track`` or ``class``; None for tracks by their ids, and detections,
            which have none, by their classes.
        scale: size of lines and text; 1 is made for reading the whole picture on one screen.
        overlays: called in order, after the trails and before the boxes, with the picture to draw on and the
            tracked frame; for zones, lines and counters.

    Raises:
        ValueError: ``trail_s`` is negative, ``scale`` is not positive, or there is no such ``color_by``.
    """

    def __init__(
        self,
        class_names: Sequence[str],
        *,
        trail_s: float = 1.5,
        show_names: bool = True,
        show_scores: bool = True,
        show_ids: bool = True,
        show_boxes: bool = True,
        color_by: ColorBy | None = None,
        scale: float = 1.0,
        overlays: Sequence[Overlay] = (),
    ) -> None:
        if trail_s < 0 or scale <= 0:
            raise ValueError(f"expected trail_s >= 0 and scale > 0, got {trail_s} and {scale}")
        if color_by not in (None, "track", "class"):
            raise ValueError(f"color_by: expected track or class, got {color_by!r}")
        self._class_names = tuple(class_names)
        self._trail_s = trail_s
        self._show_names = show_names
        self._show_scores = show_scores
        self._show_ids = show_ids
        self._show_boxes = show_boxes
        self._color_by = color_by
        self._scale = scale
        self._overlays = tuple(overlays)
        self._trails: dict[int, _Trail] = {}
        self._track_colors = TrackColors()
        self._observed_s = float("-inf")

    def restyle(self, *, trail_s: float, show_scores: bool, show_ids: bool, scale: float) -> None:
        """Draw otherwise from the next pictures on; the arguments are the constructor's. For any thread."""
        self._trail_s, self._scale = trail_s, scale
        self._show_scores, self._show_ids = show_scores, show_ids

    def observe(self, tracked: TrackedFrame) -> None:
        """Remember where the tracks are without drawing; for frames that are not shown. ``draw`` does it by itself."""
        pts_s = tracked.frame.pts_s
        if pts_s == self._observed_s:
            return
        self._observed_s = pts_s
        tracks, ended = tracked.tracks, tracked.ended.tolist()
        self._track_colors.forget(ended, pts_s)
        self._track_colors.of(tracks, pts_s)
        trail_s = self._trail_s  # it may change at any time
        if trail_s == 0:
            self._trails.clear()
            return
        for track_id in ended:
            self._trails.pop(track_id, None)
        if len(tracks):
            self._extend_trails(tracks, pts_s, trail_s, tracked.frame.width, tracked.frame.height)
        oldest_s = pts_s - trail_s
        for track_id in [track_id for track_id, trail in self._trails.items() if trail.newest_s < oldest_s]:
            del self._trails[track_id]

    def draw(self, tracked: TrackedFrame, out: Image | None = None) -> Image:
        """The annotated picture, uint8 ``(height, width, 3)`` BGR.

        Args:
            tracked: what to draw; its image is not changed.
            out: a picture of the same shape to draw into instead of a new one; it is returned.
        """
        self.observe(tracked)
        trails = {track_id: trail.points for track_id, trail in self._trails.items()}
        return self._draw(tracked, trails, self._colors(tracked.tracks, tracked.frame.pts_s), self._overlays, out)

    def later(self, tracked: TrackedFrame) -> Callable[[], Image]:
        """What draws this frame as ``draw`` would now, whenever it is called, and by whatever thread."""
        self.observe(tracked)
        shown = [track_id for track_id in tracked.tracks.track_id.tolist() if track_id in self._trails]
        trails = {track_id: self._trails[track_id].points.copy() for track_id in shown}
        overlays = [
            overlay.later(tracked) if isinstance(overlay, LaterOverlay) else overlay for overlay in self._overlays
        ]
        return partial(self._draw, tracked, trails, self._colors(tracked.tracks, tracked.frame.pts_s), overlays)

    def _draw(
        self,
        tracked: TrackedFrame,
        trails: Mapping[int, NDArray[np.int32]],
        colors: Sequence[Color],
        overlays: Sequence[Overlay],
        out: Image | None = None,
    ) -> Image:
        source = tracked.frame.image
        if out is None:
            picture = np.array(source, order="C")
        else:
            np.copyto(out, source)
            picture = out
        unit = self._unit(source)
        tracks = tracked.tracks
        # Far objects first: what stands lower in the picture is nearer and covers what is behind it.
        order = np.argsort(tracks.xyxy[:, 3], kind="stable").tolist()
        ids = tracks.track_id.tolist()
        for row in order if trails else ():
            if ids[row] in trails:
                _draw_trail(picture, trails[ids[row]], colors[row], unit)
        given = [label for overlay in overlays for label in overlay(picture, tracked) or ()]
        # Where nobody looked, not to have been seen says nothing.
        coasting = (tracks.unseen_s > 0).tolist() if tracked.detections is not None else [False] * len(tracks)
        self._draw_boxes(picture, tracks.xyxy, order, colors, coasting)
        labels = [self._label(tracks, row, ids[row], coasting[row]) for row in range(len(ids))]
        # The oldest first, whose labels then stay where they are.
        self._draw_labels(picture, tracks.xyxy, np.argsort(ids).tolist(), colors, labels, given)
        return picture

    def draw_objects(self, image: Image, objects: Detections) -> Image:
        """A copy of a picture with detections, or tracks with their ids, drawn on it; without trails and overlays.

        Of two detections in one place, which say different classes, only the stronger has a label.
        """
        picture = np.array(image, order="C")
        ids = objects.track_id.tolist() if isinstance(objects, Tracks) else [0] * len(objects)
        colors = self._colors(objects, 0.0)
        order = np.argsort(objects.xyxy[:, 3], kind="stable").tolist()
        self._draw_boxes(picture, objects.xyxy, order, colors, [False] * len(ids))
        labels = [self._label(objects, row, track_id) for row, track_id in enumerate(ids)]
        strongest = np.argsort(-objects.score, kind="stable")
        if not isinstance(objects, Tracks):
            strongest = strongest[_first_of_each_place(objects.xyxy[strongest])]
        self._draw_labels(picture, objects.xyxy, strongest.tolist(), colors, labels)
        return picture

    def _unit(self, image: Image) -> float:
        """How thick a thin line is, in pixels."""
        height, width = image.shape[:2]
        return self._scale * max(1.0, float(min(height, width)) / 480)

    def _extend_trails(self, tracks: Tracks, pts_s: float, trail_s: float, width: int, height: int) -> None:
        boxes = tracks.xyxy
        feet = np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]], axis=1)
        feet = np.clip(feet, -_MARGIN, (width + _MARGIN, height + _MARGIN)) * (1 << _SHIFT)
        oldest_s, step_s = pts_s - trail_s, trail_s / _TRAIL_POINTS
        for track_id, point in zip(tracks.track_id.tolist(), np.rint(feet).astype(np.int32), strict=True):
            trail = self._trails.get(track_id)
            if trail is None:
                trail = self._trails[track_id] = _Trail()
            trail.add(pts_s, point, oldest_s, step_s)

    def _colors(self, objects: Detections, pts_s: float) -> list[Color]:
        by_track = isinstance(objects, Tracks) if self._color_by is None else self._color_by == "track"
        if by_track and isinstance(objects, Tracks):
            return self._track_colors.of(objects, pts_s)
        return [track_color(class_id + 1) for class_id in objects.class_id.tolist()]

    def _draw_boxes(
        self, picture: Image, xyxy: Float32Array, order: Sequence[int], colors: Sequence[Color], dashed: Sequence[bool]
    ) -> None:
        """Boxes ``(N, 4)`` in the given order."""
        unit, boxes = self._unit(picture), _whole(xyxy, picture)
        thickness = max(1, round(2 * unit))
        for row in order if self._show_boxes else ():
            if dashed[row]:
                _draw_dashed_box(picture, boxes[row], colors[row], max(1, thickness // 2), round(6 * unit))
            else:
                _draw_box(picture, boxes[row], colors[row], thickness)

    def _draw_labels(
        self,
        picture: Image,
        xyxy: Float32Array,
        order: Sequence[int],
        colors: Sequence[Color],
        labels: Sequence[Sequence[str]],
        given: Sequence[PlacedLabel] = (),
    ) -> None:
        """The labels of boxes, each in words of several lengths, the first in order choosing their places first; and
        those that have a place already, which others keep away from."""
        height, width = picture.shape[:2]
        unit, boxes = self._unit(picture), _whole(xyxy, picture)
        letters, thickness = lettering(max(8, round(10 * unit))), max(1, round(2 * unit))
        places, placed = LabelPlaces(width, height), list(given)
        for label in given:
            places.take(label)
        for row in order:
            plates = (letters.plate(text, colors[row])[:height, :width] for text in labels[row])
            found = box_label(places, plates, boxes[row], thickness, colors[row])
            placed += [] if found is None else [found]
        for label in placed:
            label.draw(picture)

    def _label(self, objects: Detections, row: int, track_id: int = 0, coasting: bool = False) -> list[str]:
        """What a label says, and in fewer words where there is little room; nothing where it is to say nothing."""
        name = class_name_of(self._class_names, int(objects.class_id[row])) if self._show_names else ""
        number = f"#{track_id}" if self._show_ids and track_id > 0 else ""
        score = f"{objects.score[row]:.0%}" if self._show_scores and not coasting else ""
        texts = (" ".join(filter(None, words)) for words in ((name, number, score), (name, number), (number,)))
        return list(dict.fromkeys(filter(None, texts)))


def _whole(xyxy: Float32Array, picture: Image) -> list[list[int]]:
    """Boxes in whole pixels, near enough to the picture to be drawn."""
    height, width = picture.shape[:2]
    edges = np.clip(xyxy, -_MARGIN, (width + _MARGIN, height + _MARGIN) * 2)
    boxes: list[list[int]] = np.rint(edges).astype(int).tolist()
    return boxes


def _first_of_each_place(xyxy: Float32Array) -> list[int]:
    """The rows of boxes, in their order, but for those that are nearly where one before them is."""
    kept: list[int] = []
    overlap = iou_matrix(xyxy, xyxy)
    for row in range(len(xyxy)):
        if not (overlap[row, kept] > _SAME_PLACE_IOU).any():
            kept.append(row)
    return kept
