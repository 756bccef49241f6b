"""Detectors behind ImageAI's classes: as many batches at once as they allow, and the report says what ran them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.detection.factory import create_detector
from pipeline.detection.retinanet.detector import RetinaNetDetector
from pipeline.detection.yolov3.detector import YoloDetector
from pipeline.interfaces import Detector
from sightline.imageai import VideoObjectDetection
from sightline.imageai import detection_model as model
from tests.support.clips import write_clip
from tests.support.retinanet_files import shallow, shallow_model, write_random_weights

Objects = list[list[dict[str, Any]]]


def analysed(detector: VideoObjectDetection, clip: Path, timeout_s: float) -> Objects:
    frames: Objects = []
    detector.detectObjectsFromVideo(
        str(clip),
        save_detected_video=False,
        minimum_percentage_probability=30,
        detection_timeout=timeout_s,
        per_frame_function=lambda _, objects, __: frames.append(objects),
    )
    return frames


class Meeting:
    """Lets each call wait for another one, until two have met."""

    def __init__(self, run: Callable[..., Any]) -> None:
        self._run = run
        self._inside = 0
        self._changed = threading.Condition()
        self.met = False

    def __call__(self, *arguments: Any) -> Any:
        with self._changed:
            self._inside += 1
            self.met |= self._inside > 1
            self._changed.notify_all()
            # The first batch may be the first frame alone; while it waits, the source gets ahead.
            self._changed.wait_for(lambda: self.met, timeout=10.0)
        try:
            return self._run(*arguments)
        finally:
            with self._changed:
                self._inside -= 1


def test_batches_go_through_yolo_at_once_and_find_the_same(
    eval_dir: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = eval_dir / "videos" / "traffic-mini.mp4"
    # Numbers are compared: both must be computed in the same precision.
    monkeypatch.setattr(model, "create_detector", partial(create_detector, precision="float32"))
    script = VideoObjectDetection()
    script.setModelTypeAsTinyYOLOv3()
    script.setModelPath(str(tiny_weights))
    script.loadModel()
    detector = script._loaded
    assert isinstance(detector, YoloDetector)
    monkeypatch.setattr(detector.engine, "calls_at_once", 1)
    alone = analysed(script, clip, 0.6)
    monkeypatch.setattr(detector.engine, "calls_at_once", 2)
    assert detector.calls_at_once == 2
    meeting = Meeting(detector._run)
    monkeypatch.setattr(detector, "_run", meeting)
    together = analysed(script, clip, 0.6)
    assert meeting.met
    assert len(alone) == len(together) > 8
    assert script.report is not None
    assert (script.report.engine, script.report.precision) == ("openvino", "float32")
    sure = 0
    for one, other in zip(alone, together, strict=True):
        for found, others in ((one, other), (other, one)):
            for thing in found:
                # A score right at the limit may fall on either side of it where frames share another batch.
                if thing["percentage_probability"] > 35:
                    boxes = np.array([entry["box_points"] for entry in others if entry["name"] == thing["name"]])
                    assert np.abs(boxes - thing["box_points"]).max(axis=1).min() <= 1.5
                    sure += 1
    assert sure > 20


def test_the_report_of_a_script_with_retinanet_names_its_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = write_random_weights(tmp_path / "shallow.pth", shallow())
    detector = RetinaNetDetector(shallow_model(), weights=weights, input_size=64, precision="float32", confidence=0.5)
    monkeypatch.setattr(model, "create_detector", lambda *_, **__: detector)
    script = VideoObjectDetection()
    script.setModelTypeAsRetinaNet()
    script.loadModel()
    assert len(analysed(script, write_clip(tmp_path / "clip.mp4", count=6, fps=25), 5)) == 6
    assert script.report is not None
    assert (script.report.engine, script.report.precision) == ("tensorflow", "float32")


@pytest.mark.parametrize("gpu", [False, True])
def test_on_the_processor_a_script_runs_openvino(
    gpu: bool, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str | None] = []

    def create(*arguments: Any, engine: str | None, **options: Any) -> Detector:
        made.append(engine)
        return create_detector(*arguments, engine=engine, precision="float32", **options)

    monkeypatch.setattr(model, "create_detector", create)
    monkeypatch.setattr(model, "has_gpu_device", lambda: gpu)
    script = VideoObjectDetection()
    script.setModelTypeAsTinyYOLOv3()
    script.setModelPath(str(tiny_weights))
    script.loadModel()
    script.useCPU()
    script.loadModel("fast")
    assert made == [None, *(["openvino"] if gpu else []), "openvino"]
