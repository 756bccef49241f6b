"""What every detector must do, run over every detector there is."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pipeline.detection.base import ImageDetector
from pipeline.detection.onnx.detector import OnnxDetector
from pipeline.detection.retinanet.detector import RetinaNetDetector
from pipeline.detection.yolov3.detector import YoloDetector
from pipeline.interfaces import Detector
from pipeline.models.custom import onnx_model
from pipeline.models.engines.base import ENGINES
from pipeline.models.registry import Model
from pipeline.types import Detections, Image
from tests.support.darknet_files import miniature, random_parameters, write_weights
from tests.support.fakes import BlobDetector
from tests.support.images import blocks
from tests.support.retinanet_files import shallow, shallow_model, write_random_weights


def _blobs(request: pytest.FixtureRequest) -> Detector:
    return BlobDetector()


def _random_weights(request: pytest.FixtureRequest, **options: object) -> Detector:
    folder: Path = request.getfixturevalue("tmp_path_factory").mktemp("weights")
    weights = write_weights(folder / "miniature.weights", random_parameters(miniature()))
    model = Model("miniature", miniature, ("left", "middle", "right"))
    return YoloDetector(model, weights=weights, input_size=96, **options)  # type: ignore[arg-type]


def _square(request: pytest.FixtureRequest) -> Detector:
    return _random_weights(request, square=True, batch_size=2, multi_label=True)


def _bfloat16(request: pytest.FixtureRequest) -> Detector:
    return _random_weights(request, precision="bfloat16")


def _tensorflow(request: pytest.FixtureRequest) -> Detector:
    return _random_weights(request, engine="tensorflow")


def _tiny(request: pytest.FixtureRequest) -> Detector:
    return YoloDetector(weights=request.getfixturevalue("tiny_weights"), input_size=160)


def _miniature_onnx(request: pytest.FixtureRequest, fixed: tuple[int, int] | None, **options: int | bool) -> Detector:
    pytest.importorskip("onnx", reason="onnx is a test dependency: run make setup")
    from tests.support.onnx_files import write_miniature_yolox

    folder: Path = request.getfixturevalue("tmp_path_factory").mktemp("onnx")
    path = write_miniature_yolox(folder / "miniature.onnx", fixed=fixed)
    (folder / "names").write_text("left\nmiddle\nright\n")
    model = onnx_model("miniature", path, names=folder / "names")
    return OnnxDetector(model, batch_size=3, **options)  # type: ignore[arg-type]


def _onnx(request: pytest.FixtureRequest) -> Detector:
    return _miniature_onnx(request, None, input_size=96)


def _onnx_fixed(request: pytest.FixtureRequest) -> Detector:
    return _miniature_onnx(request, (96, 160), multi_label=True)


def _yolox(request: pytest.FixtureRequest) -> Detector:
    weights = request.getfixturevalue("eval_dir") / "models" / "yolox_nano.onnx"
    return OnnxDetector("yolox-nano", weights=weights, input_size=224)


def _retinanet(request: pytest.FixtureRequest) -> Detector:
    folder: Path = request.getfixturevalue("tmp_path_factory").mktemp("weights")
    weights = write_random_weights(folder / "shallow.pth", shallow())
    return RetinaNetDetector(shallow_model(), weights=weights, input_size=64, batch_size=2, precision="float32")


DETECTORS: dict[str, Callable[[pytest.FixtureRequest], Detector]] = {
    "blobs": _blobs,
    "miniature": _random_weights,
    "miniature-square": _square,
    "miniature-bfloat16": _bfloat16,
    "miniature-tensorflow": _tensorflow,
    "tiny-yolov3": _tiny,
    "onnx": _onnx,
    "onnx-fixed": _onnx_fixed,
    "yolox-nano": _yolox,
    "retinanet": _retinanet,
}


@pytest.fixture(scope="module", params=DETECTORS)
def detector(request: pytest.FixtureRequest) -> Detector:
    return DETECTORS[request.param](request)


def same(first: Detections, second: Detections) -> bool:
    return (
        first.class_id.tolist() == second.class_id.tolist()
        and np.allclose(first.xyxy, second.xyxy, atol=0.05)
        and np.allclose(first.score, second.score, atol=1e-4)
    )


def check(detections: Detections, image: Image, class_count: int) -> None:
    height, width = image.shape[:2]
    assert isinstance(detections, Detections)
    assert detections.xyxy.dtype == detections.score.dtype == np.dtype(np.float32)
    assert detections.class_id.dtype == np.int32
    assert (detections.xyxy >= 0).all()
    assert (detections.xyxy <= [width, height, width, height]).all()
    assert ((detections.class_id >= 0) & (detections.class_id < class_count)).all()


def test_it_is_a_detector(detector: Detector) -> None:
    assert isinstance(detector, Detector)
    assert len(detector.class_names) == len(set(detector.class_names)) > 0
    assert all(isinstance(name, str) for name in detector.class_names)
    assert detector.calls_at_once >= 1
    assert detector.precision
    if isinstance(detector, ImageDetector):
        assert detector.engine_name in ENGINES
        assert detector.engine_name == detector.engine.name


def test_nothing_gives_nothing(detector: Detector) -> None:
    assert detector.detect([]) == []


def test_something_is_found_at_all(detector: Detector) -> None:
    """Otherwise the other tests would prove little."""
    assert sum(len(found) for found in detector.detect([blocks(120, 160, seed) for seed in range(4)])) > 0


def test_images_of_differing_sizes(detector: Detector) -> None:
    images = [
        blocks(*size, seed) for seed, size in enumerate([(120, 160), (300, 100), (120, 160), (77, 501), (64, 64)])
    ]
    found = detector.detect(images)
    assert len(found) == len(images)
    for image, detections in zip(images, found, strict=True):
        check(detections, image, len(detector.class_names))


@pytest.mark.parametrize("shape", [(1, 1), (1, 4000), (4000, 1), (2, 3), (33, 31), (1, 64)])
def test_tiny_and_thin_images(detector: Detector, shape: tuple[int, int]) -> None:
    image = blocks(*shape)
    (detections,) = detector.detect([image])
    check(detections, image, len(detector.class_names))


def test_order_is_kept(detector: Detector) -> None:
    images = [blocks(120, 160, 1), blocks(200, 90, 2), blocks(120, 160, 3), blocks(90, 200, 4), blocks(120, 160, 5)]
    alone = [detector.detect([image])[0] for image in images]
    for order in ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 3, 1, 4]):
        together = detector.detect([images[index] for index in order])
        assert all(same(found, alone[index]) for found, index in zip(together, order, strict=True))


def test_the_same_image_gives_the_same(detector: Detector) -> None:
    image = blocks(120, 160)
    first, second = detector.detect([image, image])
    assert same(first, second)
    assert same(first, detector.detect([image])[0])


def test_images_are_only_read(detector: Detector) -> None:
    image = blocks(120, 160)
    image.setflags(write=False)
    before = image.copy()
    detector.detect([image])
    np.testing.assert_array_equal(image, before)


def test_views_are_images_too(detector: Detector) -> None:
    whole = blocks(240, 320)
    views = [whole[:, ::-1], whole[::2, ::2], whole[40:160, 80:240], whole[..., ::-1]]
    expected = detector.detect([np.ascontiguousarray(view) for view in views])
    for found, copy in zip(detector.detect(views), expected, strict=True):
        assert same(found, copy)


def test_results_outlive_the_next_call(detector: Detector) -> None:
    (found,) = detector.detect([blocks(120, 160, 1)])
    kept = (found.xyxy.copy(), found.score.copy(), found.class_id.copy())
    detector.detect([blocks(120, 160, 2), blocks(60, 60, 3)])
    for array, copy in zip((found.xyxy, found.score, found.class_id), kept, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_warm_up_returns_the_input_shape(detector: Detector) -> None:
    height, width = detector.warm_up(120, 160)
    assert height > 0
    assert width > 0
    assert detector.warm_up(120, 160) == (height, width)
    (detections,) = detector.detect([blocks(120, 160)])
    check(detections, blocks(120, 160), len(detector.class_names))


def test_calls_at_once_do_not_touch_each_other(detector: Detector) -> None:
    images = [blocks(48 + 32 * (number % 3), 96, number) for number in range(24)]
    expected = [detector.detect([image])[0] for image in images]
    with ThreadPoolExecutor(detector.calls_at_once) as pool:
        for (found,), alone in zip(pool.map(lambda image: detector.detect([image]), images), expected, strict=True):
            assert same(found, alone)


def test_any_number_of_threads_may_share_one(detector: Detector) -> None:
    images = [blocks(96, 96, number) for number in range(12)]
    expected = [detector.detect([image])[0] for image in images]
    with ThreadPoolExecutor(detector.calls_at_once + 2) as pool:
        for (found,), alone in zip(pool.map(lambda image: detector.detect([image]), images), expected, strict=True):
            assert same(found, alone)
