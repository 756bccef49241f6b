"""Default confidences are those that their rule finds."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from benchmarks.default_confidence import LOWEST, chosen, precision_and_recall
from benchmarks.detection import MOST_PER_IMAGE
from pipeline.detection.factory import create_detector, default_confidence
from pipeline.models.custom import choose_model


def test_the_rule() -> None:
    figures = {0.1: (0.5, 0.9), 0.2: (0.7, 0.8), 0.3: (0.76, 0.6), 0.4: (0.9, 0.4)}
    assert chosen(figures) == 0.3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "weights"),
    [("tiny-yolov3", None), ("yolox-nano", "yolox_nano.onnx"), ("tiny-yolov3", "nanodet_m.onnx")],
)
def test_defaults_are_by_the_rule(model: str, weights: str | None, eval_dir: Path) -> None:
    path = None if weights is None else eval_dir / "models" / weights
    described = choose_model(model, weights=path)
    options = {"weights": path, "confidence": LOWEST, "max_detections": MOST_PER_IMAGE, "precision": "float32"}
    with contextlib.closing(create_detector(described, **options)) as detector:
        assert default_confidence(described, path) == chosen(precision_and_recall(detector, eval_dir))
