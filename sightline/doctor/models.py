"""Which of the published models this machine carries how many cameras with, and which to take."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice

from pipeline.detection.factory import create_detector
from pipeline.errors import PipelineError
from pipeline.hardware import cpu_name
from pipeline.models.costs import Cost, remember_cost
from pipeline.models.registry import ModelStatus, catalogue
from pipeline.types import Image
from sightline.doctor.diagnosis import Load
from sightline.doctor.timing import per_second

_BATCH = 4
_LIGHTEST = "yolox-nano"


@dataclass(frozen=True, slots=True)
class TimedModel:
    """A published model on this machine.

    Attributes:
        name: as in ``--model``.
        average_precision: COCO's AP in percent.
        fps: pictures per second; None where it could not be timed.
        problem: why not.
        cameras: how many it carries, recorded and every frame looked at.
    """

    name: str
    average_precision: float
    fps: float | None
    cameras: int
    problem: str = ""


def compare_models(images: Sequence[Image], seconds: float, load: Load, fps: float) -> tuple[TimedModel, ...]:
    """Time each published model whose weights are here, on pictures of the source.

    Args:
        images: to look at.
        seconds: about how long each is timed.
        load: of the other stages.
        fps: of the cameras that are counted.
    """
    compared = []
    for status in catalogue():
        about = status.model.about
        if about is None:
            continue
        rate, problem = None, f"not here; models fetch {status.model.name}"
        if status.where != "missing":
            try:
                rate, problem = _timed(status, images, seconds), ""
            except PipelineError as error:
                problem = str(error)
        cameras = 0 if rate is None else replace(load, detect=1 / rate).cameras(fps)
        compared.append(TimedModel(status.model.name, about.average_precision, rate, cameras, problem))
    return tuple(compared)


def recommended(models: Sequence[TimedModel]) -> str:
    """Which of them to take, in one line; nothing where none could be timed."""
    timed = [model for model in models if model.fps is not None]
    if not timed:
        return ""
    able = [model for model in timed if model.cameras]
    best = (
        max(able, key=lambda model: model.average_precision) if able else max(timed, key=lambda model: model.fps or 0)
    )
    why = (
        "finds most of those that carry a camera"
        if able
        else "is the fastest, though not fast enough for every frame of a camera"
    )
    lighter = next((model for model in models if model.name == _LIGHTEST and model.fps is None), None)
    hint = (
        f"; {_LIGHTEST}, which is not here, finds half as much again as tiny-yolov3 in half of its time in float32: "
        f"models fetch {_LIGHTEST}"
        if lighter is not None
        else ""
    )
    return f"Recommended: --model {best.name}, which {why}{hint}."


def told(models: Sequence[TimedModel]) -> tuple[str, ...]:
    """Lines that tell all of it to a person."""
    lines = ["", "Published models, each with such cameras, recorded and every frame looked at:"]
    for model in models:
        known = model.problem
        if model.fps is not None:
            known = f"{model.fps:7.1f} frames per second  {model.cameras} camera{'s' * (model.cameras != 1)}"
        lines.append(f"  {model.name:12} AP {model.average_precision:4.1f}  {known}")
    return (*lines, recommended(models))


def _timed(status: ModelStatus, images: Sequence[Image], seconds: float) -> float:
    detector = create_detector(status.model)
    with contextlib.closing(detector):
        shape = detector.warm_up(*images[0].shape[:2])
        pictures = list(islice(cycle(images), _BATCH))
        detector.detect(pictures)
        rate = _BATCH * per_second(lambda: detector.detect(pictures), seconds)
        cost = Cost(
            processor=cpu_name(),
            threads=detector.threads,
            precision=detector.precision,
            input_shape=shape,
            picture_ms=round(1000 / rate, 2),
        )
    remember_cost(status.model.name, cost)
    return rate
