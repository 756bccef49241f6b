"""A model's name is enough to get its detector."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.detection.factory import create_detector
from pipeline.detection.yolov3.detector import YoloDetector
from pipeline.errors import ConfigError


def test_a_yolo_model(tiny_weights: Path) -> None:
    detector = create_detector("tiny-yolov3", weights=tiny_weights, input_size=160, precision="float32")
    assert isinstance(detector, YoloDetector)
    assert (detector.input_size, detector.precision) == (160, "float32")


def test_none_leaves_an_option_to_the_model(tiny_weights: Path) -> None:
    detector = create_detector("tiny-yolov3", weights=tiny_weights, input_size=None, iou=None)
    assert isinstance(detector, YoloDetector)
    assert detector.input_size == 416


def test_what_there_is_not() -> None:
    with pytest.raises(ConfigError, match="there is none called 'yolov9'"):
        create_detector("yolov9")
    with pytest.raises(ConfigError, match="longest_side: tiny-yolov3 has no such option; it has weights, input_size"):
        create_detector("tiny-yolov3", longest_side=1333)
