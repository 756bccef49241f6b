"""HOTA, CLEAR MOT and identity F1 of tracks that are in memory, for thousands of runs.

The figures are those of TrackEval, which reads files and takes its time; a test holds them together. HOTA: Luiten et
al., "HOTA: a higher order metric for evaluating multi-object tracking", IJCV 2020, arXiv:2009.07736. MOTA: Bernardin
and Stiefelhagen, "Evaluating multiple object tracking performance: the CLEAR MOT metrics", 2008. IDF1: Ristani et al.,
"Performance measures and a data set for multi-target, multi-camera tracking", 2016, arXiv:1609.01775.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from benchmarks.tracking_data import Boxes, Unit

_ALPHAS = np.arange(0.05, 0.99, 0.05)
_EPSILON = float(np.finfo(np.float64).eps)
# From this overlap on a track is on an object, for CLEAR, for identities, and on what is to be ignored.
_MATCH = 0.5
_Floats = NDArray[np.float64]
_Indices = NDArray[np.intp]


class Figures(NamedTuple):
    """In percent; ``switches`` is a count."""

    mota: float
    idf1: float
    hota: float
    switches: int

    @property
    def mean(self) -> float:
        """Of the three measures."""
        return (self.mota + self.idf1 + self.hota) / 3.0


class _Frame(NamedTuple):
    """One frame's objects and tracks as indices of identities, and their overlaps ``(objects, tracks)``."""

    objects: _Indices
    tracks: _Indices
    overlap: _Floats


def judge(shown: Sequence[Boxes], unit: Unit) -> Figures:
    """The figures of the tracks shown, a frame each, against a unit's ground truth."""
    if len(shown) != len(unit.truth):
        raise ValueError(f"shown: expected {len(unit.truth)} frames, got {len(shown)}")
    kept = [_without_ignored(*each) for each in zip(shown, unit.truth, unit.neighbours, unit.unclear, strict=True)]
    objects, object_count = _indices([frame.track_id for frame in unit.truth])
    tracks, track_count = _indices([frame.track_id for frame in kept])
    overlaps = [iou(one.xyxy, other.xyxy) for one, other in zip(unit.truth, kept, strict=True)]
    frames = [_Frame(*each) for each in zip(objects, tracks, overlaps, strict=True)]
    all_objects, all_tracks = np.concatenate(objects), np.concatenate(tracks)
    object_counts = np.bincount(all_objects, minlength=object_count).astype(np.float64)
    track_counts = np.bincount(all_tracks, minlength=track_count).astype(np.float64)
    mota, switches = _clear(frames, object_count, len(all_objects), len(all_tracks))
    return Figures(
        mota=100.0 * mota,
        idf1=100.0 * _identity(frames, object_counts, track_counts),
        hota=100.0 * _hota(frames, object_counts, track_counts),
        switches=switches,
    )


def iou(one: _Floats, other: _Floats) -> _Floats:
    """Intersection over union ``(n, m)`` of xyxy ``(n, 4)`` and ``(m, 4)``."""
    intersection = _intersection(one, other)
    union = _area(one)[:, None] + _area(other) - intersection
    return np.asarray(np.where(union > _EPSILON, intersection / np.maximum(union, _EPSILON), 0.0))


def _intersection(one: _Floats, other: _Floats) -> _Floats:
    low = np.maximum(one[:, None, :2], other[:, :2])
    side = np.maximum(np.minimum(one[:, None, 2:], other[:, 2:]) - low, 0.0)
    return np.asarray(side[..., 0] * side[..., 1])


def _area(boxes: _Floats) -> _Floats:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def _without_ignored(shown: Boxes, truth: Boxes, neighbours: Boxes, unclear: Boxes) -> Boxes:
    """The tracks that count, by KITTI's rules: not those assigned to a neighbour, nor, of those on no object, those
    with more than half of their area in a region whose content is not told."""
    if not len(shown) or not (len(neighbours) or len(unclear)):
        return shown
    overlap = iou(np.concatenate([truth.xyxy, neighbours.xyxy]), shown.xyxy)
    overlap[overlap < _MATCH - _EPSILON] = 0.0
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    matched = overlap[rows, columns] > 0.0
    rows, columns = rows[matched], columns[matched]
    counts = np.ones(len(shown), np.bool_)
    counts[columns[rows >= len(truth)]] = False
    if len(unclear):
        inside = _intersection(shown.xyxy, unclear.xyxy).max(axis=1) / np.maximum(_area(shown.xyxy), _EPSILON)
        inside[columns] = 0.0
        counts &= inside <= _MATCH + _EPSILON
    return Boxes(shown.track_id[counts], shown.xyxy[counts])


def _indices(ids: Sequence[NDArray[np.int64]]) -> tuple[list[_Indices], int]:
    """The ids as numbers from 0 without gaps, frame by frame, and how many there are."""
    distinct, numbers = np.unique(np.concatenate(ids), return_inverse=True)
    ends = np.cumsum([len(each) for each in ids])[:-1]
    return np.split(numbers.astype(np.intp), ends), len(distinct)


def _clear(frames: Sequence[_Frame], objects: int, object_rows: int, track_rows: int) -> tuple[float, int]:
    """MOTA as a part of 1, and identity switches."""
    last = np.full(objects, -1)  # the track an object had last
    previous = np.full(objects, -1)  # the one it had in the frame before
    matches = switches = 0
    for frame in frames:
        # A frame without any object or track leaves the one before it as it is, as in TrackEval.
        if not len(frame.objects) or not len(frame.tracks):
            continue
        score = 1000.0 * (frame.tracks == previous[frame.objects][:, None]) + frame.overlap
        score[frame.overlap < _MATCH - _EPSILON] = 0.0
        rows, columns = linear_sum_assignment(score, maximize=True)
        good = score[rows, columns] > _EPSILON
        matched, tracks = frame.objects[rows[good]], frame.tracks[columns[good]]
        switches += int(np.count_nonzero((last[matched] >= 0) & (last[matched] != tracks)))
        matches += len(matched)
        previous[:] = -1
        last[matched] = previous[matched] = tracks
    return (2.0 * matches - track_rows - switches) / max(1, object_rows), switches


def _identity(frames: Sequence[_Frame], object_counts: _Floats, track_counts: _Floats) -> float:
    """IDF1 as a part of 1: the assignment of whole tracks to whole objects with the most frames in common."""
    common = np.zeros((len(object_counts), len(track_counts)))
    for frame in frames:
        rows, columns = (frame.overlap >= _MATCH).nonzero()
        common[frame.objects[rows], frame.tracks[columns]] += 1.0
    rows, columns = linear_sum_assignment(common, maximize=True)
    return float(2.0 * common[rows, columns].sum() / max(1.0, object_counts.sum() + track_counts.sum()))


def _hota(frames: Sequence[_Frame], object_counts: _Floats, track_counts: _Floats) -> float:
    """HOTA as a part of 1, the mean over its thresholds."""
    shape = (len(object_counts), len(track_counts))
    potential = np.zeros(shape)
    for frame in frames:
        overlap = frame.overlap
        either = overlap.sum(axis=0) + overlap.sum(axis=1)[:, None] - overlap
        share = np.divide(overlap, either, out=np.zeros_like(overlap), where=either > _EPSILON)
        potential[frame.objects[:, None], frame.tracks] += share
    everywhere = object_counts[:, None] + track_counts
    alignment = potential / (everywhere - potential)
    found_objects, found_tracks, found_overlaps = [], [], []
    for frame in frames:
        rows, columns = linear_sum_assignment(
            alignment[frame.objects[:, None], frame.tracks] * frame.overlap, maximize=True
        )
        found_objects.append(frame.objects[rows])
        found_tracks.append(frame.tracks[columns])
        found_overlaps.append(frame.overlap[rows, columns])
    pair = np.concatenate(found_objects) * shape[1] + np.concatenate(found_tracks)
    pairs, pair = np.unique(pair, return_inverse=True)
    overlap, both = np.concatenate(found_overlaps), everywhere.ravel()[pairs]
    total = float(object_counts.sum() + track_counts.sum())
    scores = []
    for alpha in _ALPHAS:
        good = overlap >= alpha - _EPSILON
        true = int(np.count_nonzero(good))
        common = np.bincount(pair[good], minlength=len(pairs)).astype(np.float64)
        associated = float((common * common / np.maximum(1.0, both - common)).sum()) / max(1, true)
        scores.append(np.sqrt(associated * true / max(1.0, total - true)))
    return float(np.mean(scores))
