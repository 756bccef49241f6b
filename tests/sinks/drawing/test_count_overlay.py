"""Zones and lines on the annotated picture: where they are drawn, and that their counts are those of the frame."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait

import numpy as np
import pytest

from pipeline.analytics.event_stamper import EventStamper
from pipeline.analytics.lines import Line
from pipeline.analytics.stream_analytics import StreamAnalytics
from pipeline.analytics.totals import LiveCounts, LiveHistory
from pipeline.analytics.zones import Zone
from pipeline.types import Frame, Image, TrackedFrame
from sinks.drawing.annotator import Annotator
from sinks.drawing.count_overlay import CountOverlay, line_text, zone_text
from tests.support.tracked_frames import standing_at, tracked_frame

ROOM = Zone("room", [(100, 200), (300, 200), (300, 400), (100, 400)])
GATE = Line("gate", (400, 240), (600, 240))


def grey(width: int = 640, height: int = 480) -> Image:
    return np.full((height, width, 3), 100, np.uint8)


def nothing(_: Frame) -> LiveCounts:
    return LiveCounts({}, {})


def draw(overlay: CountOverlay, width: int = 640, height: int = 480) -> Image:
    picture = grey(width, height)
    for label in overlay(picture, tracked_frame(0, 0.0, {}, size=(width, height))):
        label.draw(picture)
    return picture


def changed(picture: Image) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """bool ``(height, width)``: which pixels are no longer grey."""
    return np.asarray((picture != 100).any(axis=2))


def test_a_zone_is_tinted_inside_and_nothing_else_is_touched() -> None:
    touched = changed(draw(CountOverlay(zones=[ROOM], counts=nothing)))
    assert touched[230:396, 104:296].all()
    touched[196:405, 96:305] = False
    assert not touched.any()


def test_a_zone_with_something_in_it_stands_out() -> None:
    empty = draw(CountOverlay(zones=[ROOM], counts=nothing))[350, 200].astype(int)
    busy = draw(CountOverlay(zones=[ROOM], counts=lambda _: LiveCounts({"room": {"person": 1}}, {})))[350, 200]
    assert np.abs(busy.astype(int) - 100).sum() > np.abs(empty - 100).sum() > 0


@pytest.mark.parametrize(
    ("line", "side"),
    [
        (Line("a", (200, 240), (440, 240)), (320, 260)),  # left to right: in is below
        (Line("b", (440, 240), (200, 240)), (320, 220)),
        (Line("c", (320, 400), (320, 100)), (340, 250)),  # upwards: in is to the right
        (Line("d", (320, 100), (320, 400)), (300, 250)),
    ],
)
def test_the_arrow_points_where_in_is(line: Line, side: tuple[int, int]) -> None:
    picture = draw(CountOverlay(lines=[line], counts=nothing))
    color = picture[round(line.start[1] * 0.9 + line.end[1] * 0.1), round(line.start[0] * 0.9 + line.end[0] * 0.1)]
    x, y = side
    assert (picture[y, x] == color).all()
    # A point that counts as in lies on the arrow's side.
    counter = StreamAnalytics("s", ["person"], stamper=EventStamper(), lines=[line])
    middle = np.array([(line.start[0] + line.end[0]) / 2, (line.start[1] + line.end[1]) / 2])
    for index, at in enumerate([2 * middle - side, np.array(side)]):
        counter.update(tracked_frame(index, index / 10, {1: standing_at(*at.tolist())}))
    assert counter.line_totals() == {line.name: {"person": {"in": 1, "out": 0}}}


def test_shapes_may_change_from_picture_to_picture() -> None:
    gate = Line("gate", (0, 240), (640, 240))
    shapes: list[tuple[list[Zone], list[Line]]] = [([ROOM], [])]
    overlay = CountOverlay(counts=nothing, shapes=lambda: shapes[-1])
    assert (draw(overlay) == draw(CountOverlay(zones=[ROOM], counts=nothing))).all()
    shapes.append(([], [gate]))
    assert (draw(overlay) == draw(CountOverlay(lines=[gate], counts=nothing))).all()


def test_outputs_in_threads_of_their_own_may_draw_at_once() -> None:
    overlay: CountOverlay
    others: list[Future[Image]] = []

    class Zones(tuple[Zone, ...]):
        """While they are laid out for one output, another one draws."""

        def __iter__(self) -> Iterator[Zone]:
            if not others:
                others.append(pool.submit(draw, overlay))
                wait(others, timeout=0.3)  # it may wait for this one
            return super().__iter__()

    zones = Zones([ROOM])
    overlay = CountOverlay(counts=nothing, shapes=lambda: (zones, ()))
    with ThreadPoolExecutor(1) as pool:
        first = draw(overlay)
        assert (others[0].result() == first).all()
    assert changed(first).any()


def test_texts() -> None:
    assert zone_text("hall", {}) == "hall: 0"
    assert zone_text("hall", {"person": 2, "car": 1}) == "hall: 2 person, 1 car"
    assert line_text("gate", {}) == "gate: in 0, out 0"
    assert line_text("gate", {"person": (2, 1), "car": (3, 0)}) == "gate: in 5, out 1"


def test_the_counts_are_those_of_the_frame_drawn_however_late() -> None:
    live = LiveHistory()
    counter = StreamAnalytics("s", ["person"], stamper=EventStamper(), zones=[ROOM], lines=[GATE], live=live)
    frames: list[TrackedFrame] = []
    at_once: list[Image] = []
    annotator = Annotator(["person"], overlays=[CountOverlay(zones=[ROOM], lines=[GATE], counts=live.at)])
    for index in range(60):
        shown = {1: standing_at(500, 200 + 80 * (index // 10 % 2)), 2: standing_at(150 + 10 * index, 300)}
        frames.append(tracked_frame(index, index / 10, shown))
        counter.update(frames[-1])
        at_once.append(annotator.draw(frames[-1]))
    late = Annotator(["person"], overlays=[CountOverlay(zones=[ROOM], lines=[GATE], counts=live.at)])
    for frame, before in zip(frames, at_once, strict=True):
        assert (late.draw(frame) == before).all()
    assert not frames[0].frame.image.any()
    assert (at_once[5] != at_once[25]).any()


@pytest.mark.parametrize("size", [(64, 48), (7, 5), (1920, 1080), (480, 854)])
def test_fractions_follow_the_size_and_labels_stay_inside(size: tuple[int, int]) -> None:
    whole = Zone("all of it", [(0, 0), (1, 0), (1, 1), (0, 1)], units="fraction")
    edges = [Line("left", (0, 0), (0, 1), units="fraction"), Line("right", (1, 0), (1, 1), units="fraction")]
    edges += [Line("top", (0, 0), (1, 0), units="fraction"), Line("bottom", (0, 1), (1, 1), units="fraction")]
    touched = changed(draw(CountOverlay(zones=[whole], lines=edges, counts=nothing), *size))
    assert touched.all()


def test_what_lies_outside_the_picture_draws_its_label_only() -> None:
    far = Zone("far", [(5000, 5000), (90000, 5000), (5000, 90000)])
    wide = Line("wide", (-1e6, 1e6), (1e6, 1e6))
    touched = changed(draw(CountOverlay(zones=[far], lines=[wide], counts=nothing)))
    assert touched.any() and touched.mean() < 0.05


@pytest.mark.parametrize(
    ("line", "size"),
    [(Line("edge", (639, 100), (640, 100)), (640, 480)), (Line("all", (0, 0), (1, 1), units="fraction"), (1, 1))],
)
def test_a_line_from_the_last_pixel_to_the_edge_is_drawn(line: Line, size: tuple[int, int]) -> None:
    assert changed(draw(CountOverlay(lines=[line], counts=nothing), *size)).any()


def test_the_picture_may_change_its_size() -> None:
    overlay = CountOverlay(zones=[Zone("z", [(0, 0), (1, 0), (1, 1), (0, 1)], units="fraction")], counts=nothing)
    for size in ((640, 480), (320, 240), (640, 480)):
        assert changed(draw(overlay, *size)).all()


def test_many_zones_and_lines_get_colours() -> None:
    zones = [Zone(f"z{n}", [(n * 20, 0), (n * 20 + 15, 0), (n * 20 + 15, 400)]) for n in range(20)]
    lines = [Line(f"l{n}", (0, 10 * n), (600, 10 * n)) for n in range(20)]
    assert changed(draw(CountOverlay(zones=zones, lines=lines, counts=nothing))).any()
