"""The accuracy benchmark, on detectors whose figures are known beforehand."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.detection import evaluate
from pipeline.errors import ConfigError, SourceNotFoundError
from pipeline.interfaces import Detector
from pipeline.types import Detections, Image
from tests.support.fakes import picture

ROOT = Path(__file__).resolve().parents[2]
BOXES = [(20, 30, 60, 80), (100, 40, 150, 110)]


class Told(Detector):
    """Reports, in every image, boxes that it was told, all of one class."""

    class_names = ("nothing", "blob")
    precision = "exact"

    def __init__(self, boxes: Sequence[tuple[int, int, int, int]], class_id: int = 1) -> None:
        self._boxes = boxes
        self._class_id = class_id

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        count = len(self._boxes)
        xyxy = np.array(self._boxes, dtype=np.float32).reshape(count, 4)
        found = Detections(xyxy, np.full(count, 0.5, np.float32), np.full(count, self._class_id, np.int32))
        return [found for _ in images]


@pytest.fixture
def data(tmp_path: Path) -> tuple[Path, Path]:
    """A folder of three images, of which an annotation file names two."""
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture(BOXES))
    objects = [(image, box) for image in (1, 2) for box in BOXES]
    annotations = tmp_path / "truth.json"
    annotations.write_text(
        json.dumps(
            {
                "images": [{"id": i, "file_name": f"{i}.png", "width": 160, "height": 120} for i in (1, 2)],
                "categories": [{"id": 7, "name": "nothing"}, {"id": 9, "name": "blob"}],
                "annotations": [
                    {
                        "id": number + 1,
                        "image_id": image,
                        "category_id": 9,
                        "bbox": [left, top, right - left, bottom - top],
                        "area": (right - left) * (bottom - top),
                        "iscrowd": 0,
                    }
                    for number, (image, (left, top, right, bottom)) in enumerate(objects)
                ],
            }
        ),
        encoding="utf-8",
    )
    return tmp_path, annotations


def test_the_truth_scores_one(data: tuple[Path, Path]) -> None:
    accuracy = evaluate(Told(BOXES), *data)
    assert (accuracy.ap, accuracy.ap50, accuracy.ap75) == (1.0, 1.0, 1.0)
    assert (accuracy.images, accuracy.detections) == (2, 4)
    assert accuracy.images_per_s > 0


def test_boxes_that_overlap_by_three_quarters(data: tuple[Path, Path]) -> None:
    # 0.7 of each object: counted at IoU 0.50 to 0.70, that is at half of the ten thresholds of AP.
    narrow = [(left, top, left + round((right - left) * 0.7 + 0.4), bottom) for left, top, right, bottom in BOXES]
    accuracy = evaluate(Told(narrow), *data)
    assert accuracy.ap50 == 1.0
    assert accuracy.ap75 == 0.0
    assert accuracy.ap == pytest.approx(0.5)


def test_what_is_missed_or_of_another_class_scores_nothing(data: tuple[Path, Path]) -> None:
    assert evaluate(Told([]), *data).ap50 == 0.0
    assert evaluate(Told(BOXES, class_id=0), *data).ap50 == 0.0


def test_half_found(data: tuple[Path, Path]) -> None:
    # Recall 0.5 at precision 1: COCO samples precision at 101 recalls, of which 51 are reached.
    assert evaluate(Told(BOXES[:1]), *data).ap50 == pytest.approx(51 / 101, abs=1e-4)


def test_inputs_that_can_not_be(data: tuple[Path, Path], tmp_path: Path) -> None:
    images, annotations = data
    with pytest.raises(SourceNotFoundError, match="there is no annotation file"):
        evaluate(Told(BOXES), images, tmp_path / "none.json")
    for content in ("{", "[]", "video"):
        (tmp_path / "odd.json").write_text(content, encoding="utf-8")
        with pytest.raises(ConfigError, match="is not an annotation file in COCO's format"):
            evaluate(Told(BOXES), images, tmp_path / "odd.json")
    (images / "2.png").unlink()
    with pytest.raises(SourceNotFoundError, match=r"2\.png: there is no image that can be read"):
        evaluate(Told(BOXES), images, annotations)


def test_the_command_line_says_what_is_wrong_in_one_line(data: tuple[Path, Path]) -> None:
    images, _ = data
    command = [sys.executable, "benchmarks/detection.py", "--images", str(images), "--annotations", "none.json"]
    result = subprocess.run([*command, "--model", "tiny"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr == "model: there is none called 'tiny'; did you mean tiny-yolov3 or yolox-tiny?\n"
