"""RetinaNet against torchvision's own, layer by layer and to the last box, on weights that both make from one seed.

What torchvision said is in ``tests/oracles/retinanet_reference.npz``; the script beside it made that file.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from pipeline.detection.factory import create_detector
from pipeline.detection.retinanet.anchors import anchors, base_anchors
from pipeline.detection.retinanet.decoder import Decoder
from pipeline.detection.retinanet.detector import RetinaNetDetector
from pipeline.detection.retinanet.placement import Placement
from pipeline.detection.yolov3.detector import YoloDetector
from pipeline.errors import ConfigError
from pipeline.models.cache import CACHE_VARIABLE
from pipeline.models.class_names import COCO_CLASS_NAMES
from pipeline.models.engines import retinanet_factory
from pipeline.models.engines.base import Engine
from pipeline.models.engines.retinanet_engine import RetinaNetEngine
from pipeline.models.engines.yolo import YoloEngine
from pipeline.models.networks.retinanet import (
    PIXEL_DEVIATION_RGB,
    PIXEL_MEAN_RGB,
    PYRAMID_LEVELS,
    RetinaNet,
    coco_slots,
)
from pipeline.models.registry import Model, find_model
from pipeline.models.weights.pytorch_retinanet import read_retinanet_weights
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.streams.stream import Stream
from pipeline.types import Detections, Float32Array
from tests.oracles.retinanet_weights import ANCHORS, SLOTS, USED_SLOTS, picture, samples
from tests.support.fakes import MemorySource, moving_box
from tests.support.retinanet_files import shallow, shallow_model, write_random_weights
from trackers.sort import SortTracker

REFERENCE = Path(__file__).parents[3] / "oracles" / "retinanet_reference.npz"

# As in the script: height and width of the picture, shorter and longer side of the input.
CASES = {
    "wide": (97, 150, 128, 213),
    "tall": (301, 80, 128, 213),
    "small": (20, 31, 96, 1333),
    "default": (60, 1000, 800, 1333),
}
# Of an output's standard deviation; what the order of float32 additions makes is 2e-5.
LAYER_TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def reference() -> Iterator[dict[str, np.ndarray]]:
    with np.load(REFERENCE, allow_pickle=False) as recorded:
        yield dict(recorded)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = find_model("retinanet").network()
    assert isinstance(network, RetinaNet)
    return write_random_weights(tmp_path_factory.mktemp("retinanet") / "random.pth", network)


@pytest.fixture(scope="module")
def detector(weights: Path) -> Iterator[RetinaNetDetector]:
    """With every default that bears on the result."""
    made = RetinaNetDetector(weights=weights, precision="float32")
    yield made
    made.close()


def draw(case: str) -> tuple[Placement, Float32Array]:
    """Where the picture of a case lies in the network's input, and the input."""
    height, width, shorter, longer = CASES[case]
    placement = Placement.fit(height, width, shorter, longer)
    inputs = np.empty((1, placement.height, placement.width, 3), dtype=np.float32)
    placement.draw(picture(height, width), inputs[0])
    return placement, inputs


def check_detections(found: Detections, reference: dict[str, np.ndarray], key: str, limit: int = 300) -> None:
    """Everything that torchvision found besides boxes without area, which torchvision lets pass."""
    boxes, scores, classes = (reference[f"{key}/{part}"] for part in ("xyxy", "score", "class_id"))
    real = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    count = int(real.sum())
    assert count >= 20
    np.testing.assert_allclose(found.score[:count], scores[real], atol=1e-4)
    assert (np.diff(found.score) <= 0).all()
    # Scores that differ by less than the networks do may have changed places.
    same = np.abs(found.score[:count, None] - scores[real]) < 1e-4
    same &= found.class_id[:count, None] == classes[real]
    same &= np.abs(found.xyxy[:count, None] - boxes[real]).max(axis=2) < 0.01
    assert same.any(axis=0).all()
    assert same.any(axis=1).all()
    # Where torchvision stopped at the limit, boxes without area took places that are now for others.
    surplus = len(found) - count
    assert 0 <= surplus <= (~real).sum()
    assert surplus == 0 or len(boxes) == limit


def test_the_network_has_torchvisions_parameters() -> None:
    network = find_model("retinanet").network()
    assert isinstance(network, RetinaNet)
    learned = {name: shape for name, shape in network.tensor_shapes().items() if ".running_" not in name}
    frozen = [name for name in learned if ".bn" in name or ".downsample.1" in name]
    count = sum(int(np.prod(shape)) for name, shape in learned.items() if name not in frozen)
    assert count == 34_014_999  # as torchvision tells of its published weights, whose batch norms are frozen


def test_slots_are_cocos_category_numbers() -> None:
    network = find_model("retinanet").network()
    assert isinstance(network, RetinaNet)
    assert len(network.slots) == SLOTS
    assert list(network.used_slots()) == USED_SLOTS
    numbers = {name: number for number, name in enumerate(network.slots)}
    assert [numbers[name] for name in ("person", "stop sign", "dog", "tv", "toothbrush")] == [1, 13, 18, 72, 90]
    assert network.class_names() == COCO_CLASS_NAMES
    with pytest.raises(ValueError, match="expected 80 class names, got more: 'unicorn'"):
        coco_slots([*COCO_CLASS_NAMES, "unicorn"])


def test_pictures_are_scaled_to_torchvisions_sizes(reference: dict[str, np.ndarray]) -> None:
    for height, width, scaled_height, scaled_width in reference["geometry"].tolist():
        placement = Placement.fit(height, width, 800, 1333)
        assert (placement.scaled_height, placement.scaled_width) == (scaled_height, scaled_width), (height, width)


@pytest.mark.parametrize("case", CASES)
def test_input_equals_torchvisions(case: str, reference: dict[str, np.ndarray]) -> None:
    placement, inputs = draw(case)
    shape = (placement.scaled_height, placement.scaled_width, placement.height, placement.width)
    assert list(shape) == reference[f"{case}/shape"].tolist()
    mean, deviation = (np.array(values, dtype=np.float32) for values in (PIXEL_MEAN_RGB, PIXEL_DEVIATION_RGB))
    normalized = (inputs[..., ::-1] / np.float32(255) - mean) / deviation
    np.testing.assert_allclose(samples(normalized), reference[f"{case}/input"], atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_layers_equal_torchvisions(case: str, reference: dict[str, np.ndarray], detector: RetinaNetDetector) -> None:
    assert isinstance(detector.engine, RetinaNetEngine)
    outputs = detector.engine.layers(draw(case)[1])
    prefix = f"{case}/layer/"
    names = [key.removeprefix(prefix) for key in reference if key.startswith(prefix)]
    assert len(names) == (32 if case == "wide" else 15)
    for name in names:
        output = outputs[name]
        if "." in name and name.startswith(PYRAMID_LEVELS):
            output = output.reshape(*output.shape[:3], ANCHORS, -1)
        assert list(output.shape) == reference[f"{case}/layer_shape/{name}"].tolist(), name
        expected = reference[prefix + name]
        deviation = expected[-1]
        assert np.abs(samples(output) - expected).max() < LAYER_TOLERANCE * deviation, name


@pytest.mark.parametrize("case", CASES)
def test_anchors_equal_torchvisions(case: str, reference: dict[str, np.ndarray]) -> None:
    shape = tuple(reference[f"{case}/shape"][2:].tolist())
    parts = []
    for level, name in enumerate(PYRAMID_LEVELS):
        _, rows, columns, _ = reference[f"{case}/layer_shape/{name}"].tolist()
        parts.append(anchors(level, np.arange(rows * columns * ANCHORS), (rows, columns), (shape[0], shape[1])))
    np.testing.assert_array_equal(samples(np.concatenate(parts), 4000), reference[f"{case}/anchors"])


def test_corners_of_anchors_are_whole_pixels() -> None:
    for level in range(5):
        corners = base_anchors(level)
        np.testing.assert_array_equal(corners, np.trunc(corners))
    assert base_anchors(0)[0].tolist() == [-23, -11, 23, 11]


@pytest.mark.parametrize("case", [case for case in CASES if case != "default"])
def test_detections_equal_torchvisions(
    case: str, reference: dict[str, np.ndarray], detector: RetinaNetDetector
) -> None:
    placement, inputs = draw(case)
    (found,) = Decoder("weights", 0.05, 0.5, 300).decode(detector.engine.outputs(inputs), [placement])
    check_detections(found, reference, f"{case}/detections")


def test_defaults_are_torchvisions(reference: dict[str, np.ndarray], detector: RetinaNetDetector) -> None:
    height, width, *_ = CASES["default"]
    check_detections(detector.detect(picture(height, width)), reference, "default/detections")


def test_options_are_torchvisions_as_well(reference: dict[str, np.ndarray], detector: RetinaNetDetector) -> None:
    placement, inputs = draw("wide")
    (found,) = Decoder("weights", 0.02, 0.3, 150).decode(detector.engine.outputs(inputs), [placement])
    check_detections(found, reference, "options/detections", limit=150)


def test_epsilon_of_imageai(reference: dict[str, np.ndarray], weights: Path) -> None:
    """ImageAI loads the published file into a batch norm with the usual epsilon, and so gets other scores."""
    network = RetinaNet("imageai", coco_slots(COCO_CLASS_NAMES), batch_norm_epsilon=1e-5)
    placement, inputs = draw("wide")
    parameters = read_retinanet_weights(weights, network)
    with closing(RetinaNetEngine(network, parameters, precision="float32")) as engine:
        (found,) = Decoder("weights", 0.05, 0.5, 300).decode(engine.outputs(inputs), [placement])
    check_detections(found, reference, "imageai/detections")
    assert np.abs(reference["imageai/detections/score"] - reference["wide/detections/score"]).max() > 1e-4


@pytest.fixture(scope="module")
def shallow_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_weights(tmp_path_factory.mktemp("shallow") / "shallow.pth", shallow())


@pytest.mark.slow
def test_bfloat16_is_near_float32(shallow_weights: Path) -> None:
    _, inputs = draw("small")
    parameters = read_retinanet_weights(shallow_weights, shallow())
    outputs = []
    for precision in ("float32", "bfloat16"):
        with closing(RetinaNetEngine(shallow(), parameters, precision=precision)) as engine:
            outputs.append(engine.outputs(inputs))
    for wanted, found in zip(*outputs, strict=True):
        assert found.logits.dtype == found.offsets.dtype == np.float32
        assert 0 < np.abs(found.offsets - wanted.offsets).mean() < 0.02 * wanted.offsets.std()
        first, second = (1 / (1 + np.exp(-logits)) for logits in (wanted.logits, found.logits))
        assert 0 < np.abs(first - second).max() < 0.1 * first.max()


@pytest.mark.slow
@pytest.mark.parametrize("bfloat16", [False, True])
def test_the_precision_is_measured(
    bfloat16: bool, shallow_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(retinanet_factory, "cpu_has_bfloat16", lambda: bfloat16)
    for when in ("measured just now", "measured before"):
        with closing(RetinaNetDetector(shallow_model(), weights=shallow_weights, input_size=64)) as detector:
            detector.warm_up(60, 90)
            if not bfloat16:
                assert (detector.precision, detector.engine_reason.split("; ")[1]) == (
                    "float32",
                    "the only precision here",
                )
                continue
            assert detector.precision in ("float32", "bfloat16")
            assert f"the only engine for this network; precision auto, {when}: tensorflow " in detector.engine_reason


def test_a_model_of_ones_own(shallow_weights: Path) -> None:
    detector = create_detector(shallow_model(), weights=shallow_weights, input_size=64, iou=None, engine=None)
    assert isinstance(detector, RetinaNetDetector)
    assert detector.input_size == 64
    assert detector.class_names == COCO_CLASS_NAMES
    assert detector.warm_up(480, 854) == (64, 128)
    detector.close()


@pytest.mark.slow
def test_large_images_go_in_smaller_batches(shallow_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    detector = RetinaNetDetector(shallow_model(), weights=shallow_weights, input_size=64, batch_size=4)
    for pixels, batches in ((1 << 21, [4, 1]), (3 * 64 * 64, [3, 2]), (1, [1, 1, 1, 1, 1])):
        monkeypatch.setattr("pipeline.detection.retinanet.detector._MOST_PIXELS", pixels)
        with patch.object(detector.engine, "outputs", wraps=detector.engine.outputs) as outputs:
            detector.detect([picture(64, 64)] * 5)
        assert [call.args[0].shape for call in outputs.call_args_list] == [(count, 64, 64, 3) for count in batches]
    detector.close()


def test_what_it_does_not_have(tiny_weights: Path) -> None:
    with pytest.raises(ConfigError, match="square: retinanet has no such option; it has weights, input_size, longest"):
        create_detector("retinanet", square=True)
    with pytest.raises(ConfigError, match=r"anchors\.mask: retinanet has no such option"):
        create_detector("retinanet", masks=((3, 4, 5), (0, 1, 2)))
    for options, words in (
        ({"engine": "openvino"}, "engine: got 'openvino'; RetinaNet runs on tensorflow alone"),
        ({"precision": "float16"}, "precision: got 'float16'; RetinaNet computes in auto, float32, bfloat16"),
        ({"threads": 0}, "threads: got 0"),
        ({"input_size": 31}, "input_size: got 31, expected at least 32"),
        ({"longest_side": 799}, "longest_side: got 799, expected at least the input size, 800"),
        ({"confidence": 1.5}, "confidence: got 1.5"),
        ({"max_detections": 0}, "max_detections: got 0"),
    ):
        with pytest.raises(ConfigError, match=words):
            create_detector("retinanet", **options)
    with pytest.raises(ConfigError, match="yolov3: is no RetinaNet; create_detector finds"):
        RetinaNetDetector("yolov3")
    with pytest.raises(ConfigError, match="retinanet: is no YOLO network; create_detector finds"):
        YoloDetector("retinanet", weights=tiny_weights)
    with pytest.raises(ConfigError, match="odd: its class names are not those of its network"):
        RetinaNetDetector(Model("odd", shallow, COCO_CLASS_NAMES[::-1]), weights=tiny_weights)


@pytest.fixture(scope="module")
def shallow_detector(shallow_weights: Path) -> Iterator[RetinaNetDetector]:
    made = RetinaNetDetector(shallow_model(), weights=shallow_weights, input_size=64, precision="float32")
    with closing(made):
        yield made


def test_the_report_names_the_engine(shallow_detector: RetinaNetDetector) -> None:
    detector = shallow_detector
    stream = Stream(source=MemorySource(moving_box(3)), tracker=SortTracker(), sinks=[])
    report = Pipeline(stream, detector).run()
    assert (report.engine, report.precision) == ("tensorflow", "float32")
    assert isinstance(detector.engine, Engine)
    assert not isinstance(detector.engine, YoloEngine)


def test_threads_that_share_it_take_turns_in_the_network(
    shallow_detector: RetinaNetDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two batches at once would want twice the memory."""
    engine = shallow_detector.engine
    assert isinstance(engine, RetinaNetEngine)
    turn, run, calls = threading.Lock(), engine._run, []

    def alone(images: Float32Array) -> object:
        assert turn.acquire(blocking=False), "two threads are in it"
        try:
            time.sleep(0.01)
            calls.append(len(images))
            return run(images)
        finally:
            turn.release()

    monkeypatch.setattr(engine, "_run", alone)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: shallow_detector.detect([picture(64, 64 + number)]), range(8)))
    assert calls == [1] * 8
