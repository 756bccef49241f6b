"""Media time of files from timestamps in disorder: the frames behind decide what a strange one means."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.sources.timing.file_timeline import LOOK_AHEAD, FileTimeline, Timed

MILLISECOND = Fraction(1, 1000)
Stamp = int | None


def placed(stamps: list[Stamp], frame_s: float | None = 0.04, *, start: int | None = None) -> list[Timed[Stamp]]:
    timeline = FileTimeline(None, MILLISECOND, frame_s, start=start, largest_gap_s=3600)
    return list(timeline.place(stamps, lambda stamp: (stamp, None)))


def times(*stamps: Stamp, start: int | None = None) -> list[float]:
    return [frame.pts_s for frame in placed(list(stamps), start=start)]


def every_40_ms(first: int, last: int) -> list[Stamp]:
    """The timestamps of frames ``first`` to ``last - 1``."""
    return [40 * number for number in range(first, last)]


def evenly(count: int) -> list[float]:
    return [number / 25 for number in range(count)]


@given(st.lists(st.none() | st.integers(-(2**62), 2**62), max_size=50), st.sampled_from([None, 1e-6, 0.04, 30.0]))
def test_time_always_rises_and_no_frame_is_lost(stamps: list[Stamp], frame_s: float | None) -> None:
    timeline = FileTimeline(None, Fraction(1, 90_000), frame_s, largest_gap_s=1e9)
    frames = list(timeline.place(range(len(stamps)), lambda index: (stamps[index], None)))
    assert [frame.item for frame in frames] == list(range(len(stamps)))
    assert all(earlier.pts_s < later.pts_s for earlier, later in itertools.pairwise(frames))


@given(st.lists(st.integers(1, 3_600_000), min_size=1, max_size=50), st.integers(-(2**40), 2**40))
@example([2_646_765, 3_600_000], 0)
def test_rising_timestamps_are_kept_to_the_tick(steps: list[int], first: int) -> None:
    stamps: list[Stamp] = list(itertools.accumulate(steps, initial=first))
    assert [frame.pts_s for frame in placed(stamps)] == [
        float((stamp - first) * MILLISECOND) for stamp in stamps if stamp is not None
    ]
    assert not any(frame.repaired for frame in placed(stamps))


@st.composite
def disorders(draw: st.DrawFn) -> tuple[list[int], dict[int, Stamp], float]:
    """Timestamps in milliseconds of an even stream, the wrong ones instead of some, and the distance of frames."""
    frame_s = draw(st.sampled_from([1 / 60, 1001 / 30_000, 0.04, 0.1, 2.0]))
    count = draw(st.integers(30, 60))
    right = [round(number * frame_s * 1000) for number in range(count)]
    frame_ms = round(1000 * frame_s)
    wrong: dict[int, Stamp] = {}
    place = draw(st.integers(4, 9))
    while place < count - 4:
        in_a_row = draw(st.integers(1, 3))
        for position in range(place, min(count - 4, place + in_a_row)):
            far: list[Stamp] = [None, right[position] - 600_000, right[position] + 600_000, 10**12]
            near: list[Stamp] = [
                right[position] + draw(st.integers(-20 * frame_ms, 20 * frame_ms)),
                right[position - 1],
                0,
            ]
            wrong[position] = draw(st.sampled_from(far if in_a_row > 1 else far + near))
        place += draw(st.integers(7, 20))
    return right, wrong, frame_s


@settings(max_examples=200, deadline=None)
@given(disorders())
def test_a_wrong_timestamp_moves_nobody_else(case: tuple[list[int], dict[int, Stamp], float]) -> None:
    right, wrong, frame_s = case
    moments = [frame.pts_s for frame in placed([wrong.get(place, stamp) for place, stamp in enumerate(right)], frame_s)]
    for place, (moment, stated) in enumerate(zip(moments, right, strict=True)):
        assert abs(moment - stated / 1000) <= (frame_s + 0.001 if place in wrong else 1e-6), f"frame {place}"


@settings(max_examples=100, deadline=None)
@given(
    count=st.integers(20, 40),
    place=st.integers(9, 15),
    step_ms=st.integers(-(10**9), -60) | st.integers(3_700_000, 10**9),
    frame_ms=st.sampled_from([20, 40]),
)
def test_a_clock_that_is_set_is_joined_on(count: int, place: int, step_ms: int, frame_ms: int) -> None:
    """Also one that steps back a little; no frame behind it is squeezed, and the sound gets the same shift."""
    own = [number * frame_ms + (step_ms if number >= place else 0) for number in range(count)]
    frames = placed([*own], frame_ms / 1000)
    assert [frame.pts_s for frame in frames] == pytest.approx([number * frame_ms / 1000 for number in range(count)])
    # What a frame's own timestamp is to its time, the offset is to any other of the same clock.
    for frame, stamp in zip(frames, own, strict=True):
        assert frame.offset_s + stamp / 1000 == pytest.approx(frame.pts_s, abs=1e-6)


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        ((0, 40, None, 120, 160), (0, 0.04, 0.08, 0.12, 0.16)),
        ((None, None, None), (0, 0.04, 0.08)),
        ((None, 5000, 5040), (0, 0.04, 0.08)),
        # One slip: afterwards the stream's clock holds again, and it held before.
        ((0, 40, 80, 60, 160, 200), (0, 0.04, 0.08, 0.12, 0.16, 0.20)),
        ((0, 40, 80, 60, 120, 160), (0, 0.04, 0.08, 0.10, 0.12, 0.16)),
        ((0, 40, 420, 120, 160, 200), (0, 0.04, 0.08, 0.12, 0.16, 0.20)),
        # Every second one repeated: no drift.
        ((0, 0, 80, 80, 160, 160), (0, 0.04, 0.08, 0.12, 0.16, 0.20)),
        # All the same: the nominal rate.
        ((7, 7, 7, 7), (0, 0.04, 0.08, 0.12)),
        # A pause, and then the clock starts again.
        ((0, 40, 80, 5000, 0, 40, 80), (0, 0.04, 0.08, 5.0, 5.04, 5.08, 5.12)),
        # It leaps further than can be, for good, and for one frame.
        ((0, 40, 90_000_000, 90_000_040), (0, 0.04, 0.08, 0.12)),
        ((0, 40, 90_000_000, 120, 160), (0, 0.04, 0.08, 0.12, 0.16)),
        # The very first is wrong.
        ((600_000, 40, 80, 120, 160), (0, 0.04, 0.08, 0.12, 0.16)),
        # Uneven ones are kept, down to the last.
        ((0, 3000, 7000, 7010, 30_000), (0, 3, 7, 7.01, 30)),
    ],
)
def test_what_strange_timestamps_mean(stamps: tuple[Stamp, ...], expected: tuple[float, ...]) -> None:
    assert times(*stamps) == pytest.approx(expected)


def test_a_pause_is_kept_up_to_the_largest() -> None:
    pause = [*every_40_ms(0, 10), *every_40_ms(500, 510)]
    assert times(*pause)[10:12] == pytest.approx([20.0, 20.04])
    timeline: FileTimeline = FileTimeline(None, MILLISECOND, 0.04, largest_gap_s=10)
    frames = list(timeline.place(pause, lambda stamp: (stamp, None)))
    assert [frame.pts_s for frame in frames] == pytest.approx(evenly(20))


def test_the_last_frame_of_an_even_stream_may_come_a_little_later_but_not_hours() -> None:
    assert times(*every_40_ms(0, 20), 5_000)[-1] == 5.0
    assert times(*every_40_ms(0, 20), 600_000)[-1] == pytest.approx(0.8)
    # Where its decoding timestamp does not agree, not even that.
    timeline = FileTimeline(None, MILLISECOND, 0.04)
    stamps = [*((40 * number, 40 * number) for number in range(20)), (5_000, 800)]
    assert [frame.pts_s for frame in timeline.place(stamps, lambda stamp: stamp)][-1] == pytest.approx(0.8)


def test_a_long_run_without_a_step_keeps_the_nominal_rate() -> None:
    assert times(*[0] * 100)[-1] == pytest.approx(99 * 0.04)


def test_the_start_may_lie_before_the_first_frame_but_not_far() -> None:
    assert times(500, 540, start=0) == pytest.approx([0.5, 0.54])
    assert times(50_000, 50_040, start=0) == [0.0, pytest.approx(0.04)]
    assert times(500, 540, start=900) == [0.0, pytest.approx(0.04)]
    # Nor is it believed where it is a wrong timestamp itself.
    stamps = [5000 + 40 * number for number in range(10)]
    stamps[3] = 4000
    assert times(*stamps, start=4000) == pytest.approx(evenly(10))


def test_decoding_stamps_help_where_presentation_stamps_are_made_up() -> None:
    """What FFmpeg gives for H.264 with B-frames in AVI: pts in decoding order, dts in order."""
    pts = [1, 3, 4, 2, 6, 7, 5, 9, 10, 8, 12]
    timeline = FileTimeline(None, Fraction(1, 25), 0.04)
    stamps = [(stamp, position + 2) for position, stamp in enumerate(pts)]
    assert [frame.pts_s for frame in timeline.place(stamps, lambda stamp: stamp)] == pytest.approx(evenly(11))


def test_no_more_frames_are_held_back_than_are_in_doubt() -> None:
    read = 0

    def stream() -> Iterator[Stamp]:
        nonlocal read
        for stamp in [*every_40_ms(0, 20), 5000, *every_40_ms(21, 60)]:
            read += 1
            yield stamp

    timeline = FileTimeline(None, MILLISECOND, 0.04)
    ahead = [read - place for place, _ in enumerate(timeline.place(stream(), lambda stamp: (stamp, None)))]
    assert max(ahead) == LOOK_AHEAD + 1
    assert max(ahead[:3] + ahead[37:]) == 3


def test_each_kind_of_repair_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    timeline = FileTimeline("clip", MILLISECOND, 0.04)
    stamps = [*every_40_ms(0, 20), None, None, *every_40_ms(22, 30), *every_40_ms(0, 30), *every_40_ms(0, 30)]
    with caplog.at_level(logging.WARNING):
        list(timeline.place(stamps, lambda stamp: (stamp, None)))
    assert [record.message.split(": ")[0] for record in caplog.records] == ["clip", "clip"]
    assert "frame after 0.760 s has no timestamp" in caplog.messages[0]
    assert "frame after 1.160 s has timestamp 0.000 s" in caplog.messages[1]
