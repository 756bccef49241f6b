"""What runs ONNX networks follows the cores that there are to use, as OpenVINO's other engine does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is a test dependency: run make setup")

from pipeline import hardware
from pipeline.models.engines import compiled_shapes, core_watch
from pipeline.models.engines.onnx_engine import OnnxEngine
from pipeline.models.engines.onnx_graph import OnnxGraph
from pipeline.models.networks.onnx_network import Preparation
from pipeline.models.onnx.description import describe
from tests.support.images import blocks
from tests.support.onnx_files import write_miniature_yolox

PLAIN = Preparation("bgr", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
IMAGES = np.stack([blocks(64, 96, seed) for seed in range(2)])


def threads_of(engine: OnnxEngine) -> int:
    """How many threads OpenVINO computes with."""
    assert engine._compiled is not None
    (request,) = engine._compiled.requests(IMAGES.shape, 1)
    count: int = request.get_compiled_model().get_property("INFERENCE_NUM_THREADS")
    return count


@pytest.fixture
def engine_and_cores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[OnnxEngine, list[int]]]:
    """An engine that looks at every call, and what it finds."""
    monkeypatch.setattr(core_watch, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(compiled_shapes, "_OFTEN", 2)
    cores = [1]
    graph = OnnxGraph(describe(write_miniature_yolox(tmp_path / "a.onnx")))
    with closing(OnnxEngine(graph, PLAIN, size=(None, None), batches=True, cores=lambda: cores[0])) as engine:
        yield engine, cores


def test_it_follows_the_cores(engine_and_cores: tuple[OnnxEngine, list[int]]) -> None:
    engine, cores = engine_and_cores
    before = engine.outputs(IMAGES)
    assert (engine.threads, threads_of(engine)) == (1, 1)
    for count in (2, 1):
        cores[0] = count
        latest_s = time.monotonic() + 60
        while engine.threads != count:
            assert time.monotonic() < latest_s
            engine.outputs(IMAGES)
        assert threads_of(engine) == count
        for found, same in zip(engine.outputs(IMAGES), before, strict=True):
            np.testing.assert_allclose(found[0], same[0], atol=1e-4)


def test_it_is_not_opened_again_by_a_change(engine_and_cores: tuple[OnnxEngine, list[int]]) -> None:
    engine, _ = engine_and_cores
    engine.close()
    engine._compile_anew(2)
    with pytest.raises(RuntimeError, match="closed"):
        engine.outputs(IMAGES)


def test_a_containers_quota_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cores of which the time of one may be used up."""
    monkeypatch.setattr(hardware, "cpu_quota", lambda root: 1.0)
    monkeypatch.setattr(hardware, "processor_cores", lambda: 2)
    graph = OnnxGraph(describe(write_miniature_yolox(tmp_path / "a.onnx")))
    with closing(OnnxEngine(graph, PLAIN, size=(None, None), batches=True)) as engine:
        assert (engine.threads, threads_of(engine)) == (1, 1)
