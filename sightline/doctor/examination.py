"""What this machine can carry, and what is wrong with it or with a source, in plain words.

    print(examine("rtsp://192.0.2.7/live"))

Each stage is timed alone, on pictures of the source; what several cameras need together is worked out from that.
Nothing is left behind, and nothing is downloaded.
"""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import psutil

from pipeline.cpu_quota import cpu_quota
from pipeline.hardware import processor_cores
from pipeline.interfaces import Detector, Source
from pipeline.models.registry import Model
from pipeline.sources.opening import open_source
from pipeline.types import SourceInfo
from sightline.doctor.diagnosis import Diagnosis, Load, Reading
from sightline.doctor.machine import _busy, _disk, _libraries, _strangers
from sightline.doctor.models import compare_models, told
from sightline.doctor.remedies import remedies
from sightline.doctor.source import _examine_source
from sightline.doctor.stages import _drawn, _examine_detector, _examine_encoder, time_automatic_engine

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
    compare: bool = False,
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
        compare: time the other published models, too, where their weights are here, and the engine of the program's
            own choice, so that remedies can be told.
    """
    # What a core can do is timed; a container that may use one and a half has so much more than one.
    quota = cpu_quota()
    cores = min(processor_cores(), math.inf if quota is None else quota)
    checks = [*_libraries(), *_strangers(), _disk(Path(folder)), *_busy()]
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
    limited = "" if cores == processor_cores() else f" of {processor_cores()}, as the container's quota allows"
    machine = (
        f"{platform.system()} {platform.machine()}, {cores:g} processor cores{limited}, {memory_gb:.1f} GB of memory"
    )
    models = compare_models(images, seconds / 2, load, fps) if compare else ()
    automatic = time_automatic_engine(model, options or {}, images, seconds / 2) if compare and detect_fps else None
    name = model if isinstance(model, str) else model.name
    return Diagnosis(
        machine=machine,
        checks=tuple(checks),
        reading=reading,
        decode_fps=decode_fps,
        detect_fps=detect_fps,
        encode_fps=encode[0] if encode else None,
        shape=shape,
        load=load,
        fps=fps,
        remedies=remedies(load, fps, model=name, models=models, automatic=automatic),
        models=told(models) if compare else (),
    )


def _rate(reading: Reading | None) -> float:
    if reading is None:
        return float(_TYPICAL.fps or 25)
    promised = reading.info.fps
    if reading.info.live and reading.frames > 2:
        return round(reading.fps, 1)
    return round(float(promised), 2) if promised else 25.0
