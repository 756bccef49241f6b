"""Sightline's core: sources, detector, analytics, events and the loop that joins them.

Importing it is cheap: what follows loads when it is first asked for, so a program that only reads events needs neither
OpenCV nor TensorFlow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.classification.classifier import Classifier
    from pipeline.detection.yolov3.detector import YoloDetector
    from pipeline.runtime.pipeline import Pipeline
    from pipeline.runtime.streams.stream import Stream
    from pipeline.sources.opening import open_source

__all__ = ["Classifier", "Pipeline", "Stream", "YoloDetector", "open_source"]

_HOMES = {
    "Classifier": "pipeline.classification.classifier",
    "Pipeline": "pipeline.runtime.pipeline",
    "Stream": "pipeline.runtime.streams.stream",
    "YoloDetector": "pipeline.detection.yolov3.detector",
    "open_source": "pipeline.sources.opening",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
