"""Which engine and precision runs where none is asked for, and what is told of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from pipeline.models.cache import CACHE_VARIABLE
from pipeline.models.engines import factory
from pipeline.models.engines.choices import Choice, Situation, remember
from pipeline.models.engines.factory import choose_engines, create_engine, processor_precisions
from pipeline.models.engines.fastest import FastestYoloEngine
from tests.support.darknet_files import miniature, random_parameters

ROOT = Path(__file__).resolve().parents[4]
IMAGES = np.zeros((1, 32, 64, 3), np.uint8)


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    return tmp_path / "engines"


def machine(monkeypatch: pytest.MonkeyPatch, *, gpu: bool = False, bfloat16: bool = False) -> None:
    monkeypatch.setattr(factory, "_tensorflow_has_gpu", lambda: gpu)
    monkeypatch.setattr(factory, "cpu_has_bfloat16", lambda: bfloat16)


@pytest.mark.parametrize(
    ("engine", "precision", "gpu", "chosen", "reason"),
    [
        (None, "auto", False, ["openvino"], "there is no GPU"),
        (None, "bfloat16", False, ["openvino"], "there is no GPU"),
        (None, "float16", False, ["tensorflow"], "the engine that computes in float16"),
        (None, "auto", True, ["tensorflow"], "TensorFlow has a GPU"),
        (None, "float32", True, ["tensorflow"], "TensorFlow has a GPU"),
        (None, "int8", True, ["openvino"], "the engine that computes in int8"),
        ("openvino", "auto", True, ["openvino"], "engine asked for"),
        ("tensorflow", "auto", False, ["tensorflow"], "engine asked for"),
        ("auto", "auto", False, ["openvino", "tensorflow"], "engine auto"),
        ("auto", "float16", False, ["tensorflow"], "engine auto"),
    ],
)
def test_the_rule(
    engine: str | None,
    precision: str,
    gpu: bool,
    chosen: Sequence[str],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine(monkeypatch, gpu=gpu)
    assert choose_engines(engine, precision) == (tuple(chosen), reason)


def test_a_gpu_that_tensorflow_can_not_use_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch)
    monkeypatch.setattr(factory, "has_gpu_device", lambda: True)
    assert choose_engines(None, "auto") == (("openvino",), "TensorFlow can use no GPU that is here")


def test_a_tensorflow_that_can_not_be_loaded_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(factory, "has_gpu_device", lambda: True)
    monkeypatch.setitem(sys.modules, "pipeline.models.engines.quiet_tensorflow", None)
    assert choose_engines(None, "auto")[0] == ("openvino",)
    assert "TensorFlow, which would use it, can't be loaded" in caplog.text


@pytest.mark.parametrize(
    ("engine", "gpu", "bfloat16", "precisions"),
    [
        ("openvino", False, False, ["float32"]),
        ("openvino", True, True, ["bfloat16", "float32"]),
        ("tensorflow", False, True, ["bfloat16", "float32"]),
        ("tensorflow", False, False, ["float32"]),
        ("tensorflow", True, True, ["float16"]),
    ],
)
def test_what_is_measured(
    engine: str, gpu: bool, bfloat16: bool, precisions: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, gpu=gpu, bfloat16=bfloat16)
    assert processor_precisions(engine) == tuple(precisions)


def test_one_precision_is_not_measured(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch)
    with closing(create_engine(None, miniature(), random_parameters(miniature()))) as engine:
        engine.heads(IMAGES)
        assert (engine.name, engine.precision) == ("openvino", "float32")
        assert engine.reason == "there is no GPU; the only precision here"
    with closing(create_engine(None, miniature(), random_parameters(miniature()), precision="float32")) as engine:
        assert engine.reason == "there is no GPU; precision asked for"
    assert not memory.exists()


@pytest.mark.parametrize("engine_name", ["auto", "openvino", "tensorflow"])
def test_precisions_are_measured(engine_name: str, memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the real engines; whether bfloat16 is emulated matters nothing."""
    monkeypatch.setattr(factory, "processor_precisions", lambda name: ("bfloat16", "float32"))
    network = miniature()
    with closing(create_engine(engine_name, network, random_parameters(network), batch=2, threads=1)) as engine:
        assert isinstance(engine, FastestYoloEngine)
        assert (engine.name, engine.precision, engine.threads) == (engine_name, "auto", 1)
        coarse, fine = engine.heads(IMAGES)
        assert (coarse.shape, fine.shape) == ((1, 1, 2, 2, 8), (1, 2, 4, 2, 8))
        assert engine.precision in ("bfloat16", "float32")
        assert ", measured just now: " in engine.reason
    with closing(create_engine(engine_name, network, random_parameters(network), batch=2, threads=1)) as again:
        again.heads(IMAGES)
        assert (again.name, again.precision) == (engine.name, engine.precision)
        assert ", measured before: " in again.reason
    assert len(list(memory.iterdir())) == 1


def test_an_engine_that_is_not_used_is_not_loaded(memory: Path) -> None:
    """Where openvino is remembered as the fastest, ``engine: auto`` does not import TensorFlow."""
    code = (
        "import sys, numpy as np\n"
        "from pipeline.models.engines.factory import create_engine\n"
        "from tests.support.darknet_files import miniature, random_parameters\n"
        "engine = create_engine('auto', miniature(), random_parameters(miniature()))\n"
        "print(len(engine.heads(np.zeros((1, 32, 64, 3), np.uint8))), 'tensorflow' in sys.modules)"
    )
    with closing(create_engine("auto", miniature(), random_parameters(miniature()))) as engine:
        assert isinstance(engine, FastestYoloEngine)
        situation: Situation = engine._situation(32, 64)
    remember(Choice(situation=situation, fastest="openvino float32", images_per_s={}))
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (done.stdout.split(), done.stderr) == (["2", "False"], "")
