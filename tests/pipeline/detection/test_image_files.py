"""Many picture files through a detector: the same results as one by one, full batches, little memory."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.detection.image_files import DetectedImage, detect_images
from pipeline.detection.yolov3.detector import YoloDetector
from pipeline.errors import SourceNotFoundError
from pipeline.images import batches as picture_batches
from pipeline.images.batches import BrokenPicture
from pipeline.images.reading import ImageLike, read_image
from pipeline.models.registry import Model
from pipeline.types import Detections, Image
from tests.support.darknet_files import miniature, random_parameters, write_weights
from tests.support.fakes import BlobDetector
from tests.support.images import blocks

SIZES = ((120, 160), (160, 120), (100, 160), (64, 64))


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> YoloDetector:
    weights = write_weights(tmp_path_factory.mktemp("weights") / "m.weights", random_parameters(miniature()))
    model = Model("miniature", miniature, ("left", "middle", "right"))
    return YoloDetector(model, weights=weights, input_size=96, precision="float32", confidence=0.2)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """22 pictures of four sizes, the third of them broken."""
    folder = tmp_path_factory.mktemp("pictures")
    paths = [folder / f"{number}.png" for number in range(22)]
    for number, path in enumerate(paths):
        assert cv2.imwrite(str(path), blocks(*SIZES[number * 7 % 4], number))
    paths[2].write_bytes(paths[2].read_bytes()[:80])
    return paths


class Watching(BlobDetector):
    """Keeps the sizes of the images that it is given at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[tuple[int, ...]]] = []

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        self.calls.append([image.shape[:2] for image in images])
        return super().detect(images)


@pytest.mark.parametrize(("batch", "window"), [(1, 512), (4, 512), (8, 5)])
def test_the_results_are_those_of_one_by_one(
    detector: YoloDetector, files: list[Path], batch: int, window: int
) -> None:
    results = list(detect_images(detector, files, batch=batch, window=window))
    assert sorted(result.index for result in results) == list(range(len(files)))
    assert all(result.path == files[result.index] for result in results)
    broken = [result for result in results if isinstance(result, BrokenPicture)]
    assert [result.index for result in broken] == [2]
    assert "2.png: is damaged" in str(broken[0].error)
    total = 0
    for result in results:
        if isinstance(result, DetectedImage):
            alone = detector.detect(result.path)
            assert result.detections.class_id.tolist() == alone.class_id.tolist()
            np.testing.assert_allclose(result.detections.xyxy, alone.xyxy, atol=0.05)
            np.testing.assert_allclose(result.detections.score, alone.score, atol=1e-4)
            total += len(alone)
    assert total > 50


def test_batches_are_of_one_shape_and_full(files: list[Path]) -> None:
    watching = Watching()
    list(detect_images(watching, files, batch=4))
    assert all(len(set(call)) <= 1 for call in watching.calls)
    sizes = sorted(len(call) for call in watching.calls)
    # 5 or 6 of each size in fours, one of them broken.
    assert sum(sizes) == len(files) - 1
    assert len(sizes) == 8


def test_shapes_of_the_network_count_not_those_of_the_pictures(
    detector: YoloDetector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = []
    for number, width in enumerate((160, 161, 162, 163)):
        paths.append(tmp_path / f"{number}.png")
        cv2.imwrite(str(paths[-1]), blocks(120, width))
    counts: list[int] = []
    detect = detector._detect_pictures

    def counting(images: Sequence[ImageLike]) -> list[Detections]:
        counts.append(len(images))
        return detect(images)

    monkeypatch.setattr(detector, "_detect_pictures", counting)
    assert len(list(detect_images(detector, paths, batch=4))) == 4
    assert counts == [4]


def test_only_a_few_pictures_are_held(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[Path] = []

    def count(path: Path) -> Image:
        decoded.append(path)
        return read_image(path)

    def most_at_once() -> int:
        decoded.clear()
        found = enumerate(detect_images(BlobDetector(), files, batch=2))
        return max(len(decoded) - number for number, _ in found)

    monkeypatch.setattr(picture_batches, "read_image", count)
    assert 2 <= most_at_once() <= 6, "the batch in work and two ahead"
    monkeypatch.setattr(picture_batches, "_MOST_PIXELS", 1)
    assert most_at_once() <= 2, "large pictures go alone"


def test_who_stops_early_leaves_no_thread(files: list[Path]) -> None:
    results = detect_images(BlobDetector(), files, batch=2)
    next(results)
    results.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pictures")]


def test_a_missing_file_is_a_broken_picture(tmp_path: Path) -> None:
    (result,) = detect_images(BlobDetector(), [tmp_path / "nothing.jpg"])
    assert isinstance(result, BrokenPicture)
    assert isinstance(result.error, SourceNotFoundError)


def test_no_pictures_and_no_batch() -> None:
    assert list(detect_images(BlobDetector(), [])) == []
    with pytest.raises(ValueError, match="at least 1, got 0"):
        next(detect_images(BlobDetector(), [], batch=0))
