"""Detection filters: what they keep, and what they say of settings that can't be used."""

from __future__ import annotations

import traceback
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.detection.filters import (
    ClassFilter,
    ConfidenceFilter,
    PredicateFilter,
    RegionFilter,
    SizeFilter,
    make_filters,
)
from pipeline.errors import CallbackError, ConfigError
from pipeline.interfaces import DetectionFilter
from pipeline.types import Detections, Frame

COCO_PART = ("person", "bicycle", "car", "motorbike", "aeroplane", "bus", "train", "truck", "boat", "traffic light")
FRAME = Frame(np.zeros((100, 200, 3), np.uint8), 7, 1.25, 0.0, "door")


def found(*rows: tuple[tuple[float, float, float, float], float, int]) -> Detections:
    return Detections(
        np.array([row[0] for row in rows], np.float32).reshape(-1, 4),
        np.array([row[1] for row in rows], np.float32),
        np.array([row[2] for row in rows], np.int32),
    )


BOX = (10.0, 10.0, 30.0, 50.0)


def kept(keep: DetectionFilter, detections: Detections) -> list[bool]:
    answer = keep(detections, FRAME)
    assert answer.dtype == np.bool_ and answer.shape == (len(detections),)
    return [bool(one) for one in answer]


def test_classes() -> None:
    keep = ClassFilter(["car", "person"], COCO_PART)
    assert kept(keep, found((BOX, 0.9, 0), (BOX, 0.9, 1), (BOX, 0.9, 2))) == [True, False, True]
    assert kept(keep, Detections.empty()) == []


@pytest.mark.parametrize(
    ("name", "near"),
    [("persn", "'person'"), ("Person", "'person'"), ("trafic light", "'traffic light'"), ("light", "'traffic light'")],
)
def test_unknown_class_lists_near_matches(name: str, near: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ClassFilter(["car", name], COCO_PART)
    message = str(caught.value)
    assert message.startswith(f"filters.classes: no class {name!r}") and near in message
    assert message.endswith("?") and "\n" not in message


def test_unknown_class_like_no_other_lists_all() -> None:
    with pytest.raises(ConfigError, match=r"no class 'zebra' in this model; its 2 classes are cat, dog$"):
        ConfidenceFilter({"zebra": 0.5}, ["cat", "dog"])


def test_confidence_per_class() -> None:
    keep = ConfidenceFilter({"person": 0.3, "car": 0.8}, COCO_PART, default=0.5)
    rows = [(BOX, 0.3, 0), (BOX, 0.29, 0), (BOX, 0.8, 2), (BOX, 0.79, 2), (BOX, 0.5, 1), (BOX, 0.49, 1)]
    assert kept(keep, found(*rows)) == [True, False, True, False, True, False]
    with pytest.raises(ConfigError, match=r"in \[0, 1\] for person, got 30"):
        ConfidenceFilter({"person": 30}, COCO_PART)


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        (SizeFilter(min_width=20), [True, False, True]),
        (SizeFilter(max_width=20), [True, True, False]),
        (SizeFilter(min_height=40, max_height=40), [True, False, False]),
        (SizeFilter(min_area=800, max_area=800), [True, False, False]),
        (SizeFilter(min_width=0.1, units="fraction"), [True, False, True]),
        (SizeFilter(min_height=0.4, units="fraction"), [True, False, True]),
        (SizeFilter(max_area=0.04, units="fraction"), [True, True, False]),
        (SizeFilter(), [True, True, True]),
    ],
)
def test_size(keep: SizeFilter, expected: list[bool]) -> None:
    boxes = [(10, 10, 30, 50), (0, 0, 5, 5), (0, 0, 200, 100)]
    assert kept(keep, found(*((box, 0.9, 0) for box in boxes))) == expected


def test_size_limits_that_make_no_sense() -> None:
    with pytest.raises(ConfigError, match="width: the smallest, 30, is above the largest, 20"):
        SizeFilter(min_width=30, max_width=20)
    with pytest.raises(ConfigError, match="height: expected a distance of 0 or more"):
        SizeFilter(min_height=-1)
    with pytest.raises(ConfigError, match="the fraction 30 is above 1"):
        SizeFilter(min_height=30, units="fraction")


def test_region_looks_at_the_anchor() -> None:
    lower_half = [(0.0, 0.5), (1.0, 0.5), (1.0, 1.0), (0.0, 1.0)]
    detections = found(((0, 0, 20, 60), 0.9, 0), ((0, 0, 20, 40), 0.9, 0), ((0, 52, 20, 90), 0.9, 0))
    assert kept(RegionFilter(lower_half, units="fraction"), detections) == [True, False, True]
    assert kept(RegionFilter(lower_half, units="fraction", anchor="top_center"), detections) == [False, False, True]
    assert kept(RegionFilter(lower_half, units="fraction", inside=False), detections) == [False, True, False]
    in_pixels = [(x * 200, y * 100) for x, y in lower_half]
    assert kept(RegionFilter(in_pixels), detections) == [True, False, True]
    assert kept(RegionFilter(in_pixels), Detections.empty()) == []


@given(st.lists(st.tuples(st.floats(0, 200), st.floats(0, 100)), min_size=1, max_size=30))
def test_region_agrees_with_another_implementation(points: list[tuple[float, float]]) -> None:
    corners = [(20.3, 10.1), (180.7, 30.2), (90.1, 50.3), (150.9, 90.6), (30.4, 80.8)]
    boxes = [((x, 0.0, x, y), 0.9, 0) for x, y in points]
    outline = np.array(corners, np.float32)
    depth = [cv2.pointPolygonTest(outline, (float(np.float32(x)), float(np.float32(y))), True) for x, y in points]
    answers = kept(RegionFilter(corners), found(*boxes))
    # On the very edge, either answer is right.
    assert [a for a, d in zip(answers, depth, strict=True) if abs(d) > 1e-3] == [d > 0 for d in depth if abs(d) > 1e-3]


@pytest.mark.parametrize(
    ("polygon", "units", "says"),
    [
        ([(0, 0), (9, 9)], "pixels", "three corners or more, got 2"),
        ([(0, 0), (9, 9), (5, 5)], "pixels", "encloses no area"),
        ([(0, 0), (9, 9), (9, 0), (0, 9)], "pixels", "edges cross; list its corners in order"),
        ([(0, 0), (1, 0), (1, 1)], "pixels", "say units: fraction"),
        ([(0, 0), (1, 0), (640, 1)], "fraction", r"\[640.0, 1.0\] is outside \[0, 1\]; say units: pixels"),
        ([(0, 0), (float("nan"), 0), (5, 1)], "pixels", "finite numbers"),
        ([(0, 0, 0), (1, 1, 1), (2, 2, 2)], "pixels", "pairs"),
        ([(0, 0), (9, 0), (9, 9)], "metres", "no units 'metres'"),
    ],
)
def test_region_that_makes_no_sense(polygon: list[tuple[float, float]], units: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        RegionFilter(polygon, units=units)  # type: ignore[arg-type]


def user_file(folder: Path, text: str) -> str:
    path = folder / "mine.py"
    path.write_text(text)
    return f"{path}:keep"


def test_predicate(tmp_path: Path) -> None:
    target = user_file(tmp_path, "def keep(detections, frame):\n    return detections.xyxy[:, 3] < frame.height / 2\n")
    assert kept(PredicateFilter(target), found((BOX, 0.9, 0), ((0, 0, 9, 20), 0.9, 0))) == [False, True]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1\n", "no function 'keep' in .*mine.py"),
        ("keep = 1\n", "keep is int, not a function"),
        ("def keep(detections): pass\n", "can't be called with"),
        ("def keep(:\n", "mine.py:1: is not valid Python"),
    ],
)
def test_predicate_that_can_not_be_used(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        PredicateFilter(user_file(tmp_path, text))


def test_predicate_in_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.py: there is no such Python file"):
        PredicateFilter(f"{tmp_path / 'absent.py'}:keep")
    for target in ("mine.py", ":keep", "mine.py:", "mine.py:1a"):
        with pytest.raises(ConfigError, match=r"such as my_file\.py:keep"):
            PredicateFilter(target)


def test_predicate_that_calls_exit_is_an_error(tmp_path: Path) -> None:
    keep = PredicateFilter(user_file(tmp_path, "import sys\ndef keep(detections, frame):\n    sys.exit(3)\n"))
    with pytest.raises(CallbackError, match="raised SystemExit: 3"):
        keep(found((BOX, 0.9, 0)), FRAME)


def test_predicate_that_raises_tells_when_and_where(tmp_path: Path) -> None:
    keep = PredicateFilter(user_file(tmp_path, "def keep(detections, frame):\n    return 1 / 0\n"))
    says = r"mine.py:2: the filter raised ZeroDivisionError: division by zero at 1.250 s of stream door$"
    with pytest.raises(CallbackError, match=says) as caught:
        keep(found((BOX, 0.9, 0)), FRAME)
    cause = caught.value.__cause__
    assert isinstance(cause, ZeroDivisionError)
    assert [entry.name for entry in traceback.extract_tb(cause.__traceback__)] == ["keep"]


@pytest.mark.parametrize(
    ("answer", "got"),
    [
        ("None", "NoneType"),
        ("True", "bool"),
        ("[True]", "list"),
        ("detections.score", r"float32 \(1,\)"),
        ("detections.xyxy > 0", r"bool \(1, 4\)"),
    ],
)
def test_predicate_that_returns_something_else(tmp_path: Path, answer: str, got: str) -> None:
    keep = PredicateFilter(user_file(tmp_path, f"def keep(detections, frame):\n    return {answer}\n"))
    with pytest.raises(CallbackError, match=rf"keep: expected a NumPy array of bool \(1,\).* got {got} at 1.250 s"):
        keep(found((BOX, 0.9, 0)), FRAME)


def test_filters_of_settings(tmp_path: Path) -> None:
    assert make_filters(COCO_PART) == []
    filters = make_filters(
        COCO_PART,
        classes=["person"],
        confidence={"person": 0.5},
        min_size=(6, 6),
        max_size=(100, 80),
        region=[(0, 0), (100, 0), (100, 100), (0, 100)],
        predicate=user_file(tmp_path, "def keep(detections, frame):\n    return detections.score < 0.95\n"),
    )
    rows = [(BOX, 0.9, 0), (BOX, 0.9, 1), (BOX, 0.4, 0), ((0, 0, 5, 50), 0.9, 0), ((0, 0, 9, 90), 0.9, 0)]
    rows += [((110, 0, 130, 50), 0.9, 0), (BOX, 0.99, 0)]
    left = found(*rows)
    for keep in filters:
        left = left.select(keep(left, FRAME))
        assert len(left)
    assert left.score.tolist() == pytest.approx([0.9])
    assert left.xyxy.tolist() == [list(BOX)]
    assert [sum(kept(keep, found(*rows))) for keep in filters] == [6, 6, 5, 6, 6]
