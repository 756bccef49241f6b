"""Detecting, drawing and tracking, one call each."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import sightline
from pipeline.detection.yolov3.detector import YoloDetector
from pipeline.errors import ConfigError
from pipeline.models.class_names import COCO_CLASS_NAMES
from pipeline.types import Detections, Tracks
from sinks.drawing.colors import track_color
from tests.support.fakes import BlobDetector, moving_box, picture


def boxes(left: int) -> Detections:
    box = np.array([[left, 20, left + 50, 100]], np.float32)
    return Detections(box, np.array([0.9], np.float32), np.array([0], np.int32), class_names=("person",))


def test_detect_finds_what_the_detector_finds(demo_clip: Path, tiny_weights: Path, tmp_path: Path) -> None:
    frame = next(iter(sightline.open_source(demo_clip))).image
    file = tmp_path / "frame.png"
    cv2.imwrite(str(file), frame)
    expected = YoloDetector(confidence=0.3).detect([frame])[0]
    one = sightline.detect(frame, confidence=0.3)
    several = sightline.detect([file, frame], confidence=0.3)
    assert one.class_names == COCO_CLASS_NAMES
    for found in (one, *several):
        assert found.xyxy == pytest.approx(expected.xyxy)
        assert (found.score >= 0.3).all()
    chosen = sightline.detect(frame, confidence=0.1, classes=["car", "person"])
    assert {thing.class_name for thing in chosen} <= {"car", "person"}
    with pytest.raises(ConfigError, match="person"):
        sightline.detect(frame, classes=["persn"])
    with pytest.raises(ConfigError, match=r"classes: got 'dog', expected a list of names, such as \['dog'\]"):
        sightline.detect(frame, classes="dog")
    for confidence in (2, -0.1, float("nan")):
        with pytest.raises(ConfigError, match=r"confidence: got .* from 0 to 1"):
            sightline.detect(frame, confidence=confidence)


def test_draw_colours_by_class_or_id() -> None:
    image = picture([])
    tracks = Tracks(
        np.array([[10, 40, 60, 100]], np.float32),
        np.array([0.5], np.float32),
        np.array([4], np.int32),
        track_id=np.array([9], np.int64),
        age_s=np.zeros(1, np.float32),
        unseen_s=np.zeros(1, np.float32),
    )
    for color_by, color in (("track", track_color(9)), ("class", track_color(5)), (None, track_color(9))):
        drawn = sightline.draw(image, tracks, color_by=color_by)  # type: ignore[arg-type]
        assert tuple(drawn[70, 10].tolist()) == color
    assert not image.any()
    result = next(iter(sightline.analyze(moving_box(2), detector=BlobDetector())))
    assert sightline.draw(result).any()
    with pytest.raises(ValueError, match="nothing to draw"):
        sightline.draw(image)


def test_track_takes_pictures_and_detections() -> None:
    by_picture = list(sightline.track(moving_box(6), detector=BlobDetector()))  # type: ignore[call-arg]
    assert [tracks.track_id.tolist() for tracks in by_picture] == [[1]] * 6
    by_box = list(sightline.track(((number / 5, boxes(10 + 3 * number)) for number in range(6)), tracker="sort"))
    assert by_box[-1].track_id.tolist() == [1]
    assert by_box[-1].age_s[0] == pytest.approx(1.0, abs=0.01)
    assert by_box[-1][0].class_name == "person"
    assert list(sightline.track([])) == []
    with pytest.raises(ConfigError, match=r"got 'clip.mp4', expected frames; analyze takes a file"):
        sightline.track("clip.mp4")
    with pytest.raises(ConfigError, match="only tracker, confidence and fps"):
        sightline.track([boxes(1)], zones={})
