"""Tracks on the frames that nobody looked at, from what was seen before and after them.

A file's frames need not leave the moment they are decoded, so where the detector looks at some of them only, the boxes
between two looks are not guessed ahead but interpolated once the second is known. The same goes for a track that the
detector lost for less than ``bridge_s``: the frames wait for it to come back. Linear interpolation is how trackers'
results are commonly completed, as in Zhang et al., "ByteTrack", ECCV 2022, arXiv:2110.06864, there for whole videos.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np

from pipeline.types import TrackedFrame, Tracks


class _Seen:
    """Where a track was shown last, and what it was like."""

    __slots__ = ("age_s", "class_id", "pts_s", "score", "xyxy")

    def __init__(self, tracks: Tracks, row: int, pts_s: float) -> None:
        self.xyxy = tracks.xyxy[row]
        self.score = tracks.score[row]
        self.class_id = tracks.class_id[row]
        self.age_s = tracks.age_s[row]
        self.pts_s = pts_s - float(tracks.unseen_s[row])


class _Held:
    """A frame that waits, with the rows that its tracks will have."""

    __slots__ = ("rows", "tracked")

    def __init__(self, tracked: TrackedFrame) -> None:
        self.tracked = tracked
        self.rows: list[tuple[int, _Seen, _Seen]] = []


class TrackInterpolator:
    """Takes one stream's tracked frames in order and gives them back in order, later, with the tracks filled in.

    A frame leaves when no track that is missing in it can come back at the next look or within ``bridge_s``; of a track
    that does, every frame between shows it. What the detector's frames show stays as it is. On the others, what the
    tracker predicted is replaced; a track that is not seen again is not shown on them.

    Args:
        bridge_s: longest time in seconds between two detections of a track to fill where looks between missed it.
        most_held: frames that may wait; when there are more, the oldest leaves as it is.
    """

    def __init__(self, *, bridge_s: float = 1.0, most_held: int = 32) -> None:
        if bridge_s < 0 or most_held < 1:
            raise ValueError(f"bridge_s and most_held: expected 0 or more and 1 or more, got {bridge_s}, {most_held}")
        self._bridge_s = bridge_s
        self._most_held = most_held
        self._held: deque[_Held] = deque()
        self._seen: dict[int, _Seen] = {}
        self._looked_s = float("-inf")

    def add(self, tracked: TrackedFrame) -> Iterator[TrackedFrame]:
        """Take the next frame; yields those that can leave now."""
        pts_s = tracked.frame.pts_s
        for track_id in tracked.ended.tolist():
            self._seen.pop(track_id, None)
        if tracked.detections is not None:
            self._fill(tracked.tracks, pts_s)
            self._looked_s = pts_s
        self._held.append(_Held(tracked))
        waits_from_s = self._waits_from_s(pts_s)
        while self._held:
            oldest_s = self._held[0].tracked.frame.pts_s
            if oldest_s > waits_from_s and len(self._held) <= self._most_held:
                return
            yield self._release()

    def flush(self) -> Iterator[TrackedFrame]:
        """The frames that still wait: there will be no more."""
        while self._held:
            yield self._release()

    def _fill(self, tracks: Tracks, pts_s: float) -> None:
        """Take in what a look showed: frames between it and a track's look before that get the track."""
        ids = tracks.track_id.tolist()
        for row in np.flatnonzero(tracks.unseen_s == 0).tolist():
            after = _Seen(tracks, row, pts_s)
            before = self._seen.get(ids[row])
            if before is not None and self._bridges(before, pts_s):
                for held in reversed(self._held):
                    if held.tracked.frame.pts_s <= before.pts_s:
                        break
                    held.rows.append((ids[row], before, after))
            self._seen[ids[row]] = after

    def _waits_from_s(self, now_s: float) -> float:
        """The time up to which nothing can be filled in any more."""
        open_since = [seen.pts_s for seen in self._seen.values() if seen.pts_s < now_s and self._bridges(seen, now_s)]
        return min(open_since, default=now_s)

    def _bridges(self, seen: _Seen, now_s: float) -> bool:
        """Whether a track seen then and now is filled in between: no look missed it, or not for long."""
        return seen.pts_s >= self._looked_s or now_s - seen.pts_s <= self._bridge_s

    def _release(self) -> TrackedFrame:
        held = self._held.popleft()
        tracked = held.tracked
        if tracked.detections is None and tracked.frame.pts_s > self._looked_s:
            return tracked  # no look after it: what the tracker predicted is all there is
        shown = set(tracked.tracks.track_id.tolist()) if tracked.detections is not None else set()
        rows = [row for row in held.rows if row[0] not in shown]
        if not rows and tracked.detections is not None:
            return tracked
        filled = _between(rows, tracked.frame.pts_s)
        if tracked.detections is not None:
            filled = _joined(tracked.tracks, filled)
        return TrackedFrame(tracked.frame, tracked.detections, filled, tracked.ended)


def _between(rows: list[tuple[int, _Seen, _Seen]], pts_s: float) -> Tracks:
    """The tracks at a time between two that they were seen at; each row an id, the seen before and the seen after."""
    if not rows:
        return Tracks.empty()
    rows = sorted(rows, key=lambda row: row[0])
    before, after = [row[1] for row in rows], [row[2] for row in rows]
    since_s = np.array([pts_s - seen.pts_s for seen in before], np.float32)
    part = since_s / np.array([late.pts_s - early.pts_s for early, late in zip(before, after, strict=True)], np.float32)
    start, stop = np.stack([seen.xyxy for seen in before]), np.stack([seen.xyxy for seen in after])
    return Tracks(
        xyxy=start + (stop - start) * part[:, None],
        score=np.array([seen.score for seen in before], np.float32),
        class_id=np.array([seen.class_id for seen in before], np.int32),
        track_id=np.array([row[0] for row in rows], np.int64),
        age_s=np.array([seen.age_s for seen in before], np.float32) + since_s,
        unseen_s=since_s,
    )


def _joined(one: Tracks, other: Tracks) -> Tracks:
    """Both, ordered by id."""
    names = ("xyxy", "score", "class_id", "track_id", "age_s", "unseen_s")
    order = np.argsort(np.concatenate([one.track_id, other.track_id]))
    arrays: dict[str, Any] = {name: np.concatenate([getattr(one, name), getattr(other, name)])[order] for name in names}
    return Tracks(**arrays)
