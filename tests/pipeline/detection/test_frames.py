"""What the detector is shown: reduced pictures, parts of them, and boxes in pixels of the frame."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from pipeline.detection.frames import FrameDetector
from pipeline.detection.yolov3.detector import YoloDetector
from pipeline.errors import ConfigError
from pipeline.geometry.boxes import iou_matrix
from pipeline.geometry.region import Rectangle, Region
from pipeline.sources.opening import open_source
from pipeline.types import Detections, Frame, Image
from tests.support.fakes import BlobDetector, picture


@pytest.fixture(scope="module")
def detector(tiny_weights: Path) -> YoloDetector:
    return YoloDetector("tiny-yolov3", weights=tiny_weights, precision="float32", confidence=0.3)


def frames(path: Path, *, reduce_to: int | None, count: int = 4) -> list[Frame]:
    with open_source(str(path), reduce_to=reduce_to) as source:
        return list(islice(source, 40, 40 + count))


def as_found(one: Detections, other: Detections, overlap: float = 0.7) -> float:
    """The part of ``one``'s sure boxes that ``other`` has too."""
    sure = one.select(one.score > 0.5)
    same = (iou_matrix(sure.xyxy, other.xyxy) > overlap) & (sure.class_id[:, None] == other.class_id)
    return float(same.any(axis=1).mean())


def test_reduced_pictures_show_the_detector_what_whole_ones_do(eval_dir: Path, detector: YoloDetector) -> None:
    clip = eval_dir / "videos" / "traffic-mini.mp4"
    reduced, plain = frames(clip, reduce_to=416), frames(clip, reduce_to=None)
    looker = FrameDetector(detector)
    for found, expected in zip(looker.look(reduced, [None] * 4), looker.look(plain, [None] * 4), strict=True):
        assert len(expected) >= 5
        assert as_found(expected, found) == 1
        assert as_found(found, expected) == 1
    assert all(callable(frame._image) for frame in reduced), "nobody asked for the whole picture"


def test_a_part_is_seen_as_in_the_whole_picture(eval_dir: Path, detector: YoloDetector) -> None:
    clip = eval_dir / "videos" / "traffic-mini.mp4"
    part = Rectangle(200, 120, 720, 480)
    for frame in (*frames(clip, reduce_to=416, count=1), *frames(clip, reduce_to=None, count=1)):
        (whole,), (within,) = (
            FrameDetector(detector).look([frame], [None]),
            FrameDetector(detector).look([frame], [part]),
        )
        assert (within.xyxy[:, :2] >= [199, 119]).all()
        assert (within.xyxy[:, 2:] <= [721, 481]).all()
        inside = np.flatnonzero((whole.xyxy > [210, 130, 210, 130]).all(axis=1) & (whole.xyxy < 710).all(axis=1))
        assert len(inside) >= 2
        # The cells of the network lie elsewhere over the part, which moves a box a little.
        assert as_found(whole.select(inside), within, overlap=0.5) == 1


def test_a_part_costs_less(eval_dir: Path, detector: YoloDetector, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[tuple[int, ...]] = []
    heads = detector.engine.heads

    def noting(images: Image) -> object:
        shapes.append(images.shape)
        return heads(images)

    monkeypatch.setattr(detector.engine, "heads", noting)
    (frame,) = frames(eval_dir / "videos" / "traffic-mini.mp4", reduce_to=416, count=1)
    FrameDetector(detector).look([frame], [Rectangle(0, 240, 427, 480)])
    assert shapes == [(1, 128, 224, 3)], "a quarter of the picture, in the smallest input that holds it"


def test_any_detector_can_be_shown_a_part() -> None:
    frame = Frame(picture([(20, 30, 50, 60), (100, 10, 120, 40)]), 0, 0.0, 0.0, "door")
    (found,) = FrameDetector(BlobDetector()).look([frame], [Rectangle(10, 20, 90, 100)])
    assert found.xyxy.tolist() == [[20, 30, 50, 60]]


class Mixed(BlobDetector):
    """Reduces, and remembers in which way it was asked."""

    reduced_side = 80

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        self.asked.append(f"whole {len(images)}")
        return super().detect(images)

    def detect_reduced(self, images: Sequence[Image], sizes: Sequence[tuple[int, int]]) -> list[Detections]:
        self.asked.append(f"reduced {len(images)}")
        scaled = []
        for (height, _), image, found in zip(sizes, images, super().detect(images), strict=True):
            scaled.append(Detections(found.xyxy * height / image.shape[0], found.score, found.class_id))
        return scaled


def test_frames_with_and_without_a_reduced_picture_keep_their_order() -> None:
    image = picture([(20, 40, 60, 80)])
    reduced = Frame(image, 0, 0.0, 0.0, "door", reduced=np.ascontiguousarray(image[::2, ::2]))
    wrong_size = Frame(image, 0, 0.0, 0.0, "door", reduced=np.ascontiguousarray(image[::4, ::4]))
    plain = Frame(picture([(80, 20, 120, 60)]), 0, 0.0, 0.0, "gate")
    detector = Mixed()
    found = FrameDetector(detector).look([plain, reduced, wrong_size], [None, None, None])
    assert [one.xyxy.tolist() for one in found] == [[[80, 20, 120, 60]], [[20, 40, 60, 80]], [[20, 40, 60, 80]]]
    assert sorted(detector.asked) == ["reduced 1", "whole 2"]


@pytest.mark.parametrize(
    "part", [Rectangle(301, 203, 997, 701), Rectangle(0, 1, 1279, 719), Rectangle(630, 470, 790, 660)]
)
def test_boxes_in_a_part_lie_where_they_do_in_the_whole_picture(part: Rectangle) -> None:
    """The part's edges fall between two pixels of the scaled picture, each of which is 16 of the frame."""
    reduced = picture([(40, 30, 48, 40)], width=80, height=45)
    frame = Frame(np.kron(reduced, np.ones((16, 16, 1), np.uint8)), 0, 0.0, 0.0, "door", reduced=reduced)
    (found,) = FrameDetector(Mixed()).look([frame], [part])
    assert found.xyxy.tolist() == [[640, 480, 768, 640]]


def test_a_part_of_less_than_a_pixel_of_the_scaled_picture_is_looked_at() -> None:
    reduced = picture([(40, 30, 48, 40)], width=80, height=45)
    frame = Frame(np.kron(reduced, np.ones((16, 16, 1), np.uint8)), 0, 0.0, 0.0, "door", reduced=reduced)
    (found,) = FrameDetector(Mixed()).look([frame], [Rectangle(642, 482, 644, 483)])
    assert found.xyxy.tolist() == [[640, 480, 656, 496]]


def test_a_region_is_the_rectangle_around_shapes() -> None:
    polygon = ((0.25, 0.5), (0.75, 0.5), (0.5, 0.9))
    assert Region([(polygon, "fraction")]).part(200, 400) == Rectangle(100, 100, 300, 180)
    both = Region([(polygon, "fraction"), (((20, 30), (40, 120)), "pixels")])
    assert both.part(200, 400) == Rectangle(20, 30, 300, 180)
    assert Region([(polygon, "fraction")], margin=0.1).part(200, 400) == Rectangle(60, 80, 340, 200)


def test_a_region_that_is_nearly_the_whole_picture_cuts_nothing() -> None:
    assert Region([(((0.0, 0.0), (1.0, 0.95)), "fraction")]).part(200, 400) is None


@pytest.mark.parametrize(
    ("shapes", "message"),
    [([], "there is no zone and no line to look at"), ([(((0.0, 2.0), (1.0, 1.0)), "fraction")], "outside")],
)
def test_regions_that_make_no_sense_are_refused(shapes: list[object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Region(shapes)  # type: ignore[arg-type]


def test_a_region_beside_the_picture_is_refused() -> None:
    with pytest.raises(ConfigError, match="outside the picture, which is 400x200 px"):
        Region([(((500, 10), (600, 90)), "pixels")]).part(200, 400)
