"""What a detector's scores mean, learned from what it says of one stream.

One network gives people 0.95, another 0.4; one is right every time it says 0.3, another hardly ever. A fixed threshold
fits one of them. Two figures tell them apart, without ground truth: which scores carry the most weight, and which are
found where tracks are.
"""

from __future__ import annotations

import numpy as np

from pipeline.types import BoolArray, Float32Array, Float64Array

_BINS = 100
# What is learned fades with this time constant, in seconds: day and night are not one distribution.
_MEMORY_S = 60.0
# Before anything is seen, detections are taken to score this much, as firmly as after so many of them.
_PRIOR_TYPICAL, _PRIOR_WEIGHT = 0.7, 60.0
# Likewise for the part of them that is on tracks, whatever they score.
_PRIOR_SHARE, _PRIOR_SHARE_WEIGHT = 0.8, 20.0
# Shares are those of a score and of five hundredths to either side.
_WINDOW = np.ones(11)


class ScoreScale:
    """The running distribution of one stream's scores, in bins of a hundredth.

    The prior makes the first seconds sane. What is learned fades, the prior does not: a stream that says nothing for
    minutes is a new one.
    """

    def __init__(self) -> None:
        self._mass: Float64Array = np.zeros(_BINS)
        self._count: Float64Array = np.zeros(_BINS)
        self._on_tracks: Float64Array = np.zeros(_BINS)
        self._noted_s: float | None = None

    @property
    def typical(self) -> float:
        """The score above which half of the sum of all squared scores lies, in (0, 1).

        Squares, so that it does not follow how many weak detections the user lets through.
        """
        mass = self._mass.copy()
        mass[int(_PRIOR_TYPICAL * _BINS)] += _PRIOR_WEIGHT * _PRIOR_TYPICAL**2
        from_above = np.cumsum(mass[::-1])
        return (_BINS - int(np.searchsorted(from_above, from_above[-1] / 2.0)) - 0.5) / _BINS

    def on_tracks(self, *parts: float) -> list[float]:
        """For each part the least score of which, with all higher ones, that part of detections is on tracks."""
        share = (np.convolve(self._on_tracks, _WINDOW, "same") + _PRIOR_SHARE * _PRIOR_SHARE_WEIGHT) / (
            np.convolve(self._count, _WINDOW, "same") + _PRIOR_SHARE_WEIGHT
        )
        doubtful = [(share < part).nonzero()[0] for part in parts]
        return [(int(bins[-1]) + 1) / _BINS if len(bins) else 0.0 for bins in doubtful]

    def note(self, score: Float32Array, on_track: BoolArray, pts_s: float) -> None:
        """Take in the scores of one look, ``(N,)``, and whether each is on a track that is beyond doubt."""
        if self._noted_s is not None:
            faded = np.exp((self._noted_s - pts_s) / _MEMORY_S)
            for sums in (self._mass, self._count, self._on_tracks):
                sums *= faded
        self._noted_s = pts_s
        place = np.minimum((score * _BINS).astype(np.intp), _BINS - 1)
        self._mass += np.bincount(place, weights=score * score, minlength=_BINS)
        self._count += np.bincount(place, minlength=_BINS)
        self._on_tracks += np.bincount(place[on_track], minlength=_BINS)
