"""A model compiled for the shapes of input that come, and once for inputs of any shape where many do.

OpenVINO computes a network of known shapes with less work: YOLOX-nano in a fifth less of processor time (12.2 against
15.2 ms for 256x416). Compiling takes a fifth of a second, which is well spent on a video, and not on a folder of odd
pictures.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

_AT_ONCE = 2  # shapes: a run's first picture, and its batches
_OFTEN = 24  # calls, after which what compiling costs comes back within a few seconds of video
_MOST_SHAPES = 5  # each holds the network's weights once more

Shape = tuple[int, ...]


class CompiledShapes:
    """Requests of compiled models. Any number of threads may use an instance.

    The first shapes are compiled when they come. A smaller batch of a shape that is there is to be filled up to it, see
    `fitting`: a run's last batch is not worth a fifth of a second. What else comes runs on a model for any shape, until
    it has come often.

    Args:
        compile_for: compiles the model for a shape; None for any.
        known: whether it takes one shape only, which it knows already.
    """

    def __init__(self, compile_for: Callable[[Shape | None], Any], *, known: bool) -> None:
        self._compile_for = compile_for
        self._known = known
        self._made: dict[Shape | None, _Requests] = {}
        self._calls: Counter[Shape] = Counter()
        self._turn = threading.Lock()
        if known:
            self._make(None)

    def again(self, compile_for: Callable[[Shape | None], Any]) -> CompiledShapes:
        """The same shapes, compiled by another function."""
        new = CompiledShapes(compile_for, known=self._known)
        for shape in list(self._made):
            new._make(shape)
        return new

    def fitting(self, shape: Shape) -> Shape:
        """The shape to give inputs of a shape ``(batch, ...)``: its own, or the same with a larger batch."""
        if self._known or shape in self._made:
            return shape
        with self._turn:
            self._calls[shape] += 1
            larger = [made for made in self._made if made is not None and made[0] > shape[0] and made[1:] == shape[1:]]
            return min(larger) if larger and self._calls[shape] < _OFTEN else shape

    def requests(self, shape: Shape, count: int) -> Sequence[Any]:
        """So many ``openvino.InferRequest`` for inputs of a shape, which are the calling thread's own."""
        found = self._made.get(None if self._known else shape)
        if found is None:
            with self._turn:
                few = len(self._made) < _AT_ONCE
                often = self._calls[shape] >= _OFTEN and len(self._made) < _MOST_SHAPES
                wanted = shape if shape in self._made or few or often else None
                found = self._make(wanted)
        return found.first(count)

    def _make(self, shape: Shape | None) -> _Requests:
        if shape not in self._made:
            self._made[shape] = _Requests(self._compile_for(shape))
        return self._made[shape]


class _Requests(threading.local):
    """Requests of one compiled model; each thread has its own, for they hold the outputs of a call."""

    def __init__(self, compiled: Any) -> None:
        self.compiled = compiled
        self._made: list[Any] = []

    def first(self, count: int) -> Sequence[Any]:
        while len(self._made) < count:
            self._made.append(self.compiled.create_infer_request())
        return self._made[:count]
