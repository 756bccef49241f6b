"""What OpenVINO's engine does besides what every engine does: it follows the cores that there are to use."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from pipeline.models.engines import core_watch, openvino_engine
from pipeline.models.engines.openvino_engine import OpenVinoEngine
from tests.pipeline.models.networks.test_yolov3_family import random_images
from tests.support.darknet_files import miniature, random_parameters

IMAGES = random_images(2, 64, 96)


@pytest.fixture
def engine_and_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[OpenVinoEngine, list[int]]]:
    """An engine that looks at every call, and what it finds."""
    monkeypatch.setattr(core_watch, "LOOK_EVERY_S", 0.0)
    cores = [1]
    network = miniature()
    with closing(OpenVinoEngine(network, random_parameters(network), cores=lambda: cores[0])) as engine:
        yield engine, cores


def call_until(engine: OpenVinoEngine, threads: int) -> None:
    latest_s = time.monotonic() + 60
    while engine.threads != threads:
        assert time.monotonic() < latest_s, f"still {engine.threads} threads"
        engine.heads(IMAGES)


def used(engine: OpenVinoEngine) -> int:
    assert engine._requests is not None
    count: int = engine._requests.compiled.get_property("INFERENCE_NUM_THREADS")
    return count


def test_it_follows_the_cores(engine_and_cores: tuple[OpenVinoEngine, list[int]]) -> None:
    engine, cores = engine_and_cores
    before = engine.heads(IMAGES)
    assert (engine.threads, used(engine)) == (1, 1)
    for count in (2, 1):
        cores[0] = count
        call_until(engine, count)
        assert used(engine) == count
        for head, same in zip(engine.heads(IMAGES), before, strict=True):
            np.testing.assert_allclose(head, same, atol=1e-4)


def test_what_was_asked_for_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_watch, "LOOK_EVERY_S", 0.0)
    with closing(OpenVinoEngine(miniature(), random_parameters(miniature()), threads=1, cores=lambda: 2)) as engine:
        for _ in range(3):
            engine.heads(IMAGES)
        assert (engine.threads, used(engine)) == (1, 1)


def test_a_network_that_can_not_be_compiled_anew_goes_on_as_it_is(
    engine_and_cores: tuple[OpenVinoEngine, list[int]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse() -> None:
        raise RuntimeError("no memory left")

    engine, cores = engine_and_cores
    monkeypatch.setattr(openvino_engine, "openvino_core", refuse)
    cores[0] = 2
    latest_s = time.monotonic() + 60
    while "no memory left" not in caplog.text:
        assert time.monotonic() < latest_s
        engine.heads(IMAGES)
    assert (engine.threads, used(engine)) == (1, 1)
    monkeypatch.undo()
    monkeypatch.setattr(core_watch, "LOOK_EVERY_S", 0.0)
    call_until(engine, 2)


def test_it_is_not_opened_again_by_a_change(engine_and_cores: tuple[OpenVinoEngine, list[int]]) -> None:
    engine, _ = engine_and_cores
    engine.close()
    engine._compile_anew(2)
    with pytest.raises(RuntimeError, match="closed"):
        engine.heads(IMAGES)


def test_the_cores_are_looked_at_only_now_and_then() -> None:
    looks: list[int] = []

    def cores() -> int:
        looks.append(1)
        return 1

    with closing(OpenVinoEngine(miniature(), random_parameters(miniature()), cores=cores)) as engine:
        for _ in range(50):
            engine.heads(IMAGES)
    assert len(looks) == 1, "no test lasts until the next look"
