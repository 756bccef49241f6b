"""What OpenVINO's smaller types cost in accuracy on COCO, where float32 has an AP50 of 0.3764."""

from __future__ import annotations

from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import pytest

from benchmarks.detection import MOST_PER_IMAGE, CocoTruth, evaluate
from benchmarks.int8_ranges import Subject
from pipeline.detection.calibration import agreement
from pipeline.detection.yolov3.calibration import calibrate
from pipeline.detection.yolov3.detector import YoloDetector
from pipeline.hardware import cpu_has_bfloat16
from pipeline.models.cache import CACHE_VARIABLE
from pipeline.models.engines.activation_ranges import shipped_ranges
from pipeline.models.engines.int8_files import weights_digest
from pipeline.sources.opening import open_source
from pipeline.types import Image

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


@pytest.mark.slow
def test_bfloat16_is_as_accurate(eval_dir: Path, tiny_weights: Path) -> None:
    if not cpu_has_bfloat16():
        pytest.skip("this processor has no bfloat16: run benchmarks/detection.py --engine openvino where one has it")
    assert ap50(eval_dir, tiny_weights, "bfloat16") >= 0.3764 - 0.003


@pytest.fixture(scope="module")
def subject(tiny_weights: Path) -> Subject:
    return Subject.of("tiny-yolov3", tiny_weights)


@pytest.fixture(scope="module")
def clips(eval_dir: Path) -> dict[str, list[Image]]:
    """Every fifth of the first hundred frames of each clip."""
    found = {}
    for clip in sorted((eval_dir / "videos").iterdir()):
        with open_source(str(clip)) as source:
            found[clip.name] = [frame.image for frame in islice(source, 0, 100, 5)]
    return found


@pytest.fixture(scope="module")
def coco(eval_dir: Path, subject: Subject) -> CocoTruth:
    return CocoTruth(eval_dir / "coco" / "images", eval_dir / "coco" / "instances.json", subject.model.class_names)


def test_int8_with_shipped_ranges_is_as_accurate(
    subject: Subject, coco: CocoTruth, clips: dict[str, list[Image]]
) -> None:
    """On a part of what `benchmarks/int8_ranges.py` judges it on; the same numbers on every processor."""
    ranges = shipped_ranges(weights_digest(subject.network, subject.parameters))
    assert ranges is not None
    assert ranges.within_gate(square=False)
    int8 = subject.quantized(ranges.layers)
    chosen = coco.image_ids[::4]
    images = [coco.read(image_id) for image_id in chosen]
    precision_50 = {}
    for name, model in (("float32", None), ("int8", int8)):
        found = subject.detect(images, square=False, int8=model, as_papers=True)
        precision_50[name] = coco.average_precision(dict(zip(chosen, found, strict=True)))[1]
    assert precision_50["int8"] >= precision_50["float32"] - 0.006
    frames = [image for images in clips.values() for image in images]
    exact, small = (subject.detect(frames, square=False, int8=model) for model in (None, int8))
    assert agreement(exact, small) >= 0.97
    # One by one, where there is more than a handful of objects: of nine, one that is missed counts for a tenth.
    start = 0
    for clip, images in clips.items():
        part = slice(start, start := start + len(images))
        if sum(map(len, exact[part])) >= 40:
            assert agreement(exact[part], small[part]) >= 0.95, clip


@pytest.mark.slow
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
