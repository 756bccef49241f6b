"""Drawing: boxes, names, scores, ids and trails on a copy of the picture.

    annotator = Annotator(detector.class_names)
    picture = annotator.draw(tracked)          # a new image; the frame's own is left alone

Lines and text scale with the picture. A track keeps its colour for as long as it lives. A track that the detector
looked for and did not see in this very frame (its motion model carries it) is a thin dashed box without a score.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pipeline.types import Detections, Float32Array, Image, TrackedFrame, Tracks
from sinks.drawing.colors import Color, track_color
from sinks.drawing.lettering import lettering
from sinks.drawing.shapes import _draw_box, _draw_dashed_box, _draw_label
from sinks.drawing.trails import _SHIFT, _TRAIL_POINTS, _draw_trail, _Trail

Overlay = Callable[[Image, TrackedFrame], None]
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
        self._observed_s = float("-inf")

    def observe(self, tracked: TrackedFrame) -> None:
        """Remember where the tracks are without drawing; for frames that are not shown. ``draw`` does it by itself."""
        pts_s = tracked.frame.pts_s
        if self._trail_s == 0 or pts_s == self._observed_s:
            return
        self._observed_s = pts_s
        for track_id in tracked.ended.tolist():
            self._trails.pop(track_id, None)
        tracks = tracked.tracks
        if len(tracks):
            self._extend_trails(tracks, pts_s, tracked.frame.width, tracked.frame.height)
        oldest_s = pts_s - self._trail_s
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
        return self._draw(tracked, trails, self._overlays, out)

    def later(self, tracked: TrackedFrame) -> Callable[[], Image]:
        """What draws this frame as ``draw`` would now, whenever it is called, and by whatever thread."""
        self.observe(tracked)
        shown = tracked.tracks.track_id.tolist() if self._trail_s else ()
        trails = {track_id: self._trails[track_id].points.copy() for track_id in shown}
        overlays = [
            overlay.later(tracked) if isinstance(overlay, LaterOverlay) else overlay for overlay in self._overlays
        ]
        return partial(self._draw, tracked, trails, overlays)

    def _draw(
        self,
        tracked: TrackedFrame,
        trails: Mapping[int, NDArray[np.int32]],
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
        if self._trail_s:
            colors = self._colors(tracks)
            for row in order:
                _draw_trail(picture, trails[ids[row]], colors[row], unit)
        for overlay in overlays:
            overlay(picture, tracked)
        if order:
            self._draw_tracks(picture, tracks, order, unit, looked=tracked.detections is not None)
        return picture

    def draw_objects(self, image: Image, objects: Detections) -> Image:
        """A copy of a picture with detections, or tracks with their ids, drawn on it; without trails and overlays."""
        picture = np.array(image, order="C")
        order = np.argsort(objects.xyxy[:, 3], kind="stable").tolist()
        ids = objects.track_id.tolist() if isinstance(objects, Tracks) else [0] * len(objects)
        if order:
            labels = [self._label(objects, row, track_id) for row, track_id in enumerate(ids)]
            self._draw_boxes(picture, objects.xyxy, order, self._unit(image), self._colors(objects), labels)
        return picture

    def _unit(self, image: Image) -> float:
        """How thick a thin line is, in pixels."""
        height, width = image.shape[:2]
        return self._scale * max(1.0, float(min(height, width)) / 480)

    def _extend_trails(self, tracks: Tracks, pts_s: float, width: int, height: int) -> None:
        boxes = tracks.xyxy
        feet = np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]], axis=1)
        feet = np.clip(feet, -_MARGIN, (width + _MARGIN, height + _MARGIN)) * (1 << _SHIFT)
        oldest_s, step_s = pts_s - self._trail_s, self._trail_s / _TRAIL_POINTS
        for track_id, point in zip(tracks.track_id.tolist(), np.rint(feet).astype(np.int32), strict=True):
            trail = self._trails.get(track_id)
            if trail is None:
                trail = self._trails[track_id] = _Trail()
            trail.add(pts_s, point, oldest_s, step_s)

    def _draw_tracks(self, picture: Image, tracks: Tracks, order: Sequence[int], unit: float, *, looked: bool) -> None:
        # Where nobody looked, not to have been seen says nothing.
        coasting = (tracks.unseen_s > 0).tolist() if looked else [False] * len(tracks)
        ids = tracks.track_id.tolist()
        labels = [self._label(tracks, row, ids[row], coasting[row]) for row in range(len(ids))]
        self._draw_boxes(picture, tracks.xyxy, order, unit, self._colors(tracks), labels, dashed=coasting)

    def _colors(self, objects: Detections) -> list[Color]:
        by_track = isinstance(objects, Tracks) if self._color_by is None else self._color_by == "track"
        if by_track and isinstance(objects, Tracks):
            return [track_color(track_id) for track_id in objects.track_id.tolist()]
        return [track_color(class_id + 1) for class_id in objects.class_id.tolist()]

    def _draw_boxes(
        self,
        picture: Image,
        xyxy: Float32Array,
        order: Sequence[int],
        unit: float,
        colors: Sequence[Color],
        labels: Sequence[str],
        dashed: Sequence[bool] | None = None,
    ) -> None:
        """Boxes ``(N, 4)`` in the given order, and their labels above them all."""
        height, width = picture.shape[:2]
        edges = np.clip(xyxy, -_MARGIN, (width + _MARGIN, height + _MARGIN) * 2)
        boxes = np.rint(edges).astype(int).tolist()
        thickness = max(1, round(2 * unit))
        for row in order if self._show_boxes else ():
            if dashed is not None and dashed[row]:
                _draw_dashed_box(picture, boxes[row], colors[row], max(1, thickness // 2), round(6 * unit))
            else:
                _draw_box(picture, boxes[row], colors[row], thickness)
        letters = lettering(max(8, round(10 * unit)))
        for row in order:
            if labels[row]:
                _draw_label(picture, letters.plate(labels[row], colors[row]), boxes[row], thickness)

    def _label(self, objects: Detections, row: int, track_id: int = 0, coasting: bool = False) -> str:
        class_id = int(objects.class_id[row])
        known = 0 <= class_id < len(self._class_names)
        words = []
        if self._show_names:
            words.append(self._class_names[class_id] if known else f"class {class_id}")
        if self._show_ids and track_id > 0:
            words.append(f"#{track_id}")
        if self._show_scores and not coasting:
            words.append(f"{objects.score[row]:.0%}")
        return " ".join(words)
