"""What docs/models.md says: its commands, its configurations and its program, run as they stand there."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is a test dependency: run make setup")

from pipeline.detection.factory import create_detector
from pipeline.detection.onnx.detector import OnnxDetector
from pipeline.detection.onnx.families import FAMILIES
from pipeline.models.custom import choose_model
from pipeline.models.networks.yolov3_family import yolov3_tiny
from pipeline.models.registry import catalogue
from sightline.commands.main import main
from sightline.config.loading import load_config
from sightline.config.sections import Family
from tests.support.darknet_files import narrow, random_parameters, write_configuration, write_weights, yolo_of
from tests.support.onnx_files import write_miniature_yolox

TEXT = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
NAMES = ("hat", "no hat", "vest")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the page takes as there."""
    monkeypatch.chdir(tmp_path)
    network = narrow(yolov3_tiny(3))
    write_configuration(tmp_path / "helmets.cfg", network, height=416, width=416)
    write_weights(tmp_path / "helmets_best.weights", random_parameters(network))
    (tmp_path / "helmets.names").write_text("\n".join(NAMES) + "\n")
    anchors = [10, 14, 23, 27, 37, 58, 81, 82, 135, 169, 344, 319]
    labels = json.dumps({"labels": NAMES, "anchors": anchors})
    (tmp_path / "helmets_tiny-yolov3_detection_config.json").write_text(labels)
    configs = [text for language, text in BLOCKS if language == "yaml"]
    assert len(configs) == 3
    (tmp_path / "onnx.yaml").write_text(configs[0])
    (tmp_path / "my.yaml").write_text(configs[1])
    (tmp_path / "imageai.yaml").write_text(configs[2])
    write_miniature_yolox(tmp_path / "my.onnx", fixed=(96, 96), classes=80)
    return tmp_path


def test_the_files_it_names_are_the_catalogue_s() -> None:
    for status in catalogue():
        file = status.model.file
        assert file is not None
        if file.size is not None:
            assert f"| `{file.name}` | {file.size:,} | `{file.sha256}` |" in TEXT
            assert all(url.replace(file.name, "NAME") in TEXT for url in file.urls)


def test_its_commands_run(folder: Path, demo_clip: Path, tiny_weights: Path) -> None:
    (folder / "yolov3-tiny.weights").symlink_to(tiny_weights)
    cv2.imwrite(str(folder / "a.png"), np.zeros((60, 80, 3), np.uint8))
    commands = [line for language, text in BLOCKS if language == "sh" for line in text.splitlines()]
    assert len(commands) >= 7
    for command in commands:
        arguments = shlex.split(command.removeprefix("python run_pipeline.py ").replace("VIDEO", str(demo_clip)))
        arguments = [str(folder / "a.png") if word == "IMAGE" else word for word in arguments]
        if "yolov3" in arguments and "convert" not in arguments:
            continue  # its weights are not on every machine
        if arguments[0] == str(demo_clip):
            arguments += ["--duration", "0.2"]
        assert main(arguments) == 0, command


def test_its_configurations_describe_models(folder: Path) -> None:
    write_miniature_yolox(folder / "my.onnx", fixed=(96, 96), classes=len(NAMES))
    config = load_config(folder / "onnx.yaml")
    detector = create_detector(choose_model("helmets", config.custom_models()))
    assert isinstance(detector, OnnxDetector)
    assert tuple(detector.class_names) == NAMES
    own = load_config(folder / "imageai.yaml").custom_models()
    model = choose_model("helmets", own)
    assert model.class_names == NAMES
    assert yolo_of(model).masks() == ((3, 4, 5), (0, 1, 2))


def test_its_table_has_every_family() -> None:
    for name in FAMILIES:
        assert re.search(rf"^\| .*`{name}`.* \|.*\|.*\|.*\|$", TEXT, re.MULTILINE), name
    assert set(FAMILIES) == set(get_args(Family))


def test_its_program_runs(folder: Path) -> None:
    (program,) = [text for language, text in BLOCKS if language == "python"]
    found: dict[str, object] = {}
    exec(program, found)
    assert found["detector"].class_names == NAMES  # type: ignore[attr-defined]
