"""What was seen of each track at the last looks, and where boxes are in the light of all of them.

Smoothing is local linear regression with a Gaussian kernel, which bends neither at a track's ends nor at uneven times:
Fan and Gijbels, "Local polynomial modelling and its applications", 1996.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.geometry.similarity import Motion, moved_boxes
from pipeline.types import BoolArray, Float64Array, IndexArray, Int64Array, Sightings

# Narrower kernels hold no second frame.
_SHARPEST_S = 0.005
# A track is steady that was seen in this part of the looks; fewer of them say nothing.
STEADY = 0.75
_FEWEST = 3
# Of one that was hidden behind others, by this part of its box on average, this part of the looks is enough.
_HIDDEN, _STEADY_WHERE_HIDDEN = 0.8, 0.5
# Scores count as at least this much: a tracker may give none.
_LEAST_SCORE = 0.01


class Looks:
    """What was seen of each track at the last looks, as arrays of ``(tracks, looks)``; the oldest look comes first."""

    def __init__(self) -> None:
        self.keys: Int64Array = np.zeros(0, np.int64)
        self.time_s: Float64Array = np.zeros(0)
        self.seen: BoolArray = np.zeros((0, 0), np.bool_)
        self.sure: BoolArray = np.zeros((0, 0), np.bool_)
        self.boxes: Float64Array = np.zeros((0, 0, 4))
        self.score: NDArray[np.float32] = np.zeros((0, 0), np.float32)

    def add(self, sighted: Sightings, boxes: Float64Array, pts_s: float) -> None:
        """Append a look; ``boxes`` ``(N, 4)`` xyxy are to be kept in place of those where they were sighted."""
        keys = _with(self.keys, sighted.key)
        shape, known = (len(keys), len(self.time_s) + 1), np.searchsorted(keys, self.keys)
        seen, sure = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
        score, kept = np.zeros(shape, np.float32), np.zeros((*shape, 4))
        seen[known, :-1], sure[known, :-1] = self.seen, self.sure
        score[known, :-1], kept[known, :-1] = self.score, self.boxes
        self.keys, self.seen, self.sure, self.score, self.boxes = keys, seen, sure, score, kept
        self.time_s = np.append(self.time_s, pts_s)
        rows = np.searchsorted(keys, sighted.key)
        self.seen[rows, -1], self.sure[rows, -1] = True, sighted.sure
        self.score[rows, -1] = sighted.score
        self.boxes[rows, -1] = boxes

    def move(self, motion: Motion) -> None:
        """Measure places as after a motion from now on."""
        self.boxes = moved_boxes(self.boxes, motion)

    def forget(self, before_s: float) -> None:
        """Let go of the looks before then, but for the last of them, and of tracks that no other look shows."""
        first = max(0, int(np.searchsorted(self.time_s, before_s)) - 1)
        if not first:
            return
        rows = self.seen[:, first:].any(axis=1)
        self.keys, self.time_s = self.keys[rows], self.time_s[first:]
        self.seen, self.sure = self.seen[rows, first:], self.sure[rows, first:]
        self.score, self.boxes = self.score[rows, first:], self.boxes[rows, first:]

    def around(self, pts_s: float) -> tuple[IndexArray, IndexArray, IndexArray, IndexArray]:
        """Tracks seen surely both at or before a time and at or after it.

        Returns:
            ``(rows, before, after, sure)``: the tracks, the nearest looks that saw them, and the last that did surely.
        """
        until, since = (int(np.searchsorted(self.time_s, pts_s, side=side)) for side in ("right", "left"))
        both = self.sure[:, :until].any(axis=1) & self.sure[:, since:].any(axis=1)
        rows = np.flatnonzero(both)
        if not len(rows):
            return rows, rows, rows, rows
        before, sure = (until - 1 - np.argmax(seen[rows, :until][:, ::-1], axis=1) for seen in (self.seen, self.sure))
        return rows, before, since + np.argmax(self.seen[rows, since:], axis=1), sure

    def tells_of(self, row: int, before: int, after: int, real: BoolArray) -> bool:
        """Whether a track was there between two looks that saw it, though none between them did.

        It was, if it was steady up to the look ``before`` and from the one ``after``; that counts in as many looks as
        missed it, three at least, as far as there are later ones. If it was hidden behind ``real`` tracks, a mask
        ``(tracks,)``, it may have been missed more often.
        """
        wide = max(_FEWEST, after - before - 1)
        earlier, later = self.seen[row, max(0, before + 1 - wide) : before + 1], self.seen[row, after : after + wide]
        part = min(float(earlier.sum()) / wide, float(later.mean()))
        return part >= STEADY or (part >= _STEADY_WHERE_HIDDEN and self._hidden(row, before, after, real) >= _HIDDEN)

    def _hidden(self, row: int, before: int, after: int, real: BoolArray) -> float:
        """The part of a track's box, taken to move evenly between two looks, that lay in another's, on average."""
        between = slice(before + 1, after)
        since_s = self.time_s[between] - self.time_s[before]
        way = (since_s / (self.time_s[after] - self.time_s[before]))[:, None]
        box = self.boxes[row, before] + (self.boxes[row, after] - self.boxes[row, before]) * way
        others = self.boxes[:, between]
        side = np.minimum(others[..., 2:], box[:, 2:]) - np.maximum(others[..., :2], box[:, :2])
        shared = np.prod(np.maximum(side, 0.0), axis=2) * (self.seen[:, between] & real[:, None])
        area = np.prod(box[:, 2:] - box[:, :2], axis=1)
        return float((shared.max(axis=0) / np.maximum(area, 1.0)).mean())

    def smoothed(self, rows: IndexArray, looks: IndexArray, width_s: float) -> Float64Array:
        """float64 ``(n, 4)`` xyxy of tracks at looks that saw them, by what the looks around saw.

        Each counts by the square of its score: boxes that a detector is sure of fit better.
        """
        if width_s < _SHARPEST_S:
            return self.boxes[rows, looks]
        apart = (self.time_s - self.time_s[looks][:, None]) / width_s
        score = np.maximum(self.score[rows], _LEAST_SCORE, dtype=np.float64)
        sureness = (score / score[np.arange(len(rows)), looks][:, None]) ** 2
        weight = np.exp(-0.5 * apart * apart) * self.seen[rows] * sureness
        leaning = weight * apart
        total, lean = weight.sum(axis=1), leaning.sum(axis=1)
        # A little more than there is, so that a single look gives its own box.
        spread = (leaning * apart).sum(axis=1) + 1e-3
        share = (spread[:, None] * weight - lean[:, None] * leaning) / (total * spread - lean * lean)[:, None]
        return np.asarray(np.einsum("nl,nlc->nc", share, self.boxes[rows]))


def _with(keys: Int64Array, more: Int64Array) -> Int64Array:
    """Ascending keys and those of others that are not among them.

    NumPy's own sets would load its masked arrays, in the middle of a run and while the network waits.
    """
    place = np.minimum(np.searchsorted(keys, more), max(len(keys) - 1, 0))
    fresh = more[keys[place] != more] if len(keys) else more
    return np.sort(np.concatenate([keys, fresh])) if len(fresh) else keys
