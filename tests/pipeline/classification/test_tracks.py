"""TrackClassifier: which picture of a track is looked at, when, and that it is once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from pipeline.classification.classifier import Classification
from pipeline.classification.tracks import ClassifiedTrack, TrackClassifier
from pipeline.errors import ConfigError
from pipeline.types import Frame, Image, TrackedFrame, Tracks

NAMES = ("cat", "dog")
# A track in one frame: id, left, top, right, bottom, score; unseen where the score is 0.
Shown = tuple[int, float, float, float, float, float]


class Brightness:
    """Names a picture by its size and its mean, so that a test can tell which one it was given."""

    model = "brightness"

    def __init__(self) -> None:
        self.calls: list[int] = []

    def classify(self, pictures: Sequence[Image], top: int = 5) -> list[list[Classification]]:
        self.calls.append(len(pictures))
        return [[Classification(f"{image.shape[1]}x{image.shape[0]} {image.mean():.0f}", 0.5)] for image in pictures]


def frame(number: int, *shown: Shown, ended: Sequence[int] = (), class_id: int = 0) -> TrackedFrame:
    """A frame of one grey, 10 times its number, that shows some tracks."""
    count = len(shown)
    tracks = Tracks(
        xyxy=np.array([entry[1:5] for entry in shown], np.float32).reshape(count, 4),
        score=np.array([entry[5] for entry in shown], np.float32),
        class_id=np.full(count, class_id, np.int32),
        track_id=np.array([entry[0] for entry in shown], np.int64),
        age_s=np.zeros(count, np.float32),
        unseen_s=np.array([float(not entry[5]) for entry in shown], np.float32),
    )
    image = np.full((300, 400, 3), 10 * number, np.uint8)
    return TrackedFrame(Frame(image, number, number / 10, 0.0, "s"), None, tracks, np.array(ended, np.int64))


def labels(named: Sequence[ClassifiedTrack]) -> dict[int, str]:
    return {track.track_id: track.answer.name for track in named}


def test_the_best_of_the_first_detections_is_looked_at_once() -> None:
    classify = TrackClassifier(Brightness(), NAMES, detections=3)
    assert classify.update(frame(1, (7, 10, 20, 60, 80, 0.9))) == []
    assert classify.update(frame(2, (7, 10.4, 20.6, 109.2, 119.1, 0.8))) == []
    assert classify.update(frame(3, (7, 0, 0, 399, 299, 0))) == [], "not detected in this frame"
    (named,) = classify.update(frame(4, (7, 10, 20, 60, 80, 0.95)))
    assert (named.track_id, named.class_id, named.seen_s, named.model) == (7, 0, 0.2, "brightness")
    assert named.answer.name == "100x100 20"
    np.testing.assert_allclose(named.xyxy, (10.4, 20.6, 109.2, 119.1), atol=1e-4)
    assert classify.update(frame(5, (7, 0, 0, 399, 299, 0.99))) == []
    assert classify.update(frame(6, ended=[7])) == []
    assert classify.finish() == []


def test_a_track_that_ends_early_is_named_before_it_goes() -> None:
    classify = TrackClassifier(Brightness(), NAMES, detections=5)
    classify.update(frame(1, (1, 0, 0, 50, 50, 0.5), (2, 0, 0, 10, 10, 0.5)))
    assert labels(classify.update(frame(2, ended=[1, 2, 99]))) == {1: "50x50 10"}, "2 is too small to be named"
    classify.update(frame(3, (3, 350, 250, 450, 350, 0.5)))
    assert labels(classify.finish()) == {3: "50x50 30"}, "cut at the picture's edge"
    assert classify.finish() == []


def test_a_crowd_is_named_a_few_at_a_time() -> None:
    classifier = Brightness()
    classify = TrackClassifier(classifier, NAMES, detections=2, per_frame=2)
    crowd: list[Shown] = [(track_id, 0, 0, 40 + track_id, 40, 0.5) for track_id in range(1, 6)]
    named = [sorted(labels(classify.update(frame(number, *reversed(crowd))))) for number in range(1, 6)]
    assert named == [[], [1, 2], [3, 4], [5], []]
    assert classifier.calls == [2, 2, 1]


def test_only_some_classes() -> None:
    classify = TrackClassifier(Brightness(), NAMES, classes=["dog"], detections=2)
    for number in (1, 2):
        named = classify.update(frame(number, (1, 0, 0, 50, 50, 0.5)))
    assert named == []
    for number in (3, 4):
        named = classify.update(frame(number, (2, 0, 0, 50, 50, 0.5), class_id=1))
    assert [(track.track_id, track.class_id) for track in named] == [(2, 1)]


def test_large_objects_are_kept_small() -> None:
    classify = TrackClassifier(Brightness(), NAMES, detections=2)
    large = Frame(np.full((900, 1800, 3), 50, np.uint8), 0, 0.0, 0.0, "s")
    shown = frame(0, (1, 0, 0, 1800, 900, 0.5))
    classify.update(TrackedFrame(large, None, shown.tracks, shown.ended))
    assert labels(classify.finish()) == {1: "448x224 50"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"detections": 1}, "classify: expected detections of at least 2"),
        ({"per_frame": 0}, "per_frame of at least 1"),
        ({"min_size": (-1, 0)}, "sizes of at least 0"),
        ({"classes": ["dgo"]}, "classify.classes: no class 'dgo' in this model; did you mean 'dog'"),
    ],
)
def test_settings_that_can_not_be(options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        TrackClassifier(Brightness(), NAMES, **options)  # type: ignore[arg-type]
