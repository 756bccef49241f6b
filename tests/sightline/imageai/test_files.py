"""ImageAI's interface writes over none of the files that it is given."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.errors import ConfigError, PipelineError
from sightline.imageai import ObjectDetection, VideoObjectDetection
from sightline.imageai import detection_model as model
from sightline.imageai.custom import CustomObjectDetection, CustomVideoObjectDetection
from tests.sightline.imageai.test_video_detection import PrescribedDetector
from tests.support.clips import write_clip


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "create_detector", lambda *_, **__: PrescribedDetector())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_clip(Path("clip.mp4"), count=3)
    shutil.copy("clip.mp4", "x.partial.mp4")
    os.link("clip.mp4", "link.mp4")
    cv2.imwrite("a.jpg", np.zeros((120, 160, 3), np.uint8))
    for name in ("a-extracted", "a.jpg-objects"):
        Path(name).mkdir()
        shutil.copy("a.jpg", f"{name}/a-1.jpg")
    Path("model.mp4").write_text("weights")
    Path("names.mp4").write_text('["person"]')
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def custom(kind: type[Any], **options: Any) -> Any:
    detector = kind(**options)
    detector.setModelTypeAsTinyYOLOv3()
    if issubclass(kind, CustomObjectDetection | CustomVideoObjectDetection):
        detector._described = lambda name: name
        detector.setModelPath("model.mp4")
        detector.setJsonPath("names.mp4")
    detector.loadModel()
    return detector


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("clip.mp4", "clip"),
        ("clip.mp4", "./clip.mp4"),
        ("clip.mp4", "link"),
        ("x.partial.mp4", "x"),
        ("link.mp4", "clip"),
    ],
)
def test_a_video_is_not_written_over_its_input(source: str, output: str, folder: Path) -> None:
    before = contents(folder)
    with pytest.raises(PipelineError, match=r"cannot write .*; choose another name"):
        custom(VideoObjectDetection).detectObjectsFromVideo(source, output_file_path=output)
    assert contents(folder) == before


@pytest.mark.parametrize("name", ["model", "names"])
def test_nor_over_the_model(name: str, folder: Path) -> None:
    before = contents(folder)
    with pytest.raises(ConfigError, match=r"cannot write the video to .*: it is the .*model"):
        custom(CustomVideoObjectDetection).detectObjectsFromVideo("clip.mp4", output_file_path=name)
    detector = custom(CustomObjectDetection)
    with pytest.raises(ConfigError, match=r"cannot write the picture to .*: it is the .*model"):
        detector.detectObjectsFromImage("a.jpg", output_image_path=f"{name}.mp4")
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("given", "output", "generation", "extract"),
    [
        ("a.jpg", "a.jpg", 3, False),
        ("a.jpg", "../{}/a.jpg", 2, False),
        ("a-extracted/a-1.jpg", "a.jpg", 3, True),
        ("a.jpg-objects/a-1.jpg", "a.jpg", 2, True),
    ],
)
@pytest.mark.parametrize("as_file", [False, True])
def test_a_picture_is_not_written_over_its_input(
    given: str, output: str, generation: Any, extract: bool, as_file: bool, folder: Path
) -> None:
    before = contents(folder)
    detector = custom(ObjectDetection, generation=generation)
    with Path(given).open("rb") as file, pytest.raises(ConfigError, match="it is the picture to read; choose another"):
        detector.detectObjectsFromImage(
            file if as_file else given,
            output_image_path=output.format(folder.name),
            extract_detected_objects=extract,
        )
    assert contents(folder) == before
