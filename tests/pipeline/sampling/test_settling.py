"""Tracks with hindsight: from their beginning, smooth, without gaps, in order, within bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.geometry.similarity import Motion, after, inverse, moved_boxes
from pipeline.sampling.settling import TrackSettler
from pipeline.types import Detections, Frame, Sightings, TrackedFrame, Tracks

PICTURE = np.zeros((2, 4, 3), np.uint8)


def tracked(
    index: int, places: dict[int, float], *, looked: bool = True, fps: float = 10.0, ended: Sequence[int] = ()
) -> TrackedFrame:
    """A frame that shows boxes of 10 x 20 at ``places`` (x by id)."""
    ids = sorted(places)
    boxes = np.array([[places[key], 0, places[key] + 10, 20] for key in ids], np.float32).reshape(-1, 4)
    tracks = Tracks(
        xyxy=boxes,
        score=np.full(len(ids), 0.5, np.float32),
        class_id=np.zeros(len(ids), np.int32),
        track_id=np.array(ids, np.int64),
        age_s=np.full(len(ids), index / fps, np.float32),
        unseen_s=np.full(len(ids), 0 if looked else 0.1, np.float32),
    )
    frame = Frame(PICTURE, index, index / fps, 0.0, "clip")
    return TrackedFrame(frame, Detections.empty() if looked else None, tracks, np.array(ended, np.int64))


def run(settler: TrackSettler, frames: Sequence[TrackedFrame]) -> list[TrackedFrame]:
    return [out for frame in frames for out in settler.add(frame)] + list(settler.flush())


def places(out: TrackedFrame) -> dict[int, float]:
    return dict(zip(out.tracks.track_id.tolist(), out.tracks.xyxy[:, 0].tolist(), strict=True))


def plain(**settings: float) -> TrackSettler:
    """One that leaves boxes as they were seen, and shows tracks however short."""
    return TrackSettler(**{"smooth_s": 0.0, "least_s": 0.0, **settings})  # type: ignore[arg-type]


def test_between_two_looks_boxes_are_interpolated() -> None:
    guess = {1: 99.0}
    frames = [tracked(0, {1: 0}), *(tracked(i, guess, looked=False) for i in (1, 2, 3)), tracked(4, {1: 8})]
    out = run(plain(), frames)
    assert [places(one) for one in out] == [{1: 0}, {1: 2}, {1: 4}, {1: 6}, {1: 8}]
    assert [one.tracks.unseen_s.tolist() for one in out] == [
        pytest.approx([unseen], abs=1e-6) for unseen in (0, 0.1, 0.2, 0.3, 0)
    ]
    assert [float(one.tracks.age_s[0]) for one in out] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4], abs=1e-6)
    assert [one.detections is None for one in out] == [False, True, True, True, False]


@pytest.mark.parametrize(
    ("missed", "also", "filled"),
    [
        ([3], [], True),
        ([2], [], False),  # seen twice before it only
        ([4, 5, 6], [], True),
        ([3, 4, 5, 6, 7], [], False),  # likewise three times
        ([8, 9, 10, 11], [], True),
        ([8, 9, 10, 11], [5], True),  # seen in three of the four looks before it
        ([8, 9, 10, 11], [5, 6], False),
        ([8, 9, 10, 11], [13], True),
        ([8, 9, 10, 11], [13, 14], False),
        ([12, 13, 14, 15, 16, 17, 18, 19, 20], [], True),
        ([12, 13, 14, 15, 16, 17, 18, 19, 20, 21], [], False),  # longer than a second
    ],
)
def test_a_gap_is_filled_where_the_track_was_steady_on_either_side_of_it(
    missed: list[int], also: list[int], filled: bool
) -> None:
    shown = [index for index in range(40) if index not in [*missed, *also]]
    frames = [tracked(index, {1: 2.0 * index, 2: 50} if index in shown else {2: 50}) for index in range(40)]
    out = run(plain(lag_s=2.0), frames)
    assert [index for index in missed if 1 in places(out[index])] == (missed if filled else [])
    for index in missed if filled else []:
        assert places(out[index])[1] == pytest.approx(2.0 * index)


@pytest.mark.parametrize(
    ("other", "also", "filled"),
    [
        (4.75, [5, 6], True),  # hidden, and seen in two of the four looks before it
        (4.75, [4, 5, 6], False),
        (4.75, [13, 14, 15], False),
        (8.0, [5, 6], False),  # two thirds of it were hidden
        (50.0, [5, 6], False),
    ],
)
def test_a_gap_in_which_a_track_was_hidden_is_filled_where_it_was_seen_in_every_other_look(
    other: float, also: list[int], filled: bool
) -> None:
    missed = [8, 9, 10, 11]
    shown = [index for index in range(40) if index not in [*missed, *also]]
    frames = [tracked(index, {1: 0.5 * index, 2: other} if index in shown else {2: other}) for index in range(40)]
    out = run(plain(lag_s=2.0), frames)
    assert [index for index in missed if 1 in places(out[index])] == (missed if filled else [])


def test_only_what_is_shown_hides_others() -> None:
    missed, settler = [5, 6, 8, 9, 10, 11], plain(lag_s=2.0)
    out: list[TrackedFrame] = []
    for index in range(40):
        there = {} if index in missed else {1: 0.5 * index}
        seen = sighted({**there, 2: 4.75}, shown=True)
        seen.track_id[seen.key == 2] = 0
        out += settler.add(tracked(index, there), seen)
    out += settler.flush()
    assert [index for index in range(40) if not len(out[index].tracks)] == missed


def test_a_gap_is_filled_wholly_or_not_at_all() -> None:
    # Seen again just before its first frame leaves, and missed right after that.
    missed = [*range(10, 18), 19, 20]
    frames = [tracked(index, {1: float(index), 2: 0} if index not in missed else {2: 0}) for index in range(40)]
    shown = [1 in places(one) for one in run(plain(lag_s=0.8), frames)[10:18]]
    assert shown == [True] * 8


def test_one_that_was_seen_seldom_is_shown_where_it_was_seen() -> None:
    seen = (0, 1, 4, 5, 8, 9, 12)
    frames = [tracked(index, {1: float(index), 2: 0.0} if index in seen else {2: 0.0}) for index in range(30)]
    out = run(TrackSettler(smooth_s=0.0), frames)
    assert [2 in places(one) for one in out] == [True] * 30
    # A second after its later frames it is missing for longer than half of one.
    assert [one.frame.index for one in out if 1 in places(one)] == [0, 1, 4, 5]


def test_a_track_that_was_lost_for_too_long_is_not() -> None:
    frames = [tracked(index, {1: 0.0} if index in (0, 8) else {}) for index in range(9)]
    assert [len(one.tracks) for one in run(plain(bridge_s=0.5), frames)] == [1, 0, 0, 0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("lag_s", [0.0, 1.0])
@pytest.mark.parametrize(("fps", "every"), [(29.97, 30), (30.0, 31), (1.0, 3), (0.2, 2)])
def test_between_two_looks_that_follow_each_other_tracks_are_filled_in_however_far_apart(
    fps: float, every: int, lag_s: float
) -> None:
    count = 2 * every + 1
    frames = [tracked(index, {1: float(index)}, looked=index % every == 0, fps=fps) for index in range(count)]
    out = run(TrackSettler(lag_s=lag_s), frames)
    assert [places(one)[1] for one in out] == pytest.approx(list(range(count)), abs=1e-3)
    assert [one.tracks.unseen_s[0] for one in out] == pytest.approx([index % every / fps for index in range(count)])


def test_a_frame_waits_for_its_lag_and_for_the_look_after_it() -> None:
    settler = plain(lag_s=0.5)
    looks = [0, 1, 2, 3, 8, 9]
    left = [len(list(settler.add(tracked(index, {1: 0.0}, looked=index in looks)))) for index in range(10)]
    # Frame 3 leaves with frame 8; those from 4 on wait for the look at 8, and their half a second.
    assert left == [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    assert len(list(settler.flush())) == 5


def test_what_is_not_seen_again_is_not_shown_on_the_way_and_after_the_last_look_the_tracker_speaks() -> None:
    frames = [tracked(0, {1: 0, 2: 50}), tracked(1, {1: 1, 2: 50}, looked=False), tracked(2, {1: 2}, ended=[2])]
    frames.append(tracked(3, {1: 3.5}, looked=False))
    assert [places(one) for one in run(plain(), frames)] == [{1: 0, 2: 50}, {1: 1}, {1: 2}, {1: 3.5}]


def test_what_lasts_too_short_is_not_shown_and_leaves_no_gap_in_the_ids() -> None:
    frames = [tracked(i, ({7: 200.0} if i < 4 else {}) | ({9: 0.0} if i >= 2 else {})) for i in range(20)]
    frames[10] = tracked(10, {9: 0.0}, ended=[7])
    out = run(TrackSettler(least_s=0.5), frames)
    assert [places(one) for one in out] == [{}, {}, *[{1: 0.0}] * 18]
    assert all(len(one.ended) == 0 for one in out), "what was never shown does not end either"


def test_what_is_seen_once_is_shown_where_looks_are_too_far_apart_to_see_it_longer() -> None:
    pictures = [tracked(index, {index + 1: 5}, fps=1.0) for index in range(4)]
    assert [list(places(out)) for out in run(TrackSettler(), pictures)] == [[1], [2], [3], [4]]
    frames = [tracked(index, {index + 1: 5} if index < 3 else {}, fps=4.0) for index in range(6)]
    assert [list(places(out)) for out in run(TrackSettler(), frames)] == [[]] * 6


def test_what_the_streams_end_cuts_short_is_shown() -> None:
    frames = [tracked(i, {7: 0.0} if i >= 17 else {}) for i in range(20)]
    assert [len(one.tracks) for one in run(TrackSettler(), frames)] == [0] * 17 + [1] * 3


def test_a_track_that_ends_does_so_after_all_frames_that_show_it_and_by_the_id_that_they_show() -> None:
    frames = [tracked(i, {5: 0.0} if i < 10 else {}, ended=[5] if i == 14 else []) for i in range(30)]
    out = run(TrackSettler(), frames)
    assert [index for index, one in enumerate(out) if len(one.tracks)] == list(range(10))
    assert [one.ended.tolist() for one in out] == [[1] if index == 14 else [] for index in range(30)]


def sighted(places: dict[int, float], *, shown: bool, sure: bool = True) -> Sightings:
    seen = tracked(0, places).tracks
    ids = seen.track_id if shown else np.zeros_like(seen.track_id)
    return Sightings(
        seen.xyxy, seen.score, seen.class_id, key=seen.track_id, track_id=ids, sure=np.full(len(ids), sure)
    )


def test_a_track_is_shown_from_its_first_detection() -> None:
    settler = TrackSettler()
    out: list[TrackedFrame] = []
    for index in range(20):
        shown = index >= 5
        frame = tracked(index, {1: float(index)} if shown else {})
        out += settler.add(frame, sighted({1: float(index)}, shown=shown))
    out += settler.flush()
    assert [places(one)[1] for one in out] == pytest.approx(list(range(20)), abs=0.01)


def test_detections_too_weak_to_be_shown_only_bridge_those_that_are() -> None:
    settler = plain()
    out: list[TrackedFrame] = []
    for index in range(30):
        sure = index < 5 or 15 <= index < 20
        frame = tracked(index, {1: float(index)} if sure else {})
        out += settler.add(frame, sighted({1: float(index)}, shown=True, sure=sure))
    out += settler.flush()
    assert [index for index, one in enumerate(out) if len(one.tracks)] == list(range(20))
    assert [places(one)[1] for one in out[:20]] == list(range(20))
    assert [float(one.tracks.unseen_s[0]) for one in out[4:16]] == pytest.approx([*np.arange(0, 1.1, 0.1), 0], abs=1e-5)


def test_boxes_are_smoothed_without_lagging_behind_or_bending_at_the_ends() -> None:
    random = np.random.default_rng(1)
    noise = random.normal(0.0, 2.0, 100)
    frames = [tracked(i, {1: 3.0 * i + noise[i]}, fps=25.0) for i in range(100)]
    found = np.array([places(one)[1] for one in run(TrackSettler(), frames)])
    apart = found - 3.0 * np.arange(100)
    assert np.abs(apart).mean() < 0.4 * np.abs(noise).mean()
    assert abs(float(apart[:20].mean())) < 1.0 and abs(float(apart[-20:].mean())) < 1.0


@pytest.mark.parametrize("weak", [0.3, 0.0])
def test_boxes_are_smoothed_towards_those_of_high_scores(weak: float) -> None:
    frames = []
    for index in range(50):
        one = tracked(index, {1: 8.0 * (index % 2)}, fps=25.0)
        score = np.full(1, weak if index % 2 else 0.9, np.float32)
        frames.append(TrackedFrame(one.frame, one.detections, replace(one.tracks, score=score), one.ended))
    found = [places(one)[1] for one in run(TrackSettler(), frames)]
    assert max(found) < 1.5  # they lie between 0 and 8


def test_no_more_frames_wait_than_allowed() -> None:
    for settler in (TrackSettler(lag_s=100, most_held=5), TrackSettler(lag_s=100, most_bytes=5 * PICTURE.nbytes)):
        out = [len(list(settler.add(tracked(index, {1: 0.0} if index == 0 else {})))) for index in range(20)]
        assert sum(out) == 15
        assert len(list(settler.flush())) == 5


def driving(index: int) -> Motion:
    """What takes the first picture to that of a camera that drives on: everything grows, for ever."""
    scale = 1.1**index
    return np.array([[scale, 0.0, 40.0 * (1 - scale)], [0.0, scale, -3.0 * index]])


def test_a_camera_that_moves_shows_what_one_that_stands_still_would() -> None:
    """Smoothing, gaps and frames that nobody looked at are as if nothing moved but the objects."""
    still, moving = TrackSettler(), TrackSettler()
    expected, found = [], []
    for index in range(60):
        there = {} if index in (11, 12, 40) else {1: 5.0 + 0.7 * index + (index % 3), 2: 30.0}
        frame = tracked(index, there, looked=index % 4 != 1)
        boxes = moved_boxes(frame.tracks.xyxy.astype(np.float64), driving(index)).astype(np.float32)
        seen = TrackedFrame(frame.frame, frame.detections, replace(frame.tracks, xyxy=boxes), frame.ended)
        motion = after(driving(index), inverse(driving(index - 1))) if index else None
        expected += list(still.add(frame))
        found += list(moving.add(seen, None, motion))
    expected, found = expected + list(still.flush()), found + list(moving.flush())
    assert len(found) == len(expected) == 60
    for index, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert one.tracks.track_id.tolist() == other.tracks.track_id.tolist()
        as_seen = moved_boxes(other.tracks.xyxy.astype(np.float64), driving(index))
        np.testing.assert_allclose(one.tracks.xyxy, as_seen, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("settings", [{"bridge_s": -1.0}, {"most_held": 0}, {"lag_s": float("nan")}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        TrackSettler(**settings)  # type: ignore[arg-type]


@given(
    looks=st.lists(st.booleans(), min_size=1, max_size=60),
    seen=st.lists(st.frozensets(st.integers(1, 4)), min_size=60, max_size=60),
    bridge_s=st.floats(0, 3),
    lag_s=st.floats(0, 3),
    most_held=st.integers(1, 40),
)
def test_every_frame_comes_out_once_in_order_and_looks_are_kept(
    looks: list[bool], seen: list[frozenset[int]], bridge_s: float, lag_s: float, most_held: int
) -> None:
    frames = [
        tracked(index, {key: 10.0 * key + index for key in seen[index]}, looked=looked)
        for index, looked in enumerate(looks)
    ]
    out = run(TrackSettler(bridge_s=bridge_s, lag_s=lag_s, least_s=0.0, most_held=most_held), frames)
    assert [one.frame for one in out] == [one.frame for one in frames]
    known: dict[int, int] = {}
    for given_, got in zip(frames, out, strict=True):
        ids = got.tracks.track_id.tolist()
        assert ids == sorted(set(ids))
        # All move alike, so whatever was filled in, smoothed or predicted is on the line.
        whose = {key: round((place - got.frame.index) / 10) for key, place in places(got).items()}
        assert all(
            place == pytest.approx(10 * whose[key] + got.frame.index, abs=0.05) for key, place in places(got).items()
        )
        assert all(known.setdefault(key, track) == track for key, track in whose.items())
        if given_.detections is not None:
            assert set(whose.values()) >= set(places(given_))
