"""What a user's functions are given of a frame: its objects, its image, its annotated picture."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from pipeline.errors import CallbackError
from pipeline.types import Image, TrackedFrame
from sinks.callbacks import CallbacksSink, FrameResult
from sinks.drawing.annotator import Annotator
from tests.support.played_frames import NAMES, play, tracked


def test_what_a_frame_holds() -> None:
    given: list[FrameResult] = []
    play(CallbacksSink(on_frame=given.append), tracked(3), tracked(4, count=0, detected=False))
    full, empty = given
    assert (full.stream, full.index, full.pts_s, full.ended) == ("cam", 3, 0.3, (7,))
    assert full.detections is not None
    assert len(full.detections) == 2
    person, bicycle = full.objects
    assert (person.track_id, person.class_name, person.score, person.xyxy) == (1, "person", 0.5, (4, 5, 20, 40))
    assert (bicycle.class_name, bicycle.age_s, bicycle.unseen_s) == ("bicycle", 1.5, 0)
    assert full.objects is full.objects
    assert full.class_names == NAMES
    assert empty.detections is None
    assert empty.objects == ()


def test_the_image_is_the_frame_s_own_and_read_only() -> None:
    source = tracked()

    def scribble(frame: FrameResult) -> None:
        assert np.shares_memory(frame.image, source.frame.image)
        frame.image[:] = 0

    with pytest.raises(CallbackError, match="on_frame raised ValueError"):
        play(CallbacksSink(on_frame=scribble), source)
    assert source.frame.image.min() == 90
    assert source.frame.image.flags.writeable


def test_the_annotated_picture_is_drawn_once_and_only_when_asked() -> None:
    drawn: list[int] = []

    def draw_over(picture: Image, frame: TrackedFrame) -> None:
        drawn.append(frame.frame.index)

    source = tracked()
    pictures = []

    def ask(frame: FrameResult) -> None:
        if frame.index == 0:
            pictures.extend([frame.annotated(), frame.annotated()])

    play(CallbacksSink(on_frame=ask, annotator=partial(Annotator, overlays=[draw_over])), source, tracked(1))
    assert drawn == [0]
    assert pictures[0] is pictures[1]
    assert pictures[0].shape == source.frame.image.shape
    assert (pictures[0] != source.frame.image).any()
    assert not np.shares_memory(pictures[0], source.frame.image)
    assert (source.frame.image == 90).all()


def test_the_annotated_picture_asked_for_later_is_that_of_its_frame() -> None:
    frames = [tracked(index) for index in range(4)]
    for index, frame in enumerate(frames):
        frame.tracks.xyxy[:] += np.float32(2 * index)
    at_once: list[Image] = []
    play(CallbacksSink(on_frame=lambda frame: at_once.append(frame.annotated())), *frames)
    kept: list[FrameResult] = []
    play(CallbacksSink(on_frame=kept.append), *frames)
    assert all((frame.annotated() == picture).all() for frame, picture in zip(kept, at_once, strict=True))


def test_trails_have_no_holes_where_the_picture_was_not_asked_for() -> None:
    frames = [tracked(index) for index in range(4)]
    for index, frame in enumerate(frames):
        frame.tracks.xyxy[:] += np.float32(2 * index)
    expected = Annotator(NAMES)
    for frame in frames[:-1]:
        expected.observe(frame)
    got: list[FrameResult] = []
    pictures = []

    def last(frame: FrameResult) -> None:
        got.append(frame)
        if frame.index == 3:
            pictures.append(frame.annotated())

    play(CallbacksSink(on_frame=last), *frames)
    assert (pictures[0] == expected.draw(frames[-1])).all()
