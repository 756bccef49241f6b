"""ONNX networks in scripts that were written for ImageAI's custom models, and files that no output may be."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is a test dependency: run make setup")

import onnx

from sightline.commands.main import main
from sightline.imageai import CustomObjectDetection
from tests.support.onnx_files import write_network
from tests.support.onnx_layouts import FAMILIES, RGB, Known


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    assert cv2.imwrite(str(tmp_path / "in.png"), np.full((96, 64, 3), RGB[::-1], np.uint8))
    return tmp_path / "in.png"


@pytest.fixture
def network(tmp_path: Path) -> Path:
    known = [Known((40, 20, 90, 90), 0.9, 1)]
    metadata = {"names": "{0: 'hat', 1: 'vest'}"}
    return write_network(tmp_path / "my.onnx", FAMILIES["yolov8"], known, classes=2, shape=(96, 128), metadata=metadata)


def test_a_script_finds_with_an_onnx_file(network: Path, picture: Path, tmp_path: Path) -> None:
    detector = CustomObjectDetection()
    detector.setModelTypeAsYOLOv3()
    detector.setModelPath(str(network))
    detector.loadModel()
    (found,) = detector.detectObjectsFromImage(input_image=str(picture), output_image_path=str(tmp_path / "out.png"))
    assert found["name"] == "vest"
    assert found["percentage_probability"] == pytest.approx(90, abs=0.1)


def test_numbers_beside_the_file_are_not_written_over(
    network: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apart = tmp_path / "apart.onnx"
    onnx.save(onnx.load(network), str(apart), save_as_external_data=True, location="apart.json", size_threshold=0)
    numbers = (tmp_path / "apart.json").read_bytes()
    assert main(["detect", str(picture), "--weights", str(apart), "--json", str(tmp_path / "apart.json")]) == 2
    assert "apart.json" in capsys.readouterr().err
    assert (tmp_path / "apart.json").read_bytes() == numbers
