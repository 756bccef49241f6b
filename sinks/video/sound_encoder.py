"""Decoded sound, pieces at any times, as an even row of samples for an encoder."""

from __future__ import annotations

from collections.abc import Iterator

import av
import numpy as np
from numpy.typing import NDArray

# Timestamps are rounded, jitter and drift: a piece follows the last one without a seam, unless it is off by this much,
# or several in a row by a little, as behind a packet that was lost.
_SEAM_S = 0.05
_OFF_S, _OFF_PIECES = 0.01, 4


class SampleRow:
    """Resamples pieces of sound and puts each where its time says: gaps become silence, what overlaps is left out.

    Args:
        rate: samples per second that come out.
        layout: ``"mono"`` or ``"stereo"``.
        end_s: where the row ends at the latest; None for no limit.
        size: samples in a frame that comes out.
    """

    def __init__(self, rate: int, layout: str, end_s: float | None, size: int = 1024) -> None:
        self._rate = rate
        self._layout = layout
        self._channels = 1 if layout == "mono" else 2
        self._end = None if end_s is None else round(end_s * rate)
        self._size = size
        self._resampler: av.AudioResampler | None = None
        self._kind: tuple[str, str, int] | None = None
        self._due_s: float | None = None
        self._off = 0
        # Position of the next sample, counted from time zero, and samples that do not fill a frame yet.
        self._position: int | None = None
        self._rest: NDArray[np.float32] = np.zeros((self._channels, 0), np.float32)

    def add(self, piece: av.AudioFrame, start_s: float) -> Iterator[av.AudioFrame]:
        """Take the next piece, which begins at ``start_s``; returns the frames that are complete."""
        kind = (piece.format.name, piece.layout.name, piece.sample_rate)
        off_s = 0.0 if self._due_s is None else start_s - self._due_s
        self._off = self._off + 1 if abs(off_s) > _OFF_S else 0
        seam = abs(off_s) > _SEAM_S or self._off >= _OFF_PIECES
        if seam and off_s < 0:
            return
        if self._resampler is None or kind != self._kind or seam:
            yield from self._flushed()
            self._resampler = av.AudioResampler(format="fltp", layout=self._layout, rate=self._rate)
            self._kind = kind
            yield from self._silence_until(round(start_s * self._rate))
            self._due_s = start_s
        assert self._due_s is not None
        self._due_s += piece.samples / piece.sample_rate
        piece.pts = None
        yield from self._resampled(piece)

    def end(self) -> Iterator[av.AudioFrame]:
        """What is left, the last frame shorter than the others."""
        yield from self._flushed()
        if self._rest.shape[1]:
            yield self._frame(self._rest.shape[1])

    def _flushed(self) -> Iterator[av.AudioFrame]:
        if self._resampler is not None:
            yield from self._resampled(None)
        self._resampler = None

    def _resampled(self, piece: av.AudioFrame | None) -> Iterator[av.AudioFrame]:
        assert self._resampler is not None
        for frame in self._resampler.resample(piece):
            yield from self._append(np.asarray(frame.to_ndarray(), np.float32).reshape(self._channels, -1))

    def _silence_until(self, position: int) -> Iterator[av.AudioFrame]:
        """Fill the gap before ``position``, a second at a time; nothing before the first piece."""
        if self._position is None:
            self._position = position
        while (missing := position - self._position - self._rest.shape[1]) > 0:
            yield from self._append(np.zeros((self._channels, min(missing, self._rate)), np.float32))
            if self._end is not None and self._position >= self._end:
                return

    def _append(self, samples: NDArray[np.float32]) -> Iterator[av.AudioFrame]:
        assert self._position is not None
        if self._position < 0 and not self._rest.shape[1]:
            # From before time zero.
            early = min(-self._position, samples.shape[1])
            samples = samples[:, early:]
            self._position += early
        if self._end is not None:
            samples = samples[:, : max(0, self._end - self._position - self._rest.shape[1])]
        self._rest = np.concatenate([self._rest, samples], axis=1)
        while self._rest.shape[1] >= self._size:
            yield self._frame(self._size)

    def _frame(self, count: int) -> av.AudioFrame:
        assert self._position is not None
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(self._rest[:, :count]), format="fltp", layout=self._layout
        )
        frame.sample_rate = self._rate
        frame.pts = self._position
        self._position += count
        self._rest = self._rest[:, count:]
        return frame
