"""YoloDetector: decoding against its formula, real pictures, the options, and what it does to the process around it."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import PIL.Image
import pytest

from benchmarks.detection import MOST_PER_IMAGE, Accuracy, evaluate
from pipeline.detection.yolov3.detector import YoloDetector
from pipeline.errors import ConfigError, ModelError, SourceError
from pipeline.hardware import cpu_has_bfloat16
from pipeline.images.letterbox import Letterbox
from pipeline.images.reading import ImageLike
from pipeline.models.registry import Model
from pipeline.models.weights.parameters import ConvolutionParameters
from pipeline.types import Detections, Image
from tests.support.darknet_files import miniature, random_parameters, write_weights
from tests.support.images import draw_stop_sign

MINIATURE = Model("miniature", miniature, ("left", "middle", "right"))
ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "miniature.weights", random_parameters(miniature()))


@pytest.fixture(scope="module")
def tiny(tiny_weights: Path) -> YoloDetector:
    return YoloDetector(weights=tiny_weights)


def noise(height: int, width: int, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


Found = tuple[tuple[float, float, float, float], float, int]


def decoded_one_by_one(
    detector: YoloDetector, image: Image, size: int, confidence: float, *, every: bool
) -> list[Found]:
    """What Darknet's formulas make of the raw outputs, box by box, before suppression."""
    placed = Letterbox.rectangular(image.shape[0], image.shape[1], size, 32)
    drawn = np.empty((1, placed.height, placed.width, 3), dtype=np.uint8)
    placed.draw(image, drawn[0])
    scale = placed.scaled_width / image.shape[1], placed.scaled_height / image.shape[0]
    found: list[Found] = []
    for head, output in zip(miniature().heads(), detector.engine.heads(drawn), strict=True):
        _, rows, columns, anchors, _ = output.shape
        for row, column, anchor in itertools.product(range(rows), range(columns), range(anchors)):
            t_x, t_y, t_w, t_h, objectness, *classes = (float(value) for value in output[0, row, column, anchor])
            x, y = (column + sigmoid(t_x)) * head.stride, (row + sigmoid(t_y)) * head.stride
            width, height = (side * math.exp(t) for side, t in zip(head.anchors[anchor], (t_w, t_h), strict=True))
            corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
            left, right = ((corner - placed.left) / scale[0] for corner in corners[::2])
            top, bottom = ((corner - placed.top) / scale[1] for corner in corners[1::2])
            scores = [sigmoid(objectness) * sigmoid(value) for value in classes]
            wanted = range(len(scores)) if every else [scores.index(max(scores))]
            found += [((left, top, right, bottom), scores[k], k) for k in wanted if scores[k] >= confidence]
    return found


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize(("height", "width"), [(100, 150), (333, 77)])
def test_decoding_equals_its_formula(weights: Path, every: bool, height: int, width: int) -> None:
    confidence = 0.3
    detector = YoloDetector(
        MINIATURE, weights=weights, input_size=96, confidence=confidence, iou=1, multi_label=every, precision="float32"
    )
    image = noise(height, width)
    (detections,) = detector.detect([image])
    expected = decoded_one_by_one(detector, image, 96, confidence, every=every)
    assert len(expected) > 20
    limits = [width, height, width, height]
    inside = [
        (np.clip(box, 0, limits), score, class_id)
        for box, score, class_id in sorted(expected, key=lambda entry: -entry[1])
    ]
    inside = [entry for entry in inside if (entry[0][2:] > entry[0][:2]).all()]
    assert detections.class_id.tolist() == [class_id for _, _, class_id in inside]
    np.testing.assert_allclose(detections.score, [score for _, score, _ in inside], atol=1e-6)
    np.testing.assert_allclose(detections.xyxy, [box for box, _, _ in inside], atol=1e-3)


def test_options_narrow_what_is_found(weights: Path) -> None:
    image = noise(100, 150)

    def found(**options: Any) -> Detections:
        options = {"confidence": 0.2, "iou": 0.45, "max_detections": 300, "precision": "float32", **options}
        return YoloDetector(MINIATURE, weights=weights, input_size=96, **options).detect([image])[0]

    everything = found()
    assert len(everything) > 5
    assert (np.diff(everything.score) <= 0).all(), "best first"
    assert len(found(iou=0.1)) < len(everything) < len(found(iou=0.9))
    strict = found(confidence=0.35)
    assert 0 < len(strict) < len(everything)
    assert strict.score.min() >= 0.35
    few = found(max_detections=3)
    np.testing.assert_array_equal(few.score, everything.score[:3])


@pytest.mark.parametrize("batch_size", [1, 2, 3, 64])
def test_batches_change_nothing(weights: Path, batch_size: int) -> None:
    images = [noise(60 + 20 * (seed % 3), 90, seed) for seed in range(7)]
    options: dict[str, Any] = {"weights": weights, "input_size": 96, "precision": "float32"}
    whole = YoloDetector(MINIATURE, **options).detect(images)
    parts = YoloDetector(MINIATURE, batch_size=batch_size, **options).detect(images)
    for first, second in zip(whole, parts, strict=True):
        assert first.class_id.tolist() == second.class_id.tolist()
        np.testing.assert_allclose(first.xyxy, second.xyxy, atol=1e-2)


def test_pictures_of_any_kind_give_the_same(weights: Path, tmp_path: Path) -> None:
    image = noise(100, 150)
    path = tmp_path / "noise.png"
    assert cv2.imwrite(str(path), image)
    alike: list[ImageLike] = [image, path, str(path), path.read_bytes(), PIL.Image.open(path)]
    detector = YoloDetector(MINIATURE, weights=weights, input_size=96, confidence=0.2, precision="float32")
    expected = detector.detect(image)
    assert len(expected) > 5
    stack = cast("list[Detections]", detector.detect(image[None]))
    for found in [*detector.detect(alike), *(detector.detect(one) for one in alike), *stack]:
        np.testing.assert_allclose(found.xyxy, expected.xyxy, atol=1e-3)
        np.testing.assert_array_equal(found.class_id, expected.class_id)
    grey = detector.detect(image[..., 0])
    np.testing.assert_array_equal(grey.score, detector.detect(image[..., [0, 0, 0]]).score)
    with pytest.raises(ValueError, match=r"image 1: expected uint8 .* got uint8 \(0, 5, 3\)"):
        detector.detect([image, image[:0, :5]])
    with pytest.raises(SourceError, match="image 0: is no image"):
        detector.detect(b"nothing")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"input_size": 400}, "input_size: got 400, expected a multiple of 32, such as 384"),
        ({"input_size": 0}, "input_size: got 0"),
        ({"input_size": -32}, "input_size: got -32"),
        ({"confidence": 25}, "confidence: got 25, expected a number from 0 to 1"),
        ({"confidence": float("nan")}, "confidence: got nan"),
        ({"iou": -0.1}, "iou: got -0.1"),
        ({"max_detections": 0}, "max_detections: got 0, expected at least 1"),
        ({"batch_size": 0}, "batch_size: got 0"),
        ({"threads": 0}, "threads: got 0"),
        ({"precision": "half"}, "precision: got 'half'"),
        ({"model": "tiny"}, "did you mean tiny-yolov3"),
    ],
)
def test_options_that_can_not_be(weights: Path, options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        YoloDetector(**{"model": MINIATURE, "weights": weights, **options})  # type: ignore[arg-type]


def test_weights_of_another_network(weights: Path) -> None:
    with pytest.raises(ModelError, match="yolov3-tiny with 80 classes needs exactly 35,434,956 bytes"):
        YoloDetector("tiny-yolov3", weights=weights)


def test_class_names_must_fit_the_network(weights: Path) -> None:
    with pytest.raises(ConfigError, match="2 class names for 3 classes"):
        YoloDetector(Model("miniature", miniature, ("a", "b")), weights=weights)


def test_weights_that_compute_what_is_not_a_number(tmp_path: Path) -> None:
    parameters = [
        ConvolutionParameters(np.full_like(entry.weights, 1e30), entry.bias, entry.batch_norm)
        for entry in random_parameters(miniature())
    ]
    path = write_weights(tmp_path / "wild.weights", parameters)
    detector = YoloDetector(MINIATURE, weights=path, input_size=96, confidence=0)
    with pytest.raises(ModelError, match=r"wild\.weights: with these weights the network computes what is not"):
        detector.detect([noise(60, 90)])


def test_warm_up_tells_the_input_shape(weights: Path) -> None:
    rectangular = YoloDetector(MINIATURE, weights=weights, input_size=416, precision="float32")
    square = YoloDetector(MINIATURE, weights=weights, input_size=416, square=True, precision="float32")
    assert rectangular.warm_up(480, 854, batch=4) == (256, 416)
    assert rectangular.warm_up(854, 480) == (416, 256)
    assert square.warm_up(480, 854) == (416, 416)
    assert (rectangular.input_size, rectangular.precision) == (416, "float32")


@pytest.mark.parametrize("square", [False, True])
@pytest.mark.parametrize(("height", "width"), [(480, 854), (600, 400), (300, 300), (200, 1000)])
def test_a_stop_sign_is_found_where_it_was_drawn(tiny_weights: Path, square: bool, height: int, width: int) -> None:
    image = np.full((height, width, 3), 180, dtype=np.uint8)
    x, y, radius = width * 2 // 3, height * 2 // 5, height // 4
    draw_stop_sign(image, x, y, radius)
    detector = YoloDetector(weights=tiny_weights, square=square, precision="float32")
    (detections,) = detector.detect([image])
    assert detector.class_names[detections.class_id[0]] == "stop sign"
    assert detections.score[0] > 0.5
    expected = [x - radius, y - radius, x + radius, y + radius]
    np.testing.assert_allclose(detections.xyxy[0], expected, atol=0.25 * radius)


# Left, top, right, bottom as they can be measured in the picture.
DOG_PICTURE = {"dog": (128, 222, 316, 542), "bicycle": (122, 125, 572, 428), "car or truck": (466, 78, 690, 172)}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("square", [False, True])
def test_the_dog_the_bicycle_and_the_car(eval_dir: Path, tiny_weights: Path, precision: str, square: bool) -> None:
    image = np.asarray(cv2.imread(str(eval_dir / "images" / "dog.jpg")), dtype=np.uint8)
    detector = YoloDetector(weights=tiny_weights, precision=precision, square=square)
    (detections,) = detector.detect([image])
    for names, (left, top, right, bottom) in DOG_PICTURE.items():
        wanted = [detector.class_names.index(name) for name in names.split(" or ")]
        boxes = detections.xyxy[np.isin(detections.class_id, wanted)]
        assert len(boxes), f"no {names}"
        x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
        near = (abs(x - (left + right) / 2) < (right - left) / 4) & (abs(y - (top + bottom) / 2) < (bottom - top) / 4)
        assert near.any(), f"{names} somewhere else: {boxes.tolist()}"


def test_a_picture_and_its_mirror_image_agree(eval_dir: Path, tiny: YoloDetector) -> None:
    image = np.asarray(cv2.imread(str(eval_dir / "images" / "dog.jpg")), dtype=np.uint8)
    plain, mirrored = tiny.detect([image, image[:, ::-1]])
    dog = tiny.class_names.index("dog")
    first, second = (found.xyxy[found.class_id == dog][0] for found in (plain, mirrored))
    np.testing.assert_allclose(image.shape[1] - second[[2, 0]], first[[0, 2]], atol=25)


_accuracies: dict[bool, Accuracy] = {}


def accuracy(eval_dir: Path, tiny_weights: Path, *, square: bool, precision: str = "float32") -> Accuracy:
    detector = YoloDetector(
        weights=tiny_weights, square=square, precision=precision, confidence=0.001, max_detections=MOST_PER_IMAGE
    )
    coco = eval_dir / "coco"
    return evaluate(detector, coco / "images", coco / "instances.json")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("square", "needed"), [(False, 0.370), (True, 0.376)])
def test_accuracy_on_coco(eval_dir: Path, tiny_weights: Path, square: bool, needed: float) -> None:
    _accuracies[square] = accuracy(eval_dir, tiny_weights, square=square)
    assert _accuracies[square].ap50 >= needed


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_bfloat16_is_as_accurate(eval_dir: Path, tiny_weights: Path) -> None:
    if not cpu_has_bfloat16():
        pytest.skip(
            "this processor only emulates bfloat16, which takes minutes: "
            "run benchmarks/detection.py --precision bfloat16 by hand"
        )
    exact = _accuracies.get(False) or accuracy(eval_dir, tiny_weights, square=False)
    rough = accuracy(eval_dir, tiny_weights, square=False, precision="bfloat16")
    assert abs(rough.ap50 - exact.ap50) <= 0.003


SURROUNDINGS = """
import os, sys, threading
import pipeline, pipeline.detection.yolov3.detector
assert "tensorflow" not in sys.modules, "importing the detector imported TensorFlow"
before = dict(os.environ)
from pipeline.models.engines.quiet_tensorflow import tf, _chatter_to_log
with _chatter_to_log():
    os.write(2, b"I0000 00:00:1790000000.000000  1 port.cc:153] chatter\\n")
    print("somebody's own words", file=sys.stderr)
assert {name: os.environ[name] for name in before} == before
assert {name for name in set(os.environ) - set(before) if name.startswith("TF_")} == set(), os.environ
assert "keras" not in sys.modules
from tests.support.darknet_files import miniature, random_parameters
from pipeline.models.engines.tensorflow_engine import TensorFlowEngine
import numpy as np
engine = TensorFlowEngine(miniature(), random_parameters(miniature()))
assert len(engine.heads(np.zeros((1, 32, 32, 3), np.uint8))) == 2
engine.close()
engine.close()
print(tf.keras.__version__.split(".")[0])
"""


@pytest.mark.slow
def test_tensorflow_loads_late_and_in_silence() -> None:
    result = subprocess.run([sys.executable, "-c", SURROUNDINGS], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stderr == "somebody's own words\n"
    assert result.stdout == "3\n", "Keras 3 is still there for who asks for it"
