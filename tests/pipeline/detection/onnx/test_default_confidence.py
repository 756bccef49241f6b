"""Where nobody says a confidence, it is that of the network's family; what a user says comes before it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is a test dependency: run make setup")

import sightline
from pipeline.detection.factory import create_detector, default_confidence
from pipeline.models.custom import onnx_model
from pipeline.models.networks.onnx_network import OnnxOptions
from pipeline.models.registry import DEFAULT_CONFIDENCE, catalogue, find_model
from sightline.commands.main import main
from tests.support.onnx_files import write_network
from tests.support.onnx_layouts import FAMILIES, RGB, Known

YOLOX = 0.35
BOXES = [Known((10, 20, 60, 90), 0.3, 0), Known((64, 20, 120, 90), 0.4, 2)]
PICTURE = np.full((96, 128, 3), RGB[::-1], np.uint8)


def network(folder: Path, family: str = "yolox") -> Path:
    """A network that finds a person with a score of 0.3 and a car with 0.4 in `PICTURE`."""
    path = folder / f"{family}.onnx"
    return write_network(path, FAMILIES[family], BOXES, classes=80, shape=(96, 128), padded=False)


def test_the_catalogues_are_known_without_their_files() -> None:
    own = {status.model.name: default_confidence(status.model) for status in catalogue()}
    assert {name for name, confidence in own.items() if confidence != DEFAULT_CONFIDENCE} == {
        "yolox-nano",
        "yolox-tiny",
        "yolox-s",
    }
    assert default_confidence(find_model("yolox-nano")) == YOLOX


def test_a_detector_has_that_of_its_family(tmp_path: Path) -> None:
    recognised = onnx_model("mine", network(tmp_path))
    named = onnx_model("mine", network(tmp_path), OnnxOptions(family="yolox"))
    for model in (recognised, named):
        assert default_confidence(model) == YOLOX
        assert create_detector(model).detect(PICTURE).class_id.tolist() == [2]
        assert create_detector(model, confidence=0.25).detect(PICTURE).class_id.tolist() == [2, 0]
    other = onnx_model("other", network(tmp_path, "yolov8"))
    assert default_confidence(other) == DEFAULT_CONFIDENCE
    assert len(create_detector(other).detect(PICTURE)) == 2


@pytest.mark.parametrize(("asked", "shown"), [(None, {"car"}), (0.25, {"car", "person"}), (0.38, {"car"})])
def test_runs_keep_to_it(asked: float | None, shown: set[str], tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    for _ in sightline.analyze([PICTURE] * 50, weights=network(tmp_path), confidence=asked, report=report):
        pass
    (stream,) = json.loads(report.read_text())["streams"].values()
    assert set(stream["objects"]) == shown
    assert stream["shown_from"] == (YOLOX if asked is None else asked)


def test_pictures_keep_to_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, picture = network(tmp_path), tmp_path / "picture.png"
    cv2.imwrite(str(picture), PICTURE)
    assert sightline.detect(PICTURE, weights=path).class_id.tolist() == [2]
    assert sightline.detect(PICTURE, weights=path, confidence=0.25).class_id.tolist() == [2, 0]
    for options, found in (([], "car 40%"), (["--confidence", "0.25"], "car 40%, person 30%")):
        assert main(["detect", str(picture), "--weights", str(path), *options]) == 0
        assert capsys.readouterr().out.splitlines()[0] == f"{picture}: {found}"
