"""The second look at tracked objects: each is cut out once, where it shows best, and named by a classifier.

A track waits until it was detected a number of times, or ends; of those detections the one whose score times area is
largest is looked at, once. It runs on the pipeline's main thread, but only so many tracks are named per frame and the
others wait for the next, so that a crowd does not hold up a camera. The same frames always give the same names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import cv2
import numpy as np

from pipeline.classification.classifier import Classification
from pipeline.errors import ConfigError
from pipeline.models.class_names import class_ids
from pipeline.types import Image, TrackedFrame

# Longest side in pixels of what is kept of an object until it is looked at; no network looks closer.
_KEPT_SIDE = 448


class PictureClassifier(Protocol):
    """What `pipeline.classification.classifier.Classifier` does, as far as it is needed here."""

    @property
    def model(self) -> str:
        """Name of the network that classifies."""
        ...

    def classify(self, pictures: Sequence[Image], top: int = 5) -> list[list[Classification]]:
        """The most probable classes of each picture, best first."""
        ...


@dataclass(frozen=True, slots=True)
class ClassifiedTrack:
    """What a track was named.

    Attributes:
        track_id: whose.
        class_id: what the detector took it for when it was first shown.
        score: of the detection that was looked at.
        xyxy: its box in pixels.
        seen_s: media time of it in seconds.
        answer: what the classifier says.
        model: the classifier's name.
    """

    track_id: int
    class_id: int
    score: float
    xyxy: tuple[float, float, float, float]
    seen_s: float
    answer: Classification
    model: str


@dataclass(slots=True)
class _Candidate:
    class_id: int
    wanted: bool
    detections: int = 0
    quality: float = 0.0
    score: float = 0.0
    xyxy: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    seen_s: float = 0.0
    crop: Image | None = None
    done: bool = field(default=False)


class TrackClassifier:
    """Names the tracks of one stream. Several may share a classifier on one thread.

    Args:
        classifier: what names the pictures.
        class_names: the detector's classes.
        classes: the detector's classes that are looked at; None for all.
        detections: how often a track is detected before it is named, at least 2.
        min_size: least width and height of a box in pixels.
        per_frame: most tracks named per frame; those that end come on top.

    Raises:
        ConfigError: a class that the detector does not have, or a number out of its range.
    """

    def __init__(
        self,
        classifier: PictureClassifier,
        class_names: Sequence[str],
        *,
        classes: Sequence[str] | None = None,
        detections: int = 5,
        min_size: tuple[float, float] = (32.0, 32.0),
        per_frame: int = 2,
    ) -> None:
        if detections < 2 or per_frame < 1 or min(min_size) < 0:
            raise ConfigError(
                "classify: expected detections of at least 2, per_frame of at least 1 and sizes of at least 0, got "
                f"{detections}, {per_frame} and {min_size}"
            )
        self._classifier = classifier
        wanted = class_ids(classes, class_names, where="classify.classes") if classes is not None else None
        self._wanted = frozenset(wanted if wanted is not None else range(len(class_names)))
        self._detections = detections
        self._min_size = min_size
        self._per_frame = per_frame
        self._tracks: dict[int, _Candidate] = {}

    def update(self, tracked: TrackedFrame) -> list[ClassifiedTrack]:
        """Take in the next frame and return the tracks that were named: those that ended, then those that wait."""
        tracks = tracked.tracks
        columns = (tracks.track_id, tracks.class_id, tracks.score, tracks.xyxy, tracks.unseen_s)
        for track_id, class_id, score, box, unseen_s in sorted(
            zip(*(column.tolist() for column in columns), strict=True)
        ):
            candidate = self._tracks.get(track_id)
            if candidate is None:
                candidate = self._tracks[track_id] = _Candidate(class_id, class_id in self._wanted)
            if candidate.wanted and not candidate.done and unseen_s == 0:
                self._look(candidate, score, box, tracked)
        ended = [track_id for track_id in sorted(tracked.ended.tolist()) if track_id in self._tracks]
        due = [
            track_id
            for track_id, candidate in self._tracks.items()
            if candidate.crop is not None and candidate.detections >= self._detections and track_id not in ended
        ]
        named = self._classify([*ended, *due[: self._per_frame]])
        for track_id in ended:
            del self._tracks[track_id]
        return named

    def finish(self) -> list[ClassifiedTrack]:
        """All tracks are over, at a gap or the stream's end; those not named yet are."""
        named = self._classify(list(self._tracks))
        self._tracks.clear()
        return named

    def _look(self, candidate: _Candidate, score: float, box: Sequence[float], tracked: TrackedFrame) -> None:
        """Keep what this frame shows of a track if it is the best so far."""
        frame = tracked.frame
        left, top = max(0, int(box[0])), max(0, int(box[1]))
        right, bottom = min(frame.width, int(np.ceil(box[2]))), min(frame.height, int(np.ceil(box[3])))
        width, height = right - left, bottom - top
        if width < max(1.0, self._min_size[0]) or height < max(1.0, self._min_size[1]):
            return
        candidate.detections += 1
        quality = score * width * height
        if quality <= candidate.quality:
            return
        candidate.quality, candidate.score, candidate.seen_s = quality, score, frame.pts_s
        candidate.xyxy = (box[0], box[1], box[2], box[3])
        candidate.crop = _kept(frame.image[top:bottom, left:right])

    def _classify(self, track_ids: Sequence[int]) -> list[ClassifiedTrack]:
        chosen = [(track_id, self._tracks[track_id]) for track_id in track_ids]
        crops = [(track_id, entry, entry.crop) for track_id, entry in chosen if entry.crop is not None]
        if not crops:
            return []
        answers = self._classifier.classify([crop for _, _, crop in crops], 1)
        named = []
        for (track_id, entry, _), (answer, *_) in zip(crops, answers, strict=True):
            entry.done, entry.crop = True, None
            named.append(
                ClassifiedTrack(
                    track_id, entry.class_id, entry.score, entry.xyxy, entry.seen_s, answer, self._classifier.model
                )
            )
        return named


def _kept(crop: Image) -> Image:
    """A copy, made smaller where it is larger than any network needs."""
    scale = _KEPT_SIDE / max(crop.shape[:2])
    if scale >= 1:
        return crop.copy()
    size = (max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale)))
    return np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), np.uint8)
