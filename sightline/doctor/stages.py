"""How fast each stage is on this machine: network, encoder, drawing."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.detection.base import ImageDetector
from pipeline.detection.factory import create_detector
from pipeline.errors import ConfigError, PipelineError, SinkError
from pipeline.interfaces import Detector
from pipeline.models.registry import Model, catalogue, find_model
from pipeline.types import Image, SourceInfo
from sightline.doctor.diagnosis import Check
from sightline.doctor.remedies import TimedEngine
from sightline.doctor.source import _SAMPLES
from sightline.doctor.timing import per_second
from sightline.terminal.summary import detector_line
from sinks.video.mp4_writer import Mp4Writer


def _examine_detector(
    detector: Detector | None,
    model: str | Model,
    options: Mapping[str, Any],
    images: Sequence[Image],
    seconds: float,
    checks: list[Check],
) -> tuple[dict[int, float], tuple[int, int] | None]:
    own: ImageDetector[Any, Any] | None = None
    try:
        if detector is None:
            chosen = find_model(model) if isinstance(model, str) else model
            _weights(chosen, options.get("weights"), checks)
            detector = own = create_detector(chosen, **options)
        height, width = images[0].shape[:2]
        shape = detector.warm_up(height, width)
        checks.append(Check("ok", detector_line(detector)))
        rates = {}
        for batch in (1, 4):
            pictures = list(islice(cycle(images), batch))
            detector.detect(pictures)
            rates[batch] = batch * per_second(lambda: detector.detect(pictures), seconds)  # noqa: B023
        return rates, shape
    except PipelineError as error:
        checks.append(Check("problem", f"detector: {error}"))
        return {}, None
    finally:
        if own is not None:
            own.close()


def time_automatic_engine(
    model: str | Model, options: Mapping[str, Any], images: Sequence[Image], seconds: float
) -> TimedEngine | None:
    """Time what would compute the network were the choice left to the program.

    Returns:
        None where the options leave it so already, or where the network can't be run that way.
    """
    free = {"engine": None, "precision": "auto"}
    if options.get("engine") in (None, "auto") and options.get("precision") in (None, "auto"):
        return None
    try:
        with contextlib.closing(create_detector(model, **{**options, **free})) as detector:
            detector.warm_up(*images[0].shape[:2])
            pictures = list(islice(cycle(images), 4))
            detector.detect(pictures)
            rate = 4 * per_second(lambda: detector.detect(pictures), seconds)
            return TimedEngine(f"{detector.engine_name}, {detector.precision}", rate)
    except PipelineError:
        return None


def _weights(model: Model, weights: str | Path | None, checks: list[Check]) -> None:
    """Say where they are; raise ``ConfigError`` rather than have them downloaded."""
    name = model.name
    weights = model.weights if weights is None else weights
    if weights is not None:
        checks.append(Check("ok", f"weights: {os.fspath(weights)}"))
        return
    status = next(status for status in catalogue() if status.model.name == name)
    if status.where == "missing":
        raise ConfigError(f"the weights of {name} are not on this machine; get them with: models fetch {name}")
    checks.append(Check("ok", f"weights: {name}, checked, in the {status.where}"))


def _examine_encoder(images: Sequence[Image], seconds: float, checks: list[Check]) -> tuple[float, float] | None:
    """Frames per second, and processor seconds per frame."""
    height, width = images[0].shape[:2]
    with tempfile.TemporaryDirectory() as folder:
        try:
            recording = Mp4Writer(
                Path(folder) / "doctor.mp4",
                width=width,
                height=height,
                fps=Fraction(25),
                preset="superfast",
                crf=23,
                threads=None,
            )
            pictures, ticks = cycle(images), iter(range(10**9))

            def write() -> None:
                tick = next(ticks)
                recording.write(next(pictures), range(tick, tick + 1))

            cpu_s = time.process_time()
            rate = per_second(write, seconds / 2)
            cpu_s = time.process_time() - cpu_s
            written = next(ticks)
            recording.finish()
        except SinkError as error:
            checks.append(Check("problem", f"encoder: {error}"))
            return None
    return rate, cpu_s / written


def _drawn(info: SourceInfo) -> list[Image]:
    """Pictures about as hard to encode as those of a camera that stands still: some noise, things that move."""
    generator = np.random.default_rng(0)
    slope = np.linspace(40, 200, info.width, dtype=np.float32)[None, :, None]
    pictures = []
    for number in range(_SAMPLES):
        noise = generator.normal(0, 3, (info.height, info.width, 3)).astype(np.float32)
        image = np.clip(slope + noise, 0, 255).astype(np.uint8)
        for row in range(4):
            left, top = 20 + 12 * number + 60 * row, 40 + 100 * row
            cv2.rectangle(image, (left, top), (left + 60, top + 80), (30 * row, 200, 255 - 40 * row), -1)
        pictures.append(image)
    return pictures
