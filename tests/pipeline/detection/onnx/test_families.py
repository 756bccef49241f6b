"""Known boxes come back from every family, whatever the picture's shape, and from none that is shown wrong pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is a test dependency: run make setup")

from pipeline.detection.onnx.detector import OnnxDetector
from pipeline.detection.onnx.families import FAMILIES as OURS
from pipeline.models.class_names import COCO_CLASS_NAMES
from pipeline.models.networks.onnx_network import OnnxNetwork, OnnxOptions
from pipeline.models.registry import Model
from pipeline.types import Detections, Image
from tests.support.onnx_files import placed, write_network
from tests.support.onnx_layouts import FAMILIES, RGB, Known

SHAPE = (320, 320)
PICTURES = {
    "landscape": (480, 854),
    "portrait": (1280, 720),
    "square": (500, 500),
    "tiny": (24, 37),
    "4K": (2160, 3840),
}
# In parts of the picture: left, top, right, bottom; score, class.
BOXES = (((0.12, 0.2, 0.4, 0.55), 0.9, 2), ((0.55, 0.5, 0.88, 0.93), 0.7, 0))


def picture(size: tuple[int, int]) -> Image:
    image = np.empty((*size, 3), dtype=np.uint8)
    image[...] = RGB[::-1]
    return image


def boxes_of(size: tuple[int, int]) -> list[tuple[float, ...]]:
    height, width = size
    return [(box[0] * width, box[1] * height, box[2] * width, box[3] * height) for box, _, _ in BOXES]


def detector(
    path: Path, family: str, size: tuple[int, int], options: OnnxOptions | None = None, **wrong: Any
) -> OnnxDetector:
    """One on a network that finds `BOXES` in a picture of that size, if it is read as the family's are."""
    reads = replace(FAMILIES[family], **wrong)
    known = [
        Known(placed(box, size, SHAPE, reads.placement), score, class_id)
        for box, (_, score, class_id) in zip(boxes_of(size), BOXES, strict=True)
    ]
    padded = size[0] != size[1]
    file = write_network(path / f"{family}.onnx", reads, known, classes=80, shape=SHAPE, padded=padded)
    model = Model(family, lambda: OnnxNetwork(family, options or OnnxOptions()), COCO_CLASS_NAMES, weights=file)
    return OnnxDetector(model, square=True)


def check(found: Detections, size: tuple[int, int]) -> None:
    assert found.class_id.tolist() == [class_id for _, _, class_id in BOXES]
    np.testing.assert_allclose(found.score, [score for _, score, _ in BOXES], atol=1e-3)
    np.testing.assert_allclose(found.xyxy, boxes_of(size), atol=0.5)


def test_every_family_is_described_here_too() -> None:
    assert set(FAMILIES) == set(OURS)


@pytest.mark.parametrize("shape", PICTURES)
@pytest.mark.parametrize("family", FAMILIES)
def test_known_boxes_come_back(family: str, shape: str, tmp_path: Path) -> None:
    size = PICTURES[shape]
    found = detector(tmp_path, family, size)
    (alone,) = found.detect([picture(size)])
    check(alone, size)
    black = np.zeros((*size, 3), dtype=np.uint8)
    several = found.detect([picture(size), black, picture(size)])
    check(several[0], size)
    check(several[2], size)
    assert len(several[1]) == 0


WRONG: Mapping[str, Mapping[str, Any]] = {
    "placement": {},
    "order of the channels": {},
    "range of the values": {"values": (np.full(3, 7.0), np.full(3, 90.0))},
    "padding": {"pad": 55},
}


# One for each way of reading a picture.
READERS = ("yolox", "yolov8", "rt-detr", "rf-detr", "nanodet-plus", "nanodet-levels", "darknet")


def test_every_way_of_reading_is_among_them() -> None:
    def reading(name: str) -> tuple[object, ...]:
        reads = FAMILIES[name]
        return reads.bgr, reads.values[0].tolist(), reads.values[1].tolist(), reads.placement, reads.pad

    assert {str(reading(name)) for name in FAMILIES} == {str(reading(name)) for name in READERS}


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("family", READERS)
def test_a_network_that_reads_otherwise_finds_other_boxes(family: str, what: str, tmp_path: Path) -> None:
    """What the tests above would not notice, were the networks blind to it."""
    size = PICTURES["landscape"]
    reads, wrong = FAMILIES[family], dict(WRONG[what])
    if what == "placement":
        wrong = {"placement": "top-left" if reads.placement != "top-left" else "centred"}
    elif what == "order of the channels":
        wrong = {"bgr": not reads.bgr}
    elif what == "padding" and reads.pad is None:
        return  # stretched pictures have none
    (found,) = detector(tmp_path, family, size, **wrong).detect([picture(size)])
    with pytest.raises(AssertionError):
        check(found, size)


@pytest.mark.parametrize("family", READERS)
def test_all_of_it_can_be_set_by_hand(family: str, tmp_path: Path) -> None:
    """A network of the family's layout that reads pictures in another way."""
    size = PICTURES["portrait"]
    mean, deviation = (1.0, 2.0, 3.0), (90.0, 80.0, 70.0)  # of red, green and blue
    options = OnnxOptions(
        family=family, color="bgr", mean=mean[::-1], deviation=deviation[::-1], placement="top-left", pad=33
    )
    values = (np.array(mean), np.array(deviation))
    own = detector(tmp_path, family, size, options, bgr=True, values=values, placement="top-left", pad=33)
    check(own.detect([picture(size)])[0], size)
