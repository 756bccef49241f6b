"""A batched constant-velocity Kalman filter for boxes.

The motion model of SORT (Bewley, Ge, Ott, Ramos and Upcroft, "Simple online and realtime tracking", 2016,
arXiv:1602.00763) treats each measured quantity (centre x, centre y, area, aspect ratio) alone: transition, noise and
first covariance are all diagonal in them. So the 7 x 7 covariance of a track never fills up: it stays a 2 x 2 block of
position and velocity per quantity, and the whole filter is element-wise arithmetic over arrays of ``(tracks, 4)``.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from pipeline.types import BoolArray, Float64Array, IndexArray

# Rows of the filter's memory, each (tracks, quantities).
_POSITION, _VELOCITY, _POSITION_VARIANCE, _COVARIANCE, _VELOCITY_VARIANCE = range(5)


class KalmanFilter:
    """Independent constant-velocity filters for any number of tracks, float64, without a loop over tracks.

    Time is counted in steps (of one nominal frame); velocities are per step. A quantity whose velocity noise and first
    velocity variance are both 0 is taken to stand still, like SORT's aspect ratio. Wherever a noise is given, it may be
    one for all tracks ``(quantities,)`` or one per track ``(tracks, quantities)``; all are variances.

    Args:
        quantities: how many numbers a measurement holds.
    """

    def __init__(self, quantities: int = 4) -> None:
        self._memory: Float64Array = np.zeros((5, 0, quantities))

    def __len__(self) -> int:
        return int(self._memory.shape[1])

    @property
    def position(self) -> Float64Array:
        """``(tracks, quantities)``: the filtered quantities; a view, which may be written to."""
        return np.asarray(self._memory[_POSITION])

    @property
    def velocity(self) -> Float64Array:
        """``(tracks, quantities)``: their change per step; a view, which may be written to."""
        return np.asarray(self._memory[_VELOCITY])

    @property
    def position_variance(self) -> Float64Array:
        """``(tracks, quantities)``: the variance of ``position``; a view."""
        return np.asarray(self._memory[_POSITION_VARIANCE])

    def state(self, moving: int = 3) -> tuple[Float64Array, Float64Array]:
        """The usual form: mean ``(tracks, n)`` and covariance ``(tracks, n, n)``, n = quantities + ``moving``.

        The state's order is all quantities, then the velocities of the first ``moving`` of them.
        """
        quantities = self._memory.shape[2]
        memory = self._memory
        mean = np.concatenate([memory[_POSITION], memory[_VELOCITY][:, :moving]], axis=1)
        covariance = np.zeros((len(self), quantities + moving, quantities + moving))
        place, speed = np.arange(quantities), np.arange(moving)
        covariance[:, place, place] = memory[_POSITION_VARIANCE]
        covariance[:, speed, quantities + speed] = memory[_COVARIANCE][:, :moving]
        covariance[:, quantities + speed, speed] = memory[_COVARIANCE][:, :moving]
        covariance[:, quantities + speed, quantities + speed] = memory[_VELOCITY_VARIANCE][:, :moving]
        return mean, covariance

    def add(self, measured: ArrayLike, variance: ArrayLike, velocity_variance: ArrayLike) -> None:
        """Start tracks at rest at ``measured`` ``(new, quantities)``; they are appended after the existing ones."""
        first = np.asarray(measured, dtype=np.float64)
        memory = np.zeros((5, *first.shape))
        memory[_POSITION] = first
        memory[_POSITION_VARIANCE] = variance
        memory[_VELOCITY_VARIANCE] = velocity_variance
        self._memory = np.concatenate([self._memory, memory], axis=1)

    def keep(self, rows: BoolArray | IndexArray) -> None:
        """Forget every track but ``rows``."""
        self._memory = self._memory[:, rows]

    def predict(self, steps: float, variance: ArrayLike, velocity_variance: ArrayLike) -> None:
        """Move all tracks ``steps`` ahead; the noises are those of one step.

        The noise that gathers over several steps is summed in closed form, so predicting a, then b, is the same as
        predicting a + b: a gap of three frames is three predictions.
        """
        # One product moves everything: the transition is the same for all tracks and quantities.
        shape = self._memory.shape
        self._memory = (_transition(steps) @ self._memory.reshape(5, -1)).reshape(shape)
        noise, velocity_noise = np.asarray(variance), np.asarray(velocity_variance)
        self._memory[_POSITION_VARIANCE] += steps * noise
        self._memory[_VELOCITY_VARIANCE] += steps * velocity_noise
        between = steps * (steps - 1.0) / 2.0
        if between:
            self._memory[_POSITION_VARIANCE] += between * (2.0 * steps - 1.0) / 3.0 * velocity_noise
            self._memory[_COVARIANCE] += between * velocity_noise

    def update(self, rows: IndexArray, measured: Float64Array, variance: ArrayLike) -> None:
        """Take in one measurement for each of ``rows`` (each at most once).

        Args:
            rows: ``(m,)`` indices of tracks.
            measured: ``(m, quantities)``.
            variance: of the measurements, ``(quantities,)`` or ``(m, quantities)``.
        """
        memory = self._memory[:, rows]
        noise = np.asarray(variance)
        scale = 1.0 / (memory[_POSITION_VARIANCE] + noise)
        # Position and velocity gain by the variance of the one and the covariance of both, which then shrink alike.
        gained = memory[_POSITION_VARIANCE : _COVARIANCE + 1]
        memory[: _VELOCITY + 1] += gained * ((measured - memory[_POSITION]) * scale)
        memory[_VELOCITY_VARIANCE] -= memory[_COVARIANCE] ** 2 * scale
        gained *= noise * scale
        self._memory[:, rows] = memory

    def innovation(self, rows: IndexArray, measured: Float64Array, variance: ArrayLike) -> Float64Array:
        """``(m, quantities)``: how far measurements lie from where they are expected, by the deviation of that.

        Normally distributed with variance 1, and each independent of the last, where motion and noises are as they are
        taken to be. Arguments as for ``update``.
        """
        apart = measured - self._memory[_POSITION, rows]
        return np.asarray(apart / np.sqrt(self._memory[_POSITION_VARIANCE, rows] + np.asarray(variance)))

    def move(self, motion: Float64Array, factors: Float64Array) -> None:
        """See everything as after a motion of the picture; it is taken not to turn much, so quantities stay apart.

        Args:
            motion: ``(2, 3)``, see `pipeline.geometry.similarity`; for the first two quantities, which are a place.
            factors: ``(quantities,)``, what the quantities and their velocities are multiplied by; of the first two,
                only their deviations are.
        """
        memory = self._memory
        for moving in (memory[_POSITION], memory[_VELOCITY]):
            moving[:, :2] = moving[:, :2] @ motion[:, :2].T
            moving[:, 2:] *= factors[2:]
        memory[_POSITION][:, :2] += motion[:, 2]
        memory[_POSITION_VARIANCE:] *= factors * factors

    def rescale_time(self, ratio: float) -> None:
        """Count in steps that are ``ratio`` times as long as before."""
        self._memory[_VELOCITY] *= ratio
        self._memory[_COVARIANCE] *= ratio
        self._memory[_VELOCITY_VARIANCE] *= ratio * ratio


@lru_cache(maxsize=16)
def _transition(steps: float) -> Float64Array:
    """What moves the five rows of the memory ``steps`` ahead, noise apart. Not to be written to."""
    transition = np.eye(5)
    transition[_POSITION, _VELOCITY] = transition[_COVARIANCE, _VELOCITY_VARIANCE] = steps
    transition[_POSITION_VARIANCE, _COVARIANCE] = 2.0 * steps
    transition[_POSITION_VARIANCE, _VELOCITY_VARIANCE] = steps * steps
    return transition
