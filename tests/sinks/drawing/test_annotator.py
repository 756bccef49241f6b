"""What is drawn, and what must never happen to the picture."""

from __future__ import annotations

import itertools
import pickle

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.types import Image, TrackedFrame
from sinks.drawing.annotator import Annotator
from sinks.drawing.colors import text_color, track_color
from sinks.drawing.lettering import Lettering
from tests.support.video_files import tracked, tracks

GRAY = np.full((480, 854, 3), 90, np.uint8)


def changed(picture: Image, background: Image = GRAY) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return np.asarray((picture != background).any(axis=2))


def contains(picture: Image, part: Image) -> bool:
    """Whether ``part`` lies somewhere in ``picture``, pixel by pixel."""
    return bool(cv2.matchTemplate(picture, part, cv2.TM_SQDIFF).min() < 1)


def test_the_frame_is_left_alone_and_the_picture_is_new() -> None:
    frame = tracked(GRAY, shown=tracks([(100, 100, 200, 200)]))
    picture = Annotator(["car"]).draw(frame)
    assert (frame.frame.image == GRAY).all()
    assert not np.shares_memory(picture, frame.frame.image)
    assert picture.flags.writeable
    assert changed(picture).any()


def test_out_is_drawn_into_and_overwritten() -> None:
    out = np.zeros_like(GRAY)
    annotator = Annotator(["car"])
    frame = tracked(GRAY, shown=tracks([(100, 100, 200, 200)]))
    assert annotator.draw(frame, out=out) is out
    np.testing.assert_array_equal(out, Annotator(["car"]).draw(frame))


def test_no_tracks_no_change() -> None:
    np.testing.assert_array_equal(Annotator(["car"]).draw(tracked(GRAY)), GRAY)


def test_the_box_has_the_colour_of_its_track() -> None:
    picture = Annotator(["car"]).draw(tracked(GRAY, shown=tracks([(100, 150, 300, 400)], ids=[7])))
    for x, y in [(100, 300), (300, 300), (200, 150), (200, 400)]:
        assert tuple(picture[y, x].tolist()) == track_color(7)
    assert not changed(picture)[200:350, 150:250].any(), "the object itself is not covered"


def test_colours_are_stable_far_apart_and_readable() -> None:
    colors = [track_color(track_id) for track_id in range(1, 13)]
    assert colors == [track_color(track_id) for track_id in range(1, 13)]
    lab = cv2.cvtColor(np.array([colors], np.uint8), cv2.COLOR_BGR2LAB)[0].astype(float)
    for one, other in itertools.combinations(range(12), 2):
        assert np.linalg.norm(lab[one] - lab[other]) > 12, (one + 1, other + 1)
    for first, second in itertools.pairwise(range(12)):
        assert np.linalg.norm(lab[first] - lab[second]) > 40


@given(st.integers(1, 10**12))
def test_text_contrasts_with_every_colour(track_id: int) -> None:
    def luminance(color: tuple[int, int, int]) -> float:
        blue, green, red = (
            value / 255 / 12.92 if value / 255 <= 0.04045 else ((value / 255 + 0.055) / 1.055) ** 2.4 for value in color
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    plate = track_color(track_id)
    bright, dim = sorted((luminance(plate), luminance(text_color(plate))), reverse=True)
    assert (bright + 0.05) / (dim + 0.05) >= 4.5  # WCAG 2, level AA


coordinates = st.floats(-1e7, 1e7, width=32) | st.floats(-50, 900, width=32)


@settings(max_examples=60, deadline=None)
@given(
    corners=st.tuples(coordinates, coordinates, coordinates, coordinates),
    unseen=st.booleans(),
    size=st.sampled_from([(480, 854), (1080, 1920), (1, 1), (9, 9), (120, 2000)]),
)
def test_any_box_on_any_picture(
    corners: tuple[float, float, float, float], unseen: bool, size: tuple[int, int]
) -> None:
    left, right = sorted(corners[::2])
    top, bottom = sorted(corners[1::2])
    image = np.full((*size, 3), 90, np.uint8)
    annotator = Annotator(["car"])
    for index in range(2):
        shown = tracks([(left, top, right, bottom)], unseen_s=[0.5 * unseen])
        picture = annotator.draw(tracked(image, index, shown=shown))
        assert picture.shape == image.shape
    if size == (480, 854):
        label = Lettering(10).plate("car #1" if unseen else "car #1 50%", track_color(1))
        assert contains(picture, label), "the whole label is inside the picture"


def test_a_coasting_track_is_dashed_and_has_no_score() -> None:
    box = (100.0, 150.0, 400.0, 450.0)
    seen = Annotator(["car"]).draw(tracked(GRAY, shown=tracks([box])))
    coasting = Annotator(["car"]).draw(tracked(GRAY, shown=tracks([box], unseen_s=[0.2])))
    side = changed(coasting)[160:440, 100]
    assert 0.3 < side.mean() < 0.8
    assert changed(seen)[160:440, 100].all()
    assert changed(coasting)[160:440].sum() < changed(seen)[160:440].sum() / 2
    assert contains(coasting, Lettering(10).plate("car #1", track_color(1)))
    assert not contains(coasting, Lettering(10).plate("car #1 50%", track_color(1)))


def test_where_nobody_looked_a_track_is_drawn_like_any_other() -> None:
    seen = tracked(GRAY, shown=tracks([(100, 100, 400, 500)]))
    filled = TrackedFrame(seen.frame, None, tracks([(100, 100, 400, 500)], unseen_s=[0.2]), seen.ended)
    assert (Annotator(["car"]).draw(filled) == Annotator(["car"]).draw(seen)).all()


def test_what_labels_say() -> None:
    frame = tracked(GRAY, shown=tracks([(100, 100, 300, 300)], ids=[12], scores=[0.876], class_ids=[1]))
    names = ["person", "car"]
    for annotator, text in [
        (Annotator(names), "car #12 88%"),
        (Annotator(names, show_scores=False), "car #12"),
        (Annotator(names, show_ids=False), "car 88%"),
    ]:
        picture = annotator.draw(frame)
        assert contains(picture, Lettering(10).plate(text, track_color(12)))
    unknown = Annotator(["person"]).draw(frame)
    assert contains(unknown, Lettering(10).plate("class 1 #12 88%", track_color(12)))
    other_script = Annotator(["person", "車"]).draw(frame)
    assert contains(other_script, Lettering(10).plate("? #12 88%", track_color(12)))


def test_lines_and_text_grow_with_the_picture() -> None:
    large = np.full((1080, 1920, 3), 90, np.uint8)
    picture = Annotator(["car"]).draw(tracked(large, shown=tracks([(300, 300, 900, 900)])))
    border = changed(picture, large)[600, 250:400].sum()
    assert border == round(2 * 1080 / 480)
    assert contains(picture, Lettering(round(10 * 1080 / 480)).plate("car #1 50%", track_color(1)))


def drawn_path(annotator: Annotator, count: int, *, skip: int = 1) -> Image:
    """The last picture of an object that moves right by 4 pixels a frame at 25 frames a second."""
    picture = GRAY
    for index in range(count):
        left = 50.0 + 4 * index
        frame = tracked(GRAY, index, shown=tracks([(left, 100, left + 60, 200)]))
        if index % skip == 0 or index == count - 1:
            picture = annotator.draw(frame)
        else:
            annotator.observe(frame)
    return picture


def test_the_trail_is_as_long_as_told_in_media_time() -> None:
    picture = drawn_path(Annotator(["car"], trail_s=1.0), 101)
    # The object's foot is now at x = 480; a second ago it was at 380.
    row = changed(picture)[200]
    assert row[384:440].all()
    assert not row[:376].any()
    assert not changed(drawn_path(Annotator(["car"], trail_s=0), 101))[200, :440].any()


def test_frames_that_are_not_shown_leave_their_trail() -> None:
    every = drawn_path(Annotator(["car"]), 60)
    some = drawn_path(Annotator(["car"]), 60, skip=7)
    np.testing.assert_array_equal(every, some)


def test_trails_end_with_their_tracks() -> None:
    annotator = Annotator(["car"], trail_s=10)
    drawn_path(annotator, 20)
    annotator.draw(tracked(GRAY, 20, ended=[1]))
    picture = annotator.draw(tracked(GRAY, 21, shown=tracks([(300, 300, 360, 400)])))
    assert not changed(picture)[200, :280].any()


def test_memory_does_not_grow() -> None:
    """However many objects have come and gone, however high the frame rate."""
    image = np.zeros((48, 64, 3), np.uint8)

    def size_after(frames: int) -> int:
        annotator = Annotator(["car"], trail_s=1.0)
        for index in range(frames):
            shown = tracks([(10, 10, 20, 20), (30, 10, 40, 20)], ids=[1, 2 + index])
            annotator.observe(tracked(image, index, index / 200, shown))
        return len(pickle.dumps(annotator))

    assert size_after(4_000) < 1.1 * size_after(500)


def test_overlays_see_picture_and_frame_and_lie_under_the_boxes() -> None:
    calls: list[tuple[str, TrackedFrame]] = []

    def fill(picture: Image, frame: TrackedFrame) -> None:
        calls.append(("fill", frame))
        picture[:] = (1, 2, 3)

    def dot(picture: Image, frame: TrackedFrame) -> None:
        calls.append(("dot", frame))
        picture[5, 5] = (255, 255, 255)

    frame = tracked(GRAY, shown=tracks([(100, 100, 200, 200)]))
    picture = Annotator(["car"], overlays=[fill, dot]).draw(frame)
    assert calls == [("fill", frame), ("dot", frame)]
    assert picture[5, 5].tolist() == [255, 255, 255]
    assert picture[0, 0].tolist() == [1, 2, 3]
    assert tuple(picture[150, 100].tolist()) == track_color(1)


@pytest.mark.parametrize("options", [{"trail_s": -1.0}, {"scale": 0.0}])
def test_impossible_options(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected trail_s >= 0 and scale > 0"):
        Annotator(["car"], trail_s=options.get("trail_s", 1.0), scale=options.get("scale", 1.0))
