"""Tracks with a second of hindsight: what is shown of a frame is decided once it is known what came after it.

A file's frames need not leave the moment they are decoded, and a live stream's may wait a little. A track is then shown
from its first detection on, not only from where the tracker was sure of it; its boxes are smoothed by what was seen
before and after them; where it was lost for a moment, or where nobody looked, they are interpolated; and what lasts too
short to be anything is not shown at all. How far a track is believed where it is not seen follows from how often it was
seen at all. It works behind any tracker.

Interpolation is how trackers' results are commonly completed, as in Zhang et al., "ByteTrack", ECCV 2022,
arXiv:2110.06864, there for whole videos.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.geometry.similarity import Motion, after, inverse, moved_boxes, scale_of
from pipeline.sampling.looks import STEADY, Looks
from pipeline.types import BoolArray, Float64Array, Sightings, TrackedFrame, Tracks

# Times that differ by less are the same, but for rounding.
_SAME_TIME_S = 1e-6
# The scale of the plane in which places are kept, against the picture's, before they are measured anew.
_NEAR_ENOUGH = 8.0


@dataclass(slots=True)
class _Track:
    """A hypothesis of the tracker's: when it was seen first and last, in which look and how often; the number it is
    shown by, 0 until it is; since when it was missed in its latest gap, and whether that is filled."""

    first_s: float
    last_s: float
    first_look: int
    last_look: int
    class_id: int
    hits: int = 0
    confirmed: bool = False
    shown_as: int = 0
    gap_s: float = -1.0
    gap_is_filled: bool = False

    def is_steady(self) -> bool:
        """Whether it was missed seldom from its first detection up to its last."""
        return self.hits >= STEADY * (self.last_look - self.first_look + 1)


class _Held(NamedTuple):
    """A frame that waits, and what takes the plane in which places are kept to its picture; None for nothing."""

    tracked: TrackedFrame
    pose: Motion | None


class TrackSettler:
    """Takes one stream's tracked frames in order and gives them back in order, later, with their tracks settled.

    Tracks are numbered anew, 1, 2, 3, ..., in the order in which they are shown. Where the camera moves, places are
    kept, smoothed and interpolated as the first picture would show them.

    Args:
        lag_s: how long a frame waits, in seconds of media time. 0: for nothing but the look that follows it.
        smooth_s: standard deviation of the kernel in seconds, at most half of ``lag_s``; 0 leaves boxes as detected.
        bridge_s: longest time in seconds between two detections of a track to fill where looks between missed it. It is
            filled where the track was seen in three of four looks on either side, of as many as missed it, or three;
            in every other one, where it was hidden behind others.
        least_s: a track is not shown that was seen for less and then missed within as much, nor the end of one that is
            not steady, once it is missing for longer; no more than ``lag_s`` counts, and 0 shows all.
        most_held: frames that may wait; when there are more, the oldest leaves with what is known.
        most_bytes: likewise for their pictures together.

    Raises:
        ValueError: a setting that makes no sense.
    """

    def __init__(
        self,
        *,
        lag_s: float = 1.0,
        smooth_s: float = 0.2,
        bridge_s: float = 1.0,
        least_s: float = 0.5,
        most_held: int = 256,
        most_bytes: int = 128_000_000,
    ) -> None:
        times = {"lag_s": lag_s, "smooth_s": smooth_s, "bridge_s": bridge_s, "least_s": least_s}
        bounds = {"most_held": most_held, "most_bytes": most_bytes}
        wrong = [name for name, value in times.items() if not value >= 0]
        wrong += [name for name, value in bounds.items() if value < 1]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: expected times of 0 or more, and bounds of 1 or more")
        # What can't be seen yet must not pull boxes back.
        self._lag_s, self._smooth_s, self._bridge_s = lag_s, min(smooth_s, lag_s / 2.0), bridge_s
        self._least_s = min(least_s, lag_s)
        self._most_held, self._most_bytes = most_held, most_bytes
        self._held: deque[_Held] = deque()
        self._pose: Motion | None = None
        self._looks = Looks()
        self._tracks: dict[int, _Track] = {}
        self._keys: dict[int, int] = {}  # by the tracker's id
        self._next_id = 1
        self._look = 0  # the number of the newest one

    def add(
        self, tracked: TrackedFrame, sighted: Sightings | None = None, motion: Motion | None = None
    ) -> Iterator[TrackedFrame]:
        """Take the next frame; yields those that can leave now.

        Args:
            tracked: the frame as the tracker left it.
            sighted: what the tracker says of tracks that it does not show yet, too; None for a tracker that says
                nothing, whose tracks count from where they are shown.
            motion: how the camera moved since the last frame, see `pipeline.geometry.similarity`; None for not at all.
        """
        now_s = tracked.frame.pts_s
        if motion is not None:
            self._move(motion)
        self._held.append(_Held(tracked, self._pose))
        if tracked.detections is not None:
            self._take_in(_shown(tracked.tracks) if sighted is None else sighted, now_s)
        while self._held and (self._is_settled(self._held[0].tracked.frame.pts_s, now_s) or self._is_full()):
            yield self._release()

    def flush(self) -> Iterator[TrackedFrame]:
        """The frames that still wait: no more come, or only after a gap, which no track outlives."""
        while self._held:
            yield self._release()
        self._looks, self._tracks, self._keys, self._pose = Looks(), {}, {}, None

    def _move(self, motion: Motion) -> None:
        """Take in that the camera moved."""
        pose = motion if self._pose is None else after(motion, self._pose)
        if not 1 / _NEAR_ENOUGH < scale_of(pose) < _NEAR_ENOUGH:
            # A camera that drives on zooms for ever: from now on places are kept as the newest picture shows them.
            back = inverse(pose)
            self._looks.move(pose)
            self._held = deque(
                _Held(held.tracked, back if held.pose is None else after(held.pose, back)) for held in self._held
            )
            pose = np.eye(2, 3)
        self._pose = pose

    def _take_in(self, sighted: Sightings, pts_s: float) -> None:
        self._look += 1
        for key, track_id, class_id in zip(
            sighted.key.tolist(), sighted.track_id.tolist(), sighted.class_id.tolist(), strict=True
        ):
            track = self._tracks.setdefault(key, _Track(pts_s, pts_s, self._look, self._look, class_id))
            track.last_s, track.last_look = pts_s, self._look
            track.hits += 1
            if track_id and not track.confirmed:
                track.confirmed = True
                self._keys[track_id] = key
        boxes = sighted.xyxy.astype(np.float64)
        self._looks.add(sighted, boxes if self._pose is None else moved_boxes(boxes, inverse(self._pose)), pts_s)

    def _is_settled(self, pts_s: float, now_s: float) -> bool:
        """Whether a frame has waited long enough, and for the look that follows it."""
        looked = self._looks.time_s
        return now_s - pts_s >= self._lag_s - _SAME_TIME_S and bool(len(looked)) and bool(looked[-1] >= pts_s)

    def _is_full(self) -> bool:
        held = len(self._held)
        return held > self._most_held or (
            held > 1 and held * self._held[0].tracked.frame.picture_bytes > self._most_bytes
        )

    def _release(self) -> TrackedFrame:
        tracked, pose = self._held.popleft()
        pts_s = tracked.frame.pts_s
        last_look = self._looks.time_s[-1:]
        tracks = self._settled(pts_s, pose) if len(last_look) and last_look[0] >= pts_s else self._foretold(tracked)
        tracks = tracks.named(tracked.tracks.class_names)
        ended = [self._let_go(track_id) for track_id in tracked.ended.tolist()]
        self._forget(pts_s)
        over = np.array(sorted(track_id for track_id in ended if track_id), np.int64)
        return TrackedFrame(tracked.frame, tracked.detections, tracks, over)

    def _settled(self, pts_s: float, pose: Motion | None) -> Tracks:
        """The tracks at a time between two looks, or at one, as the picture of that ``pose`` shows them."""
        looks = self._looks
        rows, before, after, sure = looks.around(pts_s)
        apart_s = looks.time_s[after] - looks.time_s[before]
        found = [self._tracks.get(key) for key in looks.keys[rows].tolist()]
        near = after - before <= 1
        gaps = np.flatnonzero(~near & (apart_s <= self._bridge_s))
        real = self._confirmed() if len(gaps) else np.zeros(0, np.bool_)
        for place in gaps:
            near[place] = self._is_filled(found[place], int(rows[place]), int(before[place]), int(after[place]), real)
        chosen = near & np.array([self._is_real(track) for track in found], np.bool_)
        rows, before, after, sure = (each[chosen] for each in (rows, before, after, sure))
        apart_s = apart_s[chosen]
        if not len(rows):
            return Tracks.empty()
        since_s = pts_s - looks.time_s[before]
        start = looks.smoothed(rows, before, self._smooth_s)
        part = np.divide(since_s, apart_s, out=np.zeros_like(since_s), where=apart_s > 0)[:, None]
        boxes = start
        if part.any():
            boxes = start + (looks.smoothed(rows, after, self._smooth_s) - start) * part
        tracks = [self._tracks[key] for key in looks.keys[rows].tolist()]
        return _in_order(
            Tracks(
                xyxy=_upright(boxes if pose is None else moved_boxes(boxes, pose)),
                score=looks.score[rows, sure],
                class_id=np.array([track.class_id for track in tracks], np.int32),
                track_id=np.array([self._number(track) for track in tracks], np.int64),
                age_s=np.array([pts_s - track.first_s for track in tracks], np.float32),
                unseen_s=(pts_s - looks.time_s[sure]).astype(np.float32),
            )
        )

    def _confirmed(self) -> BoolArray:
        """Which rows of the looks the tracker has shown at some time."""
        found = (self._tracks.get(key) for key in self._looks.keys.tolist())
        return np.array([track is not None and track.confirmed for track in found], np.bool_)

    def _is_filled(self, track: _Track | None, row: int, before: int, after: int, real: BoolArray) -> bool:
        """Whether a track is shown between two looks that saw it; decided once for each gap, so as not to flicker."""
        if track is None:
            return False
        since_s = float(self._looks.time_s[before])
        if track.gap_s != since_s:
            track.gap_s, track.gap_is_filled = since_s, self._looks.tells_of(row, before, after, real)
        return track.gap_is_filled

    def _foretold(self, tracked: TrackedFrame) -> Tracks:
        """The tracker's own tracks of a frame that no look follows, by the numbers that they are shown by."""
        kept = []
        for row, track_id in enumerate(tracked.tracks.track_id.tolist()):
            track = self._tracks.get(self._keys.get(track_id, 0))
            if track is not None and self._is_real(track):
                kept.append((row, self._number(track)))
        chosen = tracked.tracks.select(np.array([row for row, _ in kept], np.intp))
        numbers = np.array([number for _, number in kept], np.int64)
        return _in_order(Tracks(chosen.xyxy, chosen.score, chosen.class_id, numbers, chosen.age_s, chosen.unseen_s))

    def _is_real(self, track: _Track | None) -> bool:
        """Whether a track is shown: the tracker showed it at some time, and it was not seen too shortly, or too seldom.

        Where looks are further apart than that, as in a folder of pictures, none can say that it was.
        """
        if track is None or not track.confirmed:
            return False
        times_s = self._looks.time_s
        if track.last_s >= times_s[-1]:
            return True
        if not track.is_steady() and 0 < self._least_s < times_s[-1] - track.last_s - _SAME_TIME_S:
            return False
        if track.shown_as > 0 or track.last_s - track.first_s >= self._least_s:
            return True
        missed_s = times_s[np.searchsorted(times_s, track.last_s, side="right")]
        return bool(missed_s - track.last_s >= self._least_s - _SAME_TIME_S)

    def _number(self, track: _Track) -> int:
        if not track.shown_as:
            track.shown_as = self._next_id
            self._next_id += 1
        return track.shown_as

    def _let_go(self, track_id: int) -> int:
        """Forget a track by the tracker's id; the number that it was shown by, or 0."""
        track = self._tracks.pop(self._keys.pop(track_id, 0), None)
        return 0 if track is None else track.shown_as

    def _forget(self, pts_s: float) -> None:
        """Forget what no frame later than that one needs."""
        # As many looks before a gap as in it say whether it is filled.
        self._looks.forget(pts_s - max(2.0 * self._bridge_s, 4.0 * self._smooth_s))
        if len(self._tracks) > 2 * (len(self._looks.keys) + len(self._keys)) + 64:
            known = set(self._looks.keys.tolist())
            self._tracks = {key: track for key, track in self._tracks.items() if track.confirmed or key in known}


def _shown(tracks: Tracks) -> Sightings:
    """What a tracker that shows no more than its tracks has seen."""
    seen = tracks.select(tracks.unseen_s == 0)
    sure = np.ones(len(seen), np.bool_)
    return Sightings(seen.xyxy, seen.score, seen.class_id, key=seen.track_id, track_id=seen.track_id, sure=sure)


def _upright(boxes: Float64Array) -> NDArray[np.float32]:
    """Boxes whose far corner is not before the near one, whatever smoothing did to thin ones."""
    upright = np.asarray(boxes, np.float32).copy()
    upright[:, 2:] = np.maximum(upright[:, 2:], upright[:, :2])
    return upright


def _in_order(tracks: Tracks) -> Tracks:
    return tracks.select(np.argsort(tracks.track_id))
