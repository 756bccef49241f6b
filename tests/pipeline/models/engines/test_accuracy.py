"""What OpenVINO's smaller types cost in accuracy on COCO, where float32 has an AP50 of 0.3764."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.detection import MOST_PER_IMAGE, evaluate
from pipeline.detection.yolov3.calibration import calibrate
from pipeline.detection.yolov3.detector import YoloDetector
from pipeline.hardware import cpu_has_bfloat16
from pipeline.models.cache import CACHE_VARIABLE
from pipeline.sources.opening import open_source

needs_nncf = pytest.mark.skipif(
    find_spec("nncf") is None,
    reason="NNCF is not installed: pip install 'sightline[calibrate]'",
)


def ap50(eval_dir: Path, weights: Path, precision: str) -> float:
    detector = YoloDetector(
        weights=weights,
        engine="openvino",
        precision=precision,
        confidence=0.001,
        max_detections=MOST_PER_IMAGE,
    )
    coco = eval_dir / "coco"
    return evaluate(detector, coco / "images", coco / "instances.json").ap50


def cpu_flags() -> str:
    """What the processor has, as far as the system says."""
    information = Path("/proc/cpuinfo")
    return information.read_text() if information.exists() else ""


def test_bfloat16_is_as_accurate(eval_dir: Path, tiny_weights: Path) -> None:
    if not cpu_has_bfloat16():
        pytest.skip("this processor has no bfloat16: run benchmarks/detection.py --engine openvino where one has it")
    assert ap50(eval_dir, tiny_weights, "bfloat16") >= 0.3764 - 0.003


@needs_nncf
def test_int8_calibrated_with_a_street_is_nearly_as_accurate(
    eval_dir: Path, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    with open_source(str(eval_dir / "videos" / "traffic-mini.mp4")) as source:
        done = calibrate((frame.image for frame in source), "traffic-mini.mp4", weights=tiny_weights, count=40)
    assert done.record.agreement >= 0.9
    # Without VNNI the products of int8 are summed up in 16 bits, which overflow: 0.3659 on such a processor.
    lost = 0.008 if "vnni" in cpu_flags() else 0.015
    assert ap50(eval_dir, tiny_weights, "int8") >= 0.3764 - lost
