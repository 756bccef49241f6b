"""What every engine must do, run over every engine and precision there is; and the choice among them."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.detection.yolov3.calibration import calibrate
from pipeline.errors import ConfigError
from pipeline.hardware import available_threads, cpu_has_bfloat16, cpu_name
from pipeline.models.cache import CACHE_VARIABLE
from pipeline.models.engines import base as engines
from pipeline.models.engines.base import ENGINES, can_compute, check_engine
from pipeline.models.engines.factory import create_engine
from pipeline.models.engines.yolo import YoloEngine
from pipeline.models.networks.darknet import DarknetNetwork
from pipeline.models.networks.yolov3_family import yolov3, yolov3_tiny
from pipeline.models.registry import Model
from pipeline.models.weights.darknet import read_darknet_weights
from pipeline.models.weights.parameters import ConvolutionParameters
from pipeline.types import Image
from tests.pipeline.models.networks.test_yolov3_family import largest_differences, opencv_heads, random_images
from tests.support.darknet_files import miniature, random_parameters, write_weights

ROOT = Path(__file__).resolve().parents[4]


@dataclass(frozen=True)
class Kind:
    """An engine in a precision, and how far its outputs may be from the exact ones: most that its type costs."""

    engine: str
    precision: str
    tolerance: float


KINDS = [
    Kind("tensorflow", "float32", 1e-3),
    Kind("tensorflow", "bfloat16", 0.1),
    Kind("tensorflow", "float16", 0.02),
    Kind("openvino", "float32", 1e-3),
    Kind("openvino", "bfloat16", 0.1),
    Kind("openvino", "int8", 0.5),
]
EXACT = [kind for kind in KINDS if kind.precision == "float32"]


def make(kind: Kind, network: DarknetNetwork, parameters: list[ConvolutionParameters], **options: Any) -> YoloEngine:
    return create_engine(kind.engine, network, parameters, precision=kind.precision, **options)


@pytest.fixture(scope="module")
def parameters() -> list[ConvolutionParameters]:
    return random_parameters(miniature())


@pytest.fixture(scope="module")
def calibrated(parameters: list[ConvolutionParameters], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder with the miniature network calibrated for int8 on pictures like those of these tests."""
    if importlib.util.find_spec("nncf") is None:
        pytest.skip("nncf is not installed: pip install 'sightline[calibrate]'")
    folder = tmp_path_factory.mktemp("cache")
    weights = write_weights(folder / "miniature.weights", parameters)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(folder))
        model = Model("miniature", miniature, ("left", "middle", "right"))
        calibrate(list(random_images(20, 64, 96)), "noise", model=model, weights=weights, input_size=96, count=16)
        yield folder


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: f"{kind.engine}-{kind.precision}")
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    if not can_compute(chosen.engine, chosen.precision):
        pytest.skip(f"this processor has no {chosen.precision}, and {chosen.engine} does not emulate it")
    if chosen.precision == "int8":
        request.getfixturevalue("calibrated")
    return chosen


@pytest.fixture(scope="module")
def engine(kind: Kind, parameters: list[ConvolutionParameters]) -> Iterator[YoloEngine]:
    made = make(kind, miniature(), parameters)
    yield made
    made.close()


def test_a_precision_that_the_processor_lacks_is_refused_where_nothing_emulates_it(
    parameters: list[ConvolutionParameters], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "cpu_has_bfloat16", lambda: False)
    with pytest.raises(ConfigError, match="does not compute in bfloat16"):
        create_engine("openvino", miniature(), parameters, precision="bfloat16")
    only = create_engine("auto", miniature(), parameters, precision="bfloat16")
    assert (only.name, only.precision) == ("tensorflow", "bfloat16")


def test_it_is_an_engine(engine: YoloEngine, kind: Kind) -> None:
    assert isinstance(engine, YoloEngine)
    assert (engine.name, engine.precision, engine.threads) == (kind.engine, kind.precision, available_threads())


def test_heads_are_float32_of_every_shape_and_batch(engine: YoloEngine) -> None:
    for count, height, width in [(1, 32, 64), (3, 96, 32), (2, 32, 64), (1, 32, 64)]:
        coarse, fine = engine.heads(random_images(count, height, width))
        assert coarse.dtype == fine.dtype == np.float32
        assert coarse.shape == (count, height // 32, width // 32, 2, 8)
        assert fine.shape == (count, height // 16, width // 16, 2, 8)


def test_images_of_a_batch_do_not_touch_each_other(engine: YoloEngine, kind: Kind) -> None:
    images = random_images(3, 96, 64)
    together = engine.heads(images)
    for index in range(3):
        alone = engine.heads(images[index : index + 1])
        rest = [head[index : index + 1] for head in together]
        assert max(largest_differences(alone, rest)) < kind.tolerance / 2


def test_heads_are_near_the_exact_ones(
    engine: YoloEngine, kind: Kind, parameters: list[ConvolutionParameters], tmp_path: Path
) -> None:
    images = random_images(2, 64, 96)
    weights = write_weights(tmp_path / "miniature.weights", parameters)
    differences = largest_differences(engine.heads(images), opencv_heads(miniature(), tmp_path, weights, images))
    assert max(differences) < kind.tolerance
    if kind.precision != "float32":
        assert max(differences) > 1e-5, "it computed in float32"


def test_heads_outlive_the_next_call(engine: YoloEngine) -> None:
    first = engine.heads(random_images(1, 64, 64))
    copies = [head.copy() for head in first]
    engine.heads(np.zeros((1, 64, 64, 3), np.uint8))
    assert largest_differences(first, copies) == [0, 0]


def test_images_are_only_read_and_may_be_views(engine: YoloEngine) -> None:
    images = random_images(2, 64, 64)
    images.setflags(write=False)
    before = images.copy()
    expected = engine.heads(images)
    np.testing.assert_array_equal(images, before)
    wide = np.zeros((2, 64, 128, 3), np.uint8)
    wide[:, :, ::2] = images
    view: Image = wide[:, :, ::2]
    assert max(largest_differences(engine.heads(view), expected)) < 1e-5


def test_calls_at_once_do_not_touch_each_other(engine: YoloEngine) -> None:
    batches = [random_images(1 + number % 3, 32 * (1 + number % 2), 64) for number in range(24)]
    expected = [engine.heads(images) for images in batches]
    with ThreadPoolExecutor(engine.calls_at_once) as pool:
        for heads, alone in zip(pool.map(engine.heads, batches), expected, strict=True):
            assert max(largest_differences(heads, alone)) < 1e-5


def test_closing_twice_is_fine(kind: Kind, parameters: list[ConvolutionParameters]) -> None:
    engine = make(kind, miniature(), parameters, threads=1)
    assert engine.threads == 1
    engine.heads(random_images(1, 32, 32))
    engine.close()
    engine.close()


@pytest.mark.parametrize("kind", EXACT, ids=lambda kind: kind.engine)
@pytest.mark.parametrize(
    "network",
    [pytest.param(yolov3_tiny(2), id="yolov3-tiny"), pytest.param(yolov3(), id="yolov3", marks=pytest.mark.slow)],
)
def test_heads_of_random_weights_equal_opencv(kind: Kind, network: DarknetNetwork, tmp_path: Path) -> None:
    weights = write_weights(tmp_path / "random.weights", random_parameters(network))
    engine = make(kind, network, read_darknet_weights(weights, network))
    images = random_images(2, 64, 96)
    ours = engine.heads(images)
    engine.close()
    assert all(head.std() > 0.05 for head in ours), "outputs too small to tell anything"
    assert max(largest_differences(ours, opencv_heads(network, tmp_path, weights, images))) < 1e-3


@pytest.mark.parametrize("kind", EXACT, ids=lambda kind: kind.engine)
@pytest.mark.parametrize(("count", "height", "width"), [(1, 416, 416), (2, 256, 416), (1, 96, 32)])
def test_tiny_heads_equal_opencv(
    kind: Kind, tiny_weights: Path, tmp_path: Path, count: int, height: int, width: int
) -> None:
    network = yolov3_tiny()
    engine = make(kind, network, read_darknet_weights(tiny_weights, network))
    images = random_images(count, height, width)
    theirs = opencv_heads(network, tmp_path, tiny_weights, images)
    assert max(largest_differences(engine.heads(images), theirs)) < 1e-3
    engine.close()


def test_what_the_system_says_of_the_processor(tmp_path: Path) -> None:
    description = tmp_path / "cpuinfo"
    description.write_text(
        "processor: 0\nmodel name\t: Acme: 9\nflags\t\t: fpu avx512f avx512_bf16 avx512_vnni\n", encoding="ascii"
    )
    assert cpu_has_bfloat16(description)
    assert cpu_name(description) == "Acme: 9 avx512f avx512_vnni avx512_bf16"
    description.write_text("processor: 0\nflags\t\t: fpu avx512f avx512_vnni\n", encoding="ascii")
    assert not cpu_has_bfloat16(description)
    assert not cpu_has_bfloat16(tmp_path / "missing")
    assert cpu_name(tmp_path / "missing")


@pytest.mark.parametrize(
    ("engine_name", "precision", "threads", "words"),
    [
        ("torch", "auto", None, "engine: got 'torch', expected one of auto, openvino, tensorflow"),
        ("tensorflow", "half", None, "precision: got 'half', expected one of auto, float32, bfloat16, int8, float16"),
        (
            "tensorflow",
            "int8",
            None,
            "the engine tensorflow does not compute in int8, openvino does; .* or engine: openvino",
        ),
        ("openvino", "float16", None, "the engine openvino does not compute in float16, tensorflow does"),
        ("tensorflow", "auto", 0, "threads: got 0, expected at least 1"),
    ],
)
def test_options_that_can_not_be(engine_name: str, precision: str, threads: int | None, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check_engine(engine_name, precision, threads)


@pytest.mark.slow
@pytest.mark.parametrize("engine_name", ENGINES)
def test_signals_arrive_after_engines_came_and_went(engine_name: str) -> None:
    # The first to come is the first to go: OpenVINO took the stack that signals are handled on with it.
    code = f"""
import os, signal
import numpy as np
from pipeline.models.engines.factory import create_engine
from tests.support.darknet_files import miniature, random_parameters

came = []
signal.signal(signal.SIGINT, lambda *_: came.append(1))
network = miniature()
engines = [create_engine({engine_name!r}, network, random_parameters(network)) for _ in range(3)]
while engines:
    engine = engines.pop(0)
    engine.heads(np.zeros((1, 96, 96, 3), np.uint8))
    engine.close()
    del engine
    os.kill(os.getpid(), signal.SIGINT)
print("signals:", len(came))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "signals: 3\n"), done.stderr


def test_openvino_runs_without_tensorflow() -> None:
    code = (
        "import sys, numpy as np\n"
        "from pipeline.models.engines.factory import create_engine\n"
        "from tests.support.darknet_files import miniature, random_parameters\n"
        "engine = create_engine('openvino', miniature(), random_parameters(miniature()))\n"
        "print(len(engine.heads(np.zeros((1, 32, 32, 3), np.uint8))), 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "False"]
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("precision", "gpus", "device"),
    [
        ("float32", 1, "cpu"),
        ("bfloat16", 1, "cpu"),
        ("float16", 1, "gpu"),
        ("float16", 4, "gpu"),
        ("float16", 0, "cpu"),
    ],
)
def test_tensorflow_takes_float16_to_a_gpu(
    precision: str, gpus: int, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    from pipeline.models.engines.tensorflow_engine import choose_device
    from pipeline.models.engines.tensorflow_session import session_config

    assert choose_device(precision, gpus) == device
    assert ("TensorFlow sees none" in caplog.text) == (precision == "float16" and not gpus)
    config = session_config(2, device)
    assert dict(config.device_count) == ({} if device == "gpu" else {"GPU": 0})
    assert config.gpu_options.allow_growth
