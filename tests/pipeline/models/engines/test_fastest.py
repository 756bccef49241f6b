"""The fastest engine and precision: measured once, remembered for the same situation, sound with a damaged memory."""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.models.cache import CACHE_VARIABLE
from pipeline.models.engines import choices, fastest
from pipeline.models.engines.choices import Choice
from pipeline.models.engines.fastest import Candidate, FastestYoloEngine
from pipeline.models.engines.measuring import Rounds
from pipeline.models.engines.yolo import YoloEngine
from pipeline.types import Float32Array, Image

IMAGES = np.random.default_rng(0).integers(0, 256, (1, 32, 64, 3), dtype=np.uint8)
BFLOAT16, FLOAT32, INT8 = (Candidate("openvino", name) for name in ("bfloat16", "float32", "int8"))
TENSORFLOW = Candidate("tensorflow", "float32")


class Fake:
    """An engine that only says who it is."""

    threads = 1
    calls_at_once = 2
    reason = "asked for"

    def __init__(self, candidate: Candidate) -> None:
        self.name, self.precision = candidate
        self.closed = 0

    def heads(self, images: Image) -> list[Float32Array]:
        return [np.full((len(images), 1, 1, 1, 8), len(self.precision), np.float32)]

    def close(self) -> None:
        self.closed += 1


class Workshop:
    """Makes engines that take so many milliseconds an image; says which were made, and for which shapes timed."""

    def __init__(self, ms: Mapping[Candidate, float]) -> None:
        self.ms = ms
        self.made: list[Fake] = []
        self.shapes: list[tuple[int, int, int]] = []
        self.broken: dict[Candidate, Exception] = {}

    def make(self, candidate: Candidate) -> YoloEngine:
        if candidate in self.broken:
            raise self.broken[candidate]
        self.made.append(Fake(candidate))
        return self.made[-1]

    def rounds(self, shape: tuple[int, int, int]) -> Rounds[YoloEngine]:
        self.shapes.append(shape)

        def timed(engine: YoloEngine) -> Generator[float, None, None]:
            while True:
                yield self.ms[Candidate(engine.name, engine.precision)] / 1000

        return timed

    def engine(self, *, batch: int = 4, threads: int = 1, network: str = "net-1") -> FastestYoloEngine:
        return FastestYoloEngine(
            network, list(self.ms), self.make, threads=threads, batch=batch, reason="no GPU", rounds=self.rounds
        )

    def chosen(self, **options: int | str) -> FastestYoloEngine:
        engine = self.engine(**options)  # type: ignore[arg-type]
        engine.heads(IMAGES)
        return engine


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    return tmp_path / "engines"


def remembered(memory: Path) -> list[Choice]:
    return [msgspec.json.decode(path.read_bytes(), type=Choice) for path in sorted(memory.iterdir())]


def test_it_is_chosen_for_the_first_images(memory: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    workshop = Workshop({BFLOAT16: 20.4, FLOAT32: 12.5})
    engine = workshop.engine()
    assert isinstance(engine, YoloEngine)
    assert (engine.name, engine.precision, engine.calls_at_once, engine.threads) == ("openvino", "auto", 1, 1)
    assert not workshop.made
    (head,) = engine.heads(IMAGES)
    assert head.flat[0] == len("float32"), "the images went to the chosen one"
    assert (engine.name, engine.precision, engine.calls_at_once) == ("openvino", "float32", 2)
    assert workshop.shapes == [(4, 32, 64)], "measured with the batch to come, in the shape that came"
    assert engine.reason == "no GPU, measured just now: openvino float32 80, openvino bfloat16 49 images/s"
    assert engine.reason in caplog.text
    engine.heads(np.zeros((1, 64, 64, 3), np.uint8))
    assert len(workshop.shapes) == 1, "another shape is not measured"
    engine.close()
    assert [fake.closed for fake in workshop.made if fake.precision == "float32"] == [1]


def test_before_that_it_says_what_is_sure() -> None:
    assert Workshop({BFLOAT16: 1, TENSORFLOW: 1}).engine().name == "auto"
    engine = Workshop({FLOAT32: 1, TENSORFLOW: 1}).engine()
    assert (engine.name, engine.precision) == ("auto", "float32")
    engine.close()


def test_it_is_remembered_for_the_same_situation_only(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Workshop({BFLOAT16: 20, FLOAT32: 12.5}).chosen()
    again = Workshop({BFLOAT16: 1, FLOAT32: 12.5})
    engine = again.chosen()
    assert engine.precision == "float32"
    assert engine.reason == "no GPU, measured before: openvino float32 80, openvino bfloat16 50 images/s"
    assert len(again.made) == 1, "only what is used is made"
    assert not again.shapes
    assert again.chosen(batch=64).precision == "float32", "larger batches compare the same"
    assert again.chosen(batch=2).precision == "bfloat16"
    assert again.chosen(threads=2).precision == "bfloat16"
    assert again.chosen(network="net-2").precision == "bfloat16"
    assert Workshop({INT8: 20, BFLOAT16: 1, FLOAT32: 12.5}).chosen().precision == "bfloat16"
    assert len(remembered(memory)) == 5
    monkeypatch.setattr(fastest, "_version", lambda name: "99")
    assert again.chosen().precision == "bfloat16"
    monkeypatch.undo()
    monkeypatch.setenv(CACHE_VARIABLE, str(memory.parent))
    monkeypatch.setattr(fastest, "cpu_name", lambda: "another")
    assert again.chosen().precision == "bfloat16"


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[1]", b'{"fastest": "openvino"}', b"\xff\xfe", b"[" * 60_000, b" " * 300_000 + b"{}"],
    ids=["empty", "cut", "array", "incomplete", "not text", "deep", "large"],
)
def test_a_damaged_memory_is_measured_anew(data: bytes, memory: Path, caplog: pytest.LogCaptureFixture) -> None:
    Workshop({BFLOAT16: 20, FLOAT32: 12.5}).chosen()
    (path,) = memory.iterdir()
    path.write_bytes(data)
    assert Workshop({BFLOAT16: 1, FLOAT32: 12.5}).chosen().precision == "bfloat16"
    assert f"{path} is damaged" in caplog.text
    assert [choice.fastest for choice in remembered(memory)] == ["openvino bfloat16"], "and it is whole again"


@pytest.mark.parametrize(("old", "new"), [(b'"openvino float32",', b'"os.system",'), (b'"net-1"', b'"net-2"')])
def test_a_memory_of_something_else_is_measured_anew(old: bytes, new: bytes, memory: Path) -> None:
    Workshop({BFLOAT16: 20, FLOAT32: 12.5}).chosen()
    (path,) = memory.iterdir()
    path.write_bytes(path.read_bytes().replace(old, new))
    assert Workshop({BFLOAT16: 1, FLOAT32: 12.5}).chosen().precision == "bfloat16"


def test_the_memory_does_not_grow_for_ever(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choices, "_MOST_REMEMBERED", 3)
    for number in range(5):
        Workshop({BFLOAT16: 20, FLOAT32: 12.5}).chosen(network=f"net-{number}")
    assert len(remembered(memory)) == 3


def test_programs_that_measure_at_once_take_nothing_from_each_other(memory: Path) -> None:
    def measure(number: int) -> None:
        Workshop({BFLOAT16: 20, FLOAT32: 12.5}).chosen(network=f"net-{number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(measure, range(40)))
    assert {choice.situation.network for choice in remembered(memory)} == {f"net-{number}" for number in range(40)}


def test_threads_that_come_at_once_measure_once(memory: Path) -> None:
    workshop = Workshop({BFLOAT16: 20, FLOAT32: 12.5})
    engine = workshop.engine()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(engine.heads, [IMAGES] * 16))
    assert len(workshop.shapes) == 1


def test_a_memory_that_can_not_be_written_is_no_failure(memory: Path, caplog: pytest.LogCaptureFixture) -> None:
    memory.write_text("a file")
    assert Workshop({BFLOAT16: 20, FLOAT32: 12.5}).chosen().precision == "float32"
    assert "measured again next time" in caplog.text


@pytest.mark.parametrize("error", [ImportError("libfoo.so: no such file"), ModelError("it is damaged")])
def test_a_broken_candidate_is_left_out_and_told(
    error: Exception, memory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    workshop = Workshop({INT8: 1, FLOAT32: 12.5})
    workshop.chosen()
    workshop.broken = {INT8: error}
    assert workshop.chosen().precision == "float32", "also where it is remembered as the fastest"
    assert f"openvino int8 is left out of the choice, it can't be used: {error}" in caplog.text
    workshop.broken = {}
    assert workshop.chosen().precision == "int8", "nothing was remembered that may be mended"
    workshop.broken = {INT8: error, FLOAT32: error}
    with pytest.raises(ModelError, match="none of openvino int8, openvino float32 can be used"):
        workshop.chosen(network="net-2")
