"""Detection filters: which detections go on to the tracker.

A filter is called with the ``Detections`` of one frame and the ``Frame`` and returns bool ``(N,)``, True for those to
keep. Filters given values that can't be used raise ``ConfigError`` when they are made, not when they run.

    for keep in [ClassFilter(["person"], names), SizeFilter(min_height=40)]:
        detections = detections.select(keep(detections, frame))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pipeline.errors import CallbackError, ConfigError
from pipeline.geometry.anchors import Anchor, anchor_index, anchor_points, check_anchor
from pipeline.geometry.points import Placement, Point, Units, check_length, check_polygon, check_units
from pipeline.geometry.shapes import Polygons
from pipeline.interfaces import DetectionFilter
from pipeline.models.class_names import class_ids
from pipeline.types import BoolArray, Detections, Frame
from pipeline.user_code import check_callable, is_interrupt, load_user_file, summary, trimmed, user_line


class ClassFilter:
    """Keeps the detections of some classes.

    Args:
        names: the classes to keep.
        class_names: the model's classes.

    Raises:
        ConfigError: a class that the model does not have.
    """

    def __init__(self, names: Sequence[str], class_names: Sequence[str]) -> None:
        self._wanted = np.zeros(len(class_names), np.bool_)
        self._wanted[list(class_ids(names, class_names, where="filters.classes"))] = True

    def __call__(self, detections: Detections, frame: Frame) -> BoolArray:
        keep: BoolArray = self._wanted[detections.class_id]
        return keep


class ConfidenceFilter:
    """Keeps detections that score at least what their class asks for.

    Args:
        lowest: lowest score to keep, by class name.
        class_names: the model's classes.
        default: lowest score of the classes that ``lowest`` does not name.

    Raises:
        ConfigError: a class that the model does not have, or a score outside [0, 1].
    """

    def __init__(self, lowest: Mapping[str, float], class_names: Sequence[str], default: float = 0.0) -> None:
        # In the scores' own precision, so that a score of exactly 0.3 passes a limit of 0.3.
        self._lowest = np.full(len(class_names), default, np.float32)
        for name, score in {"the others": default, **lowest}.items():
            if not 0 <= score <= 1:
                raise ConfigError(f"filters.confidence: expected a number in [0, 1] for {name}, got {score!r}")
        ids = class_ids(lowest, class_names, where="filters.confidence")
        self._lowest[list(ids)] = list(lowest.values())

    def __call__(self, detections: Detections, frame: Frame) -> BoolArray:
        keep: BoolArray = detections.score >= self._lowest[detections.class_id]
        return keep


class SizeFilter:
    """Keeps boxes of some sizes; the limits themselves are kept.

    Args:
        min_width, max_width, min_height, max_height: in pixels, or fractions of the frame's width and height.
        min_area, max_area: in square pixels, or fractions of the frame's area.
        units: ``"pixels"`` or ``"fraction"``.

    Raises:
        ConfigError: a negative limit, one above 1 for fractions, or a minimum above its maximum.
    """

    def __init__(
        self,
        *,
        min_width: float = 0.0,
        max_width: float | None = None,
        min_height: float = 0.0,
        max_height: float | None = None,
        min_area: float = 0.0,
        max_area: float | None = None,
        units: Units = "pixels",
    ) -> None:
        check_units(units, "filters.size")
        pairs = {"width": (min_width, max_width), "height": (min_height, max_height), "area": (min_area, max_area)}
        for name, (low, high) in pairs.items():
            for limit in (low, high):
                if limit is not None:
                    check_length(limit, f"filters: {name}")
                    if units == "fraction" and limit > 1:
                        raise ConfigError(f"filters: {name}: the fraction {limit} is above 1; say units: pixels")
            if high is not None and low > high:
                raise ConfigError(f"filters: {name}: the smallest, {low}, is above the largest, {high}")
        self._low = np.array([low for low, _ in pairs.values()])
        self._high = np.array([np.inf if high is None else high for _, high in pairs.values()])
        self._units = units
        self._drawn: tuple[int, int] | None = None

    def __call__(self, detections: Detections, frame: Frame) -> BoolArray:
        width, height = (detections.xyxy[:, 2:].astype(np.float64) - detections.xyxy[:, :2]).T
        sizes = np.stack([width, height, width * height], axis=1)
        if self._units == "fraction":
            sizes /= (frame.width, frame.height, frame.width * frame.height)
        else:
            # Pixels of the picture that came first.
            drawn = self._drawn = self._drawn or (frame.width, frame.height)
            x, y = drawn[0] / frame.width, drawn[1] / frame.height
            sizes *= (x, y, x * y)
        fits: BoolArray = (sizes >= self._low) & (sizes <= self._high)
        keep: BoolArray = np.logical_and.reduce(fits, axis=1)
        return keep


class RegionFilter:
    """Keeps detections whose anchor point lies in a polygon.

    Args:
        polygon: three corners or more, in order around it.
        units: ``"pixels"`` or ``"fraction"`` of the frame.
        anchor: the point of the box that counts.
        inside: False keeps those outside instead, so that the polygon masks a part of the picture.
        name: of the setting, for messages.

    Raises:
        ConfigError: corners that enclose no area or whose edges cross, or an unknown unit or anchor.
    """

    def __init__(
        self,
        polygon: Sequence[Point],
        *,
        units: Units = "pixels",
        anchor: Anchor = "bottom_center",
        inside: bool = True,
        name: str = "filters.region",
    ) -> None:
        self._corners = check_polygon(polygon, units, name)
        check_anchor(anchor, name)
        self._units, self._anchor, self._inside = units, anchor_index(anchor), inside
        self._polygons, self._size, self._placement = Polygons([]), (0, 0), Placement()

    def __call__(self, detections: Detections, frame: Frame) -> BoolArray:
        size = (frame.width, frame.height)
        if size != self._size:
            self._placement.fit(*size)
            self._polygons = Polygons([self._placement.points(self._corners, self._units, *size)])
            self._size = size
        found = self._polygons.contains(anchor_points(detections.xyxy)[:, [self._anchor]])[:, 0]
        return found if self._inside else ~found


class PredicateFilter:
    """Keeps what a function in the user's own file says: ``keep(detections, frame) -> bool (N,)``.

    Args:
        target: the file and the function in it, such as ``my_file.py:keep``.

    Raises:
        ConfigError: there is no such file or function, or it can't be used.
        CallbackError: the file raised while it was loaded; when called, the function raised or returned something else
            than bool ``(N,)``. The message names the stream and the frame's time.
    """

    def __init__(self, target: str) -> None:
        file, _, name = target.rpartition(":")
        if not file or not name.isidentifier():
            raise ConfigError(
                f"filters.predicate: expected a file and a function in it, such as my_file.py:keep, got {target!r}"
            )
        module = load_user_file(file)
        if not hasattr(module, name):
            raise ConfigError(f"filters.predicate: there is no function {name!r} in {file}")
        self._function = check_callable(getattr(module, name), f"{file}:{name}", ("detections", "frame"))
        self._name, self._file = f"{file}:{name}", Path(file)

    def __call__(self, detections: Detections, frame: Frame) -> BoolArray:
        when = f"at {frame.pts_s:.3f} s of stream {frame.stream}"
        try:
            keep = self._function(detections, frame)
        except BaseException as error:
            if is_interrupt(error):
                raise
            message = f"{user_line(error, self._file)}: the filter raised {summary(error)} {when}"
            raise CallbackError(message) from trimmed(error, self._file)
        if not isinstance(keep, np.ndarray) or keep.dtype != np.bool_ or keep.shape != (len(detections),):
            got = f"{keep.dtype} {keep.shape}" if isinstance(keep, np.ndarray) else type(keep).__name__
            wanted = f"a NumPy array of bool ({len(detections)},), one per detection"
            raise CallbackError(f"{self._name}: expected {wanted}, got {got} {when}")
        return keep


def make_filters(
    class_names: Sequence[str],
    *,
    classes: Sequence[str] | None = None,
    confidence: Mapping[str, float] | None = None,
    min_size: tuple[float, float] | None = None,
    max_size: tuple[float, float] | None = None,
    region: Sequence[Point] | None = None,
    exclude: Sequence[Sequence[Point]] = (),
    units: Units = "pixels",
    anchor: Anchor = "bottom_center",
    predicate: str | None = None,
) -> list[DetectionFilter]:
    """The filters that settings ask for, cheapest first; each setting that is None or empty adds none.

    Args:
        class_names: the model's classes.
        classes: names to keep.
        confidence: lowest score by class name.
        min_size, max_size: ``(width, height)``, in ``units``.
        region: corners of a polygon, in ``units``; ``anchor`` is the point of a box that must lie in it.
        exclude: corners of polygons in which no detection counts, likewise.
        predicate: the user's own function, such as ``my_file.py:keep``.

    Raises:
        ConfigError: a setting that can't be used.
        CallbackError: the user's file raised while it was loaded.
    """
    filters: list[DetectionFilter] = []
    if classes is not None:
        filters.append(ClassFilter(classes, class_names))
    if confidence:
        filters.append(ConfidenceFilter(confidence, class_names))
    if min_size is not None or max_size is not None:
        low, high = min_size or (0.0, 0.0), max_size or (None, None)
        filters.append(
            SizeFilter(min_width=low[0], min_height=low[1], max_width=high[0], max_height=high[1], units=units)
        )
    if region is not None:
        filters.append(RegionFilter(region, units=units, anchor=anchor))
    filters += [
        RegionFilter(polygon, units=units, anchor=anchor, inside=False, name=f"filters.exclude[{number}]")
        for number, polygon in enumerate(exclude)
    ]
    if predicate is not None:
        filters.append(PredicateFilter(predicate))
    return filters
