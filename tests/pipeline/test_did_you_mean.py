"""What a user may have meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.did_you_mean import did_you_mean, similar_words

WORDS = st.text("abcDEF-_ 1", min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("word", "known", "expected"),
    [
        ("persn", ["car", "person"], ["person"]),
        ("PERSN", ["car", "person"], ["person"]),
        ("yolov3", ["YOLOv3", "tiny-yolov3"], ["YOLOv3", "tiny-yolov3"]),
        ("tiny", ["yolov3", "tiny-yolov3", "retinanet"], ["tiny-yolov3"]),  # a part of it, if unlike it by letters
        ("yolov3-tiny", ["yolov3", "tiny-yolov3", "retinanet"], ["yolov3", "tiny-yolov3"]),
        ("light", ["traffic light", "car", "light rail"], ["light rail", "traffic light"]),
        ("xyzzy", ["car", "person"], []),
        ("ca", ["scatter", "vacation"], []),  # two letters are in nearly every word
        ("", ["car"], []),
        ("word", [], []),
        ("cart", ["car", "cars", "card", "care", "cat"], ["cat", "car", "cars"]),  # never more than three
    ],
)
def test_the_nearest_words_come_first(word: str, known: list[str], expected: list[str]) -> None:
    assert similar_words(word, known) == expected


@given(word=WORDS, known=st.lists(WORDS, max_size=6))
def test_only_known_words_are_proposed_and_each_once(word: str, known: list[str]) -> None:
    found = similar_words(word, iter(known))
    assert set(found) <= set(known)
    assert len({each.lower() for each in found}) == len(found) <= 3
    if word in known:
        assert found[0].lower() == word.lower()


def test_a_stricter_likeness_leaves_out_what_is_less_alike() -> None:
    assert similar_words("on_frames", ["on_frame", "on_second"], similarity=0.8) == ["on_frame"]
    assert similar_words("in_frames", ["on_second"], similarity=0.8) == []


def test_the_hint_is_a_question_or_nothing() -> None:
    assert did_you_mean("stp light", ["stop light", "spot light"], show=repr) == (
        "did you mean 'stop light' or 'spot light'?"
    )
    assert did_you_mean("xyz", ["stop light"]) == ""
