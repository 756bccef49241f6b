"""The tracks of one stream that are or were shown lately, with a few pictures of each, within bounds.

Pictures are kept as the network would see them, and cost it nothing until it is asked: only where a new track may go on
with an old one are they turned into vectors, each once.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from pipeline.appearance.embedder import PictureEmbedder
from pipeline.geometry.boxes import area
from pipeline.types import BoolArray, Float32Array, Frame, Image, TrackedFrame, Tracks

# Of a box no more than this part may be covered by another, or lie outside the picture, to tell what is in it.
_MOST_COVERED = 0.25
_LEAST_WIDTH, _LEAST_HEIGHT = 12, 24
_SAME_TIME_S = 1e-6

Box = tuple[float, float, float, float]


@dataclass(slots=True, eq=False)
class Sample:
    """What one frame shows of a track: a picture until the network has seen it, then its vector."""

    picture: Image | None
    vector: Float32Array | None = None


@dataclass(slots=True, eq=False)
class SeenTrack:
    """A track that is or was shown.

    Attributes:
        track_id: its id.
        class_id: what it was taken for when it was first shown.
        first_s: media time of its first detection.
        last_s: when it was shown last.
        first_box: where it was shown first.
        xyxy, score: as it was shown last.
        samples: the newest pictures of it.
        ended: whether it was told to have ended.
        continued: whether a newer track is linked to it.
    """

    track_id: int
    class_id: int
    first_s: float
    last_s: float
    first_box: Box
    xyxy: Box
    score: float
    samples: deque[Sample]
    ended: bool = False
    continued: bool = False


@dataclass(slots=True)
class Gallery:
    """Keeps tracks and their pictures.

    Args:
        embedder: says what it sees of a picture.
        class_ids: the classes to follow.
        most_tracks: tracks that are kept at a time. Of more those that were lost longest ago are forgotten, and where
            all are shown, new ones are not followed.
        most_samples: pictures kept of each.
        apart_s: least time in seconds between two pictures.
        memory_s: how long a track is kept that is not shown any more.
    """

    embedder: PictureEmbedder
    class_ids: frozenset[int]
    most_tracks: int = 128
    most_samples: int = 4
    apart_s: float = 0.3
    memory_s: float = 10.0
    tracks: dict[int, SeenTrack] = field(default_factory=dict, init=False)
    _looked_s: float = field(default=-np.inf, init=False)

    def update(self, tracked: TrackedFrame) -> list[SeenTrack]:
        """Take in a frame; returns the tracks that it shows first, in the order of their ids."""
        tracks, pts_s = tracked.tracks, tracked.frame.pts_s
        columns = (tracks.track_id, tracks.class_id, tracks.score, tracks.xyxy, tracks.age_s)
        new = []
        for track_id, class_id, score, box, age_s in sorted(zip(*(each.tolist() for each in columns), strict=True)):
            known = self.tracks.get(track_id)
            if known is not None:
                known.last_s, known.xyxy, known.score = pts_s, tuple(box), score
            elif class_id in self.class_ids and self._has_room(pts_s):
                samples: deque[Sample] = deque(maxlen=self.most_samples)
                known = SeenTrack(track_id, class_id, pts_s - age_s, pts_s, tuple(box), tuple(box), score, samples)
                self.tracks[track_id] = known
                new.append(known)
        for track_id in tracked.ended.tolist():
            if track_id in self.tracks:
                self.tracks[track_id].ended = True
        if pts_s - self._looked_s >= self.apart_s - _SAME_TIME_S:
            self._look(tracks, tracked.frame)
        self._forget(pts_s)
        return new

    def remove(self, track: SeenTrack) -> None:
        """Keep a track no longer."""
        self.tracks.pop(track.track_id, None)

    def clear(self) -> None:
        """Keep nothing of what there was."""
        self.tracks.clear()
        self._looked_s = -np.inf

    def _has_room(self, now_s: float) -> bool:
        if len(self.tracks) < self.most_tracks:
            return True
        oldest = min(self.tracks.values(), key=lambda track: (track.last_s, track.track_id))
        if oldest.last_s >= now_s:
            return False
        self.remove(oldest)
        return True

    def _look(self, tracks: Tracks, frame: Frame) -> None:
        """Keep what this frame shows of each track, where it shows it well."""
        clear = _clear(tracks, frame)
        for track_id, box in zip(tracks.track_id[clear].tolist(), tracks.xyxy[clear].tolist(), strict=True):
            track = self.tracks.get(track_id)
            if track is None:
                continue
            self._looked_s = frame.pts_s
            left, top = max(0, int(box[0])), max(0, int(box[1]))
            right, bottom = min(frame.width, int(np.ceil(box[2]))), min(frame.height, int(np.ceil(box[3])))
            # A picture that nobody needs is not made.
            track.samples.append(Sample(self.embedder.fitted(frame.image[top:bottom, left:right])))

    def _forget(self, now_s: float) -> None:
        late = [track for track in self.tracks.values() if now_s - track.last_s > self.memory_s]
        for track in late:
            self.remove(track)


def _clear(tracks: Tracks, frame: Frame) -> BoolArray:
    """Which tracks a frame shows well: detected in it, large enough, inside the picture, and hidden by no other."""
    boxes = tracks.xyxy.astype(np.float64)
    within = np.clip(boxes, 0.0, [frame.width, frame.height, frame.width, frame.height])
    sides = boxes[:, 2:] - boxes[:, :2]
    large = (sides[:, 0] >= _LEAST_WIDTH) & (sides[:, 1] >= _LEAST_HEIGHT)
    least = (1.0 - _MOST_COVERED) * area(boxes)
    common = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:]) - np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    covered = np.clip(common, 0.0, None).prod(axis=-1)
    np.fill_diagonal(covered, 0.0)
    free = area(boxes) - covered.max(axis=1, initial=0.0)
    clear: BoolArray = (tracks.unseen_s == 0) & large & (area(within) >= least) & (free >= least)
    return clear
