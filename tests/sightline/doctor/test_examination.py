"""The doctor: what it says of real files, of cameras that are not there, and how it counts cameras."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.models.cache import CACHE_VARIABLE
from pipeline.types import Frame
from sightline.doctor import examination
from sightline.doctor.diagnosis import Diagnosis, Load
from sightline.doctor.examination import examine
from sightline.doctor.models import TimedModel
from sightline.doctor.remedies import TimedEngine, remedies
from sightline.doctor.stages import time_automatic_engine
from tests.support.clips import write_clip
from tests.support.fakes import BlobDetector, MemorySource, moving_box


def diagnose(source: str | None = None, **settings: object) -> Diagnosis:
    options = {"detector": BlobDetector(), "seconds": 0.2, **settings}
    return examine(source, **options)  # type: ignore[arg-type]


def problems(diagnosis: Diagnosis) -> list[str]:
    return [check.text for check in diagnosis.checks if check.state == "problem"]


class Camera(MemorySource):
    """A live source of so many frames per second, with one pause, by the only clock that its reader looks at."""

    process_time = staticmethod(time.process_time)

    def __init__(self, patch: pytest.MonkeyPatch, fps: float, promised: int, pause_s: float | None = None) -> None:
        super().__init__(moving_box(50), fps=promised, stream="camera")
        self.info = replace(self.info, live=True, frame_count=None, duration_s=None, uri="rtsp://camera/live")
        self._every_s, self._pause_s = 1 / fps, pause_s or 1 / fps
        self._now_s = 0.0
        patch.setattr("sightline.doctor.source.time", self)

    def monotonic(self) -> float:
        return self._now_s

    def __iter__(self) -> Iterator[Frame]:
        for frame in super().__iter__():
            self._now_s += self._pause_s if frame.index == 3 else self._every_s
            yield frame


def test_a_file_is_timed_in_every_stage(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", count=60, fps=25)
    before = set(threading.enumerate())
    diagnosis = diagnose(str(path), folder=tmp_path)
    assert diagnosis.ok, problems(diagnosis)
    assert diagnosis.reading is not None
    assert (diagnosis.reading.info.width, diagnosis.reading.info.height) == (160, 120)
    assert diagnosis.reading.frames > 2
    assert diagnosis.decode_fps is not None
    assert diagnosis.encode_fps is not None
    assert min(diagnosis.decode_fps, diagnosis.encode_fps, *diagnosis.detect_fps.values()) > 0
    assert set(diagnosis.detect_fps) == {1, 4}
    assert diagnosis.shape == (120, 160)
    assert diagnosis.fps == 25
    text = str(diagnosis)
    for part in ("decode ", "detect ", "encode ", "bottleneck", "160x120, 25 frames per second", "GB free"):
        assert part in text
    assert list(tmp_path.iterdir()) == [path], "nothing is left behind"
    assert set(threading.enumerate()) <= before


def test_it_tells_what_runs_the_network_and_what_the_container_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "cpu_quota", lambda: 0.5)
    monkeypatch.setattr(examination, "processor_cores", lambda: 4)
    detector = BlobDetector()
    detector.engine_name, detector.precision, detector.network_threads = "abacus", "int4", 3
    detector.engine_reason = "it was at hand"
    diagnosis = diagnose(detector=detector)
    assert "0.5 processor cores of 4, as the container's quota allows" in diagnosis.machine
    assert "network: abacus, int4, threads: 3 (it was at hand)" in [check.text for check in diagnosis.checks]


def test_without_a_source_a_typical_camera_is_assumed() -> None:
    diagnosis = diagnose()
    assert diagnosis.ok
    assert diagnosis.reading is None
    assert diagnosis.decode_fps is None
    assert diagnosis.cameras == Load(0, diagnosis.load.detect, diagnosis.load.encode).cameras(25)
    assert "drawn" in str(diagnosis)


def test_a_camera_that_is_away_is_a_problem_without_its_password() -> None:
    diagnosis = diagnose("rtsp://admin:geheim@127.0.0.1:1/live")
    (problem,) = problems(diagnosis)
    assert os.strerror(errno.ECONNREFUSED).lower() in problem
    assert not diagnosis.ok
    assert "geheim" not in str(diagnosis)
    assert "geheim" not in repr(diagnosis)


def test_a_camera_is_measured_at_its_own_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    diagnosis = diagnose("x", connect=lambda _: Camera(monkeypatch, 20, 20), seconds=1.0)
    assert diagnosis.ok
    assert diagnosis.reading is not None
    assert diagnosis.fps == 20
    assert diagnosis.reading.seconds >= 1.0
    assert "rtsp://camera/live: 160x120, 20 frames per second" in str(diagnosis)


def test_a_camera_that_does_not_keep_its_promise_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    diagnosis = diagnose("x", connect=lambda _: Camera(monkeypatch, 20, 100, pause_s=1.2), seconds=1.5)
    warnings = " ".join(check.text for check in diagnosis.checks if check.state == "warning")
    assert "promises 100" in warnings
    assert "between two frames" in warnings
    assert diagnosis.ok


@pytest.mark.slow
def test_missing_weights_are_told_and_not_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr("pipeline.models.registry.find_packaged", lambda _: None)
    monkeypatch.setattr("pipeline.models.registry._download", lambda *_: pytest.fail("downloaded"))
    diagnosis = diagnose(detector=None)
    (problem,) = problems(diagnosis)
    assert "models fetch tiny-yolov3" in problem
    assert "not known" in str(diagnosis)
    (problem,) = problems(diagnose(detector=None, options={"weights": tmp_path / "none.weights"}))
    assert "none.weights" in problem
    assert "yolov3" in problems(diagnose(detector=None, model="yolo9"))[0]


def test_a_folder_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    (problem,) = problems(diagnose(folder=tmp_path / "none"))
    assert os.strerror(errno.ENOENT) in problem


@given(st.floats(0, 0.2), st.floats(1e-4, 0.2), st.floats(0, 0.2), st.floats(1, 120), st.integers(1, 10))
def test_cameras_fit_into_the_time_there_is(
    decode: float, detect: float, encode: float, fps: float, detect_every: int
) -> None:
    load = Load(decode, detect, encode)
    count = load.cameras(fps, detect_every)
    second = fps * (decode + encode) + fps / detect_every * detect  # what one camera needs in a second
    assert count * second <= 0.8 * (1 + 1e-9)
    assert (count + 1) * second >= 0.8 * (1 - 1e-9)
    assert count <= load.cameras(fps, detect_every + 1), "looking less often never costs a camera"
    assert {"decode": decode, "detect": detect, "encode": encode}[load.bottleneck] == max(decode, detect, encode)


def test_nothing_timed_carries_nothing() -> None:
    assert Load().cameras(25) == 0
    assert Load().bottleneck == ""


def words(detect: float, **more: object) -> str:
    """What is said with so many seconds of the detector a frame, and a hundredth of a core for the rest."""
    load = Load(0.001, detect, 0.001)
    compared = remedies(load, 25.0, **more)  # type: ignore[arg-type]
    return str(replace(diagnose(), load=load, fps=25.0, remedies=compared))


@pytest.mark.slow
def test_the_words_count_cameras() -> None:
    assert "carries 3 such cameras of 25 frames" in words(0.008)
    assert "carries 1 such camera of 25 frames" in words(0.02)
    slow = words(0.1)
    assert "does not keep up with one such camera" in slow
    assert "With detect_every: 5 it carries 1: the detector looks at one frame in 5." in slow
    assert "smaller picture" in words(9.0)
    assert "the detector" in slow


def test_each_remedy_tells_the_gain_that_was_timed() -> None:
    here = TimedModel("tiny-yolov3", 16.6, 50.0, 1), TimedModel("yolox-nano", 25.8, 125.0, 3)
    told = words(0.02, model="tiny-yolov3", models=here, automatic=TimedEngine("openvino, int8", 100.0))
    assert "With --model yolox-nano it carries 3: 125.0 pictures a second, where tiny-yolov3 does 50.0." in told
    automatic = "openvino, int8 does 100.0 pictures a second, where it is 50.0 now"
    assert f"With engine and precision left out it carries 2: {automatic}." in told
    assert told.index("yolox-nano") < told.index("left out"), "the best comes first"
    assert "nothing recorded" not in told, "it would carry no more than with"


def test_what_is_recorded_is_in_the_way_where_the_encoder_is_slow() -> None:
    load = Load(0.001, 0.002, 0.03)
    best, *_ = remedies(load, 25.0)
    assert (best.setting, best.cameras) == ("nothing recorded", Load(0.001, 0.002).cameras(25.0))


def test_remedies_are_better_than_what_there_is() -> None:
    slower = TimedModel("yolov3", 31.0, 6.0, 0), TimedModel("tiny-yolov3", 16.6, 50.0, 1)
    assert not remedies(Load(), 25.0)
    found = remedies(Load(detect=0.02), 25.0, model="tiny-yolov3", models=slower, automatic=TimedEngine("x", 40.0))
    assert [remedy.setting for remedy in found] == ["detect_every: 2"]


def test_the_choice_of_the_program_is_timed_where_another_was_made(
    tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    images = [np.zeros((48, 64, 3), np.uint8)]
    assert time_automatic_engine("tiny-yolov3", {"engine": "auto"}, images, 0.05) is None
    timed = time_automatic_engine("tiny-yolov3", {"engine": "openvino", "precision": "float32"}, images, 0.05)
    assert timed is not None
    assert timed.fps > 0
