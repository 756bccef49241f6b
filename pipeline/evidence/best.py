"""The best picture of each live object, and the frames that were looked at lately.

Both are generic over what a picture is kept as; that has a time and a size in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from pipeline.evidence.quality import promise, sharpness
from pipeline.types import Float64Array, TrackedFrame

# Pixels are looked at this often, in seconds of media time, and where an object has no picture yet.
_LOOK_EVERY_S = 0.2
# A picture takes the place of another that is better by this much: each costs an encoding.
_BETTER_BY = 1.1
# What an alert is about may have ended a moment before.
_KEPT_AFTER_END_S = 5.0
_SAME_TIME_S = 1e-6


class Shot(Protocol):
    """A frame that is kept."""

    @property
    def pts_s(self) -> float:
        """Media time in seconds."""
        ...

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        ...

    def box(self, track_id: int) -> Float64Array | None:
        """Where a track is in it, xyxy float64 ``(4,)``; None where it is not."""
        ...


AnyShot = TypeVar("AnyShot", bound=Shot)


@dataclass(slots=True)
class _Candidate(Generic[AnyShot]):
    """The best picture of a track so far; ``ended_s`` is when the track has ended."""

    quality: float
    shot: AnyShot
    ended_s: float | None = None


class BestPictures(Generic[AnyShot]):
    """Keeps one picture of each live track, the best so far; those of one frame share it.

    A picture of a track counts where the detector saw it in that very frame. How good it is, is what ``quality``
    promises of its box, times the sharpness of its pixels. These are looked at five times a second, and whenever a
    track has no picture yet, but not where the box alone says that they could be no better than what there is.

    Args:
        keep: makes what is kept of a frame; asked at most once for each.
        most_bytes: what all of it may take. Beyond that, pictures of tracks that have ended go first, then the worst.
        classes: ids of the classes whose tracks have a picture; None for all.
    """

    def __init__(
        self, keep: Callable[[TrackedFrame], AnyShot], *, most_bytes: int, classes: Collection[int] | None = None
    ) -> None:
        self._keep = keep
        self._most_bytes = most_bytes
        self._classes = None if classes is None else np.array(sorted(classes), np.int32)
        self._kept: dict[int, _Candidate[AnyShot]] = {}
        self._looked_s = float("-inf")

    def offer(self, tracked: TrackedFrame) -> None:
        """Look at a frame that the detector has looked at."""
        frame, tracks = tracked.frame, tracked.tracks
        seen = tracks.unseen_s == 0
        if self._classes is not None:
            seen &= np.isin(tracks.class_id, self._classes)
        rows = np.flatnonzero(seen)
        ids = tracks.track_id[rows].tolist()
        due = frame.pts_s - self._looked_s >= _LOOK_EVERY_S - _SAME_TIME_S
        if not ids or (not due and all(track_id in self._kept for track_id in ids)):
            return
        most = promise(tracks.select(rows), frame.width, frame.height).tolist()
        likely = [
            (track_id, row, quality)
            for track_id, row, quality in zip(ids, rows.tolist(), most, strict=True)
            if (due or track_id not in self._kept) and quality > self._to_beat(track_id)
        ]
        if due:
            self._looked_s = frame.pts_s
        better = [
            (track_id, quality * sharp)
            for track_id, row, quality in likely
            if quality * (sharp := sharpness(frame.image, tracks.xyxy[row].astype(np.float64)))
            > self._to_beat(track_id)
        ]
        if not better:
            return
        shot = self._keep(tracked)
        for track_id, quality in better:
            self._kept[track_id] = _Candidate(quality, shot)
        self._bound()

    def _to_beat(self, track_id: int) -> float:
        known = self._kept.get(track_id)
        return -1.0 if known is None else known.quality * _BETTER_BY

    def best(self, track_ids: Iterable[int], after_s: float = float("-inf")) -> tuple[int, AnyShot] | None:
        """The best picture of one of these tracks, and of which; None where there is none.

        Args:
            track_ids: of which tracks.
            after_s: only pictures later than that.
        """
        found = [
            (known.quality, track_id, known.shot)
            for track_id in track_ids
            if (known := self._kept.get(track_id)) is not None and known.shot.pts_s > after_s
        ]
        if not found:
            return None
        _, track_id, shot = max(found, key=lambda each: each[0])
        return track_id, shot

    def end(self, track_id: int, now_s: float) -> None:
        """A track has ended; its picture is kept for a few seconds more."""
        known = self._kept.get(track_id)
        if known is not None:
            known.ended_s = now_s
        over = [
            other
            for other, each in self._kept.items()
            if each.ended_s is not None and now_s - each.ended_s > _KEPT_AFTER_END_S
        ]
        for other in over:
            del self._kept[other]

    def forget(self, until_s: float) -> None:
        """Let go of pictures up to that media time."""
        self._kept = {track_id: known for track_id, known in self._kept.items() if known.shot.pts_s > until_s}

    @property
    def nbytes(self) -> int:
        """What all pictures take in memory."""
        return sum(shot.nbytes for shot in {id(known.shot): known.shot for known in self._kept.values()}.values())

    def __len__(self) -> int:
        return len(self._kept)

    def _bound(self) -> None:
        while len(self._kept) > 1 and self.nbytes > self._most_bytes:
            worst = min(self._kept, key=lambda each: (self._kept[each].ended_s is None, self._kept[each].quality))
            del self._kept[worst]


class RecentLooks(Generic[AnyShot]):
    """Keeps the frames that the detector looked at in the last seconds, for what is told a little later.

    Args:
        within_s: how long, in seconds of media time.
        most_bytes: what they may take; beyond that they are thinned out, the older ones more, but for the newest one.
    """

    def __init__(self, *, within_s: float, most_bytes: int) -> None:
        self._within_s = within_s
        self._most_bytes = most_bytes
        self._shots: deque[AnyShot] = deque()

    def add(self, shot: AnyShot) -> None:
        """Take the next one."""
        shots = self._shots
        shots.append(shot)
        while shots[0].pts_s < shot.pts_s - self._within_s:
            shots.popleft()
        while len(shots) > 1 and self.nbytes > self._most_bytes:
            del shots[self._least_missed()]

    def _least_missed(self) -> int:
        """Which one leaves the shortest gap for its age, of all but the newest: most of what is told is told soon."""
        times = np.array([shot.pts_s for shot in self._shots])
        before = np.concatenate([[times[-1] - self._within_s], times[:-2]])
        return int(np.argmin((times[1:] - before) / (times[-1] - times[:-1])))

    def at(self, pts_s: float, track_id: int, after_s: float = float("-inf")) -> AnyShot | None:
        """The one that shows a track nearest to a time; None where none does.

        Args:
            pts_s: media time in seconds.
            track_id: of the track.
            after_s: only frames later than that.
        """
        shown = [shot for shot in self._shots if shot.pts_s > after_s and shot.box(track_id) is not None]
        return min(shown, key=lambda shot: abs(shot.pts_s - pts_s), default=None)

    def forget(self, until_s: float) -> None:
        """Let go of frames up to that media time."""
        while self._shots and self._shots[0].pts_s <= until_s:
            self._shots.popleft()

    @property
    def nbytes(self) -> int:
        """What they take in memory now: pictures are made meanwhile."""
        return sum(shot.nbytes for shot in self._shots)

    def __len__(self) -> int:
        return len(self._shots)
