"""Choosing the fastest engine: measured once, remembered for the same situation, and sound with a damaged memory."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.hardware import cpu_has_bfloat16
from pipeline.models.cache import CACHE_VARIABLE
from pipeline.models.engines import fastest as fastest_engine
from pipeline.models.engines.base import installed_engines
from pipeline.models.engines.factory import create_engine
from pipeline.models.engines.fastest import FastestEngine, read_choices
from pipeline.models.engines.yolo import YoloEngine
from pipeline.types import Float32Array, Image
from tests.support.darknet_files import miniature, random_parameters

IMAGES = np.random.default_rng(0).integers(0, 256, (1, 32, 64, 3), dtype=np.uint8)


class Sleeper:
    """An engine that takes as long as it is told."""

    threads = calls_at_once = 1

    def __init__(self, name: str, seconds: float, precision: str = "float32") -> None:
        self.name, self.precision, self._seconds = name, precision, seconds
        self.shapes: list[tuple[int, ...]] = []
        self.closed = False

    def heads(self, images: Image) -> list[Float32Array]:
        self.shapes.append(images.shape)
        time.sleep(self._seconds)
        return [np.full((len(images), 1, 1, 1, 8), self._seconds, np.float32)]

    def close(self) -> None:
        self.closed = True


class Workshop:
    """Makes sleepers; says which were made."""

    def __init__(self, **seconds: float) -> None:
        self.seconds = seconds
        self.precisions = {"tensorflow": "float32", "openvino": "float32"}
        self.made: dict[str, Sleeper] = {}

    def __call__(self, name: str) -> YoloEngine:
        self.made[name] = Sleeper(name, self.seconds[name], self.precisions[name])
        return self.made[name]


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(fastest_engine, "installed_engines", lambda: ("tensorflow", "openvino"))
    monkeypatch.setattr(fastest_engine, "_BUDGET_S", 0.05)
    yield tmp_path / "engines.json"


def choose(workshop: Workshop, precision: str = "auto", batch: int = 4) -> FastestEngine:
    engine = FastestEngine(miniature(), precision=precision, threads=1, batch=batch, make=workshop)
    engine.heads(IMAGES)
    return engine


@pytest.mark.parametrize("fastest", ["tensorflow", "openvino"])
def test_the_fastest_is_measured_at_the_real_shape_and_batch(
    fastest: str, memory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    workshop = Workshop(**{"tensorflow": 0.02, "openvino": 0.02, fastest: 0.001})
    engine = FastestEngine(miniature(), precision="auto", threads=1, batch=4, make=workshop)
    assert isinstance(engine, YoloEngine)
    assert (engine.name, workshop.made) == ("auto", {})
    (head,) = engine.heads(IMAGES)
    assert engine.name == fastest
    assert head.flat[0] == np.float32(0.001), "the images went to the chosen one"
    for sleeper in workshop.made.values():
        assert set(sleeper.shapes) <= {(4, 32, 64, 3), (1, 32, 64, 3)}
        assert (4, 32, 64, 3) in sleeper.shapes
        assert sleeper.closed == (sleeper.name != fastest)
    assert f"engine auto: {fastest}, measured now (tensorflow " in caplog.text
    engine.close()
    engine.close()
    assert workshop.made[fastest].closed


def test_it_is_remembered_for_the_same_situation_only(memory: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    choose(Workshop(tensorflow=0.02, openvino=0.001))
    again = Workshop(tensorflow=0.001, openvino=0.02)
    assert choose(again).name == "openvino"
    assert list(again.made) == ["openvino"], "the other library is not even loaded"
    assert "openvino, as measured before" in caplog.text
    assert choose(again, batch=2).name == "tensorflow", "another batch is measured"
    assert choose(again, precision="float32").name == "tensorflow", "another precision is measured"
    assert [choice.engine for choice in read_choices()] == ["openvino", "tensorflow", "tensorflow"]


def test_an_update_of_a_library_is_measured_again(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choose(Workshop(tensorflow=0.02, openvino=0.001))
    monkeypatch.setattr(fastest_engine, "_version", lambda name: "99")
    assert choose(Workshop(tensorflow=0.001, openvino=0.02)).name == "tensorflow"


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[1]", b'[{"engine": "openvino"}]', b"\xff\xfe", b"[" * 100_000, b" " * 300_000 + b"[]"],
    ids=["empty", "cut", "number", "incomplete", "not text", "deep", "large"],
)
def test_a_damaged_memory_is_measured_anew(data: bytes, memory: Path, caplog: pytest.LogCaptureFixture) -> None:
    memory.write_bytes(data)
    assert choose(Workshop(tensorflow=0.02, openvino=0.001)).name == "openvino"
    assert f"{memory} is damaged" in caplog.text
    assert [choice.engine for choice in read_choices()] == ["openvino"], "and it is whole again"


def test_a_remembered_engine_that_there_is_not_is_measured_anew(memory: Path) -> None:
    choose(Workshop(tensorflow=0.02, openvino=0.001))
    memory.write_bytes(memory.read_bytes().replace(b'"engine": "openvino"', b'"engine": "os.system"'))
    assert choose(Workshop(tensorflow=0.001, openvino=0.02)).name == "tensorflow"


def test_the_memory_does_not_grow_for_ever(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastest_engine, "_MOST_REMEMBERED", 3)
    for batch in range(1, 6):
        choose(Workshop(tensorflow=0.001, openvino=0.0), batch=batch)
    assert [choice.situation.batch for choice in read_choices()] == [3, 4, 5]


def test_a_memory_that_can_not_be_written_is_no_failure(
    memory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    memory.write_text("a file")
    monkeypatch.setenv(CACHE_VARIABLE, str(memory))
    assert choose(Workshop(tensorflow=0.02, openvino=0.001)).name == "openvino"
    assert "measured again next time" in caplog.text


def test_another_precision_is_not_compared(memory: Path) -> None:
    """As where TensorFlow has a GPU, and computes in float16 on it."""
    workshop = Workshop(tensorflow=0.02, openvino=0.001)
    workshop.precisions["tensorflow"] = "float16"
    engine = choose(workshop)
    assert (engine.name, engine.precision) == ("tensorflow", "float16")
    assert workshop.made["openvino"].closed


def test_one_candidate_is_not_measured(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workshop = Workshop(tensorflow=0.001, openvino=0.001)
    assert choose(workshop, precision="int8").name == "openvino"
    assert choose(workshop, precision="float16").name == "tensorflow"
    monkeypatch.setattr(fastest_engine, "installed_engines", lambda: ("tensorflow",))
    assert choose(workshop).name == "tensorflow"
    assert not memory.exists()


def test_a_broken_engine_is_left_out_and_told(memory: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Workshop):
        def __call__(self, name: str) -> YoloEngine:
            if name in self.broken:
                raise ImportError("libfoo.so: cannot open shared object file")
            return super().__call__(name)

        broken: tuple[str, ...] = ("openvino",)

    workshop = Broken(tensorflow=0.001, openvino=0.001)
    assert choose(workshop).name == "tensorflow"
    assert "openvino is left out, it can't be used: libfoo.so" in caplog.text
    memory.unlink()
    workshop.broken = ("tensorflow", "openvino")
    with pytest.raises(ModelError, match="none of tensorflow, openvino can be used"):
        choose(workshop)


def test_an_error_while_measuring_closes_all(memory: Path) -> None:
    workshop = Workshop(tensorflow=0.001, openvino=-1.0)  # which time.sleep refuses
    with pytest.raises(ValueError):  # in Python's words
        choose(workshop)
    assert all(sleeper.closed for sleeper in workshop.made.values())
    assert not memory.exists()


def test_with_the_real_engines(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv(CACHE_VARIABLE, str(memory.parent))
    if "openvino" not in installed_engines():
        pytest.skip("openvino is not installed: pip install 'sightline[openvino]'")
    engine = create_engine("auto", miniature(), random_parameters(miniature()), batch=2, threads=1)
    precision = "bfloat16" if cpu_has_bfloat16() else "float32"
    assert (engine.name, engine.precision, engine.threads) == ("auto", precision, 1)
    coarse, fine = engine.heads(IMAGES)
    assert (coarse.shape, fine.shape) == ((1, 1, 2, 2, 8), (1, 2, 4, 2, 8))
    assert engine.name in installed_engines()
    assert engine.precision == precision
    engine.close()
    (kept,) = json.loads(memory.read_bytes())
    assert set(kept["images_per_s"]) == {"tensorflow", "openvino"}
    assert kept["engine"] == max(kept["images_per_s"], key=kept["images_per_s"].get)
