"""Tracks on frames that nobody looked at: interpolated, in order, within bounded memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sampling.interpolation import TrackInterpolator
from pipeline.types import Detections, Frame, TrackedFrame, Tracks

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


def run(filler: TrackInterpolator, frames: Sequence[TrackedFrame]) -> list[TrackedFrame]:
    return [out for frame in frames for out in filler.add(frame)] + list(filler.flush())


def places(out: TrackedFrame) -> dict[int, float]:
    return dict(zip(out.tracks.track_id.tolist(), out.tracks.xyxy[:, 0].tolist(), strict=True))


def test_between_two_looks_boxes_are_interpolated() -> None:
    guess = {1: 99.0}
    frames = [tracked(0, {1: 0}), *(tracked(i, guess, looked=False) for i in (1, 2, 3)), tracked(4, {1: 8})]
    out = run(TrackInterpolator(), frames)
    assert [places(one) for one in out] == [{1: 0}, {1: 2}, {1: 4}, {1: 6}, {1: 8}]
    assert [one.tracks.unseen_s.tolist() for one in out] == [
        pytest.approx([unseen], abs=1e-6) for unseen in (0, 0.1, 0.2, 0.3, 0)
    ]
    assert [float(one.tracks.age_s[0]) for one in out] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4], abs=1e-6)
    assert [one.detections is None for one in out] == [False, True, True, True, False]


def test_a_track_that_was_lost_for_a_while_is_filled_in_beside_the_others() -> None:
    frames = [tracked(0, {1: 0, 2: 50}), tracked(1, {2: 51}), tracked(2, {1: 4, 2: 52})]
    assert [places(one) for one in run(TrackInterpolator(), frames)] == [{1: 0, 2: 50}, {1: 2, 2: 51}, {1: 4, 2: 52}]


def test_a_track_that_was_lost_for_too_long_is_not() -> None:
    frames = [tracked(index, {1: 0.0} if index in (0, 8) else {}) for index in range(9)]
    assert [len(one.tracks) for one in run(TrackInterpolator(bridge_s=0.5), frames)] == [1, 0, 0, 0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize(("fps", "every"), [(29.97, 30), (30.0, 31), (1.0, 3), (0.2, 2)])
def test_between_two_looks_that_follow_each_other_tracks_are_filled_in_however_far_apart(
    fps: float, every: int
) -> None:
    count = 2 * every + 1
    frames = [tracked(index, {1: float(index)}, looked=index % every == 0, fps=fps) for index in range(count)]
    out = run(TrackInterpolator(bridge_s=1.0), frames)
    assert [places(one)[1] for one in out] == pytest.approx(list(range(count)), abs=1e-3)
    assert [one.tracks.unseen_s[0] for one in out] == pytest.approx([index % every / fps for index in range(count)])


def test_a_track_that_ended_is_not_waited_for() -> None:
    filler = TrackInterpolator(bridge_s=5)
    assert len(list(filler.add(tracked(0, {1: 0})))) == 1
    assert not list(filler.add(tracked(1, {})))
    assert len(list(filler.add(tracked(2, {}, ended=[1])))) == 2


def test_an_empty_scene_waits_for_nothing() -> None:
    filler = TrackInterpolator()
    for index in range(20):
        assert len(list(filler.add(tracked(index, {}, looked=index % 5 == 0)))) == 1


def test_what_is_not_seen_again_is_not_shown_on_the_way_and_after_the_last_look_the_tracker_speaks() -> None:
    frames = [tracked(0, {1: 0, 2: 50}), tracked(1, {1: 1, 2: 50}, looked=False), tracked(2, {1: 2}, ended=[2])]
    frames.append(tracked(3, {1: 3.5}, looked=False))
    assert [places(one) for one in run(TrackInterpolator(), frames)] == [{1: 0, 2: 50}, {1: 1}, {1: 2}, {1: 3.5}]


def test_no_more_frames_wait_than_allowed() -> None:
    filler = TrackInterpolator(bridge_s=100, most_held=5)
    out = [len(list(filler.add(tracked(index, {1: 0.0} if index == 0 else {})))) for index in range(20)]
    assert sum(out) == 15
    assert len(list(filler.flush())) == 5


@pytest.mark.parametrize("settings", [{"bridge_s": -1.0}, {"most_held": 0}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="bridge_s and most_held"):
        TrackInterpolator(**settings)  # type: ignore[arg-type]


@given(
    looks=st.lists(st.booleans(), min_size=1, max_size=60),
    seen=st.lists(st.frozensets(st.integers(1, 4)), min_size=60, max_size=60),
    bridge_s=st.floats(0, 3),
    most_held=st.integers(1, 40),
)
def test_every_frame_comes_out_once_in_order_and_looks_are_kept(
    looks: list[bool], seen: list[frozenset[int]], bridge_s: float, most_held: int
) -> None:
    frames = [
        tracked(index, {key: 10.0 * key + index for key in seen[index]}, looked=looked)
        for index, looked in enumerate(looks)
    ]
    out = run(TrackInterpolator(bridge_s=bridge_s, most_held=most_held), frames)
    assert [one.frame for one in out] == [one.frame for one in frames]
    for given_, got in zip(frames, out, strict=True):
        ids = got.tracks.track_id.tolist()
        assert ids == sorted(set(ids))
        if given_.detections is not None:
            shown = places(got)
            assert all(shown[key] == place for key, place in places(given_).items())
            assert all(got.tracks.unseen_s[ids.index(key)] == 0 for key in places(given_))
        # All move alike, so whatever was filled in or predicted is on the line.
        assert all(place == pytest.approx(10 * key + got.frame.index, abs=1e-3) for key, place in places(got).items())
