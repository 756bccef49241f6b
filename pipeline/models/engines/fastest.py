"""The fastest engine and precision for a network on this machine: measured once for a situation, then from memory.

It knows engines by what `Engine` says, and no kind of network: `FastestYoloEngine` is one for the YOLOv3 family.
"""

from __future__ import annotations

import importlib.metadata
import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from numpy.typing import NDArray

from pipeline.errors import ModelError, PipelineError
from pipeline.hardware import cpu_name, has_gpu_device
from pipeline.models.engines.base import Engine
from pipeline.models.engines.choices import Choice, Situation, recall, remember
from pipeline.models.engines.measuring import Rounds, find_fastest, time_calls
from pipeline.models.engines.yolo import YoloEngine
from pipeline.types import Float32Array, Image

logger = logging.getLogger(__name__)

# Larger batches compare the same, and take longer.
_LARGEST_BATCH = 4


class Candidate(NamedTuple):
    """An engine in a precision, by their names."""

    engine: str
    precision: str

    def __str__(self) -> str:
        return f"{self.engine} {self.precision}"


E = TypeVar("E", bound=Engine)


class FastestEngine(ABC, Generic[E]):
    """An engine that becomes the fastest of several when the first images come, for their shape; then it stays that.

    Args:
        network: name and digest of what is computed, which tells it from every other.
        candidates: what there is to choose from, the likely fastest first; each gives results that are good enough.
        make: makes the engine of a candidate.
        threads: processor cores to use.
        batch: images that will come at a time.
        reason: why these are the candidates, for `Engine.reason`.
        rounds: times an engine with images of a shape; default: as a run calls it.
    """

    def __init__(
        self,
        network: str,
        candidates: Sequence[Candidate],
        make: Callable[[Candidate], E],
        *,
        threads: int,
        batch: int,
        reason: str,
        rounds: Callable[[tuple[int, int, int]], Rounds[E]] | None = None,
    ) -> None:
        self._asked_threads = threads
        self.reason = reason
        self._network = network
        self._candidates = list(candidates)
        self._make = make
        self._batch = min(batch, _LARGEST_BATCH)
        self._rounds = rounds or (lambda shape: time_calls(self.call, shape))
        self._engine: E | None = None
        self._choosing = threading.Lock()

    @property
    def name(self) -> str:
        """The engine that was chosen; before that the only one there is to choose from, or ``auto``."""
        if self._engine is not None:
            return self._engine.name
        names = {candidate.engine for candidate in self._candidates}
        return names.pop() if len(names) == 1 else "auto"

    @property
    def precision(self) -> str:
        """The precision that was chosen; before that the only one there is to choose from, or ``auto``."""
        if self._engine is not None:
            return self._engine.precision
        precisions = {candidate.precision for candidate in self._candidates}
        return precisions.pop() if len(precisions) == 1 else "auto"

    @property
    def threads(self) -> int:
        """Processor cores that it uses."""
        return self._asked_threads if self._engine is None else self._engine.threads

    @property
    def calls_at_once(self) -> int:
        """Calls that may run at a time: as many as the chosen engine allows; 1 before that."""
        return 1 if self._engine is None else self._engine.calls_at_once

    @abstractmethod
    def call(self, engine: E, images: Image) -> object:
        """Have an engine compute a batch, uint8 ``(batch, height, width, 3)`` BGR."""

    def chosen(self, images: NDArray[Any]) -> E:
        """The engine for images ``(batch, height, width, channels)``; the first of them decide."""
        if self._engine is None:
            with self._choosing:
                if self._engine is None:
                    self._engine = self._choose(images.shape[1], images.shape[2])
        return self._engine

    def close(self) -> None:
        """Give back the memory and the threads. May be called more than once."""
        if self._engine is not None:
            self._engine.close()

    def _choose(self, height: int, width: int) -> E:
        situation = self._situation(height, width)
        known = recall(situation)
        if known is not None:
            engine = self._made(self._candidates[situation.candidates.index(known.fastest)])
            if engine is not None:
                return self._told(engine, "measured before", known)
        rounds = self._rounds((self._batch, height, width))
        fastest, engine, seconds = find_fastest(self._candidates, self._made, rounds)
        if engine is None:
            names = ", ".join(map(str, self._candidates))
            raise ModelError(f"engine: none of {names} can be used; the log says why.")
        rates = {str(name): round(1 / taken_s, 1) for name, taken_s in seconds.items()}
        choice = Choice(situation=situation, fastest=str(fastest), images_per_s=rates)
        if len(rates) == len(self._candidates):  # what could not be made may be mended by the next time
            remember(choice)
        return self._told(engine, "measured just now", choice)

    def _made(self, candidate: Candidate) -> E | None:
        """The engine of a candidate; None, with a warning, for one that can't be used."""
        try:
            return self._make(candidate)
        except (ImportError, RuntimeError, PipelineError) as error:
            logger.warning("%s is left out of the choice, it can't be used: %s", candidate, error)
            return None

    def _told(self, engine: E, when: str, choice: Choice) -> E:
        best_first = sorted(choice.images_per_s.items(), key=lambda item: -item[1])
        rates = ", ".join(f"{name} {rate:g}" for name, rate in best_first)
        self.reason = f"{self.reason}, {when}: {rates} images/s"
        logger.info("%s %s: %s", engine.name, engine.precision, self.reason)
        return engine

    def _situation(self, height: int, width: int) -> Situation:
        libraries = dict.fromkeys(["sightline", *(candidate.engine for candidate in self._candidates)])
        return Situation(
            processor=cpu_name() + (" with a GPU" if has_gpu_device() else ""),
            threads=self._asked_threads,
            network=self._network,
            input_shape=(height, width),
            batch=self._batch,
            candidates=tuple(map(str, self._candidates)),
            versions={name: _version(name) for name in libraries},
        )


class FastestYoloEngine(FastestEngine[YoloEngine]):
    """The fastest engine for a network of the YOLOv3 family."""

    def call(self, engine: YoloEngine, images: Image) -> object:
        """The raw outputs."""
        return engine.heads(images)

    def heads(self, images: Image) -> list[Float32Array]:
        """The raw outputs, as `pipeline.models.engines.yolo.YoloEngine` says."""
        return self.chosen(images).heads(images)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # TensorFlow also comes under other names
        return "unknown"
