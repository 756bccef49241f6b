"""A model's name is enough to get its detector."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.detection.factory import create_detector, reduced_side
from pipeline.detection.retinanet.detector import RetinaNetDetector
from pipeline.detection.yolov3.detector import YoloDetector
from pipeline.errors import ConfigError
from pipeline.models.registry import Model, find_model


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


def test_sources_reduce_to_what_the_detector_takes(tiny_weights: Path) -> None:
    for size in (None, 160):
        detector = create_detector("tiny-yolov3", weights=tiny_weights, input_size=size)
        assert reduced_side(find_model("tiny-yolov3"), size) == detector.reduced_side == (size or 416)
    assert reduced_side(find_model("retinanet"), 400) is None
    assert RetinaNetDetector.reduced_side is None


def test_a_network_that_no_detector_runs() -> None:
    model = Model("abacus", lambda: object(), ("bead",))  # type: ignore[arg-type,return-value]
    for make in (create_detector, reduced_side):
        with pytest.raises(ConfigError, match="abacus: no detector runs a network of the kind object"):
            make(model)
