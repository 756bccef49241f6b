"""A file's frames are looked at as often as its scene asks, and a still camera's only when something moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.tracking import score
from pipeline.sampling.motion_gate import MotionGate
from pipeline.sampling.predictive import PredictiveSampler
from pipeline.sampling.sampler import EveryNth, Sampler
from pipeline.types import Detections, Frame, Image, TrackedFrame, Tracks
from sightline.composition.pipeline import build_pipeline
from sightline.config.loading import load_config
from tests.support.fakes import picture

FPS = 25.0
PICTURE = picture([])


def seen(boxes: Sequence[Sequence[float]], *, tracked: bool = True, score: float = 0.9) -> tuple[Detections, Tracks]:
    """Detections of the boxes, and a track for each unless ``tracked`` is False."""
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    count = len(xyxy)
    found = Detections(xyxy, np.full(count, score, np.float32), np.zeros(count, np.int32))
    zeros = np.zeros(count, np.float32)
    tracks = Tracks(xyxy, found.score, found.class_id, np.arange(1, count + 1, dtype=np.int64), zeros, zeros)
    return found, tracks if tracked else Tracks.empty()


def drive(
    pace: Sampler,
    count: int,
    scene: Callable[[int], tuple[Detections, Tracks]],
    *,
    image: Callable[[int], Image] = lambda _: PICTURE,
    fps: float = FPS,
) -> list[int]:
    """The frames that are looked at, each told of at once."""
    looks = []
    for index in range(count):
        frame = Frame(image(index), index, index / fps, 0.0, "clip")
        found, tracks = scene(index)
        wanted = pace.wants(frame)
        looks += [index] if wanted else []
        pace.observe(TrackedFrame(frame, found if wanted else None, tracks, np.zeros(0, np.int64)), 0.0)
    return looks


def gaps(looks: Sequence[int]) -> list[int]:
    return np.diff(looks).tolist()


def test_a_predictable_scene_is_looked_at_ever_more_seldom_up_to_the_longest_time() -> None:
    looks = drive(PredictiveSampler(longest_s=0.3), 100, lambda index: seen([[10 + 4 * index, 10, 40 + 4 * index, 90]]))
    assert looks[:5] == [0, 2, 5, 9, 14]
    assert max(gaps(looks)) == 8, "0.3 s at 25 frames a second"
    assert gaps(looks)[-4:] == [8] * 4


def test_an_object_that_changes_its_mind_is_looked_at_more_often() -> None:
    def scene(index: int) -> tuple[Detections, Tracks]:
        place = 30 * ((index * 7) % 11)
        return seen([[place, 0, place + 30, 60]])

    assert len(drive(PredictiveSampler(), 60, scene)) > 25
    assert len(drive(PredictiveSampler(), 60, lambda _: seen([[5, 0, 35, 60]]))) < 15


def test_something_new_is_looked_at_frame_by_frame_until_it_is_a_track() -> None:
    def scene(index: int) -> tuple[Detections, Tracks]:
        return seen([[10, 10, 40, 90]], tracked=index >= 63) if index >= 50 else seen([])

    looks = drive(PredictiveSampler(), 80, scene)
    first = next(look for look in looks if look >= 50)
    assert first <= 57
    assert set(range(first, 64)) <= set(looks)
    assert len([look for look in looks if look > 64]) < 10


def test_a_weak_detection_is_nothing_new() -> None:
    looks = drive(PredictiveSampler(sure_score=0.5), 60, lambda _: seen([[10, 10, 40, 90]], tracked=False, score=0.4))
    assert len(looks) < 15


@given(st.lists(st.booleans(), min_size=1, max_size=200), st.floats(0.05, 1), st.sampled_from([5.0, 25.0, 60.0]))
def test_no_pause_is_longer_than_allowed(surprising: list[bool], longest_s: float, fps: float) -> None:
    looks = drive(
        PredictiveSampler(longest_s=longest_s),
        len(surprising),
        lambda index: seen([[1, 1, 9, 9]], tracked=not surprising[index]),
        fps=fps,
    )
    assert looks[0] == 0
    assert all(gap == 1 or (gap - 1) / fps < longest_s for gap in gaps([*looks, len(surprising)])[:-1])


@pytest.mark.parametrize("appears", [10, 33, 58])
def test_what_begins_to_move_is_looked_at_in_the_same_frame(appears: int) -> None:
    def image(index: int) -> Image:
        return picture([(30, 30, 60, 70)] if index >= appears else [])

    looks = drive(MotionGate(EveryNth(1), area=0.006), 60, lambda _: seen([]), image=image)
    assert looks == [0, *([appears] if appears <= 50 else [50, appears])], "else every two seconds"


def test_slow_motion_adds_up() -> None:
    def image(index: int) -> Image:
        left = 10 + index // 3
        return picture([(left, 30, left + 30, 70)])

    looks = drive(MotionGate(EveryNth(1), area=0.006), 100, lambda _: seen([[10, 30, 40, 70]]), image=image)
    assert 10 < len(looks) < 50


def test_what_came_and_stands_still_is_looked_at_until_it_is_a_track() -> None:
    looks = drive(
        MotionGate(EveryNth(1), area=0.006),
        100,
        lambda index: seen([[30, 30, 60, 70]], tracked=index >= 23) if index >= 20 else seen([]),
        image=lambda index: picture([(30, 30, 60, 70)] if index >= 20 else []),
    )
    assert looks[:5] == [0, 20, 21, 22, 23]
    assert all(gap in (25, 26) for gap in gaps(looks[4:])), "then once a second, as there is a track"


def test_a_change_of_light_and_noise_are_no_motion() -> None:
    generator = np.random.default_rng(1)

    def image(index: int) -> Image:
        level = 100 + 40 * np.sin(index / 10)
        return np.clip(generator.normal(level, 12, (120, 160, 3)), 0, 255).astype(np.uint8)

    assert drive(MotionGate(EveryNth(1), area=0.006), 100, lambda _: seen([]), image=image) == [0, 50]


def test_another_pace_thins_out_what_moves() -> None:
    def image(index: int) -> Image:
        return picture([(2 * index, 30, 2 * index + 30, 70)])

    assert len(drive(MotionGate(EveryNth(1)), 60, lambda _: seen([]), image=image)) > 25
    assert len(drive(MotionGate(EveryNth(3)), 60, lambda _: seen([]), image=image)) < 25


def test_looks_without_motion_are_told_to_a_pace_that_did_not_ask_for_them() -> None:
    looks = drive(
        MotionGate(PredictiveSampler()),
        200,
        lambda index: seen([[30, 30, 60, 70]]),
        image=lambda index: picture([(30 + 3 * max(0, index - 100), 30, 60 + 3 * max(0, index - 100), 70)]),
    )
    assert all(gap in (25, 26) for gap in gaps([look for look in looks if look <= 100]))
    moving = [look for look in looks if 100 < look < 130]
    assert 5 < len(moving) < 25


@given(st.lists(st.booleans(), min_size=1, max_size=120), st.lists(st.booleans(), min_size=120, max_size=120))
def test_looks_that_others_ask_for_do_not_confuse_the_pace(moves: list[bool], new: list[bool]) -> None:
    looks = drive(
        MotionGate(PredictiveSampler(longest_s=0.2), longest_s=0.3, tracked_s=0.2),
        len(moves),
        lambda index: seen([[1, 1, 9, 9]], tracked=not new[index]),
        image=lambda index: picture([(10, 10, 70, 90)] if moves[index] else []),
    )
    assert all((gap - 1) / FPS < 0.3 for gap in gaps([*looks, len(moves)]))


@pytest.mark.parametrize("area", [0, -1, 1.5])
def test_an_area_that_makes_no_sense_is_refused(area: float) -> None:
    with pytest.raises(ValueError, match="area: expected more than 0"):
        MotionGate(EveryNth(1), area=area)


def tracks_of(clip: Path, folder: Path, name: str, **options: object) -> Path:
    """MOT text of the people in a clip, by a whole run."""
    path = folder / f"{name}.txt"
    config = load_config(
        None,
        (),
        {
            "source": clip,
            "model": {"precision": "float32"},
            "filters": {"classes": ("person",)},
            "output": {"tracks": path},
            **options,
        },
    )
    report = build_pipeline(config, progress=False).run()
    stream = next(iter(report.streams.values()))
    assert set(stream.dropped) <= {"duration"} and not stream.failed
    return path


def first_frames(path: Path, count: int) -> list[str]:
    """The lines of MOT text that are of the first frames."""
    return [line for line in path.read_text().splitlines() if int(line.partition(",")[0]) <= count]


@pytest.mark.slow
def test_auto_keeps_the_accuracy_of_looking_at_every_frame(eval_dir: Path, tmp_path: Path, tiny_weights: Path) -> None:
    """On vtest.avi every frame gives HOTA 51.6 and MOTA 70.6 (benchmarks/README.md)."""
    clip, truth = eval_dir / "videos" / "vtest.avi", eval_dir / "mot15" / "PETS09-S2L1"
    path = tracks_of(clip, tmp_path, "auto", detect_every="auto")
    again = tracks_of(clip, tmp_path, "again", detect_every="auto", duration_s=16)
    first = first_frames(path, 140)
    assert len(first) > 300
    assert first == first_frames(again, 140), "which frames are looked at does not depend on the machine"
    found = score(path, truth)
    assert found["HOTA"] >= 49.6
    assert found["MOTA"] >= 68.6
