"""What flows through Sightline from stage to stage; ``pipeline.interfaces`` has the stages' protocols.

    Source --Frame--> Intake --batch--> Detector --Detections--> Tracker --Tracks--> analytics --Event--> Sink

Coordinates are pixels of the source image as displayed, x to the right and y down; boxes are ``xyxy``: left, top,
right, bottom. Images are uint8 ``(height, width, 3)`` in BGR order and treated as read-only once they are in a Frame.
Media time (``pts_s``) is in seconds from the start of the stream. All types pickle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, Self, cast, overload

import numpy as np
from numpy.typing import NDArray

from pipeline.frame import ClockedSource, Frame, Image, SourceInfo
from pipeline.objects import DetectedObject, TrackedObject, class_name_of

__all__ = [
    "BoolArray",
    "ClockedSource",
    "Detections",
    "Float32Array",
    "Float64Array",
    "Frame",
    "Image",
    "IndexArray",
    "Int32Array",
    "Int64Array",
    "SourceInfo",
    "TrackFacts",
    "TrackedFrame",
    "Tracks",
]

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]
Int32Array = NDArray[np.int32]
Int64Array = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
IndexArray = NDArray[np.intp]


def _check_rows(name: str, array: NDArray[Any], dtype: type[np.generic], shape: tuple[int, ...]) -> None:
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name}: expected an array {np.dtype(dtype)} {shape}, got {type(array).__name__}")
    if array.dtype != dtype or array.shape != shape:
        raise ValueError(f"{name}: expected {np.dtype(dtype)} {shape}, got {array.dtype} {array.shape}")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Detections:
    """The objects found in one image, as a structure of arrays.

    Attributes:
        xyxy: float32 ``(N, 4)``, pixels of the source image; right >= left and bottom >= top.
        score: float32 ``(N,)`` in [0, 1].
        class_id: int32 ``(N,)``, index into the model's class names.
        class_names: the model's class names, where whoever made this knew them.

    Raises:
        TypeError: no array, but a list, say.
        ValueError: wrong shape or dtype, or a box that is not finite or inverted; the message names the row.

    Iterating gives one `DetectedObject` after the other; a number chooses one of them, a slice or a mask some rows:

    >>> boxes = np.array([[0, 0, 10, 10], [5, 5, 20, 20]], np.float32)
    >>> found = Detections(
    ...     boxes, np.array([0.9, 0.4], np.float32), np.array([0, 2], np.int32), class_names=("person", "cat", "car")
    ... )
    >>> found
    Detections(2: 1 person, 1 car)
    >>> [thing.class_name for thing in found], found[found.score > 0.5], found[-1].xywh
    (['person', 'car'], Detections(1: 1 person), (5.0, 5.0, 15.0, 15.0))
    """

    xyxy: Float32Array
    score: Float32Array
    class_id: Int32Array
    class_names: Sequence[str] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        count = len(self.xyxy)
        _check_rows("xyxy", self.xyxy, np.float32, (count, 4))
        _check_rows("score", self.score, np.float32, (count,))
        _check_rows("class_id", self.class_id, np.int32, (count,))
        if not count or self._is_sound():
            return
        bad = ~(np.isfinite(self.xyxy).all(axis=1) & (self.xyxy[:, 2:] >= self.xyxy[:, :2]).all(axis=1))
        if bad.any():
            row = int(np.argmax(bad))
            raise ValueError(
                f"xyxy row {row}: expected finite left <= right and top <= bottom, got {self.xyxy[row].tolist()}"
            )
        bad = ~((self.score >= 0) & (self.score <= 1))
        if bad.any():
            row = int(np.argmax(bad))
            raise ValueError(f"score row {row}: expected a number in [0, 1], got {float(self.score[row])}")

    def _is_sound(self) -> bool:
        """Whether all values are right, told by few passes over them: what is not a number fails every comparison."""
        first, last, score = self.xyxy[:, :2], self.xyxy[:, 2:], self.score
        return bool(
            np.logical_and.reduce(last >= first, axis=None)
            and np.minimum.reduce(first, axis=None) > -inf
            and np.maximum.reduce(last, axis=None) < inf
            and np.minimum.reduce(score) >= 0
            and np.maximum.reduce(score) <= 1
        )

    def __len__(self) -> int:
        return len(self.xyxy)

    def select(self, rows: BoolArray | NDArray[np.intp]) -> Self:
        """The rows chosen by a boolean mask ``(N,)`` or by indices, in that order.

        >>> boxes = np.array([[0, 0, 10, 10], [5, 5, 20, 20]], np.float32)
        >>> found = Detections(boxes, np.array([0.9, 0.4], np.float32), np.array([0, 2], np.int32))
        >>> found.select(found.score > 0.5).xyxy.tolist()
        [[0.0, 0.0, 10.0, 10.0]]
        """
        arrays = {name: getattr(self, name)[rows] for name in _array_names(type(self))}
        return type(self)(**arrays, class_names=self.class_names)

    def named(self, class_names: Sequence[str]) -> Self:
        """The same rows, which know the names of their classes."""
        if self.class_names is class_names:
            return self
        arrays = {name: getattr(self, name) for name in _array_names(type(self))}
        return type(self)(**arrays, class_names=class_names)

    @overload
    def __getitem__(self, rows: int) -> DetectedObject: ...

    @overload
    def __getitem__(self, rows: slice | BoolArray | NDArray[np.integer] | Sequence[int]) -> Self: ...

    def __getitem__(self, rows: int | slice | BoolArray | NDArray[np.integer] | Sequence[int]) -> DetectedObject | Self:
        if isinstance(rows, int | np.integer):
            return self.objects()[rows]
        return self.select(np.arange(len(self))[rows])

    def __iter__(self) -> Iterator[DetectedObject]:
        return iter(self.objects())

    def objects(self, image_size: tuple[int, int] | None = None) -> Sequence[DetectedObject]:
        """The rows one by one; ``image_size`` is the width and height of the image in pixels, where it is known."""
        return [DetectedObject(**row) for row in self._rows(image_size)]

    def _rows(self, image_size: tuple[int, int] | None) -> Iterator[dict[str, Any]]:
        names = tuple(self.class_names)
        columns = (self.xyxy.tolist(), self.score.tolist(), self.class_id.tolist())
        for xyxy, score, class_id in zip(*columns, strict=True):
            named = {"class_id": class_id, "class_name": class_name_of(names, class_id)}
            yield {"xyxy": tuple(xyxy), "score": score, "image_size": image_size, **named}

    def __repr__(self) -> str:
        names = tuple(self.class_names)
        counts = Counter(class_name_of(names, class_id) for class_id in self.class_id.tolist())
        told = ", ".join(f"{count} {name}" for name, count in counts.most_common())
        return f"{type(self).__name__}({len(self)}{f': {told}' if told else ''})"

    @classmethod
    def empty(cls) -> Self:
        """Detections of no object."""
        arrays: dict[str, Any] = {name: np.zeros(shape, dtype) for name, (dtype, shape) in _EMPTY.items()}
        return cls(**{name: arrays[name] for name in _array_names(cls)})


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Tracks(Detections):
    """The tracked objects shown at one frame: ``Detections`` plus identity.

    Attributes:
        track_id: int64 ``(N,)``, from 1 within a run and stream, never reused, each at most once.
        age_s: float32 ``(N,)``, seconds of media time since the track's first detection.
        unseen_s: float32 ``(N,)``, seconds since its last detection; 0 where it was detected in this very frame.
    """

    track_id: Int64Array
    age_s: Float32Array
    unseen_s: Float32Array

    def __post_init__(self) -> None:
        Detections.__post_init__(self)
        count = len(self.xyxy)
        _check_rows("track_id", self.track_id, np.int64, (count,))
        _check_rows("age_s", self.age_s, np.float32, (count,))
        _check_rows("unseen_s", self.unseen_s, np.float32, (count,))

    @overload
    def __getitem__(self, rows: int) -> TrackedObject: ...

    @overload
    def __getitem__(self, rows: slice | BoolArray | NDArray[np.integer] | Sequence[int]) -> Self: ...

    def __getitem__(self, rows: int | slice | BoolArray | NDArray[np.integer] | Sequence[int]) -> TrackedObject | Self:
        return cast("TrackedObject | Self", Detections.__getitem__(self, rows))

    def __iter__(self) -> Iterator[TrackedObject]:
        return iter(self.objects())

    def objects(self, image_size: tuple[int, int] | None = None) -> Sequence[TrackedObject]:
        """The tracks one by one; ``image_size`` is the width and height of the image in pixels, where it is known."""
        columns = (self.track_id.tolist(), self.age_s.tolist(), self.unseen_s.tolist())
        return [
            TrackedObject(track_id=track_id, age_s=age_s, unseen_s=unseen_s, **row)
            for row, track_id, age_s, unseen_s in zip(self._rows(image_size), *columns, strict=True)
        ]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sightings(Detections):
    """What a tracker took for its tracks in one frame, shown or not: ``Detections`` plus whose they are.

    Attributes:
        key: int64 ``(N,)``, number of the track, the same from its first detection on; later ones have higher numbers.
        track_id: int64 ``(N,)``, the id by which it is shown; 0 where it was not shown yet.
        sure: bool ``(N,)``, False for detections too weak to be shown, which only tell that the track goes on.
    """

    key: Int64Array
    track_id: Int64Array
    sure: BoolArray

    def __post_init__(self) -> None:
        Detections.__post_init__(self)
        count = len(self.xyxy)
        _check_rows("key", self.key, np.int64, (count,))
        _check_rows("track_id", self.track_id, np.int64, (count,))
        _check_rows("sure", self.sure, np.bool_, (count,))


_EMPTY: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
    "xyxy": (np.float32, (0, 4)),
    "score": (np.float32, (0,)),
    "class_id": (np.int32, (0,)),
    "key": (np.int64, (0,)),
    "sure": (np.bool_, (0,)),
    "track_id": (np.int64, (0,)),
    "age_s": (np.float32, (0,)),
    "unseen_s": (np.float32, (0,)),
}


def _array_names(cls: type[Detections]) -> tuple[str, ...]:
    return tuple(name for name in cls.__dataclass_fields__ if name in _EMPTY)


@dataclass(frozen=True, slots=True, eq=False)
class TrackFacts:
    """What analytics knows of the tracks of one frame, in their order.

    Attributes:
        zones: for each track the names of the zones that it is in.
        speed_mps: its speed over the ground in m/s; None where that is not known.
    """

    zones: Sequence[tuple[str, ...]]
    speed_mps: Sequence[float | None]


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFrame:
    """One frame with all that was found in it.

    Attributes:
        frame: the picture and its time.
        detections: what the detector found and the filters kept, or None where the detector did not look at this frame.
        tracks: the confirmed tracks at this frame's time.
        ended: int64 ``(M,)``, ids shown earlier that the tracker has now let go.
        facts: where the tracks are and how fast; None before analytics saw them, and without zones and ``homography``.
    """

    frame: Frame
    detections: Detections | None
    tracks: Tracks
    ended: Int64Array
    facts: TrackFacts | None = None
