"""What this machine can carry, and what is wrong with it or with a source, in plain words.

    print(examine("rtsp://192.0.2.7/live"))

Each stage is timed alone, on pictures of the source; what several cameras need together is worked out from that.
Nothing is left behind, and nothing is downloaded.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import cycle, islice, pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import psutil

from pipeline.detection.factory import create_detector
from pipeline.detection.retinanet.detector import RetinaNetDetector
from pipeline.detection.yolov3.detector import YoloDetector
from pipeline.errors import ConfigError, PipelineError, SinkError
from pipeline.interfaces import Detector, Source
from pipeline.models.registry import Model, catalogue, find_model
from pipeline.sources.opening import open_source
from pipeline.sources.uri import redact
from pipeline.types import Image, SourceInfo
from sinks.diagnosis import Check, Diagnosis, Load, Reading
from sinks.video.mp4_writer import Recording

_LIBRARIES = ("av", "numpy", "scipy", "tensorflow", "pyzmq")
# Other programs that use more than this much of the processor make the figures too low.
_BUSY = 0.25
_LEAST_FREE_BYTES = 2_000_000_000
# Pictures of the source that the detector and the encoder are timed with.
_SAMPLES = 16
# What is assumed where no source is given.
_TYPICAL = SourceInfo(640, 480, fps=Fraction(25))


def examine(
    source: str | None = None,
    *,
    detector: Detector | None = None,
    model: str | Model = "tiny-yolov3",
    options: Mapping[str, Any] | None = None,
    seconds: float = 3.0,
    folder: str | os.PathLike[str] = ".",
    connect: Callable[[str], Source] = open_source,
) -> Diagnosis:
    """Test the machine, and a source.

    What can't be used becomes a check that says ``problem``; nothing is raised for it.

    Args:
        source: what ``open_source`` takes; without one a camera of 640x480 at 25 frames per second is assumed.
        detector: to be timed; default: one of ``model``.
        model, options: what `create_detector` takes, such as ``{"weights": path, "engine": "openvino"}``.
        seconds: about how long each stage is timed.
        folder: where outputs are to go.
        connect: opens the source.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    checks = [*_libraries(), _disk(Path(folder)), *_busy()]
    reading = _examine_source(source, connect, seconds, checks) if source is not None else None
    images = list(reading.images) if reading else _drawn(_TYPICAL)
    detect_fps, shape = _examine_detector(detector, model, options or {}, images, seconds, checks)
    encode = _examine_encoder(images, seconds, checks)
    live = reading is not None and reading.info.live
    fps = _rate(reading)
    decode_cpu_s = reading.cpu_s if reading else 0.0
    load = Load(
        decode=decode_cpu_s / cores,
        detect=1 / max(detect_fps.values()) if detect_fps else 0.0,
        encode=encode[1] / cores if encode else 0.0,
    )
    decode_fps = None if reading is None else cores / reading.cpu_s if live and reading.cpu_s else reading.fps
    memory_gb = psutil.virtual_memory().total / 1e9
    machine = f"{platform.system()} {platform.machine()}, {cores} processor cores, {memory_gb:.1f} GB of memory"
    encode_fps = encode[0] if encode else None
    return Diagnosis(machine, tuple(checks), reading, decode_fps, detect_fps, encode_fps, shape, load, fps)


def _rate(reading: Reading | None) -> float:
    if reading is None:
        return float(_TYPICAL.fps or 25)
    promised = reading.info.fps
    if reading.info.live and reading.frames > 2:
        return round(reading.fps, 1)
    return round(float(promised), 2) if promised else 25.0


def _libraries() -> list[Check]:
    found, missing = [f"opencv {cv2.__version__}"], []
    for name in _LIBRARIES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    checks = [Check("ok", f"libraries: {', '.join(found)}")]
    if missing:
        checks.append(Check("problem", f"libraries: {', '.join(missing)} not installed; install the project again"))
    if "libx264" not in av.codecs_available:
        checks.append(Check("problem", "FFmpeg has no libx264, so no video can be recorded; install PyAV's own build"))
    return checks


def _disk(folder: Path) -> Check:
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Check("problem", f"disk: cannot look at {folder}: {error.strerror}")
    if not os.access(folder, os.W_OK):
        return Check("problem", f"disk: no permission to write in {folder.resolve()}")
    text = f"disk: {free / 1e9:.1f} GB free where outputs go"
    if free < _LEAST_FREE_BYTES:
        return Check("warning", f"{text}, which is little; free some, or limit recordings with keep_mb")
    return Check("ok", text)


def _busy() -> list[Check]:
    others = psutil.cpu_percent(interval=0.5) / 100
    if others <= _BUSY:
        return []
    return [Check("warning", f"other programs use {others:.0%} of the processor: alone, this machine carries more")]


def _examine_source(uri: str, connect: Callable[[str], Source], seconds: float, checks: list[Check]) -> Reading | None:
    try:
        reading = _read(uri, connect, seconds)
    except PipelineError as error:
        checks.append(Check("problem", f"source: {redact(str(error))}"))
        return None
    info = reading.info
    promised = f"{float(info.fps):.4g}" if info.fps else "an unknown number of"
    checks.append(
        Check("ok", f"source: {info.uri or redact(uri)}: {info.width}x{info.height}, {promised} frames per second")
    )
    if info.live:
        checks.extend(_hints(reading))
    return reading


def _read(uri: str, connect: Callable[[str], Source], seconds: float) -> Reading:
    begun_s = time.monotonic()
    times: list[float] = []
    images: list[Image] = []
    with connect(uri) as source:
        cpu_s = 0.0
        for frame in source:
            times.append(time.monotonic())
            images = [*images[1 - _SAMPLES :], frame.image]
            if len(times) == 1:
                cpu_s = time.process_time()
            if times[-1] - times[0] >= seconds:
                break
        info = source.info
    used_s = (time.process_time() - cpu_s) / max(1, len(times) - 1)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    return Reading(
        info, len(times), times[-1] - times[0], times[0] - begun_s, max(gaps, default=0.0), used_s, tuple(images)
    )


def _hints(reading: Reading) -> list[Check]:
    """What to say of a camera's rate and freshness."""
    info, fps = reading.info, reading.fps
    text = (
        f"camera: {fps:.1f} frames per second in {reading.seconds:.1f} s, the first one after {reading.first_s:.1f} s"
    )
    promised = float(info.fps) if info.fps else None
    checks = []
    if promised and fps < 0.8 * promised:
        advice = "; the network or the camera is too slow for it: ask the camera for less"
        checks.append(Check("warning", f"{text}, but it promises {promised:.4g}{advice}"))
    else:
        checks.append(Check("ok", text))
    if fps > 0 and reading.longest_gap_s > max(0.3, 4 / fps):
        checks.append(
            Check(
                "warning",
                f"latency: up to {reading.longest_gap_s:.2f} s between two frames, and all that follow come as late; "
                "look at the network, or try transport: udp",
            )
        )
    if reading.first_s > 3:
        checks.append(
            Check(
                "warning",
                f"latency: {reading.first_s:.1f} s to the first frame, and so after each loss of the camera; ask it "
                "for a keyframe every second or two",
            )
        )
    return checks


def _examine_detector(
    detector: Detector | None,
    model: str | Model,
    options: Mapping[str, Any],
    images: Sequence[Image],
    seconds: float,
    checks: list[Check],
) -> tuple[dict[int, float], tuple[int, int] | None]:
    own: YoloDetector | RetinaNetDetector | None = None
    try:
        if detector is None:
            chosen = find_model(model) if isinstance(model, str) else model
            _weights(chosen, options.get("weights"), checks)
            detector = own = create_detector(chosen, **options)
        height, width = images[0].shape[:2]
        shape = detector.warm_up(height, width)
        rates = {}
        for batch in (1, 4):
            pictures = list(islice(cycle(images), batch))
            detector.detect(pictures)
            rates[batch] = batch * _per_second(lambda: detector.detect(pictures), seconds)  # noqa: B023
        return rates, shape
    except PipelineError as error:
        checks.append(Check("problem", f"detector: {error}"))
        return {}, None
    finally:
        if own is not None:
            own.close()


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
            recording = Recording(
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
            rate = _per_second(write, seconds / 2)
            cpu_s = time.process_time() - cpu_s
            written = next(ticks)
            recording.finish()
        except SinkError as error:
            checks.append(Check("problem", f"encoder: {error}"))
            return None
    return rate, cpu_s / written


def _per_second(call: Callable[[], object], seconds: float) -> float:
    """How often a second it can be called, from at least three calls."""
    begun_s, calls = time.monotonic(), 0
    while calls < 3 or time.monotonic() - begun_s < seconds:
        call()
        calls += 1
    return calls / (time.monotonic() - begun_s)


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
