"""No output shows what scores less than the confidence, whatever the tracker does with weaker detections."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sightline
from pipeline.events import Event
from pipeline.interfaces import Detector
from pipeline.types import Detections, Image
from sinks.files.mot import mot_rows
from tests.support.fakes import MemorySink, picture
from trackers.factory import TRACKERS

PICTURES = [picture([])] * 12


class Given(Detector):
    """Finds one standing object, with a score for each frame."""

    class_names = ("thing",)

    def __init__(self, scores: Sequence[float]) -> None:
        self._scores = iter(scores)

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        box = np.array([[40, 30, 90, 100]], np.float32)
        return [Detections(box, np.array([next(self._scores)], np.float32), np.zeros(1, np.int32)) for _ in images]


def scores_of(event: Event) -> list[float]:
    return [score] if (score := getattr(event, "score", None)) is not None else []


@given(
    confidence=st.floats(0.05, 0.99),
    scores=st.lists(st.floats(0, 1, width=32), min_size=12, max_size=12),
    tracker=st.sampled_from(TRACKERS),
    detect_every=st.sampled_from([1, 3]),
)
def test_no_output_shows_what_scores_less(
    confidence: float, scores: list[float], tracker: str, detect_every: int
) -> None:
    sink = MemorySink()
    analysis = sightline.analyze(
        PICTURES,
        detector=Given(scores),
        sinks=[sink],
        confidence=confidence,
        tracker=tracker,
        detect_every=detect_every,
    )
    least = np.float32(confidence)
    for result in analysis:
        assert (result.tracks.score >= least).all()
        assert result.detections is None or (result.detections.score >= least).all()
        assert len(mot_rows(0, result.tracks).splitlines()) == len(result.objects)
    # Events tell four digits.
    assert all(score >= least - 1e-4 for event in sink.events for score in scores_of(event))


@settings(max_examples=25)
@given(
    confidence=st.floats(0.05, 0.99),
    above=st.floats(0, 1),
    jitter=st.lists(st.floats(0, 0.05), min_size=36, max_size=36),
    lag_s=st.sampled_from([1.0, 0.0]),
)
def test_what_scores_above_it_all_the_time_is_found_after_a_second(
    confidence: float, above: float, jitter: list[float], lag_s: float
) -> None:
    """By the default tracker, with hindsight and without, wherever above the confidence its scores lie."""
    level = confidence + 1e-6 + above * (1 - confidence - 1e-6)
    scores = [min(1.0, level + more) for more in jitter]
    detector = Given(scores)
    results = sightline.analyze(
        PICTURES * 3, detector=detector, confidence=confidence, tracker={"lag_s": lag_s}, fps=25
    )
    shown = [result.tracks.track_id.tolist() for result in results]
    assert len(shown) == 36
    assert shown[26:] == [[1]] * 10


@pytest.mark.parametrize("tracker", ["buffered", "bytetrack"])
def test_a_weak_track_is_shown_where_that_is_asked_for(tracker: str) -> None:
    scores = [0.95] * 4 + [0.2] * 4 + [0.95] * 4
    shown = {}
    for show_weak in (False, True):
        # With hindsight it is shown in between, too.
        options = {"name": tracker, "show_weak": show_weak, "lag_s": 0}
        results = sightline.analyze(PICTURES, detector=Given(scores), confidence=0.3, tracker=options)
        shown[show_weak] = [result.tracks.track_id.tolist() for result in results]
    assert shown[True] == [[1]] * 12
    assert shown[False] == [[1]] * 4 + [[]] * 4 + [[1]] * 4, "it is the same object when it scores enough again"
