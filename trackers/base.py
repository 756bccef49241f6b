"""What every tracker shares: media time, canonical order, identities, and their end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from math import isfinite
from typing import ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.geometry.similarity import Motion, scale_of
from pipeline.types import (
    BoolArray,
    Detections,
    Float32Array,
    Float64Array,
    Image,
    IndexArray,
    Int32Array,
    Int64Array,
    Sightings,
    Tracks,
)
from trackers.kalman import KalmanFilter

# One row per track. ``key`` numbers all of them from 1; ``track_id`` is 0 until the track is shown for the first time,
# so that users see no gaps. ``seen`` is the box of its last detection.
TRACK = np.dtype(
    [
        ("key", np.int64),
        ("track_id", np.int64),
        ("class_id", np.int32),
        ("score", np.float32),
        ("first_s", np.float64),
        ("seen_s", np.float64),
        ("hits", np.int64),
        ("streak", np.int64),
        ("missed", np.int64),
        ("shown", np.bool_),
        ("seen", np.float64, 4),
    ]
)


class Found(NamedTuple):
    """What was detected in one frame, in canonical order: boxes float64 ``(N, 4)`` xyxy, scores, classes ``(N,)``."""

    boxes: Float64Array
    score: Float32Array
    class_id: Int32Array

    @classmethod
    def of(cls, detections: Detections, lowest_score: float) -> Self:
        """Those that score at least ``lowest_score``, by class, then falling score, then place.

        That is a total order of the contents, so any permutation of the detections gives the same.
        """
        box, score, class_id = detections.xyxy, detections.score, detections.class_id
        order = np.lexsort((box[:, 3], box[:, 2], box[:, 1], box[:, 0], -score, class_id))
        order = order[score[order] >= lowest_score]
        return cls(box[order].astype(np.float64), score[order], class_id[order])

    def select(self, rows: BoolArray | IndexArray) -> Self:
        """The rows chosen by a mask or by indices."""
        return type(self)(self.boxes[rows], self.score[rows], self.class_id[rows])


_NO_IDS: Int64Array = np.zeros(0, np.int64)
_NO_IDS.setflags(write=False)


class StepClock:
    """Turns media time into steps of one nominal frame.

    The filters' noises are per frame, at whatever rate the stream has. The nominal frame is the median of the last
    gaps between frames, so that a dropped frame counts as two steps. Gaps within 5% of a whole number of nominal
    frames count as whole: timestamps in milliseconds should not make a regular stream irregular.
    """

    _TOLERANCE = 0.05

    def __init__(self) -> None:
        self._gaps: deque[float] = deque(maxlen=25)
        self._last_s: float | None = None
        self._frame_s = 0.0

    def advance(self, pts_s: float) -> tuple[float, float]:
        """``(steps, ratio)`` since the last call: nominal frames gone by, and the new nominal frame over the old one.

        Raises:
            ValueError: a time that is not finite or not later than the last.
        """
        if not isfinite(pts_s) or (self._last_s is not None and pts_s <= self._last_s):
            raise ValueError(f"pts_s: expected a finite time later than {self._last_s} s, got {pts_s}")
        if self._last_s is None:
            self._last_s = pts_s
            return 0.0, 1.0
        gap = pts_s - self._last_s
        self._last_s = pts_s
        self._gaps.append(gap)
        median = sorted(self._gaps)[len(self._gaps) // 2]
        ratio = 1.0
        if not self._frame_s:
            self._frame_s = median
        elif abs(median / self._frame_s - 1.0) > self._TOLERANCE:
            ratio = median / self._frame_s
            self._frame_s = median
        steps = gap / self._frame_s
        whole = max(1.0, float(round(steps)))
        return (whole if abs(steps - whole) <= self._TOLERANCE * whole else steps), ratio


class ArrayTracker(ABC):
    """A tracker whose tracks are rows of arrays; the base of all trackers here.

    Subclasses predict, associate and decide which rows are shown and which are over. Identities are given when a track
    is first shown: 1, 2, 3, ... within the instance, never reused, also not after ``reset``.
    """

    needs_image = False

    start_score: float = 1.0
    """A detection that scores less starts no track; an instance may be more choosy than its class."""

    lowest_score: float = 1.0
    """The lowest score of a detection that this tracker can use; an instance may be more choosy than its class."""

    shown_from: float = 0.0
    """A track is shown only where its detection scores as much; an instance may be more choosy than its class."""

    _track: ClassVar[np.dtype[np.void]] = TRACK
    """What is kept per track; subclasses may add to it."""

    _powers: ClassVar[tuple[float, float]] = (1.0, 1.0)
    """By which powers of a length the filter's third and fourth quantities grow; the first two are the centre."""

    def __init__(self) -> None:
        self._next_id = self._next_key = 1
        self._ended: Int64Array = _NO_IDS
        self._clear()

    def _clear(self) -> None:
        self._clock = StepClock()
        self._rows: NDArray[np.void] = np.zeros(0, self._track)
        self._filter = KalmanFilter()
        self._looked = False

    @property
    def sighted(self) -> Sightings:
        """What the last ``update`` took for its tracks, those not shown yet among them; empty where nobody looked."""
        chosen = self._sighted_rows() & self._looked
        rows = self._rows[chosen]
        return Sightings(
            xyxy=rows["seen"].astype(np.float32),
            score=rows["score"].copy(),
            class_id=rows["class_id"].copy(),
            key=rows["key"].copy(),
            track_id=rows["track_id"].copy(),
            sure=self._strong_rows()[chosen],
        )

    @property
    def ended(self) -> Int64Array:
        """int64 ``(M,)``: ids returned by earlier updates that the last ``update`` let go for good."""
        return self._ended

    def reset(self) -> Int64Array:
        """Let go of every track and return the ids that were shown, int64 ``(M,)``; they are not used again.

        The next ``update`` may have any time.
        """
        ids = np.sort(self._rows["track_id"][self._rows["track_id"] > 0])
        self._ended = _NO_IDS
        self._clear()
        return ids

    def move(self, motion: Motion) -> None:
        """The camera moved since the last update: what stands still is now where ``motion`` takes it.

        Args:
            motion: float64 ``(2, 3)``, see `pipeline.geometry.similarity`.
        """
        self._filter.move(motion, scale_of(motion) ** np.array([1.0, 1.0, *self._powers]))

    def update(self, detections: Detections | None, pts_s: float, image: Image | None = None) -> Tracks:
        """The confirmed tracks at ``pts_s``, ordered by id. See ``pipeline.interfaces.Tracker``.

        Args:
            detections: what was found in this frame, in any order; None where nobody looked.
            pts_s: media time in seconds, later than at the last call.
            image: not used by the trackers here.

        Raises:
            ValueError: ``pts_s`` is not finite or not later than before.
        """
        pts_s = float(pts_s)
        steps, ratio = self._clock.advance(pts_s)
        if ratio != 1.0:
            self._filter.rescale_time(ratio)
        if steps and len(self._rows):
            self._predict(steps)
        over = np.zeros(len(self._rows), np.bool_)
        self._looked = detections is not None
        if detections is not None:
            over = self._look(Found.of(detections, self.lowest_score), pts_s)
        self._ended = _NO_IDS
        if np.count_nonzero(over):
            gone = self._rows["track_id"][over]
            self._ended = np.sort(gone[gone > 0])
            self._keep(~over)
        return self._shown(pts_s)

    @abstractmethod
    def _predict(self, steps: float) -> None:
        """Move every row ``steps`` frames ahead."""

    @abstractmethod
    def _look(self, found: Found, pts_s: float) -> BoolArray:
        """Take in one frame's detections: match, start tracks, set ``shown``; returns which rows are over."""

    @abstractmethod
    def _boxes(self) -> Float64Array:
        """float64 ``(N, 4)`` xyxy of every row at the current time."""

    def _keep(self, rows: BoolArray) -> None:
        self._rows = self._rows[rows]
        self._filter.keep(rows)

    def _sighted_rows(self) -> BoolArray:
        """Which rows the last look saw."""
        return np.asarray(self._rows["missed"] == 0)

    def _strong_rows(self) -> BoolArray:
        """Which rows' last detections score enough to be shown."""
        return np.asarray(self._rows["score"] >= np.float32(self.shown_from))

    def _seen(self, rows: IndexArray, found: Found, pts_s: float) -> None:
        """Count a look, in which ``rows`` were detected, as ``found`` says one by one, and the others were not."""
        self._rows["streak"][self._rows["missed"] > 0] = 0
        self._rows["missed"] += 1
        self._rows["missed"][rows] = 0
        self._rows["streak"][rows] += 1
        self._rows["hits"][rows] += 1
        self._rows["seen_s"][rows] = pts_s
        self._rows["score"][rows] = found.score
        self._rows["seen"][rows] = found.boxes

    def _start(self, new: Found, pts_s: float) -> NDArray[np.void]:
        """Append a row for each of ``new`` and return those rows, a view; the filter's are the subclass's business."""
        before = len(self._rows)
        rows = np.zeros(before + len(new.boxes), self._track)
        rows[:before] = self._rows
        self._rows = rows
        started = rows[before:]
        started["class_id"], started["score"], started["seen"] = new.class_id, new.score, new.boxes
        started["key"] = np.arange(self._next_key, self._next_key + len(new.boxes))
        self._next_key += len(new.boxes)
        started["first_s"] = started["seen_s"] = pts_s
        return started

    def _shown(self, pts_s: float) -> Tracks:
        shown = (self._rows["shown"] & self._strong_rows()).nonzero()[0]
        ids = self._rows["track_id"][shown]
        new = ids == 0
        if np.count_nonzero(new):
            first = shown[new]
            self._rows["track_id"][first] = np.arange(self._next_id, self._next_id + len(first))
            self._next_id += len(first)
            ids = self._rows["track_id"][shown]
        shown = shown[np.argsort(ids)]
        rows = self._rows[shown]
        return Tracks(
            xyxy=self._boxes()[shown].astype(np.float32),
            score=rows["score"].copy(),
            class_id=rows["class_id"].copy(),
            track_id=rows["track_id"].copy(),
            age_s=(pts_s - rows["first_s"]).astype(np.float32),
            unseen_s=(pts_s - rows["seen_s"]).astype(np.float32),
        )
