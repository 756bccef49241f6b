"""The fastest of the installed engines, by measurement: once for a situation, and then from memory.

A situation is everything that may decide: processor, threads, versions, network, precision, input shape and batch.
What was measured is kept in ``engines.json`` of the cache folder, which is not trusted: it is read within limits, and
one that is damaged counts as empty.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import logging
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from pipeline.errors import ModelError, SinkError
from pipeline.hardware import cpu_has_bfloat16, cpu_name, has_gpu_device
from pipeline.models.cache import cache_folder, read_limited, write_whole
from pipeline.models.engines.base import ENGINES, can_compute, installed_engines
from pipeline.models.engines.yolo import YoloEngine
from pipeline.models.networks.darknet import DarknetNetwork
from pipeline.types import Float32Array, Image

logger = logging.getLogger(__name__)

_BUDGET_S = 2.0
_MOST_ROUNDS = 20
_LARGEST_MEMORY = 256 * 1024
_MOST_REMEMBERED = 200


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """What decides which engine is the fastest: two that are equal need one measurement."""

    processor: str
    threads: int
    versions: dict[str, str]
    network: str
    precision: str
    height: int
    width: int
    batch: int


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured in a situation: images per second by engine, and the fastest of them."""

    situation: Situation
    engine: str
    images_per_s: dict[str, float]


class FastestEngine:
    """An engine that becomes the fastest one when the first images come, for their shape; then it stays that.

    It only compares engines in the same precision, so that which one is chosen changes no result by more than the
    rounding of that precision.

    Args:
        network: its description.
        precision: ``auto`` or what at least one of the engines computes in.
        threads: processor cores to use.
        batch: images that will come at a time.
        make: makes an engine by name, for this network.
    """

    def __init__(
        self,
        network: DarknetNetwork,
        *,
        precision: str,
        threads: int,
        batch: int,
        make: Callable[[str], YoloEngine],
    ) -> None:
        self.threads = threads
        self._network = network
        self._asked = precision
        self._batch = batch
        self._make = make
        self._candidates = [name for name in ENGINES if name in installed_engines() and can_compute(name, precision)]
        self._engine: YoloEngine | None = None

    @property
    def name(self) -> str:
        """The engine that was chosen; ``auto`` before that."""
        return self._engine.name if self._engine else "auto"

    @property
    def precision(self) -> str:
        """What it computes in, or will."""
        if self._engine:
            return self._engine.precision
        if self._asked != "auto":
            return self._asked
        return "bfloat16" if cpu_has_bfloat16() else "float32"

    @property
    def calls_at_once(self) -> int:
        """Calls that may run at a time: as many as the chosen engine allows; 1 before that."""
        return self._engine.calls_at_once if self._engine else 1

    def heads(self, images: Image) -> list[Float32Array]:
        """The raw outputs, as `pipeline.models.engines.yolo.YoloEngine` says."""
        if self._engine is None:
            self._engine = self._choose(images.shape[1], images.shape[2])
        return self._engine.heads(images)

    def close(self) -> None:
        """Give back the memory and the threads. May be called more than once."""
        if self._engine is not None:
            self._engine.close()

    def _choose(self, height: int, width: int) -> YoloEngine:
        if len(self._candidates) == 1:
            logger.info("engine auto: %s, the only one that is installed and has this precision", self._candidates[0])
            return self._make(self._candidates[0])
        situation = self._situation(height, width)
        known = next((choice for choice in read_choices() if choice.situation == situation), None)
        if known is not None and known.engine in self._candidates:
            logger.info("engine auto: %s, as measured before (%s)", known.engine, _told(known.images_per_s))
            return self._make(known.engine)
        engines = self._usable()
        try:
            choice = _measure(engines, situation)
        except BaseException:
            for engine in engines:
                engine.close()
            raise
        logger.info("engine auto: %s, measured now (%s)", choice.engine, _told(choice.images_per_s))
        _remember(choice)
        for engine in engines:
            if engine.name != choice.engine:
                engine.close()
        return next(engine for engine in engines if engine.name == choice.engine)

    def _usable(self) -> list[YoloEngine]:
        """The candidates that can be made, of one precision: that of the first."""
        engines: list[YoloEngine] = []
        for name in self._candidates:
            try:
                engine = self._make(name)
            except (ImportError, RuntimeError) as error:
                logger.warning("engine auto: %s is left out, it can't be used: %s", name, error)
                continue
            if engines and engine.precision != engines[0].precision:
                logger.info("engine auto: %s is left out, it has no %s", name, engines[0].precision)
                engine.close()
                continue
            engines.append(engine)
        if not engines:
            raise ModelError(f"engine: none of {', '.join(self._candidates)} can be used; the log says why.")
        return engines

    def _situation(self, height: int, width: int) -> Situation:
        layers = repr((self._network.layers, self._network.class_count))
        return Situation(
            processor=cpu_name() + (" with a GPU" if has_gpu_device() else ""),
            threads=self.threads,
            versions={name: _version(name) for name in self._candidates},
            network=f"{self._network.name}-{hashlib.sha256(layers.encode()).hexdigest()[:16]}",
            precision=self._asked,
            height=height,
            width=width,
            batch=self._batch,
        )


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # TensorFlow also comes under other names
        return "unknown"


def _measure(engines: Sequence[YoloEngine], situation: Situation) -> Choice:
    """Time the engines in turn on one batch, for about two seconds, and at least twice each."""
    shape = (situation.batch, situation.height, situation.width, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    times: dict[str, list[float]] = {engine.name: [] for engine in engines}
    begun_s = time.perf_counter()
    for number in range(_MOST_ROUNDS):
        if number > 1 and time.perf_counter() - begun_s > _BUDGET_S:
            break
        for engine in engines:
            if number < 2:
                engine.heads(images)  # the first calls build what later ones use
            at_s = time.perf_counter()
            engine.heads(images)
            times[engine.name].append(time.perf_counter() - at_s)
    rates = {name: round(situation.batch / statistics.median(taken), 1) for name, taken in times.items()}
    return Choice(situation=situation, engine=max(rates, key=lambda name: rates[name]), images_per_s=rates)


def read_choices() -> list[Choice]:
    """What was measured before, newest last; empty where the file is missing, too large or damaged."""
    path = _memory()
    if not path.exists():
        return []
    data = read_limited(path, _LARGEST_MEMORY)
    try:
        return msgspec.json.decode(data or b"", type=list[Choice])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        logger.warning("%s is damaged (%s): which engine is the fastest is measured anew", path, error)
        return []


def _remember(choice: Choice) -> None:
    others = [known for known in read_choices() if known.situation != choice.situation]
    kept = [*others, choice][-_MOST_REMEMBERED:]
    try:
        write_whole(_memory(), msgspec.json.format(msgspec.json.encode(kept), indent=1) + b"\n")
    except SinkError as error:
        logger.warning("which engine is the fastest will be measured again next time: %s", error)


def _memory() -> Path:
    return cache_folder() / "engines.json"


def _told(rates: dict[str, float]) -> str:
    return ", ".join(f"{name} {rate:g}" for name, rate in rates.items()) + " images/s"
